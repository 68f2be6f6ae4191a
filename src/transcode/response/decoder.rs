//! One run of a plan over a payload.

use bytes::Bytes;

use super::ResponseContext;
use crate::{
    qi::{
        value::{
            Signature, SignatureError,
            codec::{self, DecodeContext},
        },
        wire::Reader,
    },
    schema::Scalar,
    transcode::{
        ResponseError,
        error::{FieldPath, Located as _},
        plan::{Element, FieldPlan, Form, MessagePlan},
        wire::{self, Length},
    },
};

/// One run of a plan.
pub(super) struct Decoder<'r, 'c, 'o> {
    pub(super) payload: &'r Bytes,
    pub(super) reader: Reader<'r>,
    pub(super) context: &'r mut ResponseContext<'c>,
    pub(super) out: &'o mut Vec<u8>,
    /// How long `out` may become.
    pub(super) limit: usize,
    pub(super) budgets: Budgets,
    /// Whether `Value`s shall be JSON.
    pub(super) json: bool,
}

/// What is left of the limits.
#[derive(Clone, Copy)]
pub(super) struct Budgets {
    /// How many values may still take no byte.
    empty_left: u32,
    /// How many values may nest from here on.
    pub(super) depth_left: u16,
    /// How many dynamics may.
    pub(super) dynamics_left: u16,
}

impl<'r, 'c, 'o> Decoder<'r, 'c, 'o> {
    pub(super) fn run(
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

    pub(super) fn fields(&mut self, plan: &MessagePlan) -> Result<(), ResponseError> {
        for field in &plan.fields {
            self.field(field)
                .map_err(|error| error.within(&field.name))?;
        }
        Ok(())
    }

    pub(super) fn field(&mut self, field: &FieldPlan) -> Result<(), ResponseError> {
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
    pub(super) fn nested(
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

    /// Reads the signature of a dynamic; none is the empty one.
    pub(super) fn signature(&mut self) -> Result<Option<Signature>, ResponseError> {
        let bytes = self.reader.sized("a signature")?;
        if bytes.is_empty() {
            return Ok(None);
        }
        Ok(Some(Signature::parse_bytes(bytes, &self.context.limits)?))
    }

    /// An `ObjectRef`. The null object has no id, and nobody is asked for one.
    pub(super) fn object(&mut self) -> Result<(), ResponseError> {
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
    pub(super) fn charge_empty(&mut self, start: usize) -> Result<(), ResponseError> {
        if self.reader.offset() == start {
            let left = self.budgets.empty_left.checked_sub(1);
            self.budgets.empty_left = left.ok_or(ResponseError::TooManyEmpty {
                path: FieldPath::EMPTY,
                limit: self.context.limits.empty_elements,
            })?;
        }
        Ok(())
    }

    pub(super) fn enter_value(&mut self) -> Result<(), ResponseError> {
        let left = self.budgets.depth_left.checked_sub(1);
        self.budgets.depth_left = left.ok_or_else(|| too_deep(self.context.limits.value_depth))?;
        Ok(())
    }

    pub(super) fn enter_dynamic(&mut self) -> Result<(), ResponseError> {
        let left = self.budgets.dynamics_left.checked_sub(1);
        self.budgets.dynamics_left =
            left.ok_or_else(|| too_deep(self.context.limits.dynamic_depth))?;
        Ok(())
    }

    pub(super) fn check_size(&self) -> Result<(), ResponseError> {
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
pub(super) enum Zero {
    /// It has no presence.
    LeftOut,
    /// It has presence, or stands in a list or map.
    Written,
}

pub(super) const fn too_deep(limit: u16) -> ResponseError {
    ResponseError::TooDeep {
        path: FieldPath::EMPTY,
        limit,
    }
}

pub(super) fn no_encoding() -> ResponseError {
    ResponseError::NoEncoding {
        path: FieldPath::EMPTY,
    }
}

/// The signature as a text; it was parsed before, so it is one.
pub(super) fn text(bytes: &[u8]) -> Result<&str, SignatureError> {
    std::str::from_utf8(bytes).map_err(|_| SignatureError::NotText)
}
