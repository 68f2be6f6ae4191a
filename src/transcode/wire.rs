//! The wire format of protobuf: fields out of bytes, and bytes out of fields.

use std::borrow::Cow;

/// What can be wrong with bytes that should be a protobuf message.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Malformed {
    /// The message ends inside of a field.
    #[error("the message ends inside of a field")]
    Truncated,
    /// A varint goes on after ten bytes.
    #[error("a varint is longer than ten bytes")]
    LongVarint,
    /// A field number that there cannot be.
    #[error("{0} is no field number")]
    FieldNumber(u64),
    /// A wire type that there is not.
    #[error("{0} is no wire type")]
    WireType(u8),
    /// The end of a group that did not begin, or of another one.
    #[error("a group ends that did not begin")]
    Group,
    /// A field with the wire type of another type.
    #[error("the field has wire type {found}, which its type is not encoded with")]
    Mismatch {
        /// The wire type.
        found: u8,
    },
    /// Packed numbers that do not fill their bytes.
    #[error("{bytes} bytes of packed numbers of {width} bytes")]
    Packed {
        /// How many bytes there are.
        bytes: usize,
        /// How many a number takes.
        width: usize,
    },
    /// A string that is not UTF-8.
    #[error("the string is not UTF-8")]
    NotText,
    /// Messages or groups nest deeper than is accepted.
    #[error("messages nest deeper than {limit}")]
    TooDeep {
        /// The limit.
        limit: u32,
    },
}

/// The content of a field, as far as the wire tells.
#[derive(Clone, Copy, Debug)]
pub(super) enum Wire<'a> {
    Varint(u64),
    Fixed32([u8; 4]),
    Fixed64([u8; 8]),
    Bytes(&'a [u8]),
    Group,
}

impl<'a> Wire<'a> {
    pub(super) const fn mismatch(self) -> Malformed {
        Malformed::Mismatch {
            found: match self {
                Self::Varint(_) => VARINT,
                Self::Fixed64(_) => FIXED64,
                Self::Bytes(_) => BYTES,
                Self::Group => GROUP_START,
                Self::Fixed32(_) => FIXED32,
            },
        }
    }

    pub(super) const fn varint(self) -> Result<u64, Malformed> {
        match self {
            Self::Varint(number) => Ok(number),
            other => Err(other.mismatch()),
        }
    }

    pub(super) const fn fixed32(self) -> Result<[u8; 4], Malformed> {
        match self {
            Self::Fixed32(bytes) => Ok(bytes),
            other => Err(other.mismatch()),
        }
    }

    pub(super) const fn fixed64(self) -> Result<[u8; 8], Malformed> {
        match self {
            Self::Fixed64(bytes) => Ok(bytes),
            other => Err(other.mismatch()),
        }
    }

    pub(super) const fn bytes(self) -> Result<&'a [u8], Malformed> {
        match self {
            Self::Bytes(bytes) => Ok(bytes),
            other => Err(other.mismatch()),
        }
    }

    pub(super) fn text(self) -> Result<&'a str, Malformed> {
        std::str::from_utf8(self.bytes()?).map_err(|_| Malformed::NotText)
    }
}

/// The fields of a message, in the order of the wire.
#[derive(Clone, Debug)]
pub(super) struct Fields<'a> {
    bytes: &'a [u8],
    offset: usize,
}

impl<'a> Fields<'a> {
    pub(super) const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, offset: 0 }
    }

    pub(super) const fn offset(&self) -> usize {
        self.offset
    }

    /// The next field, if there is one.
    #[inline]
    pub(super) fn next(&mut self) -> Result<Option<(u32, Wire<'a>)>, Malformed> {
        if self.offset >= self.bytes.len() {
            return Ok(None);
        }
        let (number, wire_type) = self.tag()?;
        let wire = match wire_type {
            GROUP_START => {
                self.skip_group(number)?;
                Wire::Group
            }
            GROUP_END => return Err(Malformed::Group),
            other => self.content(other)?,
        };
        Ok(Some((number, wire)))
    }

    /// The next varint of packed ones, if there is one.
    #[inline]
    pub(super) fn next_packed(&mut self) -> Result<Option<u64>, Malformed> {
        if self.offset >= self.bytes.len() {
            return Ok(None);
        }
        self.varint().map(Some)
    }

    #[inline]
    fn tag(&mut self) -> Result<(u32, u8), Malformed> {
        let tag = self.varint()?;
        match u32::try_from(tag >> 3) {
            Ok(number @ 1..=MAX_NUMBER) => Ok((number, (tag & 7) as u8)),
            _ => Err(Malformed::FieldNumber(tag >> 3)),
        }
    }

    #[inline]
    fn content(&mut self, wire_type: u8) -> Result<Wire<'a>, Malformed> {
        Ok(match wire_type {
            VARINT => Wire::Varint(self.varint()?),
            FIXED64 => Wire::Fixed64(self.array()?),
            BYTES => {
                let len = usize::try_from(self.varint()?).map_err(|_| Malformed::Truncated)?;
                let taken = self.rest().get(..len).ok_or(Malformed::Truncated)?;
                self.offset += len;
                Wire::Bytes(taken)
            }
            FIXED32 => Wire::Fixed32(self.array()?),
            other => return Err(Malformed::WireType(other)),
        })
    }

    /// Skips what is left of a group, groups within included.
    fn skip_group(&mut self, number: u32) -> Result<(), Malformed> {
        let mut open = vec![number];
        while let Some(innermost) = open.last().copied() {
            let (number, wire_type) = self.tag()?;
            match wire_type {
                GROUP_START if open.len() >= super::MESSAGE_DEPTH as usize => {
                    return Err(Malformed::TooDeep {
                        limit: super::MESSAGE_DEPTH,
                    });
                }
                GROUP_START => open.push(number),
                GROUP_END if number == innermost => drop(open.pop()),
                GROUP_END => return Err(Malformed::Group),
                other => drop(self.content(other)?),
            }
        }
        Ok(())
    }

    #[inline]
    fn varint(&mut self) -> Result<u64, Malformed> {
        let rest = self.rest();
        if let Some(&byte @ 0..0x80) = rest.first() {
            self.offset += 1;
            return Ok(byte.into());
        }
        let mut number = 0_u64;
        for (at, &byte) in rest.iter().take(MAX_VARINT_BYTES).enumerate() {
            // The bits of the tenth byte beyond the 64th are dropped, as every runtime does.
            number |= u64::from(byte & 0x7f) << (7 * at);
            if byte < 0x80 {
                self.offset += at + 1;
                return Ok(number);
            }
        }
        Err(if rest.len() < MAX_VARINT_BYTES {
            Malformed::Truncated
        } else {
            Malformed::LongVarint
        })
    }

    #[inline]
    fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let taken = *self.rest().first_chunk::<N>().ok_or(Malformed::Truncated)?;
        self.offset += N;
        Ok(taken)
    }

    #[inline]
    fn rest(&self) -> &'a [u8] {
        self.bytes.get(self.offset..).unwrap_or_default()
    }
}

/// The next occurrence of a field with the content of messages.
pub(super) fn next_of<'a>(
    fields: &mut Fields<'a>,
    number: u32,
) -> Result<Option<&'a [u8]>, Malformed> {
    while let Some((found, wire)) = fields.next()? {
        if found == number {
            return wire.bytes().map(Some);
        }
    }
    Ok(None)
}

/// A singular message: all its occurrences, one after the other, which is how protobuf merges.
pub(super) fn merged(bytes: &[u8], number: u32) -> Result<Option<Cow<'_, [u8]>>, Malformed> {
    let mut fields = Fields::new(bytes);
    let mut merged: Option<Cow<'_, [u8]>> = None;
    while let Some(bytes) = next_of(&mut fields, number)? {
        merge(&mut merged, bytes);
    }
    Ok(merged)
}

/// Adds an occurrence of a singular message.
pub(super) fn merge<'a>(merged: &mut Option<Cow<'a, [u8]>>, bytes: &'a [u8]) {
    match merged {
        Some(merged) => merged.to_mut().extend_from_slice(bytes),
        None => *merged = Some(Cow::Borrowed(bytes)),
    }
}

/// Appends a varint.
#[inline]
pub(super) fn put_varint(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// Appends the tag of a field.
#[inline]
pub(super) fn put_tag(out: &mut Vec<u8>, number: u32, wire_type: u8) {
    put_varint(out, u64::from(number) << 3 | u64::from(wire_type));
}

/// Appends a field of varint content.
#[inline]
pub(super) fn put_varint_field(out: &mut Vec<u8>, number: u32, content: u64) {
    put_tag(out, number, VARINT);
    put_varint(out, content);
}

/// Appends a field of bytes.
pub(super) fn put_bytes_field(out: &mut Vec<u8>, number: u32, content: &[u8]) {
    put_tag(out, number, BYTES);
    put_varint(out, content.len() as u64);
    out.extend_from_slice(content);
}

/// Room for the length of what follows, whose size is not known yet.
///
/// Measuring first would read the qi bytes twice. Instead the room is guessed, and what was written
/// moved where the guess was wrong: the guess follows the bytes left to read, so that a large
/// content, whose move would cost, gets the right room, and only a short one is ever moved.
#[derive(Debug)]
pub(super) struct Length {
    at: usize,
    room: usize,
}

impl Length {
    /// Leaves room for the length of about `guess` bytes.
    pub(super) fn begin(out: &mut Vec<u8>, guess: usize) -> Self {
        let at = out.len();
        let room = if guess < MOVED_BYTES {
            1
        } else {
            varint_bytes(guess)
        };
        out.resize(at + room, 0);
        Self { at, room }
    }

    /// Fills in the length of what was written since.
    pub(super) fn end(self, out: &mut Vec<u8>) {
        let start = self.at + self.room;
        let len = out.len().saturating_sub(start);
        let needed = varint_bytes(len);
        if needed > self.room {
            out.resize(out.len() + needed - self.room, 0);
        }
        if needed != self.room {
            out.copy_within(start..start + len, self.at + needed);
            out.truncate(self.at + needed + len);
        }
        let mut rest = len;
        if let Some(room) = out.get_mut(self.at..self.at + needed) {
            for (at, byte) in room.iter_mut().enumerate() {
                *byte = rest as u8 & 0x7f | if at + 1 < needed { 0x80 } else { 0 };
                rest >>= 7;
            }
        }
    }
}

const fn varint_bytes(number: usize) -> usize {
    let bits = usize::BITS - (number | 1).leading_zeros();
    bits.div_ceil(7) as usize
}

pub(super) const VARINT: u8 = 0;
pub(super) const FIXED64: u8 = 1;
pub(super) const BYTES: u8 = 2;
const GROUP_START: u8 = 3;
const GROUP_END: u8 = 4;
pub(super) const FIXED32: u8 = 5;
const MAX_NUMBER: u32 = (1 << 29) - 1;
const MAX_VARINT_BYTES: usize = 10;
/// Contents below this size are cheaper to move than to guess.
const MOVED_BYTES: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_minimal_whatever_was_guessed() {
        for len in [0, 1, 127, 128, 16_383, 16_384, 70_000] {
            for guess in [0, 100, 5_000, 20_000, 3_000_000] {
                let mut out = b"before".to_vec();
                let room = Length::begin(&mut out, guess);
                out.extend((0..len).map(|n| n as u8));
                room.end(&mut out);
                let mut expected = b"before".to_vec();
                put_varint(&mut expected, len as u64);
                expected.extend((0..len).map(|n| n as u8));
                assert_eq!(out, expected, "{len} bytes, guessed {guess}");
            }
        }
    }

    #[test]
    fn groups_are_skipped_whole() {
        // Group 1 holding field 2 and group 3, then field 4.
        let bytes = [0x0b, 0x10, 0x05, 0x1b, 0x1c, 0x0c, 0x20, 0x07];
        let mut fields = Fields::new(&bytes);
        assert!(matches!(fields.next(), Ok(Some((1, Wire::Group)))));
        assert!(matches!(fields.next(), Ok(Some((4, Wire::Varint(7))))));
        assert!(matches!(fields.next(), Ok(None)));
        let error = |bytes: &[u8]| Fields::new(bytes).next().unwrap_err();
        assert_eq!(error(&[0x0b, 0x14]), Malformed::Group);
        assert_eq!(error(&[0x0c]), Malformed::Group);
        assert_eq!(error(&[0x0b]), Malformed::Truncated);
        assert!(matches!(error(&[0x0b; 200]), Malformed::TooDeep { .. }));
    }

    #[test]
    fn bad_varints_and_tags_are_refused() {
        let error = |bytes: &[u8]| Fields::new(bytes).next().unwrap_err();
        assert_eq!(error(&[0x08]), Malformed::Truncated);
        assert_eq!(error(&[0x08, 0x80]), Malformed::Truncated);
        assert_eq!(
            error(&[8, 128, 128, 128, 128, 128, 128, 128, 128, 128, 128, 0]),
            Malformed::LongVarint
        );
        assert_eq!(error(&[0x00, 0x00]), Malformed::FieldNumber(0));
        assert_eq!(error(&[0x0e]), Malformed::WireType(6));
        assert_eq!(error(&[0x0a, 0x05, 1, 2]), Malformed::Truncated);
        assert_eq!(error(&[0x0d, 1, 2]), Malformed::Truncated);
    }
}
