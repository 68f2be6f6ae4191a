//! Members of one object by name, and calls with `Value`s.

use std::sync::Arc;

use bytes::Bytes;

use super::{TargetError, overload};
use crate::{
    bridge::{BridgeError, arguments::Arguments, objects::ObjectTable, service::ValueFormat},
    qi::{
        session::RemoteObject,
        value::{MetaMethod, MetaObject, MetaProperty, Signature, Type},
        wire::{ActionId, Flags, Limits, Reader, Writer},
    },
    schema::{self, MemberKind},
    transcode::{
        RequestContext, RequestError, ResponseContext, arguments_to_values,
        dynamic_arguments_to_values, dynamic_to_value, typed_to_value, value_to_declared,
        value_to_dynamic, values_to_arguments,
    },
};

/// What members are looked for with.
#[derive(Clone, Copy, Debug)]
pub(super) struct View<'a> {
    /// The service's name, or the object's id.
    pub(super) object: &'a str,
    pub(super) meta: &'a MetaObject,
    pub(super) expose_private: bool,
}

impl<'a> View<'a> {
    fn shows(&self, uid: ActionId, kind: MemberKind, name: &str) -> bool {
        self.expose_private || !schema::is_private(self.object, uid, kind, name)
    }

    fn unknown(&self, kind: MemberKind, name: &str) -> TargetError {
        TargetError::UnknownMember {
            object: self.object.to_owned(),
            kind,
            name: name.to_owned(),
        }
    }

    pub(super) fn property(&self, name: &str) -> Result<&'a MetaProperty, TargetError> {
        self.meta
            .property(name)
            .filter(|property| self.shows(property.uid, MemberKind::Property, name))
            .ok_or_else(|| self.unknown(MemberKind::Property, name))
    }

    /// A signal and the type of its arguments.
    pub(super) fn signal(&self, name: &str) -> Result<(ActionId, &'a Signature), TargetError> {
        self.meta
            .signal(name)
            .filter(|signal| self.shows(signal.uid, MemberKind::Signal, name))
            .map(|signal| (signal.uid, &signal.signature))
            .ok_or_else(|| self.unknown(MemberKind::Signal, name))
    }

    /// The method that is meant, and its encoded arguments.
    pub(super) fn method(
        &self,
        name: &str,
        values: &[Vec<u8>],
        encoder: &ArgumentEncoder<'_>,
    ) -> Result<(&'a MetaMethod, Arguments), BridgeError> {
        let shown = self.meta.methods.values();
        let shown = shown.filter(|it| self.shows(it.uid, MemberKind::Method, &it.name));
        let named = overload::candidates(shown, name);
        // An argument that the only one does not take is named; too many or too few are not.
        if let [method] = *named
            && overload::takes(method, values.len())
        {
            return Ok((method, encoder.arguments(method, values)?));
        }
        if named.is_empty() {
            return Err(self.unknown(MemberKind::Method, name).into());
        }
        let types = encoder.types(values)?;
        let fitting = named
            .iter()
            .filter(|method| overload::takes(method, values.len()))
            .filter_map(|method| Some((*method, encoder.arguments(method, values).ok()?)));
        // Of equal ones the first counts, the one with the lowest number.
        let best = fitting
            .map(|(method, encoded)| (overload::score(&types, method), method, encoded))
            .reduce(|best, other| if other.0 > best.0 { other } else { best });
        match best {
            Some((_, method, encoded)) => Ok((method, encoded)),
            None => Err(TargetError::NoOverload {
                arguments: Type::tuple(types).to_string(),
                candidates: named.iter().map(|method| full_name(method)).collect(),
            }
            .into()),
        }
    }
}

fn full_name(method: &MetaMethod) -> String {
    format!("{}::{}", method.name, method.parameters_signature)
}

/// Encodes what is sent to one object.
#[derive(Debug)]
pub(super) struct ArgumentEncoder<'a> {
    pub(super) object: &'a RemoteObject,
    pub(super) objects: &'a Arc<ObjectTable>,
    pub(super) limits: Limits,
}

impl ArgumentEncoder<'_> {
    fn run(
        &self,
        write: impl FnOnce(&mut RequestContext<'_>, &mut Writer) -> Result<(), RequestError>,
    ) -> Result<Arguments, BridgeError> {
        Arguments::write(self.object, self.objects, (self.limits, 0), write)
    }

    fn arguments(&self, method: &MetaMethod, values: &[Vec<u8>]) -> Result<Arguments, BridgeError> {
        let parameters = method.parameters_signature.ty();
        self.run(|context, out| values_to_arguments(values, parameters, context, out))
    }

    /// The types that the values have by themselves.
    fn types(&self, values: &[Vec<u8>]) -> Result<Vec<Type>, BridgeError> {
        let typed = values.iter().enumerate().map(|(index, value)| {
            let dynamic = self.run(|context, out| {
                let written = value_to_dynamic(value, context, out);
                written.map_err(|error| error.inside(&format!("args[{index}]")))
            })?;
            // It was written a moment ago: what cannot be read is of a type that is not known.
            let signature = Reader::new(dynamic.payload()).sized("a signature").ok();
            let signature = signature.and_then(|it| Signature::parse_bytes(it, &self.limits).ok());
            Ok(signature.map_or(Type::Dynamic, Signature::into_type))
        });
        typed.collect()
    }

    pub(super) fn property(
        &self,
        property: &MetaProperty,
        value: &[u8],
    ) -> Result<Arguments, BridgeError> {
        self.run(|context, out| {
            let written = value_to_declared(value, &property.signature, context, out);
            written.map_err(|error| error.inside("value"))
        })
    }
}

/// Decodes what came from one object.
#[derive(Clone, Copy, Debug)]
pub(super) struct AnswerDecoder<'a> {
    pub(super) object: &'a RemoteObject,
    pub(super) objects: &'a ObjectTable,
    pub(super) limits: Limits,
    pub(super) format: ValueFormat,
}

impl AnswerDecoder<'_> {
    fn run(
        &self,
        read: impl FnOnce(
            &mut ResponseContext<'_>,
            &mut Vec<u8>,
        ) -> Result<(), crate::transcode::ResponseError>,
        out: &mut Vec<u8>,
    ) -> Result<(), BridgeError> {
        let connection = self.object.connection();
        let mut sink = self.objects.sink(connection);
        let mut context = ResponseContext::new(&mut sink, connection.object_encoding());
        context.limits = self.limits;
        context.json = self.format == ValueFormat::Json;
        read(&mut context, out)?;
        sink.keep();
        Ok(())
    }

    /// The content of the `Value` that a call returned.
    pub(super) fn result(
        &self,
        payload: &Bytes,
        flags: Flags,
        returned: &Signature,
    ) -> Result<Vec<u8>, BridgeError> {
        if flags.contains(Flags::DYNAMIC_PAYLOAD) {
            return self.dynamic(payload);
        }
        let mut out = Vec::new();
        self.run(
            |context, out| typed_to_value(payload, returned, context, out),
            &mut out,
        )?;
        Ok(out)
    }

    /// The content of the `Value` that a dynamic holds.
    pub(super) fn dynamic(&self, payload: &Bytes) -> Result<Vec<u8>, BridgeError> {
        let mut out = Vec::new();
        self.run(
            |context, out| dynamic_to_value(payload, context, out),
            &mut out,
        )?;
        Ok(out)
    }

    /// The value of a property, as the field 1 of a message.
    pub(super) fn value(&self, payload: &Bytes, out: &mut Vec<u8>) -> Result<(), BridgeError> {
        let value = self.dynamic(payload)?;
        prost::encoding::bytes::encode(EVENT_FIELD, &value, out);
        Ok(())
    }

    /// The arguments of an event, as the field 1 of a message.
    pub(super) fn event(
        &self,
        payload: &Bytes,
        flags: Flags,
        arguments: &Type,
        out: &mut Vec<u8>,
    ) -> Result<(), BridgeError> {
        let types = match arguments {
            Type::Tuple(tuple) if !flags.contains(Flags::DYNAMIC_PAYLOAD) => Some(&tuple.elements),
            _ => None,
        };
        self.run(
            |context, out| match types {
                Some(types) => arguments_to_values(payload, types, EVENT_FIELD, context, out),
                None => dynamic_arguments_to_values(payload, EVENT_FIELD, context, out),
            },
            out,
        )
    }
}

/// The number of the field `args` of a `SubscribeResponse`, and of `value` of a
/// `WatchPropertyResponse`.
const EVENT_FIELD: u32 = 1;
