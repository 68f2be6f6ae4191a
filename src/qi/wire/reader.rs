//! Reads the protocol's primitives from a payload, never past its end.

use bytes::Bytes;

/// What can be wrong with bytes that should hold a primitive.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ReadError {
    /// The payload ends inside of a value.
    #[error("{what} takes {needed} bytes, {left} are left at offset {offset}")]
    Truncated {
        /// What was to be read.
        what: &'static str,
        /// How many bytes it takes.
        needed: usize,
        /// How many there are.
        left: usize,
        /// Where in the payload.
        offset: usize,
    },
    /// The payload goes on where it should end.
    #[error("{left} bytes are left over at offset {offset}")]
    TrailingBytes {
        /// How many bytes are left.
        left: usize,
        /// Where in the payload.
        offset: usize,
    },
}

/// A position in a payload, little-endian (protocol text, section 2).
///
/// Cloning is cheap and gives an independent position in the same bytes.
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    bytes: &'a [u8],
    offset: usize,
}

macro_rules! number {
    ($name:ident, $type:ty, $what:literal) => {
        #[doc = concat!("Reads ", $what, ".\n\n# Errors\n\n[`ReadError::Truncated`].")]
        pub fn $name(&mut self) -> Result<$type, ReadError> {
            self.array($what).map(<$type>::from_le_bytes)
        }
    };
}

impl<'a> Reader<'a> {
    /// Starts at the beginning of `bytes`.
    #[must_use]
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, offset: 0 }
    }

    /// How many bytes were read.
    #[must_use]
    pub const fn offset(&self) -> usize {
        self.offset
    }

    /// How many bytes are left.
    #[must_use]
    pub const fn left(&self) -> usize {
        self.bytes.len() - self.offset
    }

    /// The bytes that are left, without reading them.
    #[must_use]
    pub fn rest(&self) -> &'a [u8] {
        &self.bytes[self.offset..]
    }

    /// The bytes read since `start`, an earlier [`Self::offset`].
    #[must_use]
    pub fn since(&self, start: usize) -> &'a [u8] {
        self.bytes.get(start..self.offset).unwrap_or_default()
    }

    /// Reads `len` bytes; `what` names them in the error.
    ///
    /// # Errors
    ///
    /// [`ReadError::Truncated`].
    pub fn take(&mut self, len: usize, what: &'static str) -> Result<&'a [u8], ReadError> {
        let Some(taken) = self.rest().get(..len) else {
            return Err(self.truncated(len, what));
        };
        self.offset += len;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self, what: &'static str) -> Result<[u8; N], ReadError> {
        let Some(taken) = self.rest().first_chunk::<N>() else {
            return Err(self.truncated(N, what));
        };
        self.offset += N;
        Ok(*taken)
    }

    const fn truncated(&self, needed: usize, what: &'static str) -> ReadError {
        ReadError::Truncated {
            what,
            needed,
            left: self.left(),
            offset: self.offset,
        }
    }

    number!(u8, u8, "an 8 bit integer");
    number!(i8, i8, "a signed 8 bit integer");
    number!(u16, u16, "a 16 bit integer");
    number!(i16, i16, "a signed 16 bit integer");
    number!(u32, u32, "a 32 bit integer");
    number!(i32, i32, "a signed 32 bit integer");
    number!(u64, u64, "a 64 bit integer");
    number!(i64, i64, "a signed 64 bit integer");
    number!(f32, f32, "a 32 bit float");
    number!(f64, f64, "a 64 bit float");

    /// Reads a byte count and that many bytes: a string or raw value (section 7).
    ///
    /// # Errors
    ///
    /// [`ReadError::Truncated`].
    pub fn sized(&mut self, what: &'static str) -> Result<&'a [u8], ReadError> {
        let start = self.offset;
        let len = self.u32()?;
        self.take(len as usize, what)
            .inspect_err(|_| self.offset = start)
    }

    /// Reads the element count of a list or map whose elements take at least `min_bytes` each,
    /// and refuses one that the bytes left cannot hold.
    ///
    /// # Errors
    ///
    /// [`ReadError::Truncated`].
    pub fn count(&mut self, min_bytes: usize, what: &'static str) -> Result<usize, ReadError> {
        let count = self.u32()? as usize;
        let needed = count.saturating_mul(min_bytes);
        if needed > self.left() {
            return Err(self.truncated(needed, what));
        }
        Ok(count)
    }

    /// Refuses bytes that are left.
    ///
    /// # Errors
    ///
    /// [`ReadError::TrailingBytes`].
    pub const fn finish(&self) -> Result<(), ReadError> {
        match self.left() {
            0 => Ok(()),
            left => Err(ReadError::TrailingBytes {
                left,
                offset: self.offset,
            }),
        }
    }

    /// The part of `owner` that `slice`, read from it, occupies; copies only if it lies elsewhere.
    #[must_use]
    pub fn share(owner: &Bytes, slice: &[u8]) -> Bytes {
        let begin = owner.as_ptr() as usize;
        let at = slice.as_ptr() as usize;
        if !slice.is_empty() && at >= begin && at + slice.len() <= begin + owner.len() {
            owner.slice_ref(slice)
        } else {
            Bytes::copy_from_slice(slice)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_read_past_the_end() {
        let mut reader = Reader::new(&[1, 2, 3, 4, 5]);
        assert_eq!(reader.u32(), Ok(0x0403_0201));
        let error = Err(ReadError::Truncated {
            what: "a 16 bit integer",
            needed: 2,
            left: 1,
            offset: 4,
        });
        assert_eq!(reader.u16(), error);
        assert_eq!(
            reader.finish(),
            Err(ReadError::TrailingBytes { left: 1, offset: 4 })
        );
        assert_eq!(reader.u8(), Ok(5), "an error reads nothing");
        assert_eq!(reader.finish(), Ok(()));
        assert_eq!(reader.since(3), [4, 5]);
    }

    #[test]
    fn a_size_without_its_bytes_is_refused() {
        let bytes = [4, 0, 0, 0, b'a', b'b', b'c'];
        let mut reader = Reader::new(&bytes);
        assert!(reader.sized("a string").is_err());
        assert_eq!(reader.offset(), 0, "an error reads nothing");
        let mut reader = Reader::new(&bytes);
        assert!(reader.count(1, "a list").is_err());
        assert_eq!(Reader::new(&bytes[..4]).count(0, "a list"), Ok(4));
    }

    #[test]
    fn what_lies_in_the_payload_is_shared_and_other_bytes_are_copied() {
        let owner = Bytes::from(vec![1, 2, 3, 4]);
        let shared = Reader::share(&owner, &owner[1..3]);
        assert_eq!(shared.as_ptr(), owner[1..].as_ptr());
        let copied = Reader::share(&owner, &[2, 3]);
        assert_eq!(copied, shared);
        assert!(!owner.as_ptr_range().contains(&copied.as_ptr()));
        assert_eq!(Reader::share(&owner, &owner[4..]), Bytes::new());
    }
}
