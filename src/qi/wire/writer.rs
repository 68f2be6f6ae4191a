//! Writes the protocol's primitives into a buffer.

use bytes::{BufMut as _, Bytes, BytesMut};

/// A value is too long for the protocol's 32 bit sizes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("a size of {0} does not fit into 32 bits")]
pub struct TooLong(pub usize);

/// A growing payload, little-endian (protocol text, section 2).
#[derive(Clone, Debug, Default)]
pub struct Writer {
    bytes: BytesMut,
}

macro_rules! number {
    ($name:ident, $type:ty, $put:ident, $what:literal) => {
        #[doc = concat!("Writes ", $what, ".")]
        pub fn $name(&mut self, value: $type) {
            self.bytes.$put(value);
        }
    };
}

impl Writer {
    /// An empty payload.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty payload with room for `bytes` bytes.
    #[must_use]
    pub fn with_capacity(bytes: usize) -> Self {
        Self {
            bytes: BytesMut::with_capacity(bytes),
        }
    }

    /// How many bytes were written.
    #[must_use]
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether nothing was written.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// What was written so far.
    #[must_use]
    pub fn as_slice(&self) -> &[u8] {
        &self.bytes
    }

    number!(u8, u8, put_u8, "an 8 bit integer");
    number!(i8, i8, put_i8, "a signed 8 bit integer");
    number!(u16, u16, put_u16_le, "a 16 bit integer");
    number!(i16, i16, put_i16_le, "a signed 16 bit integer");
    number!(u32, u32, put_u32_le, "a 32 bit integer");
    number!(i32, i32, put_i32_le, "a signed 32 bit integer");
    number!(u64, u64, put_u64_le, "a 64 bit integer");
    number!(i64, i64, put_i64_le, "a signed 64 bit integer");
    number!(f32, f32, put_f32_le, "a 32 bit float");
    number!(f64, f64, put_f64_le, "a 64 bit float");

    /// Writes bytes as they are.
    pub fn raw(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// Writes a size or an element count.
    ///
    /// # Errors
    ///
    /// [`TooLong`].
    pub fn size(&mut self, size: usize) -> Result<(), TooLong> {
        self.u32(u32::try_from(size).map_err(|_| TooLong(size))?);
        Ok(())
    }

    /// Writes a byte count and the bytes: a string or raw value (section 7).
    ///
    /// # Errors
    ///
    /// [`TooLong`].
    pub fn sized(&mut self, bytes: &[u8]) -> Result<(), TooLong> {
        self.size(bytes.len())?;
        self.raw(bytes);
        Ok(())
    }

    /// Leaves room for a count that is not known yet; see [`Self::set_u32`].
    #[must_use]
    pub fn reserve_u32(&mut self) -> usize {
        let at = self.bytes.len();
        self.u32(0);
        at
    }

    /// Fills in the room that [`Self::reserve_u32`] left at `at`.
    pub fn set_u32(&mut self, at: usize, value: u32) {
        if let Some(room) = self.bytes.get_mut(at..at + 4) {
            room.copy_from_slice(&value.to_le_bytes());
        }
    }

    /// Forgets what was written after the first `len` bytes.
    pub fn truncate(&mut self, len: usize) {
        self.bytes.truncate(len);
    }

    /// The finished payload.
    #[must_use]
    pub fn finish(self) -> Bytes {
        self.bytes.freeze()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_is_filled_in_later() {
        let mut writer = Writer::new();
        writer.u8(7);
        let count = writer.reserve_u32();
        writer.sized(b"ab").expect("it is short");
        writer.set_u32(count, 0x0102_0304);
        assert_eq!(writer.as_slice(), [7, 4, 3, 2, 1, 2, 0, 0, 0, b'a', b'b']);
        writer.set_u32(writer.len() - 3, 1);
        assert_eq!(writer.len(), 11, "there is no room for it");
        writer.truncate(1);
        assert_eq!(writer.finish(), [7_u8].as_slice());
    }
}
