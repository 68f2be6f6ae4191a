//! A header with its payload.

use bytes::Bytes;

use super::{Address, Flags, Header, Kind, MessageId};

/// One message of a connection.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Message {
    /// The number of the message; an answer carries that of its call.
    pub id: MessageId,
    /// What the message is.
    pub kind: Kind,
    /// How the payload deviates from what the signature says.
    pub flags: Flags,
    /// The version in the header; anything but 0 is refused by the callee (section 2).
    pub version: u16,
    /// Where the message goes, or which member it answers for.
    pub address: Address,
    /// The encoded arguments, result or error.
    pub payload: Bytes,
}

impl Message {
    /// A message without flags.
    #[must_use]
    pub const fn new(kind: Kind, id: MessageId, address: Address, payload: Bytes) -> Self {
        Self {
            id,
            kind,
            flags: Flags::NONE,
            version: 0,
            address,
            payload,
        }
    }

    /// An answer to this message: it takes over id and address (section 3).
    #[must_use]
    pub const fn answer(&self, kind: Kind, payload: Bytes) -> Self {
        Self::new(kind, self.id, self.address, payload)
    }

    /// The message that a header and the bytes after it make.
    #[must_use]
    pub const fn from_parts(header: Header, payload: Bytes) -> Self {
        Self {
            id: header.id,
            kind: header.kind,
            flags: header.flags,
            version: header.version,
            address: header.address,
            payload,
        }
    }

    /// The header that goes in front of the payload.
    ///
    /// The size saturates at 2^32 - 1; [`super::Limits`] refuses such payloads long before.
    #[must_use]
    pub fn header(&self) -> Header {
        Header {
            id: self.id,
            size: u32::try_from(self.payload.len()).unwrap_or(u32::MAX),
            version: self.version,
            kind: self.kind,
            flags: self.flags,
            address: self.address,
        }
    }
}
