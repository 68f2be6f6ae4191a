//! One message after the other on a stream, as authentication needs it.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use super::CloseReason;
use crate::qi::wire::{FrameDecoder, Message, MessageId};

/// A stream of messages before it becomes a [`super::Connection`].
#[derive(Debug)]
pub struct Framed<IO> {
    io: IO,
    decoder: FrameDecoder,
    next_id: u32,
}

impl<IO: AsyncRead + AsyncWrite + Unpin> Framed<IO> {
    /// A stream that refuses payloads over `payload_bytes` bytes.
    pub fn new(io: IO, payload_bytes: u32) -> Self {
        Self {
            io,
            decoder: FrameDecoder::new(payload_bytes),
            // 0 is never an id of libqi's (section 3).
            next_id: 1,
        }
    }

    /// The id for the next message that is no answer.
    pub const fn next_id(&mut self) -> MessageId {
        let id = MessageId(self.next_id);
        self.next_id = self.next_id.wrapping_add(1);
        id
    }

    /// From the next message on, refuses payloads over `payload_bytes` bytes instead.
    pub const fn set_payload_limit(&mut self, payload_bytes: u32) {
        self.decoder.set_payload_limit(payload_bytes);
    }

    /// The next message of the peer.
    ///
    /// # Errors
    ///
    /// [`CloseReason`]; the stream is over after one.
    ///
    /// # Cancel safety
    ///
    /// Safe: no byte is lost.
    pub async fn receive(&mut self) -> Result<Message, CloseReason> {
        loop {
            if let Some(message) = self.decoder.next_message()? {
                return Ok(message);
            }
            if self.io.read_buf(self.decoder.buffer()).await? == 0 {
                self.decoder.end()?;
                return Err(CloseReason::Peer);
            }
        }
    }

    /// Sends a message.
    ///
    /// # Errors
    ///
    /// The stream's; it is over after one.
    ///
    /// # Cancel safety
    ///
    /// Not safe: a part of the message may have left.
    pub async fn send(&mut self, message: &Message) -> io::Result<()> {
        let header = message.header().encode();
        let mut bytes = Vec::with_capacity(header.len() + message.payload.len());
        bytes.extend_from_slice(&header);
        bytes.extend_from_slice(&message.payload);
        self.io.write_all(&bytes).await?;
        self.io.flush().await
    }

    pub(super) fn into_parts(self) -> (IO, FrameDecoder, MessageId) {
        (self.io, self.decoder, MessageId(self.next_id))
    }
}
