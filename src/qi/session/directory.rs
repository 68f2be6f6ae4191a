//! The service directory, and what it says about services (protocol text, section 14).

use bytes::Bytes;

use super::{CallError, Connection, RemoteObject};
use crate::qi::{
    value::{
        MetaObject, Type, Value,
        codec::{DecodeContext, Decoder, EncodeContext, EncodeError, encode},
    },
    wire::{ActionId, Flags, Limits, ObjectId, ServiceId, Writer},
};

/// A service as the directory knows it.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ServiceInfo {
    /// Its name, unique on the bus.
    pub name: String,
    /// Its number, never given again while the directory lives.
    pub service_id: ServiceId,
    /// The machine that it runs on: a UUID as a text.
    pub machine_id: String,
    /// The process that it runs in.
    pub process_id: u32,
    /// Where it is reached: [`super::ServiceEndpoint`]s, but kept as the texts that they are.
    pub endpoints: Vec<String>,
    /// The session that registered it: a UUID as a text, `0` for the directory's.
    pub session_id: String,
    /// The identity of its main object: 20 bytes, or empty. None in directories before 2018.
    pub object_uid: Option<Bytes>,
}

/// Why a directory is of no use.
#[derive(Clone, Debug, thiserror::Error)]
pub enum DirectoryError {
    /// A call to it failed.
    #[error(transparent)]
    Call(#[from] CallError),
    /// It does not have what every directory has.
    #[error("the service directory has no {member}")]
    Missing {
        /// The name of the member.
        member: &'static str,
    },
    /// It describes services in an unknown way.
    #[error("the service directory describes services as {signature}")]
    UnknownLayout {
        /// The signature of its description.
        signature: String,
    },
}

/// How a directory lays out [`ServiceInfo`]: by the signature that it declares, with or without
/// the identity of the object.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ServiceInfoLayout {
    ty: Type,
    has_object_uid: bool,
}

impl ServiceInfoLayout {
    /// The layout that a signature describes; none for any but `(sIsI[s]s)` and `(sIsI[s]ss)`.
    #[must_use]
    pub fn of(ty: &Type) -> Option<Self> {
        let mut elements = vec![
            Type::String,
            Type::UInt32,
            Type::String,
            Type::UInt32,
            Type::list(Type::String),
            Type::String,
        ];
        let has_object_uid = !ty.same_layout(&Type::tuple(elements.clone()));
        if has_object_uid {
            elements.push(Type::String);
        }
        ty.same_layout(&Type::tuple(elements)).then(|| Self {
            ty: ty.clone(),
            has_object_uid,
        })
    }

    /// Whether descriptions hold [`ServiceInfo::object_uid`].
    #[must_use]
    pub const fn has_object_uid(&self) -> bool {
        self.has_object_uid
    }

    /// Reads one description.
    fn read(&self, decoder: &mut Decoder<'_>) -> Result<ServiceInfo, CallError> {
        self.try_read(decoder).map_err(malformed)
    }

    fn try_read(
        &self,
        decoder: &mut Decoder<'_>,
    ) -> Result<ServiceInfo, crate::qi::value::codec::DecodeError> {
        let reader = decoder.reader();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let name = text(reader.sized("the name of a service")?);
        let service_id = ServiceId(reader.u32()?);
        let machine_id = text(reader.sized("a machine id")?);
        let process_id = reader.u32()?;
        let count = reader.count(Type::String.min_bytes(), "endpoints")?;
        let mut endpoints = Vec::with_capacity(count);
        for _ in 0..count {
            endpoints.push(text(reader.sized("an endpoint")?));
        }
        let session_id = text(reader.sized("a session id")?);
        let mut object_uid = None;
        if self.has_object_uid {
            // Declared as a text, but bytes: hence not decoded as one.
            object_uid = Some(Bytes::copy_from_slice(
                reader.sized("an object's identity")?,
            ));
        }
        Ok(ServiceInfo {
            name,
            service_id,
            machine_id,
            process_id,
            endpoints,
            session_id,
            object_uid,
        })
    }

    /// Reads a payload that is one description.
    ///
    /// # Errors
    ///
    /// [`CallError::Malformed`].
    pub fn decode(&self, payload: &Bytes, limits: &Limits) -> Result<ServiceInfo, CallError> {
        self.read(&mut decoder(payload, limits))
    }

    /// Reads a payload that is a list of descriptions.
    ///
    /// # Errors
    ///
    /// [`CallError::Malformed`].
    pub fn decode_list(
        &self,
        payload: &Bytes,
        limits: &Limits,
    ) -> Result<Vec<ServiceInfo>, CallError> {
        let mut decoder = decoder(payload, limits);
        let count = decoder
            .reader()
            .count(self.ty.min_bytes(), "services")
            .map_err(|error| malformed(error.into()))?;
        (0..count).map(|_| self.read(&mut decoder)).collect()
    }

    /// The payload that tells a directory of this layout about a service.
    ///
    /// # Errors
    ///
    /// [`EncodeError`], for texts that no message can hold.
    pub fn encode(&self, info: &ServiceInfo) -> Result<Bytes, EncodeError> {
        let endpoints = info.endpoints.iter().map(|uri| Value::text(uri)).collect();
        let mut fields = vec![
            Value::text(&info.name),
            Value::UInt32(info.service_id.0),
            Value::text(&info.machine_id),
            Value::UInt32(info.process_id),
            Value::List(endpoints),
            Value::text(&info.session_id),
        ];
        if self.has_object_uid {
            fields.push(Value::String(info.object_uid.clone().unwrap_or_default()));
        }
        let mut writer = Writer::new();
        let value = Value::Tuple(fields);
        encode(&value, &self.ty, &mut EncodeContext::default(), &mut writer)?;
        Ok(writer.finish())
    }
}

/// The directory on a connection.
#[derive(Clone, Debug)]
pub struct Directory {
    object: RemoteObject,
    layout: ServiceInfoLayout,
    members: Members,
}

#[derive(Clone, Copy, Debug)]
struct Members {
    service: ActionId,
    services: ActionId,
    machine_id: ActionId,
    added: ActionId,
    removed: ActionId,
}

impl Directory {
    /// Asks the directory on a connection what it is.
    ///
    /// # Errors
    ///
    /// [`DirectoryError`].
    ///
    /// # Cancel safety
    ///
    /// Safe.
    pub async fn open(connection: &Connection) -> Result<Self, DirectoryError> {
        let (object, _) =
            RemoteObject::fetch(connection, ServiceId::DIRECTORY, ObjectId::MAIN).await?;
        Self::of(object)
    }

    fn of(object: RemoteObject) -> Result<Self, DirectoryError> {
        let meta: &MetaObject = object.meta();
        let method = |member: &'static str| {
            let found = meta.methods_named(member).next();
            found.ok_or(DirectoryError::Missing { member })
        };
        let signal = |member: &'static str| {
            let found = meta.signal(member).map(|signal| signal.uid);
            found.ok_or(DirectoryError::Missing { member })
        };
        let service = method("service")?;
        let unknown_layout = || DirectoryError::UnknownLayout {
            signature: service.return_signature.to_string(),
        };
        let ty = service.return_signature.ty();
        let layout = ServiceInfoLayout::of(ty).ok_or_else(unknown_layout)?;
        let members = Members {
            service: service.uid,
            services: method("services")?.uid,
            machine_id: method("machineId")?.uid,
            added: signal("serviceAdded")?,
            removed: signal("serviceRemoved")?,
        };
        Ok(Self {
            object,
            layout,
            members,
        })
    }

    /// The directory as an object.
    #[must_use]
    pub const fn object(&self) -> &RemoteObject {
        &self.object
    }

    /// How it describes services.
    #[must_use]
    pub const fn layout(&self) -> &ServiceInfoLayout {
        &self.layout
    }

    /// The number of its signal `serviceAdded (Is)`.
    #[must_use]
    pub const fn service_added(&self) -> ActionId {
        self.members.added
    }

    /// The number of its signal `serviceRemoved (Is)`.
    #[must_use]
    pub const fn service_removed(&self) -> ActionId {
        self.members.removed
    }

    /// All services that are ready.
    ///
    /// # Errors
    ///
    /// [`CallError`].
    ///
    /// # Cancel safety
    ///
    /// Safe.
    pub async fn services(&self) -> Result<Vec<ServiceInfo>, CallError> {
        let reply = self
            .object
            .call(self.members.services, Bytes::new())
            .await?;
        self.layout.decode_list(&reply.payload, self.limits())
    }

    /// One service by its name.
    ///
    /// # Errors
    ///
    /// [`CallError`]; [`CallError::Robot`] if there is none.
    ///
    /// # Cancel safety
    ///
    /// Safe.
    pub async fn service(&self, name: &str) -> Result<ServiceInfo, CallError> {
        let reply = self
            .object
            .call(self.members.service, text_payload(name))
            .await?;
        self.layout.decode(&reply.payload, self.limits())
    }

    /// The machine that the directory runs on.
    ///
    /// # Errors
    ///
    /// [`CallError`].
    ///
    /// # Cancel safety
    ///
    /// Safe.
    pub async fn machine_id(&self) -> Result<String, CallError> {
        let reply = self
            .object
            .call(self.members.machine_id, Bytes::new())
            .await?;
        let mut decoder = decoder(&reply.payload, self.limits());
        let text = decoder.reader().sized("a machine id");
        let text = text.map_err(|error| malformed(error.into()))?;
        Ok(String::from_utf8_lossy(text).into_owned())
    }

    fn limits(&self) -> &Limits {
        &self.object.connection().limits().wire
    }
}

/// Id and name out of an event of `serviceAdded` or `serviceRemoved`; none if it cannot be read.
pub(super) fn changed_service(payload: &Bytes, flags: Flags) -> Option<(ServiceId, String)> {
    let mut decoder = decoder(payload, &Limits::default());
    let arguments = match flags.contains(Flags::DYNAMIC_PAYLOAD) {
        true => decoder.dynamic().ok()?.value,
        false => decoder
            .value(&Type::tuple(vec![Type::UInt32, Type::String]))
            .ok()?,
    };
    let Value::Tuple(arguments) = arguments else {
        return None;
    };
    let [id, name] = arguments.as_slice() else {
        return None;
    };
    Some((ServiceId(id.to_i64()?.try_into().ok()?), name.to_text()?))
}

fn decoder<'a>(payload: &'a Bytes, limits: &Limits) -> Decoder<'a> {
    Decoder::new(payload, DecodeContext::new(Default::default(), *limits))
}

const fn malformed(source: crate::qi::value::codec::DecodeError) -> CallError {
    CallError::Malformed {
        expected: "answer of a service directory",
        source,
    }
}

/// A text as an argument; cut where no message could hold it.
fn text_payload(text: &str) -> Bytes {
    let mut writer = Writer::with_capacity(4 + text.len());
    match writer.sized(text.as_bytes()) {
        Ok(()) => writer.finish(),
        Err(_) => Bytes::new(),
    }
}

#[cfg(test)]
mod tests;
