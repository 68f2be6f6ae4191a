//! qi to protobuf.
//!
//! One pass: the fields of a qi value stand in the order of the protobuf message. The result is
//! canonical: fields ascending, numbers packed, zeros left out where the field has no presence,
//! lengths as short as they can be.

mod context;
mod declared;
mod decoder;
mod json;
mod scalar;
mod value;

use bytes::Bytes;

pub use self::context::ResponseContext;
use self::decoder::Decoder;
use super::{ResponseError, error::Located as _, plan::PayloadPlan};
use crate::{
    qi::value::{Signature, Type},
    schema::Payload,
};

/// Turns results, events and property values of one type into messages.
#[derive(Debug)]
pub struct ResponsePlan {
    payload: PayloadPlan,
}

/// What the dynamic of a payload holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Holds {
    /// The one value that was declared: the reply to `property`, a reply with `DynamicPayload`.
    Value,
    /// The tuple of the arguments: an event with `DynamicPayload`.
    Arguments,
}

impl ResponsePlan {
    /// Compiles the plan of a message type.
    #[must_use]
    pub fn compile(payload: &Payload) -> Self {
        Self {
            payload: PayloadPlan::compile(payload),
        }
    }

    /// Appends the message that `payload` stands for to `out`. Bytes after the value are ignored,
    /// as libqi does (section 7). After an error `out` is as long as before.
    ///
    /// # Errors
    ///
    /// [`ResponseError`]: the payload is not what was declared.
    pub fn to_protobuf(
        &self,
        payload: &Bytes,
        context: &mut ResponseContext<'_>,
        out: &mut Vec<u8>,
    ) -> Result<(), ResponseError> {
        Decoder::run(payload, context, out, |decoder| match &self.payload {
            PayloadPlan::Fields(plan) => decoder.fields(plan),
            PayloadPlan::AnyArguments { name, number } => decoder
                .any_arguments(*number)
                .map_err(|error| error.within(name)),
        })
    }

    /// The same where the payload is one dynamic that holds what was declared. Its type must be
    /// the declared one but for annotations; nothing is converted, except that what is declared `m`
    /// may be of any type.
    ///
    /// # Errors
    ///
    /// [`ResponseError::Undeclared`] if the type is another, and as [`Self::to_protobuf`].
    pub fn dynamic_to_protobuf(
        &self,
        payload: &Bytes,
        holds: Holds,
        context: &mut ResponseContext<'_>,
        out: &mut Vec<u8>,
    ) -> Result<(), ResponseError> {
        Decoder::run(payload, context, out, |decoder| match &self.payload {
            PayloadPlan::Fields(plan) => decoder.declared(plan, holds),
            // What is declared `m` is a dynamic anyway.
            PayloadPlan::AnyArguments { name, number } => decoder
                .any_arguments(*number)
                .map_err(|error| error.within(name)),
        })
    }
}

/// Appends the content of the `qi.gateway.v1.Value` that a dynamic (`m`) stands for.
///
/// # Errors
///
/// [`ResponseError`]. After one, `out` is as long as before.
pub fn dynamic_to_value(
    dynamic: &Bytes,
    context: &mut ResponseContext<'_>,
    out: &mut Vec<u8>,
) -> Result<(), ResponseError> {
    Decoder::run(dynamic, context, out, |decoder| decoder.dynamic())
}

/// Appends the content of the `qi.gateway.v1.Value` that a value of a known type stands for.
///
/// # Errors
///
/// [`ResponseError`]. After one, `out` is as long as before.
pub fn typed_to_value(
    payload: &Bytes,
    signature: &Signature,
    context: &mut ResponseContext<'_>,
    out: &mut Vec<u8>,
) -> Result<(), ResponseError> {
    Decoder::run(payload, context, out, |decoder| {
        decoder.self_told(signature.ty(), signature.as_str())
    })
}

/// Appends values of known types, one after the other in the payload, each as an element of
/// a field `repeated qi.gateway.v1.Value` with that number.
///
/// # Errors
///
/// [`ResponseError`]. After one, `out` is as long as before.
pub fn arguments_to_values(
    payload: &Bytes,
    types: &[Type],
    number: u32,
    context: &mut ResponseContext<'_>,
    out: &mut Vec<u8>,
) -> Result<(), ResponseError> {
    Decoder::run(payload, context, out, |decoder| {
        decoder.arguments(types, number)
    })
}

/// Appends the arguments in a dynamic that holds a tuple of them, each as an element of a field
/// `repeated qi.gateway.v1.Value` with that number: the event of a signal declared `m`, or any
/// event with `DynamicPayload`.
///
/// # Errors
///
/// [`ResponseError`]. After one, `out` is as long as before.
pub fn dynamic_arguments_to_values(
    payload: &Bytes,
    number: u32,
    context: &mut ResponseContext<'_>,
    out: &mut Vec<u8>,
) -> Result<(), ResponseError> {
    Decoder::run(payload, context, out, |decoder| {
        decoder.any_arguments(number)
    })
}
