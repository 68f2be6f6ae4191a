//! What a response is read with.

use crate::{
    qi::{
        value::{ObjectEncoding, codec::ReceivedMetaObjects},
        wire::Limits,
    },
    transcode::object::ObjectSink,
};

/// What a response is read with.
pub struct ResponseContext<'a> {
    /// Keeps the objects that the robot sends.
    pub objects: &'a mut dyn ObjectSink,
    /// How objects are encoded on the robot's connection.
    pub encoding: ObjectEncoding,
    /// The meta objects that came before on the connection; needed with `MetaObjectCache` only.
    pub cache: Option<&'a mut ReceivedMetaObjects>,
    /// The sizes and depths that are accepted.
    pub limits: Limits,
    /// The largest message, in bytes. Names of members are repeated with each `Value`, so a
    /// payload can become larger than it was.
    pub message_bytes: usize,
    /// Whether `Value`s shall be JSON where they can be (metadata `qi-value-format: json`).
    pub json: bool,
    /// Counts the strings that were not UTF-8 and came out with U+FFFD.
    pub replaced_strings: u64,
}

impl std::fmt::Debug for ResponseContext<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ResponseContext")
            .field("encoding", &self.encoding)
            .field("limits", &self.limits)
            .field("message_bytes", &self.message_bytes)
            .field("json", &self.json)
            .field("replaced_strings", &self.replaced_strings)
            .finish_non_exhaustive()
    }
}

impl<'a> ResponseContext<'a> {
    /// A context with default limits and exact values. Messages may be four times as large as the
    /// largest payload.
    pub fn new(objects: &'a mut dyn ObjectSink, encoding: ObjectEncoding) -> Self {
        let limits = Limits::default();
        Self {
            objects,
            encoding,
            cache: None,
            limits,
            message_bytes: limits.payload_bytes as usize * 4,
            json: false,
            replaced_strings: 0,
        }
    }
}
