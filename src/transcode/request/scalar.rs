//! Numbers, texts and bytes.

use super::encoder::Encoder;
use crate::{
    schema::Scalar,
    transcode::{
        Malformed, RequestError,
        error::{Given, Located as _},
        plan::scalar_type,
        wire::{Fields, Wire},
    },
};

/// The key of a map entry, ordered as qi orders keys.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Key<'a> {
    /// What protobuf sends as a varint and qi as a signed number.
    Signed(i64),
    /// What protobuf sends as a varint and qi as an unsigned number, booleans included.
    Unsigned(u64),
    /// A string.
    Text(&'a [u8]),
}

impl<'a> Key<'a> {
    pub(super) fn read(scalar: Scalar, content: Option<Wire<'a>>) -> Result<Self, RequestError> {
        if scalar == Scalar::String {
            let text = content.map_or(Ok(""), Wire::text)?;
            return Ok(Self::Text(text.as_bytes()));
        }
        let number = content.map_or(Ok(0), Wire::varint)?;
        Ok(match scalar {
            Scalar::Int8 | Scalar::Int16 | Scalar::Int32 => Self::Signed((number as i32).into()),
            Scalar::Int64 => Self::Signed(number as i64),
            Scalar::UInt8 | Scalar::UInt16 | Scalar::UInt32 => {
                Self::Unsigned((number as u32).into())
            }
            Scalar::Bool => Self::Unsigned((number != 0).into()),
            _ => Self::Unsigned(number),
        })
    }
}

impl Encoder<'_> {
    pub(super) fn key(&mut self, scalar: Scalar, key: Key<'_>) -> Result<(), RequestError> {
        match key {
            Key::Signed(number) => self.integer(scalar, number as u64),
            Key::Unsigned(number) => self.integer(scalar, number),
            Key::Text(text) => self.sized(text),
        }
        .map_err(|error| error.within("key"))
    }

    pub(super) fn scalar(&mut self, scalar: Scalar, content: Wire<'_>) -> Result<(), RequestError> {
        match scalar {
            Scalar::Float => self.out.raw(&content.fixed32()?),
            Scalar::Double => self.out.raw(&content.fixed64()?),
            Scalar::String => self.sized(content.text()?.as_bytes())?,
            Scalar::Raw => self.sized(content.bytes()?)?,
            integer => self.integer(integer, content.varint()?)?,
        }
        Ok(())
    }

    /// What a scalar that is missing stands for: 0, false, nothing.
    pub(super) fn default_scalar(&mut self, scalar: Scalar) {
        // Every default is zeros, the size of an empty string included.
        for _ in 0..scalar_type(scalar).min_bytes() {
            self.out.u8(0);
        }
    }

    /// A list of scalars, packed or not, in one part or many.
    pub(super) fn repeated_scalar(
        &mut self,
        scalar: Scalar,
        number: u32,
        found: &[u8],
    ) -> Result<(), RequestError> {
        let at = self.out.reserve_u32();
        let mut count = 0_usize;
        let mut fields = Fields::new(found);
        while let Some((field, content)) = fields.next()? {
            if field != number {
                continue;
            }
            match (scalar, content) {
                (Scalar::Float, Wire::Bytes(packed)) => count += self.block(packed, 4)?,
                (Scalar::Double, Wire::Bytes(packed)) => count += self.block(packed, 8)?,
                (integer, Wire::Bytes(packed)) if is_packable(integer) => {
                    let mut numbers = Fields::new(packed);
                    while let Some(number) = numbers.next_packed()? {
                        self.integer(integer, number)
                            .map_err(|error| error.at(count))?;
                        count += 1;
                    }
                }
                (scalar, single) => {
                    self.scalar(scalar, single)
                        .map_err(|error| error.at(count))?;
                    count += 1;
                }
            }
            self.check_size()?;
        }
        let count = u32::try_from(count).map_err(|_| self.too_large())?;
        self.out.set_u32(at, count);
        Ok(())
    }

    /// Packed numbers of `width` bytes, which are encoded alike on both sides. Gives how many.
    fn block(&mut self, packed: &[u8], width: usize) -> Result<usize, RequestError> {
        let bytes = packed.len();
        if !bytes.is_multiple_of(width) {
            return Err(Malformed::Packed { bytes, width }.into());
        }
        self.out.raw(packed);
        Ok(bytes / width)
    }

    /// An integer or boolean from its varint, of which protobuf takes the low bits.
    fn integer(&mut self, scalar: Scalar, varint: u64) -> Result<(), RequestError> {
        let signed = varint as i32;
        let unsigned = varint as u32;
        let refuse = |given| RequestError::argument(given, &scalar_type(scalar));
        match scalar {
            Scalar::Bool => self.out.u8((varint != 0).into()),
            Scalar::Int8 => self.out.i8(signed
                .try_into()
                .map_err(|_| refuse(Given::Int(signed.into())))?),
            Scalar::Int16 => self.out.i16(
                signed
                    .try_into()
                    .map_err(|_| refuse(Given::Int(signed.into())))?,
            ),
            Scalar::UInt8 => self.out.u8(unsigned
                .try_into()
                .map_err(|_| refuse(Given::UInt(unsigned.into())))?),
            Scalar::UInt16 => self.out.u16(
                unsigned
                    .try_into()
                    .map_err(|_| refuse(Given::UInt(unsigned.into())))?,
            ),
            Scalar::Int32 => self.out.i32(signed),
            Scalar::UInt32 => self.out.u32(unsigned),
            Scalar::Int64 | Scalar::UInt64 => self.out.u64(varint),
            Scalar::Float | Scalar::Double | Scalar::String | Scalar::Raw => {
                debug_assert!(false, "{scalar:?} is no integer");
            }
        }
        Ok(())
    }
}

/// Whether protobuf packs lists of the scalar.
const fn is_packable(scalar: Scalar) -> bool {
    !matches!(scalar, Scalar::String | Scalar::Raw)
}
