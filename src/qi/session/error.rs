//! Why a message was not sent, a call has no result, or a connection ended.

use std::{io, sync::Arc};

use crate::qi::{value::codec::DecodeError, wire::FrameError};

/// Why nothing was sent. The peer has not seen a byte of it, so it is safe to try again.
#[derive(Clone, Debug, thiserror::Error)]
pub enum SendError {
    /// The connection is over, or was before the first byte left.
    #[error("the connection is closed: {0}")]
    Closed(CloseReason),
    /// Too many calls wait for their answers.
    #[error("{limit} calls already wait for an answer")]
    TooManyCalls {
        /// [`super::ConnectionLimits::pending_calls`].
        limit: usize,
    },
    /// The peer reads more slowly than we send.
    #[error("{queued} bytes already wait to be sent, the limit is {limit}")]
    QueueFull {
        /// How many bytes wait.
        queued: usize,
        /// [`super::ConnectionLimits::outgoing_bytes`].
        limit: usize,
    },
    /// The payload is larger than peers accept.
    #[error("a payload of {size} bytes is over the limit of {limit}")]
    TooLarge {
        /// The size of the payload, in bytes.
        size: usize,
        /// [`crate::qi::wire::Limits::payload_bytes`].
        limit: u32,
    },
}

/// Why a call has no result.
#[derive(Clone, Debug, thiserror::Error)]
pub enum CallError {
    /// The peer has not seen a byte of the call: it is safe to try again.
    #[error("the call was not sent: {0}")]
    NotSent(#[from] SendError),
    /// The connection ended after the call, or a part of it, was sent. Nobody knows whether the
    /// call took place.
    #[error("the connection was lost during the call: {0}")]
    Lost(CloseReason),
    /// The peer answered with an error.
    #[error("{text}")]
    Robot {
        /// Its text, as the peer gave it.
        text: String,
    },
    /// The peer answered that the call was cancelled.
    #[error("the call was cancelled")]
    Canceled,
    /// The peer answered with what is no value of the expected type.
    #[error("the answer is no {expected}: {source}")]
    Malformed {
        /// What was expected.
        expected: &'static str,
        /// What is wrong with it.
        source: DecodeError,
    },
}

/// Why an object of this side cannot be passed on.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ExportError {
    /// Nobody here answers calls of the peer: the connection was opened without a host.
    #[error("objects cannot be passed on this connection: nobody hosts them")]
    NotHosting,
    /// It is no object that the host of the connection knows how to serve, or an address only.
    #[error("this object cannot be hosted")]
    Unknown,
    /// Too many objects answer on the connection.
    #[error("{limit} objects already answer on this connection")]
    TooMany {
        /// How many may.
        limit: usize,
    },
    /// The connection is over.
    #[error("the connection is closed")]
    Closed,
}

/// Why a connection ended.
#[derive(Clone, Debug, thiserror::Error)]
pub enum CloseReason {
    /// This side closed it, or gave up its last handle.
    #[error("closed by this side")]
    Local,
    /// The peer closed it, between two messages.
    #[error("closed by the peer")]
    Peer,
    /// The peer sent what is no message, or ended inside of one.
    #[error("the peer broke the protocol: {0}")]
    Protocol(#[from] FrameError),
    /// The peer asks for answers, or gives what is given back to it, faster than it reads.
    #[error("the peer leaves {queued} bytes unread")]
    Unread {
        /// How many bytes wait to be written.
        queued: usize,
    },
    /// The network failed.
    #[error("{0}")]
    Io(Arc<io::Error>),
}

impl From<io::Error> for CloseReason {
    fn from(error: io::Error) -> Self {
        Self::Io(Arc::new(error))
    }
}
