//! The values of hosted members: `qi.gateway.v1.Value`s to qi and back.

use super::HostingError;
use crate::{
    bridge::service::ValueFormat,
    qi::{
        value::{
            ObjectEncoding, ObjectReference, Signature, Type, Value,
            codec::{
                DecodeContext, DecodeError, Decoder, EncodeContext, EncodeError, decode, encode,
            },
        },
        wire::{Limits, Writer},
    },
    transcode::{
        NoObjects, ObjectSink, RequestContext, RequestError, ResponseContext, ResponseError,
        arguments_to_values, typed_to_value, value_to_typed, values_to_arguments,
    },
};

/// How objects are written in between; nobody else reads it.
const ENCODING: ObjectEncoding = ObjectEncoding {
    meta_object_cache: false,
    object_uid: false,
};

/// Turns the values of one host.
#[derive(Clone, Copy, Debug)]
pub(super) struct Values {
    pub(super) limits: Limits,
    pub(super) format: ValueFormat,
}

/// Why values of the host are not what it declared.
#[derive(Debug, thiserror::Error)]
pub(super) enum FromHost {
    #[error(transparent)]
    Request(#[from] RequestError),
    /// What was written a moment ago is over another limit.
    #[error(transparent)]
    Decode(#[from] DecodeError),
}

impl FromHost {
    /// The error of the value that is the field `field` of a request.
    pub(super) fn at(self, field: &str) -> HostingError {
        match self {
            Self::Request(error) => HostingError::Value(error.inside(field)),
            Self::Decode(source) => HostingError::Undecodable {
                field: field.to_owned(),
                source,
            },
        }
    }
}

/// Why values of the bus are not told to the host.
#[derive(Debug, thiserror::Error)]
pub(super) enum ToHost {
    #[error(transparent)]
    Encode(#[from] EncodeError),
    #[error(transparent)]
    Response(#[from] ResponseError),
    #[error("the host takes no objects")]
    Object,
}

impl Values {
    /// The bytes of a `Value` as a value of the type.
    pub(super) fn of_type(&self, value: &[u8], ty: &Type) -> Result<Value, FromHost> {
        let payload = self.write(|context, out| value_to_typed(value, ty, context, out))?;
        Ok(decode(ty, &payload, self.decoding())?)
    }

    /// The bytes of one `Value` each as the arguments of a signal.
    pub(super) fn arguments(&self, values: &[Vec<u8>], ty: &Type) -> Result<Vec<Value>, FromHost> {
        let types = match ty {
            Type::Tuple(tuple) => tuple.elements.clone(),
            // One dynamic each, instead of one that holds a tuple of them.
            _ => vec![Type::Dynamic; values.len()],
        };
        let tuple = Type::tuple(types.clone());
        let payload =
            self.write(|context, out| values_to_arguments(values, &tuple, context, out))?;
        let mut decoder = Decoder::new(&payload, self.decoding());
        let arguments = types.iter().map(|ty| decoder.value(ty));
        Ok(arguments.collect::<Result<_, _>>()?)
    }

    /// The arguments of a call as elements of a field `repeated Value`.
    pub(super) fn tell_arguments(
        &self,
        arguments: &[Value],
        ty: &Type,
        field: u32,
    ) -> Result<Vec<u8>, ToHost> {
        let dynamics;
        let types = match ty {
            Type::Tuple(tuple) => &tuple.elements,
            _ => {
                dynamics = vec![Type::Dynamic; arguments.len()];
                &dynamics
            }
        };
        arguments.iter().try_for_each(refuse_live)?;
        let mut writer = Writer::new();
        let mut context = EncodeContext::new(ENCODING, self.limits);
        for (argument, ty) in arguments.iter().zip(types) {
            encode(argument, ty, &mut context, &mut writer)?;
        }
        let payload = writer.finish();
        self.read(|context, out| arguments_to_values(&payload, types, field, context, out))
    }

    /// The content of the `Value` that a property is.
    pub(super) fn tell(&self, value: &Value, signature: &Signature) -> Result<Vec<u8>, ToHost> {
        refuse_live(value)?;
        let mut writer = Writer::new();
        let mut context = EncodeContext::new(ENCODING, self.limits);
        encode(value, signature.ty(), &mut context, &mut writer)?;
        let payload = writer.finish();
        self.read(|context, out| typed_to_value(&payload, signature, context, out))
    }

    const fn decoding(&self) -> DecodeContext<'static> {
        DecodeContext::new(ENCODING, self.limits)
    }

    fn write(
        &self,
        write: impl FnOnce(&mut RequestContext<'_>, &mut Writer) -> Result<(), RequestError>,
    ) -> Result<bytes::Bytes, RequestError> {
        let mut context = RequestContext {
            objects: &mut NoObjects,
            limits: self.limits,
        };
        let mut out = Writer::new();
        write(&mut context, &mut out)?;
        Ok(out.finish())
    }

    fn read(
        &self,
        read: impl FnOnce(&mut ResponseContext<'_>, &mut Vec<u8>) -> Result<(), ResponseError>,
    ) -> Result<Vec<u8>, ToHost> {
        let mut objects = Refused::default();
        let mut context = ResponseContext::new(&mut objects, ENCODING);
        context.limits = self.limits;
        context.json = self.format == ValueFormat::Json;
        let mut out = Vec::new();
        read(&mut context, &mut out)?;
        if objects.any {
            return Err(ToHost::Object);
        }
        Ok(out)
    }
}

/// Hosts know no objects; the null object is none.
fn refuse_live(value: &Value) -> Result<(), ToHost> {
    match value {
        Value::Live(_) => Err(ToHost::Object),
        Value::Dynamic(dynamic) => refuse_live(&dynamic.value),
        Value::List(items) | Value::Tuple(items) => items.iter().try_for_each(refuse_live),
        Value::Map(entries) => entries.iter().try_for_each(|(key, value)| {
            refuse_live(key)?;
            refuse_live(value)
        }),
        Value::Optional(Some(value)) => refuse_live(value),
        _ => Ok(()),
    }
}

/// Keeps no object, and remembers that there was one.
#[derive(Debug, Default)]
struct Refused {
    any: bool,
}

impl ObjectSink for Refused {
    fn adopt(&mut self, _: ObjectReference) -> String {
        self.any = true;
        String::new()
    }
}
