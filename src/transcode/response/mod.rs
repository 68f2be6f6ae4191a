//! qi to protobuf.
//!
//! One pass: the fields of a qi value stand in the order of the protobuf message. The result is
//! canonical: fields ascending, numbers packed, zeros left out where the field has no presence,
//! lengths as short as they can be.

mod json;
mod scalar;
mod value;

use bytes::Bytes;

use super::{
    ResponseError,
    error::{FieldPath, Located as _},
    object::ObjectSink,
    plan::{Element, FieldPlan, Form, MessagePlan, PayloadPlan},
    wire::{self, Length},
};
use crate::{
    qi::{
        value::{
            ObjectEncoding, Signature, SignatureError, Type,
            codec::{self, DecodeContext, ReceivedMetaObjects},
        },
        wire::{Limits, Reader},
    },
    schema::{Payload, Scalar},
};

/// Turns results, events and property values of one type into messages.
#[derive(Debug)]
pub struct ResponsePlan {
    payload: PayloadPlan,
}

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
    /// A context with default limits, exact values, and no limit to the message but that of
    /// memory: `message_bytes` is four times the largest payload.
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
        decoder.typed(signature.ty(), signature.as_str())
    })
}

/// One run of a plan.
struct Decoder<'r, 'c, 'o> {
    payload: &'r Bytes,
    reader: Reader<'r>,
    context: &'r mut ResponseContext<'c>,
    out: &'o mut Vec<u8>,
    /// How long `out` may become.
    limit: usize,
    budgets: Budgets,
    /// Whether `Value`s shall be JSON.
    json: bool,
}

/// What is left of the limits.
#[derive(Clone, Copy)]
struct Budgets {
    /// How many values may still take no byte.
    empty_left: u32,
    /// How many values may nest from here on.
    depth_left: u16,
    /// How many dynamics may.
    dynamics_left: u16,
}

impl<'r, 'c, 'o> Decoder<'r, 'c, 'o> {
    fn run(
        payload: &'r Bytes,
        context: &'r mut ResponseContext<'c>,
        out: &'o mut Vec<u8>,
        body: impl FnOnce(&mut Self) -> Result<(), ResponseError>,
    ) -> Result<(), ResponseError> {
        let start = out.len();
        let mut decoder = Self {
            payload,
            reader: Reader::new(payload),
            limit: start.saturating_add(context.message_bytes),
            budgets: Budgets {
                empty_left: context.limits.empty_elements,
                depth_left: context.limits.value_depth,
                dynamics_left: context.limits.dynamic_depth,
            },
            json: context.json,
            context,
            out,
        };
        let read = body(&mut decoder).and_then(|()| decoder.check_size());
        if read.is_err() {
            decoder.out.truncate(start);
        }
        read
    }

    fn fields(&mut self, plan: &MessagePlan) -> Result<(), ResponseError> {
        for field in &plan.fields {
            self.field(field)
                .map_err(|error| error.within(&field.name))?;
        }
        Ok(())
    }

    fn field(&mut self, field: &FieldPlan) -> Result<(), ResponseError> {
        let number = field.number;
        match &field.form {
            Form::Single(Element::Scalar(scalar)) => self.scalar(*scalar, number, Zero::LeftOut),
            Form::Single(element) => self.element(element, number, self.reader.left()),
            Form::Optional(element) => match self.truth()? {
                true => self.element(element, number, self.reader.left()),
                false => Ok(()),
            },
            Form::Repeated(Element::Scalar(scalar), min_bytes) => {
                let count = self.reader.count(*min_bytes, "a list")?;
                self.repeated_scalar(*scalar, number, count)
            }
            Form::Repeated(element, min_bytes) => {
                let count = self.reader.count(*min_bytes, "a list")?;
                for index in 0..count {
                    let guess = self.reader.left() / (count - index);
                    self.element(element, number, guess)
                        .and_then(|()| self.check_size())
                        .map_err(|error| error.at(index))?;
                }
                Ok(())
            }
            Form::Map(key, element, min_bytes) => {
                let count = self.reader.count(*min_bytes, "a map")?;
                for index in 0..count {
                    let guess = self.reader.left() / (count - index);
                    self.entry(*key, element, number, guess)
                        .and_then(|()| self.check_size())
                        .map_err(|error| error.at(index))?;
                }
                Ok(())
            }
        }
    }

    fn entry(
        &mut self,
        key: Scalar,
        element: &Element,
        number: u32,
        guess: usize,
    ) -> Result<(), ResponseError> {
        self.nested(number, guess, |decoder| {
            decoder
                .scalar(key, 1, Zero::Written)
                .map_err(|error| error.within("key"))?;
            decoder
                .element(element, 2, guess)
                .map_err(|error| error.within("value"))
        })
    }

    /// A field that is there, of about `guess` bytes.
    fn element(
        &mut self,
        element: &Element,
        number: u32,
        guess: usize,
    ) -> Result<(), ResponseError> {
        match element {
            Element::Scalar(scalar) => self.scalar(*scalar, number, Zero::Written),
            Element::Value => self.nested(number, guess, Self::dynamic),
            Element::Unknown => Err(no_encoding()),
            Element::Object => self.nested(number, 0, Self::object),
            Element::Message(plan) => self.nested(number, guess, |decoder| {
                let start = decoder.reader.offset();
                decoder.fields(plan)?;
                decoder.charge_empty(start)
            }),
        }
    }

    /// A field that is a message.
    fn nested(
        &mut self,
        number: u32,
        guess: usize,
        body: impl FnOnce(&mut Self) -> Result<(), ResponseError>,
    ) -> Result<(), ResponseError> {
        wire::put_tag(self.out, number, wire::BYTES);
        let length = Length::begin(self.out, guess);
        body(self)?;
        length.end(self.out);
        Ok(())
    }

    /// `m` that holds a tuple: each member becomes a `Value`.
    fn any_arguments(&mut self, number: u32) -> Result<(), ResponseError> {
        let signature = self.signature()?;
        let Some(Type::Tuple(tuple)) = signature.as_ref().map(Signature::ty) else {
            return Err(undeclared(&"m", signature.as_ref()));
        };
        for (index, ty) in tuple.elements.iter().enumerate() {
            let guess = self.reader.left();
            self.nested(number, guess, |decoder| decoder.declared_any(ty))
                .and_then(|()| self.check_size())
                .map_err(|error| error.at(index))?;
        }
        Ok(())
    }

    /// A value of the type as a `Value` that says what it is.
    fn declared_any(&mut self, ty: &Type) -> Result<(), ResponseError> {
        match ty {
            Type::Dynamic => self.dynamic(),
            other => self.typed(other, &other.to_string()),
        }
    }

    /// A dynamic that holds what was declared.
    fn declared(&mut self, plan: &MessagePlan, holds: Holds) -> Result<(), ResponseError> {
        if holds == Holds::Value
            && let [field] = &*plan.fields
            && field.ty == Type::Dynamic
        {
            return self.fields(plan);
        }
        let mut signature = self.signature()?;
        // Python peers wrap what is declared `m` once more (section 7).
        let mut left = self.context.limits.dynamic_depth;
        while signature
            .as_ref()
            .is_some_and(|signature| *signature.ty() == Type::Dynamic)
        {
            left = left
                .checked_sub(1)
                .ok_or_else(|| too_deep(self.context.limits.dynamic_depth))?;
            signature = self.signature()?;
        }
        let sent = signature.as_ref().map_or(&Type::Void, Signature::ty);
        match (holds, &*plan.fields, sent) {
            (Holds::Value, [], Type::Void | Type::None) => Ok(()),
            (Holds::Value, [field], sent) if sent.same_layout(&field.ty) => self.fields(plan),
            (Holds::Arguments, fields, Type::Tuple(tuple))
                if fields.len() == tuple.elements.len()
                    && fields
                        .iter()
                        .zip(&tuple.elements)
                        .all(|(field, sent)| is_declared(field, sent)) =>
            {
                fields
                    .iter()
                    .zip(&tuple.elements)
                    .try_for_each(|(field, sent)| {
                        self.declared_field(field, sent)
                            .map_err(|error| error.within(&field.name))
                    })
            }
            (Holds::Value, fields, _) => {
                let declared = fields.first().map_or(&Type::Void, |field| &field.ty);
                Err(undeclared(declared, signature.as_ref()))
            }
            (Holds::Arguments, fields, _) => {
                let types = fields.iter().map(|field| field.ty.clone()).collect();
                Err(undeclared(&Type::tuple(types), signature.as_ref()))
            }
        }
    }

    fn declared_field(&mut self, field: &FieldPlan, sent: &Type) -> Result<(), ResponseError> {
        if field.ty == Type::Dynamic && *sent != Type::Dynamic {
            let guess = self.reader.left();
            return self.nested(field.number, guess, |decoder| decoder.declared_any(sent));
        }
        self.field(field)
    }

    /// Reads the signature of a dynamic; none is the empty one.
    fn signature(&mut self) -> Result<Option<Signature>, ResponseError> {
        let bytes = self.reader.sized("a signature")?;
        if bytes.is_empty() {
            return Ok(None);
        }
        Ok(Some(Signature::parse_bytes(bytes, &self.context.limits)?))
    }

    /// An `ObjectRef`. The null object has no id, and nobody is asked for one.
    fn object(&mut self) -> Result<(), ResponseError> {
        let rest = self.payload.slice(self.reader.offset()..);
        let context = DecodeContext {
            encoding: self.context.encoding,
            cache: self.context.cache.as_deref_mut(),
            limits: self.context.limits,
        };
        let mut decoder = codec::Decoder::new(&rest, context);
        let reference = decoder.object()?;
        self.reader.take(decoder.reader().offset(), "an object")?;
        if !reference.is_null() {
            let id = self.context.objects.adopt(reference);
            wire::put_bytes_field(self.out, 1, id.as_bytes());
        }
        Ok(())
    }

    /// Counts a value that began at `start` if it took no byte.
    fn charge_empty(&mut self, start: usize) -> Result<(), ResponseError> {
        if self.reader.offset() == start {
            let left = self.budgets.empty_left.checked_sub(1);
            self.budgets.empty_left = left.ok_or(ResponseError::TooManyEmpty {
                path: FieldPath::EMPTY,
                limit: self.context.limits.empty_elements,
            })?;
        }
        Ok(())
    }

    fn enter_value(&mut self) -> Result<(), ResponseError> {
        let left = self.budgets.depth_left.checked_sub(1);
        self.budgets.depth_left = left.ok_or_else(|| too_deep(self.context.limits.value_depth))?;
        Ok(())
    }

    fn enter_dynamic(&mut self) -> Result<(), ResponseError> {
        let left = self.budgets.dynamics_left.checked_sub(1);
        self.budgets.dynamics_left =
            left.ok_or_else(|| too_deep(self.context.limits.dynamic_depth))?;
        Ok(())
    }

    fn check_size(&self) -> Result<(), ResponseError> {
        if self.out.len() > self.limit {
            return Err(ResponseError::TooLarge {
                path: FieldPath::EMPTY,
                limit: self.context.message_bytes,
            });
        }
        Ok(())
    }
}

/// Whether a field without content is written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Zero {
    /// It has no presence.
    LeftOut,
    /// It has presence, or stands in a list or map.
    Written,
}

/// Whether an argument of type `sent` can stand in the field.
fn is_declared(field: &FieldPlan, sent: &Type) -> bool {
    field.ty == Type::Dynamic || sent.same_layout(&field.ty)
}

fn undeclared(declared: &dyn std::fmt::Display, sent: Option<&Signature>) -> ResponseError {
    ResponseError::Undeclared {
        declared: declared.to_string(),
        sent: sent.map(ToString::to_string).unwrap_or_default(),
    }
}

const fn too_deep(limit: u16) -> ResponseError {
    ResponseError::TooDeep {
        path: FieldPath::EMPTY,
        limit,
    }
}

fn no_encoding() -> ResponseError {
    ResponseError::NoEncoding {
        path: FieldPath::EMPTY,
    }
}

/// The signature as a text; it was parsed before, so it is one.
fn text(bytes: &[u8]) -> Result<&str, SignatureError> {
    std::str::from_utf8(bytes).map_err(|_| SignatureError::NotText)
}
