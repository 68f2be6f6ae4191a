//! Objects on the other side of a connection.

use std::sync::Arc;

use bytes::Bytes;

use super::{Call, CallError, Connection, EventSink, RemoteSignal, SendError};
use crate::qi::{
    value::{
        Dynamic, MetaMethod, MetaObject, Signature, Type, Value,
        codec::{
            DecodeContext, EncodeContext, EncodeError, RefusedMember, decode, decode_meta_object,
            encode, encode_dynamic,
        },
    },
    wire::{ActionId, Address, Flags, ObjectId, ServiceId, Writer},
};

/// An object that is reached through a connection. Cloning is cheap.
#[derive(Clone, Debug)]
pub struct RemoteObject {
    connection: Connection,
    service: ServiceId,
    object: ObjectId,
    meta: Arc<MetaObject>,
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
    /// The call failed.
    #[error(transparent)]
    Call(#[from] CallError),
}

impl RemoteObject {
    /// An object that is already known, as those are that come as values.
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

    /// Tells the host that the object is needed no more (section 13).
    ///
    /// # Errors
    ///
    /// [`SendError`].
    pub fn terminate(&self) -> Result<(), SendError> {
        self.post(ActionId::TERMINATE, u32_payload(self.service.0))
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
    /// arguments (`m`) takes dynamics.
    ///
    /// # Errors
    ///
    /// [`ObjectError`].
    ///
    /// # Cancel safety
    ///
    /// Safe: the call is cancelled.
    pub async fn call_by_name(
        &self,
        name: &str,
        arguments: Vec<Value>,
    ) -> Result<Value, ObjectError> {
        let method = self.method(name)?;
        let payload =
            self.encode_arguments(method, arguments)
                .map_err(|source| ObjectError::Arguments {
                    name: name.to_owned(),
                    source,
                })?;
        let reply = self.call(method.uid, payload).await?;
        let context = DecodeContext::new(
            self.connection.object_encoding(),
            self.connection.limits().wire,
        );
        let value = match reply.flags.contains(Flags::DYNAMIC_PAYLOAD) {
            true => decode(&Type::Dynamic, &reply.payload, context),
            false => decode(method.return_signature.ty(), &reply.payload, context),
        };
        value.map_err(|source| {
            ObjectError::Call(CallError::Malformed {
                expected: "value of the declared type",
                source,
            })
        })
    }

    fn encode_arguments(
        &self,
        method: &MetaMethod,
        arguments: Vec<Value>,
    ) -> Result<Bytes, EncodeError> {
        let mut context = EncodeContext::new(
            self.connection.object_encoding(),
            self.connection.limits().wire,
        );
        let mut writer = Writer::new();
        match method.parameters_signature.ty() {
            Type::Dynamic => {
                let ty = Type::tuple(vec![Type::Dynamic; arguments.len()]);
                let dynamic = Dynamic::new(Signature::from(ty), Value::Tuple(arguments));
                encode_dynamic(&dynamic, &mut context, &mut writer)?;
            }
            ty => encode(&Value::Tuple(arguments), ty, &mut context, &mut writer)?,
        }
        Ok(writer.finish())
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
