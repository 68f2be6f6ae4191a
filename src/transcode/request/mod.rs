//! Protobuf to qi.
//!
//! Protobuf fields come in any order and more than once, qi values stand in order. So every
//! message is read twice: the first pass notes in a slot for each field where it was found, the
//! second writes the fields in qi order. The slots live on the stack; nothing else is kept.

mod encoder;
mod json;
mod natural;
mod scalar;
mod value;

use std::borrow::Cow;

use self::encoder::Encoder;
use super::{
    Given, MESSAGE_DEPTH, RequestError, Taken,
    error::{FieldPath, Located as _},
    object::ObjectSource,
    plan::PayloadPlan,
    wire,
};
use crate::{
    qi::{
        value::{Signature, Type},
        wire::{Limits, Writer},
    },
    schema::Payload,
};

/// Turns messages of one type into the arguments of a call, the value of a property, or whatever
/// else is sent to the robot.
#[derive(Debug)]
pub struct RequestPlan {
    payload: PayloadPlan,
}

/// What a request is written with.
pub struct RequestContext<'a> {
    /// Knows the objects that the client names.
    pub objects: &'a mut dyn ObjectSource,
    /// The size of the payload, and of the signatures in `Value`s.
    pub limits: Limits,
}

impl std::fmt::Debug for RequestContext<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RequestContext")
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

impl RequestPlan {
    /// Compiles the plan of a message type.
    #[must_use]
    pub fn compile(payload: &Payload) -> Self {
        Self {
            payload: PayloadPlan::compile(payload),
        }
    }

    /// Appends the qi bytes of `message` to `out`. After an error `out` is as long as before.
    ///
    /// # Errors
    ///
    /// [`RequestError`]; each names the field to blame.
    pub fn to_qi(
        &self,
        message: &[u8],
        context: &mut RequestContext<'_>,
        out: &mut Writer,
    ) -> Result<(), RequestError> {
        Encoder::run(context, out, |encoder| match &self.payload {
            PayloadPlan::Fields(plan) => encoder.message(plan, message, MESSAGE_DEPTH),
            PayloadPlan::AnyArguments { name, number } => encoder
                .any_arguments(message, *number)
                .map_err(|error| error.within(name)),
        })
    }

    /// The same as a dynamic that holds the one value of the message, of its declared type: what
    /// `setProperty` takes. A value declared `m` is a dynamic anyway, a message without fields gives
    /// a void dynamic, one with several a tuple.
    ///
    /// # Errors
    ///
    /// [`RequestError`]; each names the field to blame.
    pub fn to_dynamic(
        &self,
        message: &[u8],
        context: &mut RequestContext<'_>,
        out: &mut Writer,
    ) -> Result<(), RequestError> {
        let start = out.len();
        if let Some(signature) = self.dynamic_signature() {
            out.sized(signature.as_bytes())
                .map_err(|_| RequestError::TooLarge {
                    path: FieldPath::EMPTY,
                    limit: context.limits.payload_bytes as usize,
                })?;
        }
        self.to_qi(message, context, out)
            .inspect_err(|_| out.truncate(start))
    }

    /// The signature to put in front of the payload, none where it has one.
    fn dynamic_signature(&self) -> Option<Cow<'_, str>> {
        let PayloadPlan::Fields(plan) = &self.payload else {
            return None;
        };
        match &*plan.fields {
            [] => Some("v".into()),
            [field] if *field.signature.ty() == Type::Dynamic => None,
            [field] => Some(field.signature.as_str().into()),
            fields => {
                let members = fields.iter().map(|field| field.signature.as_str());
                Some(format!("({})", members.collect::<String>()).into())
            }
        }
    }
}

/// Appends the dynamic (`m`) that the bytes of one `qi.gateway.v1.Value` stand for.
///
/// # Errors
///
/// [`RequestError`]. After one, `out` is as long as before.
pub fn value_to_dynamic(
    value: &[u8],
    context: &mut RequestContext<'_>,
    out: &mut Writer,
) -> Result<(), RequestError> {
    value_to_typed(value, &Type::Dynamic, context, out)
}

/// Appends the bytes of one `qi.gateway.v1.Value` as a value of the type.
///
/// # Errors
///
/// [`RequestError`]. After one, `out` is as long as before.
pub fn value_to_typed(
    value: &[u8],
    ty: &Type,
    context: &mut RequestContext<'_>,
    out: &mut Writer,
) -> Result<(), RequestError> {
    Encoder::run(context, out, |encoder| {
        encoder.value_as(value, ty, MESSAGE_DEPTH)
    })
}

/// Appends the arguments of a call from the bytes of one `qi.gateway.v1.Value` each, for parameters
/// of the types of a tuple, or for a method that takes any arguments, `m`. Errors name the argument
/// as `args[index]`.
///
/// # Errors
///
/// [`RequestError`], also for another number of arguments. After one, `out` is as long as before.
pub fn values_to_arguments(
    values: &[impl AsRef<[u8]>],
    parameters: &Type,
    context: &mut RequestContext<'_>,
    out: &mut Writer,
) -> Result<(), RequestError> {
    let written = Encoder::run(context, out, |encoder| match parameters {
        Type::Dynamic => {
            let mut message = Vec::new();
            for value in values {
                wire::put_bytes_field(&mut message, 1, value.as_ref());
            }
            encoder.any_arguments(&message, 1)
        }
        Type::Tuple(tuple) if tuple.elements.len() == values.len() => {
            let arguments = values.iter().zip(&tuple.elements).enumerate();
            for (index, (value, ty)) in arguments {
                encoder
                    .value_as(value.as_ref(), ty, MESSAGE_DEPTH)
                    .and_then(|()| encoder.check_size())
                    .map_err(|error| error.at(index))?;
            }
            Ok(())
        }
        other => Err(RequestError::Argument {
            path: FieldPath::EMPTY,
            given: Given::Members(values.len()),
            taken: match other {
                Type::Tuple(tuple) => Taken::Members(tuple.elements.len()),
                other => Taken::Type(other.clone()),
            },
        }),
    });
    written.map_err(|error| error.within("args"))
}

/// Appends one `qi.gateway.v1.Value` as a dynamic that holds a value of a declared type: what
/// `setProperty` takes.
///
/// # Errors
///
/// [`RequestError`]. After one, `out` is as long as before.
pub fn value_to_declared(
    value: &[u8],
    declared: &Signature,
    context: &mut RequestContext<'_>,
    out: &mut Writer,
) -> Result<(), RequestError> {
    Encoder::run(context, out, |encoder| {
        if *declared.ty() != Type::Dynamic {
            encoder.sized(declared.as_str().as_bytes())?;
        }
        encoder.value_as(value, declared.ty(), MESSAGE_DEPTH)
    })
}
