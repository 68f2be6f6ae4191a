//! Bytes to values, and over them.

use bytes::Bytes;

use super::{DecodeContext, DecodeError};
use crate::qi::{
    value::{Dynamic, Signature, Type, Value},
    wire::Reader,
};

/// Decodes a payload that is one value.
///
/// Strings and raw values share the payload's memory. libqi ignores bytes that follow; use a
/// [`Decoder`] without [`Decoder::finish`] for that, or to read several values.
///
/// # Errors
///
/// [`DecodeError`]; also for bytes that are left over.
pub fn decode(
    ty: &Type,
    payload: &Bytes,
    context: DecodeContext<'_>,
) -> Result<Value, DecodeError> {
    let mut decoder = Decoder::new(payload, context);
    let value = decoder.value(ty)?;
    decoder.finish()?;
    Ok(value)
}

/// Reads the values of one payload, one after the other. Not to be used on after an error.
#[derive(Debug)]
pub struct Decoder<'a> {
    pub(super) payload: &'a Bytes,
    pub(super) reader: Reader<'a>,
    pub(super) context: DecodeContext<'a>,
    /// How many levels of values are open.
    depth: u16,
    /// How many levels of dynamic values are open.
    dynamics: u16,
    /// How many values were built.
    values: u32,
    /// How many of no byte were read.
    empty: u32,
}

/// How many elements a list gets room for at most before they have come.
const RESERVE_ELEMENTS: usize = 1024;

impl<'a> Decoder<'a> {
    /// Starts at the beginning of a payload.
    #[must_use]
    pub fn new(payload: &'a Bytes, context: DecodeContext<'a>) -> Self {
        Self {
            payload,
            reader: Reader::new(payload),
            context,
            depth: 0,
            dynamics: 0,
            values: 0,
            empty: 0,
        }
    }

    /// Where the decoder is in the payload: for reading primitives.
    pub const fn reader(&mut self) -> &mut Reader<'a> {
        &mut self.reader
    }

    /// The payload.
    #[must_use]
    pub const fn payload(&self) -> &'a Bytes {
        self.payload
    }

    /// Refuses bytes that are left.
    ///
    /// # Errors
    ///
    /// [`DecodeError::Read`].
    pub fn finish(&self) -> Result<(), DecodeError> {
        Ok(self.reader.finish()?)
    }

    /// Reads a value.
    ///
    /// # Errors
    ///
    /// [`DecodeError`].
    pub fn value(&mut self, ty: &Type) -> Result<Value, DecodeError> {
        self.enter()?;
        self.charge(1)?;
        let value = self.content(ty)?;
        self.depth -= 1;
        Ok(value)
    }

    /// Apart from [`Self::scalar`] for the sake of the stack: this one recurses.
    fn content(&mut self, ty: &Type) -> Result<Value, DecodeError> {
        match ty {
            Type::Dynamic => Ok(Value::Dynamic(Box::new(self.dynamic()?))),
            Type::List(element) | Type::VarArgs(element) => self.list(element),
            Type::Map(entry) => self.map(&entry.0, &entry.1),
            Type::KwArgs(element) => self.map(&Type::String, element),
            Type::Tuple(tuple) => self.tuple(&tuple.elements),
            Type::Optional(content) => self.optional(content),
            scalar => self.scalar(scalar),
        }
    }

    fn scalar(&mut self, ty: &Type) -> Result<Value, DecodeError> {
        Ok(match ty {
            Type::Void | Type::None => {
                self.charge_empty()?;
                Value::Void
            }
            Type::Bool => Value::Bool(self.bool()?),
            Type::Int8 => Value::Int8(self.reader.i8()?),
            Type::UInt8 => Value::UInt8(self.reader.u8()?),
            Type::Int16 => Value::Int16(self.reader.i16()?),
            Type::UInt16 => Value::UInt16(self.reader.u16()?),
            Type::Int32 => Value::Int32(self.reader.i32()?),
            Type::UInt32 => Value::UInt32(self.reader.u32()?),
            Type::Int64 => Value::Int64(self.reader.i64()?),
            Type::UInt64 => Value::UInt64(self.reader.u64()?),
            Type::Float => Value::Float(self.reader.f32()?),
            Type::Double => Value::Double(self.reader.f64()?),
            Type::String => Value::String(self.shared("a string")?),
            Type::Raw => Value::Raw(self.shared("a raw value")?),
            Type::Object => Value::Object(Box::new(self.object()?)),
            Type::Unknown
            | Type::Dynamic
            | Type::List(_)
            | Type::VarArgs(_)
            | Type::Map(_)
            | Type::KwArgs(_)
            | Type::Tuple(_)
            | Type::Optional(_) => return Err(self.no_encoding()),
        })
    }

    fn shared(&mut self, what: &'static str) -> Result<Bytes, DecodeError> {
        let bytes = self.reader.sized(what)?;
        Ok(Reader::share(self.payload, bytes))
    }

    fn list(&mut self, element: &Type) -> Result<Value, DecodeError> {
        let count = self.count("a list", || element.min_bytes())?;
        let mut items = Vec::with_capacity(count.min(RESERVE_ELEMENTS));
        for _ in 0..count {
            items.push(self.value(element)?);
        }
        Ok(Value::List(items))
    }

    fn map(&mut self, key: &Type, value: &Type) -> Result<Value, DecodeError> {
        let count = self.count("a map", || key.min_bytes() + value.min_bytes())?;
        let mut entries = Vec::with_capacity(count.min(RESERVE_ELEMENTS));
        for _ in 0..count {
            entries.push((self.value(key)?, self.value(value)?));
        }
        Ok(Value::Map(entries))
    }

    fn tuple(&mut self, elements: &[Type]) -> Result<Value, DecodeError> {
        if elements.is_empty() {
            self.charge_empty()?;
        }
        let mut items = Vec::with_capacity(elements.len().min(RESERVE_ELEMENTS));
        for element in elements {
            items.push(self.value(element)?);
        }
        Ok(Value::Tuple(items))
    }

    fn optional(&mut self, content: &Type) -> Result<Value, DecodeError> {
        Ok(Value::Optional(match self.bool()? {
            true => Some(Box::new(self.value(content)?)),
            false => None,
        }))
    }

    /// Reads a dynamic value, its signature included.
    ///
    /// # Errors
    ///
    /// [`DecodeError`].
    pub fn dynamic(&mut self) -> Result<Dynamic, DecodeError> {
        let Some(signature) = self.dynamic_signature()? else {
            return Ok(Dynamic::empty());
        };
        self.charge(u32::try_from(signature.as_str().len()).unwrap_or(u32::MAX))?;
        let value = match signature.ty() {
            // Paid for by the bytes of the signature.
            Type::Void | Type::None => Value::Void,
            ty => {
                self.enter_dynamic()?;
                let value = self.value(ty)?;
                self.dynamics -= 1;
                value
            }
        };
        Ok(Dynamic::new(signature, value))
    }

    /// None for the empty dynamic.
    fn dynamic_signature(&mut self) -> Result<Option<Signature>, DecodeError> {
        let offset = self.reader.offset();
        let text = self.reader.sized("the signature of a dynamic value")?;
        if text.is_empty() {
            return Ok(None);
        }
        Signature::parse_bytes(text, &self.context.limits)
            .map(Some)
            .map_err(|source| DecodeError::Signature { offset, source })
    }

    /// Walks over a value without building it. Refuses what [`Self::value`] would, but for the
    /// number of values. Meta objects are kept in the cache as they come.
    ///
    /// # Errors
    ///
    /// [`DecodeError`].
    pub fn skip(&mut self, ty: &Type) -> Result<(), DecodeError> {
        self.enter()?;
        match ty {
            Type::Void | Type::None => self.charge_empty()?,
            Type::Unknown => return Err(self.no_encoding()),
            Type::Bool => {
                self.bool()?;
            }
            Type::Int8 | Type::UInt8 => self.pass(1)?,
            Type::Int16 | Type::UInt16 => self.pass(2)?,
            Type::Int32 | Type::UInt32 | Type::Float => self.pass(4)?,
            Type::Int64 | Type::UInt64 | Type::Double => self.pass(8)?,
            Type::String => {
                self.reader.sized("a string")?;
            }
            Type::Raw => {
                self.reader.sized("a raw value")?;
            }
            Type::Dynamic => self.skip_dynamic()?,
            Type::Object => {
                self.object()?;
            }
            Type::List(element) | Type::VarArgs(element) => self.skip_list(element)?,
            Type::Map(entry) => self.skip_map(&entry.0, &entry.1)?,
            Type::KwArgs(element) => self.skip_map(&Type::String, element)?,
            Type::Tuple(tuple) => {
                if tuple.elements.is_empty() {
                    self.charge_empty()?;
                }
                for element in &tuple.elements {
                    self.skip(element)?;
                }
            }
            Type::Optional(content) => {
                if self.bool()? {
                    self.skip(content)?;
                }
            }
        }
        self.depth -= 1;
        Ok(())
    }

    fn pass(&mut self, bytes: usize) -> Result<(), DecodeError> {
        self.reader.take(bytes, "a number")?;
        Ok(())
    }

    fn skip_list(&mut self, element: &Type) -> Result<(), DecodeError> {
        let count = self.count("a list", || element.min_bytes())?;
        if let Some(bytes) = element.fixed_bytes()
            && count > 0
        {
            self.enter()?;
            self.pass(count.saturating_mul(bytes))?;
            self.depth -= 1;
            return Ok(());
        }
        for _ in 0..count {
            self.skip(element)?;
        }
        Ok(())
    }

    fn skip_map(&mut self, key: &Type, value: &Type) -> Result<(), DecodeError> {
        let count = self.count("a map", || key.min_bytes() + value.min_bytes())?;
        for _ in 0..count {
            self.skip(key)?;
            self.skip(value)?;
        }
        Ok(())
    }

    fn skip_dynamic(&mut self) -> Result<(), DecodeError> {
        let Some(signature) = self.dynamic_signature()? else {
            return Ok(());
        };
        match signature.ty() {
            Type::Void | Type::None => {}
            ty => {
                self.enter_dynamic()?;
                self.skip(ty)?;
                self.dynamics -= 1;
            }
        }
        Ok(())
    }

    pub(super) fn bool(&mut self) -> Result<bool, DecodeError> {
        let offset = self.reader.offset();
        match self.reader.u8()? {
            0 => Ok(false),
            1 => Ok(true),
            byte => Err(DecodeError::Bool { byte, offset }),
        }
    }

    /// Reads an element count and refuses one that cannot be.
    ///
    /// The least size of an element is worked out for containers that have some only: it costs as
    /// much as reading one, and a payload of empty lists must not pay for a type of many members.
    fn count(
        &mut self,
        what: &'static str,
        min_bytes: impl FnOnce() -> usize,
    ) -> Result<usize, DecodeError> {
        if self.reader.rest().starts_with(&[0; 4]) {
            return Ok(self.reader.count(0, what)?);
        }
        let min_bytes = min_bytes();
        let count = self.reader.count(min_bytes, what)?;
        let limit = self.context.limits.empty_elements;
        if min_bytes == 0 && count > (limit - self.empty) as usize {
            return Err(DecodeError::TooManyEmpty { limit });
        }
        Ok(count)
    }

    fn enter(&mut self) -> Result<(), DecodeError> {
        let limit = self.context.limits.value_depth;
        if self.depth == limit {
            return Err(DecodeError::TooDeep { limit });
        }
        self.depth += 1;
        Ok(())
    }

    fn enter_dynamic(&mut self) -> Result<(), DecodeError> {
        let limit = self.context.limits.dynamic_depth;
        if self.dynamics == limit {
            return Err(DecodeError::DynamicsTooDeep { limit });
        }
        self.dynamics += 1;
        Ok(())
    }

    pub(super) fn charge(&mut self, values: u32) -> Result<(), DecodeError> {
        let limit = self.context.limits.values;
        if values > limit - self.values {
            return Err(DecodeError::TooManyValues { limit });
        }
        self.values += values;
        Ok(())
    }

    fn charge_empty(&mut self) -> Result<(), DecodeError> {
        let limit = self.context.limits.empty_elements;
        if self.empty == limit {
            return Err(DecodeError::TooManyEmpty { limit });
        }
        self.empty += 1;
        Ok(())
    }

    const fn no_encoding(&self) -> DecodeError {
        DecodeError::NoEncoding {
            offset: self.reader.offset(),
        }
    }
}
