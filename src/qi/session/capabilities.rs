//! What the sides of a connection can do (protocol text, section 10).

use crate::qi::value::ObjectEncoding;

/// What one side can do, or what both can.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Capabilities {
    /// Calls may go to services of the side that opened the connection.
    pub client_server_socket: bool,
    /// The flags of a header may be used.
    pub message_flags: bool,
    /// Meta objects of objects are sent once and then by number.
    pub meta_object_cache: bool,
    /// References to objects end with the object's identity.
    pub object_ptr_uid: bool,
    /// The directory may give `qi:` endpoints.
    pub relative_endpoint_uri: bool,
    /// Calls can be cancelled.
    pub remote_cancelable_calls: bool,
}

impl Capabilities {
    /// What we can do: the same as libqi 4 (section 9).
    pub const OURS: Self = Self {
        client_server_socket: true,
        message_flags: true,
        meta_object_cache: false,
        object_ptr_uid: true,
        relative_endpoint_uri: true,
        remote_cancelable_calls: true,
    };

    /// What both sides can do.
    #[must_use]
    pub const fn shared(self, other: Self) -> Self {
        Self {
            client_server_socket: self.client_server_socket && other.client_server_socket,
            message_flags: self.message_flags && other.message_flags,
            meta_object_cache: self.meta_object_cache && other.meta_object_cache,
            object_ptr_uid: self.object_ptr_uid && other.object_ptr_uid,
            relative_endpoint_uri: self.relative_endpoint_uri && other.relative_endpoint_uri,
            remote_cancelable_calls: self.remote_cancelable_calls && other.remote_cancelable_calls,
        }
    }

    /// How objects are encoded between sides that share these.
    #[must_use]
    pub const fn object_encoding(self) -> ObjectEncoding {
        ObjectEncoding {
            meta_object_cache: self.meta_object_cache,
            object_uid: self.object_ptr_uid,
        }
    }

    /// Names and values, sorted by name as libqi sends them.
    #[must_use]
    pub const fn entries(self) -> [(&'static str, bool); 6] {
        [
            ("ClientServerSocket", self.client_server_socket),
            ("MessageFlags", self.message_flags),
            ("MetaObjectCache", self.meta_object_cache),
            ("ObjectPtrUID", self.object_ptr_uid),
            ("RelativeEndpointURI", self.relative_endpoint_uri),
            ("RemoteCancelableCalls", self.remote_cancelable_calls),
        ]
    }

    /// Sets the capability of a name; an unknown one is ignored, since peers may have their own.
    pub fn set(&mut self, name: &[u8], value: bool) {
        let capability = match name {
            b"ClientServerSocket" => &mut self.client_server_socket,
            b"MessageFlags" => &mut self.message_flags,
            b"MetaObjectCache" => &mut self.meta_object_cache,
            b"ObjectPtrUID" => &mut self.object_ptr_uid,
            b"RelativeEndpointURI" => &mut self.relative_endpoint_uri,
            b"RemoteCancelableCalls" => &mut self.remote_cancelable_calls,
            _ => return,
        };
        *capability = value;
    }
}
