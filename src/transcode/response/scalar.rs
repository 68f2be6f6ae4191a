//! Numbers, texts and bytes.

use std::borrow::Cow;

use super::decoder::{Decoder, Zero};
use crate::{
    schema::Scalar,
    transcode::{
        ResponseError,
        error::{FieldPath, Located as _},
        wire,
    },
};

impl Decoder<'_, '_, '_> {
    pub(super) fn scalar(
        &mut self,
        scalar: Scalar,
        number: u32,
        zero: Zero,
    ) -> Result<(), ResponseError> {
        let always = zero == Zero::Written;
        match scalar {
            Scalar::Float => {
                let bytes = self.reader.take(4, "a float")?;
                if always || bytes != [0; 4] {
                    wire::put_tag(self.out, number, wire::FIXED32);
                    self.out.extend_from_slice(bytes);
                }
            }
            Scalar::Double => {
                let bytes = self.reader.take(8, "a double")?;
                if always || bytes != [0; 8] {
                    wire::put_tag(self.out, number, wire::FIXED64);
                    self.out.extend_from_slice(bytes);
                }
            }
            Scalar::String => {
                let bytes = self.reader.sized("a string")?;
                if always || !bytes.is_empty() {
                    self.string(number, bytes);
                }
            }
            Scalar::Raw => {
                let bytes = self.reader.sized("raw bytes")?;
                if always || !bytes.is_empty() {
                    wire::put_bytes_field(self.out, number, bytes);
                }
            }
            integer => {
                let content = self.integer(integer)?;
                if always || content != 0 {
                    wire::put_varint_field(self.out, number, content);
                }
            }
        }
        Ok(())
    }

    /// A list of `count` scalars, none of which is written if there is none.
    pub(super) fn repeated_scalar(
        &mut self,
        scalar: Scalar,
        number: u32,
        count: usize,
    ) -> Result<(), ResponseError> {
        if count == 0 {
            return Ok(());
        }
        match scalar {
            Scalar::Float => self.block(number, count.saturating_mul(4)),
            Scalar::Double => self.block(number, count.saturating_mul(8)),
            Scalar::String | Scalar::Raw => (0..count).try_for_each(|index| {
                self.scalar(scalar, number, Zero::Written)
                    .and_then(|()| self.check_size())
                    .map_err(|error| error.at(index))
            }),
            integer => self.nested(number, count, |decoder| {
                (0..count).try_for_each(|index| {
                    let content = decoder.integer(integer).map_err(|error| error.at(index))?;
                    wire::put_varint(decoder.out, content);
                    Ok(())
                })
            }),
        }
    }

    /// Numbers that are encoded alike on both sides.
    fn block(&mut self, number: u32, bytes: usize) -> Result<(), ResponseError> {
        let block = self.reader.take(bytes, "a list")?;
        wire::put_bytes_field(self.out, number, block);
        Ok(())
    }

    /// A string, with U+FFFD for what is not UTF-8.
    fn string(&mut self, number: u32, bytes: &[u8]) {
        let text = String::from_utf8_lossy(bytes);
        if matches!(text, Cow::Owned(_)) {
            self.context.replaced_strings += 1;
        }
        wire::put_bytes_field(self.out, number, text.as_bytes());
    }

    /// An integer or boolean as a varint: negative ones are extended to 64 bits.
    pub(super) fn integer(&mut self, scalar: Scalar) -> Result<u64, ResponseError> {
        let reader = &mut self.reader;
        Ok(match scalar {
            Scalar::Bool => self.truth()?.into(),
            Scalar::Int8 => i64::from(reader.i8()?) as u64,
            Scalar::UInt8 => reader.u8()?.into(),
            Scalar::Int16 => i64::from(reader.i16()?) as u64,
            Scalar::UInt16 => reader.u16()?.into(),
            Scalar::Int32 => i64::from(reader.i32()?) as u64,
            Scalar::UInt32 => reader.u32()?.into(),
            Scalar::Int64 | Scalar::UInt64 => reader.u64()?,
            Scalar::Float | Scalar::Double | Scalar::String | Scalar::Raw => {
                debug_assert!(false, "{scalar:?} is no integer");
                0
            }
        })
    }

    /// A byte that must be 0 or 1 (section 7).
    pub(super) fn truth(&mut self) -> Result<bool, ResponseError> {
        match self.reader.u8()? {
            0 => Ok(false),
            1 => Ok(true),
            byte => Err(ResponseError::Bool {
                path: FieldPath::EMPTY,
                byte,
            }),
        }
    }
}
