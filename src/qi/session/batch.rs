//! Frames that leave in one write.

use std::io::IoSlice;

use bytes::Bytes;

use crate::qi::wire::{HEADER_BYTES, Header};

/// Frames in the order in which they leave, and how much of them already left.
///
/// Headers and small payloads are copied into one buffer, large payloads stay where they are:
///
/// ```text
///   copied:  [header payload header payload header | header payload]
///   shared:                                        ^ [large payload]
/// ```
///
/// A batch is emptied and filled again without giving its memory back, so a busy connection
/// allocates nothing for what it sends.
#[derive(Debug, Default)]
pub(super) struct Batch {
    copied: Vec<u8>,
    shared: Vec<Shared>,
    /// Bytes that did not leave yet.
    left: usize,
    cursor: Cursor,
}

#[derive(Debug)]
struct Shared {
    /// How many of the copied bytes come before.
    at: usize,
    payload: Bytes,
}

/// Pieces count alternately: even ones are stretches of the copied bytes, odd ones are shared.
#[derive(Clone, Copy, Debug, Default)]
struct Cursor {
    piece: usize,
    offset: usize,
}

/// From which size on a payload is not copied, in bytes. Below it a copy is cheaper than one more
/// piece in the system call.
const SHARE_FROM_BYTES: usize = 8 * 1024;

/// How much memory an empty batch keeps, in bytes: a few hundred small frames.
const KEEP_BYTES: usize = 256 * 1024;

/// How many pieces go into one system call.
pub(super) const PIECES: usize = 16;

impl Batch {
    /// Appends a frame and returns its size.
    pub(super) fn push(&mut self, header: &Header, payload: Bytes) -> usize {
        let size = HEADER_BYTES + payload.len();
        self.copied.extend_from_slice(&header.encode());
        if payload.len() < SHARE_FROM_BYTES {
            self.copied.extend_from_slice(&payload);
        } else {
            self.shared.push(Shared {
                at: self.copied.len(),
                payload,
            });
        }
        self.left += size;
        size
    }

    /// How many bytes did not leave yet.
    pub(super) const fn left(&self) -> usize {
        self.left
    }

    /// Fills `slices` with what comes next and returns how many of them, and how many bytes.
    pub(super) fn next<'a>(&'a self, slices: &mut [IoSlice<'a>; PIECES]) -> (usize, usize) {
        let mut cursor = self.cursor;
        let mut filled = 0;
        let mut bytes = 0;
        for slice in slices {
            let Some(piece) = self.next_piece(&mut cursor) else {
                break;
            };
            bytes += piece.len();
            *slice = IoSlice::new(piece);
            cursor = Cursor {
                piece: cursor.piece + 1,
                offset: 0,
            };
            filled += 1;
        }
        (filled, bytes)
    }

    /// Notes that the next `bytes` bytes left.
    pub(super) fn advance(&mut self, bytes: usize) {
        debug_assert!(bytes <= self.left, "more left than there was");
        self.left = self.left.saturating_sub(bytes);
        if self.left == 0 {
            self.clear();
            return;
        }
        let mut bytes = bytes;
        let mut cursor = self.cursor;
        while let Some(piece) = self.next_piece(&mut cursor).map(<[u8]>::len) {
            if bytes < piece {
                cursor.offset += bytes;
                break;
            }
            bytes -= piece;
            cursor = Cursor {
                piece: cursor.piece + 1,
                offset: 0,
            };
        }
        self.cursor = cursor;
    }

    /// The rest of the piece at the cursor, which is moved past empty ones.
    fn next_piece(&self, cursor: &mut Cursor) -> Option<&[u8]> {
        loop {
            let rest = self.piece(cursor.piece)?.get(cursor.offset..)?;
            if !rest.is_empty() {
                return Some(rest);
            }
            *cursor = Cursor {
                piece: cursor.piece + 1,
                offset: 0,
            };
        }
    }

    fn piece(&self, piece: usize) -> Option<&[u8]> {
        let index = piece / 2;
        if piece % 2 == 1 {
            return self.shared.get(index).map(|shared| &*shared.payload);
        }
        let begin = match index.checked_sub(1) {
            Some(before) => self.shared.get(before)?.at,
            None => 0,
        };
        let end = self.shared.get(index).map_or(self.copied.len(), |s| s.at);
        self.copied.get(begin..end)
    }

    fn clear(&mut self) {
        self.copied.clear();
        self.copied.shrink_to(KEEP_BYTES);
        self.shared.clear();
        self.cursor = Cursor::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::qi::wire::{Address, Kind, Message, MessageId};

    /// Frames of all sizes leave byte for byte, however few bytes each write takes.
    #[test]
    fn what_goes_in_comes_out() {
        let sizes = [0, 1, 8191, 8192, 0, 20_000, 100_000, 3, 9000, 9000];
        for step in [1_000_000, 65_536, 8192, 4099, 1021] {
            let mut batch = Batch::default();
            let mut expected = Vec::new();
            for (n, size) in sizes.into_iter().enumerate() {
                let payload = Bytes::from(vec![n as u8; size]);
                let id = MessageId(n as u32);
                let message = Message::new(Kind::Call, id, Address::AUTHENTICATE, payload);
                expected.extend_from_slice(&message.header().encode());
                expected.extend_from_slice(&message.payload);
                batch.push(&message.header(), message.payload);
            }
            let mut written = Vec::new();
            while batch.left() > 0 {
                let mut slices = [IoSlice::new(&[]); PIECES];
                let (count, bytes) = batch.next(&mut slices);
                let all: Vec<u8> = slices[..count]
                    .iter()
                    .flat_map(|slice| slice.iter().copied())
                    .collect();
                assert_eq!(all.len(), bytes);
                let taken = bytes.min(step);
                written.extend_from_slice(&all[..taken]);
                batch.advance(taken);
            }
            assert!(written == expected, "in steps of {step}");
            assert_eq!(batch.next(&mut [IoSlice::new(&[]); PIECES]), (0, 0));
        }
    }

    #[test]
    fn large_payloads_are_not_copied() {
        let payload = Bytes::from(vec![7; SHARE_FROM_BYTES]);
        let at = payload.as_ptr();
        let message = Message::new(Kind::Post, MessageId(1), Address::AUTHENTICATE, payload);
        let mut batch = Batch::default();
        batch.push(&message.header(), message.payload);
        let mut slices = [IoSlice::new(&[]); PIECES];
        assert_eq!(batch.next(&mut slices).0, 2);
        assert_eq!(slices[1].as_ptr(), at);
    }
}
