//! The 28 bytes before every payload (protocol text, sections 2 to 4).

use std::fmt;

use super::{ActionId, Address, MessageId, ObjectId, ReadError, Reader, ServiceId};

/// The size of a header, in bytes.
pub const HEADER_BYTES: usize = 28;

/// What every header begins with.
const MAGIC: [u8; 4] = [0x42, 0xde, 0xad, 0x42];

/// What is in front of a payload.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Header {
    /// The number of the message; an answer carries that of its call.
    pub id: MessageId,
    /// The size of the payload, in bytes.
    pub size: u32,
    /// The version of the protocol, always 0.
    pub version: u16,
    /// What the message is.
    pub kind: Kind,
    /// How the payload deviates from what the signature says.
    pub flags: Flags,
    /// Where the message goes, or which member it answers for.
    pub address: Address,
}

impl Header {
    /// Reads a header.
    ///
    /// # Errors
    ///
    /// [`HeaderError`]; an unknown kind or flag is no error, as in libqi (section 2).
    pub fn decode(bytes: &[u8; HEADER_BYTES]) -> Result<Self, HeaderError> {
        let mut reader = Reader::new(bytes);
        let magic = reader.take(MAGIC.len(), "the magic")?;
        if magic != MAGIC {
            let mut found = [0; 4];
            found.copy_from_slice(magic);
            return Err(HeaderError::Magic { found });
        }
        Ok(Self {
            id: MessageId(reader.u32()?),
            size: reader.u32()?,
            version: reader.u16()?,
            kind: Kind::from_u8(reader.u8()?),
            flags: Flags(reader.u8()?),
            address: Address::new(
                ServiceId(reader.u32()?),
                ObjectId(reader.u32()?),
                ActionId(reader.u32()?),
            ),
        })
    }

    /// The header's bytes.
    #[must_use]
    pub fn encode(&self) -> [u8; HEADER_BYTES] {
        let mut bytes = [0; HEADER_BYTES];
        bytes[..4].copy_from_slice(&MAGIC);
        bytes[4..8].copy_from_slice(&self.id.0.to_le_bytes());
        bytes[8..12].copy_from_slice(&self.size.to_le_bytes());
        bytes[12..14].copy_from_slice(&self.version.to_le_bytes());
        bytes[14] = self.kind.to_u8();
        bytes[15] = self.flags.0;
        bytes[16..20].copy_from_slice(&self.address.service.0.to_le_bytes());
        bytes[20..24].copy_from_slice(&self.address.object.0.to_le_bytes());
        bytes[24..].copy_from_slice(&self.address.action.0.to_le_bytes());
        bytes
    }
}

/// Why bytes are no header. The connection cannot go on: libqi drops it (section 2).
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum HeaderError {
    /// The peer does not speak qimessaging, or the stream lost its place.
    #[error("not a qimessaging header: it begins with {found:02x?}, not with {MAGIC:02x?}")]
    Magic {
        /// The bytes in the place of the magic.
        found: [u8; 4],
    },
    /// Fewer bytes than a header has.
    #[error(transparent)]
    Read(#[from] ReadError),
}

/// What a message is (section 3).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Kind {
    /// Asks for an answer.
    Call,
    /// Answers a call with what it returned.
    Reply,
    /// Answers a call with an error, a dynamic value that holds a text.
    Error,
    /// A call that wants no answer.
    Post,
    /// A signal was emitted.
    Event,
    /// Tells capabilities, outside of authentication.
    Capability,
    /// Asks to cancel a call.
    Cancel,
    /// Answers a call that was cancelled.
    Canceled,
    /// None that is known; ignored on receipt, as libqi does (section 2).
    Unknown(u8),
}

impl Kind {
    /// The kind that a header's byte stands for.
    #[must_use]
    pub const fn from_u8(byte: u8) -> Self {
        match byte {
            1 => Self::Call,
            2 => Self::Reply,
            3 => Self::Error,
            4 => Self::Post,
            5 => Self::Event,
            6 => Self::Capability,
            7 => Self::Cancel,
            8 => Self::Canceled,
            other => Self::Unknown(other),
        }
    }

    /// The byte in the header.
    #[must_use]
    pub const fn to_u8(self) -> u8 {
        match self {
            Self::Call => 1,
            Self::Reply => 2,
            Self::Error => 3,
            Self::Post => 4,
            Self::Event => 5,
            Self::Capability => 6,
            Self::Cancel => 7,
            Self::Canceled => 8,
            Self::Unknown(other) => other,
        }
    }
}

/// How a payload deviates from what the signature says (section 4). Unknown bits are kept.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Flags(pub u8);

impl Flags {
    /// Nothing special.
    pub const NONE: Self = Self(0);
    /// The payload is one dynamic value instead of the expected signature.
    pub const DYNAMIC_PAYLOAD: Self = Self(0x01);
    /// On a call: after the arguments comes the signature wanted for the result.
    pub const RETURN_TYPE: Self = Self(0x02);

    /// Whether all bits of `flags` are set.
    #[must_use]
    pub const fn contains(self, flags: Self) -> bool {
        self.0 & flags.0 == flags.0
    }
}

impl fmt::Debug for Flags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Flags({:#04x})", self.0)
    }
}
