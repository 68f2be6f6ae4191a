//! The members that every object has (protocol text, sections 5 and 12).

use std::{
    collections::HashMap,
    sync::{Arc, LazyLock},
};

use bytes::Bytes;
use tokio::sync::OwnedSemaphorePermit;

use super::{
    BuildError,
    arguments::{Arguments, dynamic_payload},
    error::text,
    exports::Through,
    manage,
    method::signature,
    object::Object,
    peer::Peer,
    property::{Property, SetError},
    subscribers::Subscriber,
};
use crate::qi::{
    value::{
        Dynamic, MetaMethod, Signature, Type, Value,
        codec::{EncodeContext, META_OBJECT_SIGNATURE, encode},
    },
    wire::{ActionId, Address, ObjectId, Writer},
};

/// Number, name, parameters and result of each, but for those of [`manage`].
const SPECIAL: [(ActionId, &str, &str, &str); 8] = [
    (ActionId::REGISTER_EVENT, "registerEvent", "(IIL)", "L"),
    (ActionId::UNREGISTER_EVENT, "unregisterEvent", "(IIL)", "v"),
    (
        ActionId::META_OBJECT,
        "metaObject",
        "(I)",
        META_OBJECT_SIGNATURE,
    ),
    (ActionId::TERMINATE, "terminate", "(I)", "v"),
    (ActionId::PROPERTY, "property", "(m)", "m"),
    (ActionId::SET_PROPERTY, "setProperty", "(mm)", "v"),
    (ActionId::PROPERTIES, "properties", "()", "[s]"),
    (
        ActionId::REGISTER_EVENT_WITH_SIGNATURE,
        "registerEventWithSignature",
        "(IILs)",
        "L",
    ),
];

/// What a call of a special method leads to.
#[derive(Debug)]
pub(super) enum Answer {
    /// The payload of the reply.
    Payload(Bytes),
    /// The same, of a registration with a signal.
    Registered(Bytes, Option<ToForward>),
}

/// A registration that is to be made with another object too, before it is answered.
#[derive(Debug)]
pub(super) struct ToForward {
    pub(super) signal: ActionId,
    /// The place of a call: until then it is one that waits.
    pub(super) room: OwnedSemaphorePermit,
}

/// The methods that every meta object has to list: libqi's clients call them by name.
pub(super) fn methods() -> Result<Vec<MetaMethod>, BuildError> {
    let method = |(uid, name, parameters, returns)| {
        Ok(MetaMethod {
            uid,
            return_signature: signature(name, returns)?,
            name: name.to_owned(),
            parameters_signature: signature(name, parameters)?,
            description: String::new(),
            parameters: Vec::new(),
            return_description: String::new(),
        })
    };
    let all = SPECIAL.into_iter().chain(manage::METHODS);
    all.map(method).collect()
}

/// Parameters and results of [`methods`].
static KNOWN: LazyLock<HashMap<ActionId, (Signature, Signature)>> = LazyLock::new(|| {
    let methods = methods().unwrap_or_default().into_iter();
    let known = methods.map(|it| (it.uid, (it.parameters_signature, it.return_signature)));
    known.collect()
});

/// What a special method takes; none of other members.
pub(super) fn parameters(method: ActionId) -> Option<&'static Signature> {
    KNOWN.get(&method).map(|(parameters, _)| parameters)
}

/// What a special method returns; none of other members.
pub(super) fn returns(method: ActionId) -> Option<&'static Signature> {
    KNOWN.get(&method).map(|(_, returns)| returns)
}

/// Does what a call of the special method `address.action` asks for. Gives the payload of the
/// reply, or what the caller is told.
pub(super) fn call(
    object: &Arc<Object>,
    peer: &Arc<Peer>,
    address: Address,
    arguments: Arguments,
) -> Result<Answer, String> {
    let mut values = arguments.values.into_iter();
    let mut next = || values.next().unwrap_or(Value::Void);
    let payload = match address.action {
        ActionId::REGISTER_EVENT | ActionId::REGISTER_EVENT_WITH_SIGNATURE => {
            let (_, signal, link) = (number(&next()), number(&next()), number(&next()));
            let wanted = Signature::parse_bytes(&bytes(next()), &peer.dialect().limits).ok();
            return register(object, peer, address, (signal, link), wanted);
        }
        ActionId::UNREGISTER_EVENT => {
            let (first, _, link) = (number(&next()), number(&next()), number(&next()));
            let first = u32::try_from(first).unwrap_or(u32::MAX);
            object.unregister(peer.id(), address, link, first)?;
            Bytes::new()
        }
        ActionId::META_OBJECT => object.encoded_meta().map_err(|error| error.to_string())?,
        ActionId::TERMINATE => {
            // Without effect on the main object of a service (section 13).
            if address.object != ObjectId::MAIN {
                peer.exports().remove(peer.id(), address);
            }
            Bytes::new()
        }
        ActionId::PROPERTY => {
            let property = find(object, &next(), text::NO_PROPERTY)?;
            property_value(property, peer, address)?
        }
        ActionId::SET_PROPERTY => {
            let property = find(object, &next(), text::NO_SET_PROPERTY)?;
            set_property(property, &next())?;
            Bytes::new()
        }
        ActionId::PROPERTIES => property_names(object)?,
        method => manage::call(object, method, &next())?,
    };
    Ok(Answer::Payload(payload))
}

fn register(
    object: &Object,
    peer: &Arc<Peer>,
    address: Address,
    (signal, link): (u64, u64),
    wanted: Option<Signature>,
) -> Result<Answer, String> {
    let uid = u32::try_from(signal).map(ActionId);
    let uid = uid.map_err(|_| text::NO_SIGNAL.to_owned())?;
    if !object.meta.signals.contains_key(&uid) {
        return Err(text::NO_SIGNAL.to_owned());
    }
    let forwarded = match &object.upstream {
        Some(_) => {
            let room = Arc::clone(peer.room()).try_acquire_owned();
            let room = room.map_err(|_| text::CALLS)?;
            Some(ToForward { signal: uid, room })
        }
        None => None,
    };
    let room = peer.registration_room(wanted.as_ref());
    let subscriber = Subscriber {
        id: peer.id(),
        peer: Arc::downgrade(peer),
        signal: Address::new(address.service, address.object, uid),
        link: Some(link),
        wanted,
        _room: room.ok_or(text::REGISTRATIONS)?,
    };
    object
        .subscribers
        .register(subscriber, peer.limits().registrations)?;
    // Our own link: of no use to anyone, unique anyway (section 12.3).
    let own = u64::from(uid.0) << 32 | u64::from(peer.next_link());
    let mut writer = Writer::with_capacity(8);
    writer.u64(own);
    Ok(Answer::Registered(writer.finish(), forwarded))
}

fn find<'a>(object: &'a Object, key: &Value, unknown_number: &str) -> Result<&'a Property, String> {
    let found = |is: &dyn Fn(&Property) -> bool| object.properties.iter().find(|known| is(known));
    if let Some(uid) = key.to_i64() {
        let property = found(&|known| i64::from(known.uid.0) == uid);
        return Ok(property.ok_or(unknown_number)?);
    }
    let name = key.to_text().ok_or(text::PROPERTY_KEY)?;
    let property = found(&|known| known.name == name);
    Ok(property.ok_or_else(|| format!("property \"{name}\" was not found"))?)
}

fn property_value(property: &Property, peer: &Peer, address: Address) -> Result<Bytes, String> {
    let mut dynamic = match property.value() {
        Value::Dynamic(dynamic) => *dynamic,
        value => Dynamic::new(property.signature.clone(), value),
    };
    // Never to be sent (section 7).
    if dynamic.signature.is_none() {
        return Err(text::NO_VALUE.to_owned());
    }
    let given = peer.give(Through::object(address), [&mut dynamic.value]);
    let given = given.map_err(|error| error.to_string())?;
    let payload = dynamic_payload(&dynamic, peer.dialect().encoding);
    let payload = payload.map_err(|error| error.to_string())?;
    let fits = peer.check_size(&payload);
    fits.map_err(|error| error.to_string())?;
    given.keep();
    Ok(payload)
}

fn set_property(property: &Property, value: &Value) -> Result<(), String> {
    let to = &property.signature;
    // A dynamic in a dynamic counts as one (section 7).
    let mut from = &Type::Dynamic;
    let mut content = value;
    while let Value::Dynamic(dynamic) = content {
        from = dynamic
            .signature
            .as_ref()
            .map_or(&Type::Void, Signature::ty);
        content = &dynamic.value;
    }
    property
        .set_from(content, from)
        .map_err(|error| match error {
            SetError::Value(_) => format!("setProperty: Failed converting {from} to {to}"),
            SetError::Panicked => format!("setProperty: {error}"),
        })
}

fn property_names(object: &Object) -> Result<Bytes, String> {
    let names = object
        .properties
        .iter()
        .map(|known| Value::text(&known.name));
    let names = Value::List(names.collect());
    let mut writer = Writer::new();
    let mut context = EncodeContext::default();
    encode(&names, &Type::list(Type::String), &mut context, &mut writer)
        .map_err(|error| error.to_string())?;
    Ok(writer.finish())
}

/// An argument that is declared as an unsigned number, so that it is one.
fn number(value: &Value) -> u64 {
    match value {
        Value::UInt32(number) => u64::from(*number),
        Value::UInt64(number) => *number,
        _ => 0,
    }
}

/// An argument that is declared as a string; empty where none is declared.
fn bytes(value: Value) -> Bytes {
    match value {
        Value::String(bytes) => bytes,
        _ => Bytes::new(),
    }
}
