//! Where messages go that the peer sends on its own.

use bytes::Bytes;

use super::{Connection, ExportError};
use crate::qi::{
    value::{LiveObject, ObjectReference},
    wire::{Address, Flags, Kind, Message, ServiceId},
};

/// Receives the events of a signal.
///
/// Both methods are called on the task that reads the connection, in the order in which messages
/// arrive, so they must neither block nor wait.
pub trait EventSink: Send + Sync {
    /// The signal was emitted with the arguments `payload`; with [`Flags::DYNAMIC_PAYLOAD`] it is
    /// a dynamic that holds them.
    fn event(&self, payload: &Bytes, flags: Flags);

    /// The connection ended: no event will come any more.
    fn closed(&self) {}
}

/// Receives calls, posts and cancels for the objects that this side hosts on a connection, and
/// capabilities that come after authentication.
///
/// It is called on the task that reads the connection, in the order in which messages arrive, so
/// it must neither block nor wait. Every call is to be answered exactly once, with
/// [`Connection::answer`].
pub trait Dispatch: Send + Sync {
    /// A message of one of the kinds [`Kind::Call`], [`Kind::Post`], [`Kind::Cancel`] and
    /// [`Kind::Capability`].
    fn dispatch(&self, connection: &Connection, message: Message);

    /// The connection ended: nothing will come any more.
    fn closed(&self, connection: ConnectionId) {
        let _ = connection;
    }

    /// Makes an object answer on a connection, to be passed as an argument to a member of
    /// `service`; see [`Connection::export`].
    ///
    /// # Errors
    ///
    /// [`ExportError`].
    fn export(
        &self,
        connection: &Connection,
        service: ServiceId,
        object: &LiveObject,
    ) -> Result<ObjectReference, ExportError> {
        let _ = (connection, service, object);
        Err(ExportError::NotHosting)
    }

    /// Takes an object back that the peer was not told of.
    fn withdraw(&self, connection: ConnectionId, address: Address) {
        let _ = (connection, address);
    }
}

/// Tells the connections of a process apart.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct ConnectionId(pub(super) u64);

/// Hosts nothing: every call is answered with the error that libqi gives (section 12.1).
#[derive(Clone, Copy, Debug, Default)]
pub struct NoObjects;

impl Dispatch for NoObjects {
    fn dispatch(&self, connection: &Connection, message: Message) {
        if message.kind == Kind::Call {
            let payload = error_payload(UNHANDLED_CALL);
            connection.answer(message.answer(Kind::Error, payload));
        }
    }
}

/// What libqi answers to a call that goes to no object (section 12.1).
pub const UNHANDLED_CALL: &str = "The call request could not be handled.";

/// The payload of an error answer: a dynamic that holds `text` (section 12.1).
///
/// A text that would not fit into a message is cut.
#[must_use]
pub fn error_payload(text: &str) -> Bytes {
    let mut end = text.len().min(MAX_ERROR_BYTES);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let text = text.as_bytes().get(..end).unwrap_or_default();
    let mut payload = Vec::with_capacity(STRING_PREFIX.len() + 4 + text.len());
    payload.extend_from_slice(&STRING_PREFIX);
    payload.extend_from_slice(&u32::try_from(text.len()).unwrap_or(u32::MAX).to_le_bytes());
    payload.extend_from_slice(text);
    payload.into()
}

/// What a dynamic begins with that holds a string: the length of its signature and `s`.
const STRING_PREFIX: [u8; 5] = [1, 0, 0, 0, b's'];

/// How long the text of an error that we send may be, in bytes: far more than anyone reads.
const MAX_ERROR_BYTES: usize = 64 * 1024;
