//! Objects on the other side of a connection.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use bytes::Bytes;

use super::{Call, CallError, Connection, EventSink, Export, ExportError, RemoteSignal, SendError};
use crate::qi::{
    value::{
        AsObject, Dynamic, LiveObject, MetaMethod, MetaObject, ObjectReference, ObjectUid,
        Signature, Type, Value,
        codec::{
            DecodeContext, EncodeContext, EncodeError, RefusedMember, decode, decode_meta_object,
            encode, encode_dynamic,
        },
    },
    wire::{ActionId, Address, Flags, Kind, ObjectId, ServiceId, Writer},
};

/// An object that is reached through a connection, which it keeps open. Cloning is cheap.
///
/// As a [`Value`] it can be passed on: whoever gets it calls us, and we call it (section 13).
#[derive(Clone, Debug)]
pub struct RemoteObject {
    connection: Connection,
    service: ServiceId,
    object: ObjectId,
    meta: Arc<MetaObject>,
    /// None where the object is not ours to release.
    received: Option<Arc<Received>>,
}

/// An object that was handed over; given back when the last [`RemoteObject`] of it is dropped.
#[derive(Debug)]
struct Received {
    connection: Connection,
    address: Address,
    uid: Option<ObjectUid>,
    /// A host whose object has no such method keeps it as long as it likes (section 11).
    terminates: bool,
    released: AtomicBool,
}

impl Drop for Received {
    fn drop(&mut self) {
        if self.terminates && !self.released.load(Ordering::Relaxed) {
            // Where it cannot be sent, the object goes with the connection.
            let service = u32_payload(self.address.service.0);
            let _ = self.connection.release(Kind::Post, self.address, service);
        }
    }
}

/// Why a call by name has no result.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ObjectError {
    /// The object has no such method.
    #[error("no method {name}")]
    NoSuchMethod {
        /// The name, as it was given.
        name: String,
    },
    /// Several methods have the name: it takes `name::(signature)`.
    #[error("{count} methods are named {name}")]
    Ambiguous {
        /// The name, as it was given.
        name: String,
        /// How many have it.
        count: usize,
    },
    /// The arguments are not what the method takes.
    #[error("the arguments of {name}: {source}")]
    Arguments {
        /// The name, as it was given.
        name: String,
        /// What is wrong with them.
        source: EncodeError,
    },
    /// An argument is, or holds, an object that cannot be passed on.
    #[error("the arguments of {name}: {source}")]
    Export {
        /// The name, as it was given.
        name: String,
        /// Why not.
        source: ExportError,
    },
    /// The call failed.
    #[error(transparent)]
    Call(#[from] CallError),
}

impl RemoteObject {
    /// An object that is already known, to be released with [`Self::terminate`] if at all.
    #[must_use]
    pub const fn new(
        connection: Connection,
        service: ServiceId,
        object: ObjectId,
        meta: Arc<MetaObject>,
    ) -> Self {
        Self {
            connection,
            service,
            object,
            meta,
            received: None,
        }
    }

    /// An object that came as a value through `connection`. Its host is told to terminate it when
    /// the last clone is dropped.
    #[must_use]
    pub fn received(connection: Connection, reference: ObjectReference) -> Self {
        let ObjectReference {
            meta,
            service,
            object,
            uid,
        } = reference;
        let meta = connection.metas().share(meta);
        let received = Received {
            connection: connection.clone(),
            address: Address::new(service, object, ActionId::TERMINATE),
            uid,
            terminates: meta.methods.contains_key(&ActionId::TERMINATE),
            released: AtomicBool::new(false),
        };
        Self {
            received: Some(Arc::new(received)),
            ..Self::new(connection, service, object, meta)
        }
    }

    /// The remote object that a value is; none for an object that this process hosts. Looks through
    /// dynamics.
    #[must_use]
    pub fn from_value(value: &Value) -> Option<Self> {
        let object = value.as_live()?.downcast::<Self>()?;
        Some(Self::clone(&object))
    }

    /// Takes the objects that came in a value through `connection`: each [`Value::Object`] but the
    /// null object becomes a [`Value::Live`] that is a [`RemoteObject`].
    pub fn receive_all(connection: &Connection, value: &mut Value) {
        let taken = value.visit_objects::<std::convert::Infallible>(&mut |place| {
            if let Value::Object(reference) = place
                && !reference.is_null()
            {
                let object = Self::received(connection.clone(), ObjectReference::clone(reference));
                *place = object.into();
            }
            Ok(())
        });
        match taken {
            Ok(()) => {}
            Err(never) => match never {},
        }
    }

    /// Asks an object what it is. The members that had to be left out come beside it.
    ///
    /// # Errors
    ///
    /// [`CallError`].
    pub async fn fetch(
        connection: &Connection,
        service: ServiceId,
        object: ObjectId,
    ) -> Result<(Self, Vec<RefusedMember>), CallError> {
        let address = Address::new(service, object, ActionId::META_OBJECT);
        // The argument means nothing (section 5).
        let reply = connection.call(address, u32_payload(0)).await?;
        let decoded = decode_meta_object(&reply.payload, &connection.limits().wire);
        let decoded = decoded.map_err(|source| CallError::Malformed {
            expected: "meta object",
            source,
        })?;
        let object = Self::new(connection.clone(), service, object, Arc::new(decoded.meta));
        Ok((object, decoded.refused))
    }

    /// The connection.
    #[must_use]
    pub const fn connection(&self) -> &Connection {
        &self.connection
    }

    /// The service that it is reached through.
    #[must_use]
    pub const fn service(&self) -> ServiceId {
        self.service
    }

    /// Its number.
    #[must_use]
    pub const fn object(&self) -> ObjectId {
        self.object
    }

    /// What it says about itself.
    #[must_use]
    pub const fn meta(&self) -> &Arc<MetaObject> {
        &self.meta
    }

    /// The address of a member.
    #[must_use]
    pub const fn address(&self, member: ActionId) -> Address {
        Address::new(self.service, self.object, member)
    }

    /// Calls a method with encoded arguments; see [`Connection::call`].
    pub fn call(&self, method: ActionId, arguments: Bytes) -> Call {
        self.connection.call(self.address(method), arguments)
    }

    /// Posts to a method or signal; see [`Connection::post`].
    ///
    /// # Errors
    ///
    /// [`SendError`].
    pub fn post(&self, member: ActionId, arguments: Bytes) -> Result<(), SendError> {
        self.connection.post(self.address(member), arguments)
    }

    /// Asks for a property; the reply's payload is a dynamic (section 12.4).
    pub fn property(&self, property: ActionId) -> Call {
        let mut key = Writer::with_capacity(KEY_BYTES);
        write_key(property, &mut key);
        self.call(ActionId::PROPERTY, key.finish())
    }

    /// Sets a property to `value`, an encoded dynamic that is not empty (section 12.4).
    pub fn set_property(&self, property: ActionId, value: &[u8]) -> Call {
        let mut arguments = Writer::with_capacity(KEY_BYTES + value.len());
        write_key(property, &mut arguments);
        arguments.raw(value);
        self.call(ActionId::SET_PROPERTY, arguments.finish())
    }

    /// Hands the events of a signal, or the changes of a property, to `sink`.
    ///
    /// # Errors
    ///
    /// [`CallError`].
    ///
    /// # Cancel safety
    ///
    /// Safe.
    pub async fn subscribe(
        &self,
        signal: ActionId,
        sink: Arc<dyn EventSink>,
    ) -> Result<RemoteSignal, CallError> {
        RemoteSignal::register(&self.connection, self.service, self.object, signal, sink).await
    }

    /// Tells the host that the object is needed no more (section 13), at once: no clone can use it
    /// from now on.
    ///
    /// # Errors
    ///
    /// [`SendError`].
    pub fn terminate(&self) -> Result<(), SendError> {
        if let Some(received) = &self.received {
            received.released.store(true, Ordering::Relaxed);
        }
        let address = self.address(ActionId::TERMINATE);
        let service = u32_payload(self.service.0);
        self.connection.release(Kind::Post, address, service)
    }

    /// The method of a full name, `name::(signature)`, or of a name that only one method has.
    ///
    /// # Errors
    ///
    /// [`ObjectError::NoSuchMethod`], [`ObjectError::Ambiguous`].
    pub fn method(&self, name: &str) -> Result<&MetaMethod, ObjectError> {
        let (bare, signature) = match name.split_once("::") {
            Some((bare, signature)) => (bare, Some(signature)),
            None => (name, None),
        };
        let fits = |method: &&MetaMethod| match signature {
            Some(signature) => method.parameters_signature.as_str() == signature,
            None => true,
        };
        let mut methods = self.meta.methods_named(bare).filter(fits);
        let Some(method) = methods.next() else {
            let name = name.to_owned();
            return Err(ObjectError::NoSuchMethod { name });
        };
        match methods.count() {
            0 => Ok(method),
            others => Err(ObjectError::Ambiguous {
                name: name.to_owned(),
                count: others + 1,
            }),
        }
    }

    /// Calls a method by its name, see [`Self::method`], and decodes what it returns.
    ///
    /// Nothing is converted: arguments are of the types of the parameters. A method that takes any
    /// arguments (`m`) takes dynamics. Objects may be passed where the connection was opened with a
    /// host; those in the result are [`RemoteObject`]s.
    ///
    /// # Errors
    ///
    /// [`ObjectError`].
    ///
    /// # Cancel safety
    ///
    /// Safe: the call is cancelled. Objects in a result that comes nevertheless stay with their
    /// host until the connection ends.
    pub async fn call_by_name(
        &self,
        name: &str,
        arguments: Vec<Value>,
    ) -> Result<Value, ObjectError> {
        let method = self.method(name)?;
        let mut arguments = Value::Tuple(arguments);
        let exports = self.connection.export_all(self.service, &mut arguments);
        let exports = exports.map_err(|source| ObjectError::Export {
            name: name.to_owned(),
            source,
        })?;
        let payload =
            self.encode_arguments(method, arguments)
                .map_err(|source| ObjectError::Arguments {
                    name: name.to_owned(),
                    source,
                })?;
        let call = self.call(method.uid, payload);
        if !call.is_refused() {
            exports.into_iter().for_each(Export::keep);
        }
        let reply = call.await?;
        let context = DecodeContext::new(
            self.connection.object_encoding(),
            self.connection.limits().wire,
        );
        let value = match reply.flags.contains(Flags::DYNAMIC_PAYLOAD) {
            true => decode(&Type::Dynamic, &reply.payload, context),
            false => decode(method.return_signature.ty(), &reply.payload, context),
        };
        let mut value = value.map_err(|source| {
            ObjectError::Call(CallError::Malformed {
                expected: "value of the declared type",
                source,
            })
        })?;
        Self::receive_all(&self.connection, &mut value);
        Ok(value)
    }

    fn encode_arguments(
        &self,
        method: &MetaMethod,
        arguments: Value,
    ) -> Result<Bytes, EncodeError> {
        let mut context = EncodeContext::new(
            self.connection.object_encoding(),
            self.connection.limits().wire,
        );
        let mut writer = Writer::new();
        match (method.parameters_signature.ty(), &arguments) {
            (Type::Dynamic, Value::Tuple(items)) => {
                let ty = Type::tuple(vec![Type::Dynamic; items.len()]);
                let dynamic = Dynamic::new(Signature::from(ty), arguments);
                encode_dynamic(&dynamic, &mut context, &mut writer)?;
            }
            (ty, arguments) => encode(arguments, ty, &mut context, &mut writer)?,
        }
        Ok(writer.finish())
    }
}

impl AsObject for RemoteObject {
    fn meta(&self) -> &Arc<MetaObject> {
        &self.meta
    }

    /// What the host says, or else made of the address: the same for all clones.
    fn uid(&self) -> ObjectUid {
        if let Some(uid) = self.received.as_ref().and_then(|received| received.uid) {
            return uid;
        }
        let mut uid = [0; 20];
        let address = self.service.0.to_le_bytes().into_iter();
        let address = address.chain(self.object.0.to_le_bytes());
        let connection = self.connection.id().0.to_le_bytes();
        let process = std::process::id().to_le_bytes();
        let all = address.chain(connection).chain(process);
        for (place, byte) in uid.iter_mut().zip(all) {
            *place = byte;
        }
        ObjectUid(uid)
    }
}

impl From<RemoteObject> for Value {
    fn from(object: RemoteObject) -> Self {
        LiveObject::new(Arc::new(object)).into()
    }
}

/// The size of a property's key: a dynamic that holds the number.
const KEY_BYTES: usize = 9;

/// The property's number as a dynamic `I`, as libqi clients send it (section 12.4).
fn write_key(property: ActionId, writer: &mut Writer) {
    writer.raw(&[1, 0, 0, 0, b'I']);
    writer.u32(property.0);
}

pub(super) fn u32_payload(number: u32) -> Bytes {
    Bytes::copy_from_slice(&number.to_le_bytes())
}
