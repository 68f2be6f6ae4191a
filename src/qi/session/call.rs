//! A call on its way.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;

use super::{CallError, Connection, SendError, state::Answer};
use crate::qi::{
    value::{
        Value,
        codec::{DecodeContext, Decoder},
    },
    wire::{Flags, Kind, MessageId},
};

/// What a call returned.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Reply {
    /// The encoded result.
    pub payload: Bytes,
    /// With [`Flags::DYNAMIC_PAYLOAD`] the payload is a dynamic that holds the result.
    pub flags: Flags,
}

/// A call, already queued. Gives the reply.
///
/// Dropping it before the answer forgets the call and asks the peer to cancel it, where both sides
/// can; [`Self::detach`] lets it run instead.
#[derive(Debug)]
#[must_use = "dropping it cancels the call"]
pub struct Call {
    connection: Connection,
    progress: Progress,
}

#[derive(Debug)]
enum Progress {
    Refused(SendError),
    Waiting(MessageId),
    Finished,
}

impl Call {
    pub(super) fn new(connection: Connection, queued: Result<MessageId, SendError>) -> Self {
        let progress = match queued {
            Ok(id) => Progress::Waiting(id),
            Err(error) => Progress::Refused(error),
        };
        Self {
            connection,
            progress,
        }
    }

    /// Whether nothing was queued, so that the peer will never hear of the call.
    #[must_use]
    pub const fn is_refused(&self) -> bool {
        matches!(self.progress, Progress::Refused(_))
    }

    /// Asks the peer to cancel the call, where both sides can, and goes on waiting for its answer:
    /// whatever ends it at the peer.
    pub fn cancel(&self) {
        if let Progress::Waiting(id) = self.progress {
            self.connection.with_state(|state| state.ask_to_cancel(id));
        }
    }

    /// Gives up the answer without cancelling the call.
    pub fn detach(mut self) {
        if let Progress::Waiting(id) = std::mem::replace(&mut self.progress, Progress::Finished) {
            drop(self.connection.with_state(|state| state.forget(id)));
        }
    }
}

impl Future for Call {
    type Output = Result<Reply, CallError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let answer = match std::mem::replace(&mut self.progress, Progress::Finished) {
            Progress::Waiting(id) => {
                let polled = self
                    .connection
                    .state()
                    .lock()
                    .poll_answer(id, context.waker());
                let Poll::Ready(answer) = polled else {
                    self.progress = Progress::Waiting(id);
                    return Poll::Pending;
                };
                answer
            }
            Progress::Refused(error) => Err(error.into()),
            // A future that has given its result is not to be polled again.
            Progress::Finished => return Poll::Pending,
        };
        Poll::Ready(answer.and_then(Reply::from_answer))
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        if let Progress::Waiting(id) = self.progress {
            drop(self.connection.with_state(|state| state.abandon(id)));
        }
    }
}

impl Reply {
    fn from_answer(answer: Answer) -> Result<Self, CallError> {
        match answer.kind {
            Kind::Canceled => Err(CallError::Canceled),
            Kind::Error => Err(CallError::Robot {
                text: error_text(&answer.payload),
            }),
            _ => Ok(Self {
                payload: answer.payload,
                flags: answer.flags,
            }),
        }
    }
}

/// The text of an error answer, which in practice is a dynamic that holds a string; anything else
/// is described (section 12.1).
pub(super) fn error_text(payload: &Bytes) -> String {
    let mut decoder = Decoder::new(payload, DecodeContext::default());
    let Ok(dynamic) = decoder.dynamic() else {
        return format!("an error that cannot be read, of {} bytes", payload.len());
    };
    if let Some(text) = Value::Dynamic(Box::new(dynamic.clone())).to_text() {
        return text;
    }
    let mut text = format!("{:?}", dynamic.value.unwrapped());
    if let Some((end, _)) = text.char_indices().nth(DESCRIPTION_CHARS) {
        text.truncate(end);
    }
    text
}

/// How much of an error without a text is described, in characters.
const DESCRIPTION_CHARS: usize = 200;
