//! The values of hosted members: `qi.gateway.v1.Value`s to qi and back.

use std::sync::Arc;

use bytes::Bytes;

use super::{
    HostingError,
    objects::{self, ENCODING, NotGiven},
};
use crate::{
    bridge::{
        objects::{MAX_OBJECTS_PER_MESSAGE, ObjectTable},
        service::ValueFormat,
    },
    qi::{
        value::{
            Signature, Type, Value,
            codec::{DecodeContext, DecodeError, EncodeContext, EncodeError, decode, encode},
        },
        wire::{Limits, Writer},
    },
    transcode::{
        RequestContext, RequestError, ResponseContext, ResponseError, arguments_to_values,
        typed_to_value, value_to_typed, values_to_arguments,
    },
};

/// Turns the values of one host.
#[derive(Clone, Debug)]
pub(super) struct Values {
    pub(super) limits: Limits,
    pub(super) format: ValueFormat,
    /// Those that the host was given, and may pass on.
    pub(super) objects: Arc<ObjectTable>,
}

/// Why values of the host are not what it declared.
#[derive(Debug, thiserror::Error)]
pub(super) enum FromHost {
    #[error(transparent)]
    Request(#[from] RequestError),
    /// What was written a moment ago is over another limit.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// Too many objects.
    #[error("more than {limit} objects at once")]
    TooManyObjects { limit: usize },
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
            Self::TooManyObjects { limit } => HostingError::TooManyObjects {
                field: field.to_owned(),
                limit,
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
    #[error(transparent)]
    Objects(#[from] NotGiven),
}

impl Values {
    /// The bytes of a `Value` as a value of the type.
    pub(super) fn of_type(&self, value: &[u8], ty: &Type) -> Result<Value, FromHost> {
        self.read(ty, |context, out| value_to_typed(value, ty, context, out))
    }

    /// The bytes of one `Value` each as the arguments of a signal.
    pub(super) fn arguments(&self, values: &[Vec<u8>], ty: &Type) -> Result<Vec<Value>, FromHost> {
        let tuple = match ty {
            Type::Tuple(_) => ty.clone(),
            // One dynamic each, instead of one that holds a tuple of them.
            _ => Type::tuple(vec![Type::Dynamic; values.len()]),
        };
        let arguments = self.read(&tuple, |context, out| {
            values_to_arguments(values, &tuple, context, out)
        })?;
        Ok(match arguments {
            Value::Tuple(arguments) => arguments,
            other => vec![other],
        })
    }

    /// The arguments of a call as elements of a field `repeated Value`.
    pub(super) fn tell_arguments(
        &self,
        arguments: Vec<Value>,
        ty: &Type,
        field: u32,
    ) -> Result<Vec<u8>, ToHost> {
        let tuple = match ty {
            Type::Tuple(tuple) => tuple.elements.clone(),
            _ => vec![Type::Dynamic; arguments.len()],
        };
        let ty = Type::tuple(tuple.clone());
        self.write(Value::Tuple(arguments), &ty, |payload, context, out| {
            arguments_to_values(payload, &tuple, field, context, out)
        })
    }

    /// The content of the `Value` that a property is.
    pub(super) fn tell(&self, value: Value, signature: &Signature) -> Result<Vec<u8>, ToHost> {
        self.write(value, signature.ty(), |payload, context, out| {
            typed_to_value(payload, signature, context, out)
        })
    }

    /// Reads what `write` makes of the host's values.
    fn read(
        &self,
        ty: &Type,
        write: impl FnOnce(&mut RequestContext<'_>, &mut Writer) -> Result<(), RequestError>,
    ) -> Result<Value, FromHost> {
        let mut objects = objects::FromHost::new(&self.objects);
        let mut context = RequestContext {
            objects: &mut objects,
            limits: self.limits,
        };
        let mut out = Writer::new();
        let written = write(&mut context, &mut out);
        if objects.too_many() {
            let limit = MAX_OBJECTS_PER_MESSAGE;
            return Err(FromHost::TooManyObjects { limit });
        }
        written?;
        let payload = out.finish();
        let value = decode(ty, &payload, DecodeContext::new(ENCODING, self.limits))?;
        Ok(objects.put(value))
    }

    /// Has `read` make values for the host of one of the bus.
    fn write(
        &self,
        mut value: Value,
        ty: &Type,
        read: impl FnOnce(&Bytes, &mut ResponseContext<'_>, &mut Vec<u8>) -> Result<(), ResponseError>,
    ) -> Result<Vec<u8>, ToHost> {
        let mut objects = objects::ToHost::take(&mut value)?;
        let mut writer = Writer::new();
        let mut encoding = EncodeContext::new(ENCODING, self.limits);
        encode(&value, ty, &mut encoding, &mut writer)?;
        let payload = writer.finish();
        let mut context = ResponseContext::new(&mut objects, ENCODING);
        context.limits = self.limits;
        context.json = self.format == ValueFormat::Json;
        let mut out = Vec::new();
        read(&payload, &mut context, &mut out)?;
        objects.keep(&self.objects);
        Ok(out)
    }
}
