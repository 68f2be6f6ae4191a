//! Cuts a byte stream into messages.

use bytes::{Buf as _, BytesMut};

use super::{HEADER_BYTES, Header, HeaderError, Message};

/// Why a byte stream cannot go on.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum FrameError {
    /// What should be a header is none.
    #[error(transparent)]
    Header(#[from] HeaderError),
    /// A header announces more than is accepted. Nothing of the payload was read or allocated.
    #[error("a payload of {size} bytes is over the limit of {limit}")]
    TooLarge {
        /// The size in the header.
        size: u32,
        /// The limit.
        limit: u32,
    },
    /// The stream ended inside of a message.
    #[error("the stream ended {missing} bytes before the end of a message")]
    Truncated {
        /// How many bytes are missing at least.
        missing: usize,
    },
}

/// Takes bytes as they come and gives messages.
///
/// ```text
///   buffer() <- socket ... next() -> Some(message) ... next() -> None ... buffer() <- socket ... end()
/// ```
#[derive(Debug)]
pub struct FrameDecoder {
    buffer: BytesMut,
    header: Option<Header>,
    payload_bytes: u32,
}

/// How much room is kept ready for the next read, in bytes: a few hundred small messages at once.
const READ_AHEAD_BYTES: usize = 16 * 1024;

/// How much room a read is given at least, in bytes. Room is made only when less is left: while
/// payloads are in use, making it means a new buffer.
const MIN_ROOM_BYTES: usize = 4 * 1024;

/// How much is reserved at most for a payload that was only announced, in bytes. Beyond it the
/// buffer grows with what really comes, so that a header costs its sender as much as us.
const RESERVE_BYTES: usize = 1024 * 1024;

impl FrameDecoder {
    /// A decoder that refuses payloads over `payload_bytes` bytes.
    #[must_use]
    pub fn new(payload_bytes: u32) -> Self {
        Self {
            buffer: BytesMut::new(),
            header: None,
            payload_bytes,
        }
    }

    /// From the next header on, refuses payloads over `payload_bytes` bytes instead: less is
    /// accepted from a peer that has not authenticated yet.
    pub const fn set_payload_limit(&mut self, payload_bytes: u32) {
        self.payload_bytes = payload_bytes;
    }

    /// The buffer to append received bytes to, with room for some.
    pub fn buffer(&mut self) -> &mut BytesMut {
        let missing = self.missing().min(RESERVE_BYTES);
        let room = self.buffer.capacity() - self.buffer.len();
        if room < missing.max(MIN_ROOM_BYTES) {
            self.buffer.reserve(missing.max(READ_AHEAD_BYTES));
        }
        &mut self.buffer
    }

    /// The next message, or none until more bytes have come.
    ///
    /// # Errors
    ///
    /// [`FrameError`]; the stream cannot go on after one.
    pub fn next_message(&mut self) -> Result<Option<Message>, FrameError> {
        let header = match self.header {
            Some(header) => header,
            None => {
                let Some(bytes) = self.buffer.first_chunk::<HEADER_BYTES>() else {
                    return Ok(None);
                };
                let header = Header::decode(bytes)?;
                if header.size > self.payload_bytes {
                    return Err(FrameError::TooLarge {
                        size: header.size,
                        limit: self.payload_bytes,
                    });
                }
                self.buffer.advance(HEADER_BYTES);
                self.header = Some(header);
                header
            }
        };
        let size = header.size as usize;
        if self.buffer.len() < size {
            return Ok(None);
        }
        self.header = None;
        let payload = self.buffer.split_to(size).freeze();
        Ok(Some(Message::from_parts(header, payload)))
    }

    /// To be called at the end of the stream: whether it ended between two messages.
    ///
    /// # Errors
    ///
    /// [`FrameError::Truncated`].
    pub fn end(&self) -> Result<(), FrameError> {
        if self.header.is_none() && self.buffer.is_empty() {
            return Ok(());
        }
        Err(FrameError::Truncated {
            missing: self.missing(),
        })
    }

    fn missing(&self) -> usize {
        let needed = match self.header {
            Some(header) => header.size as usize,
            None => HEADER_BYTES,
        };
        needed.saturating_sub(self.buffer.len())
    }
}
