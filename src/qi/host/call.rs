//! A call or post that was accepted, until it is answered.

use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::OwnedSemaphorePermit;
use tokio_util::sync::CancellationToken;

use super::{
    Method, MethodError,
    arguments::{check_wanted, decode_arguments, encode_result},
    error::text,
    peer::{Peer, Ticket, Waiting},
};
use crate::qi::{
    session::error_payload,
    value::{Signature, Value},
    wire::{Flags, Kind, Message},
};

/// A call of a method. It is answered exactly once, at the latest when it is dropped, and counts
/// against the limits until then.
#[derive(Debug)]
pub(super) struct Call {
    peer: Arc<Peer>,
    message: Message,
    method: Arc<Method>,
    token: CancellationToken,
    ticket: Ticket,
    wanted: Option<Signature>,
    answered: bool,
    _room: Room,
}

/// The place that a call takes.
#[derive(Debug)]
pub(super) struct Room {
    pub(super) _connection: OwnedSemaphorePermit,
    pub(super) _service: OwnedSemaphorePermit,
    pub(super) _bytes: OwnedSemaphorePermit,
}

impl Call {
    /// `token` is cancelled with the service, or with this call alone.
    pub(super) fn new(
        peer: &Arc<Peer>,
        message: Message,
        method: &Arc<Method>,
        token: CancellationToken,
        room: Room,
    ) -> Self {
        let ticket = peer.enter(message.id, token.clone());
        Self {
            peer: Arc::clone(peer),
            message,
            method: Arc::clone(method),
            token,
            ticket,
            wanted: None,
            answered: false,
            _room: room,
        }
    }

    /// The call as one that waits for its turn.
    pub(super) fn wait(self) -> Arc<Waiting> {
        let (peer, id, ticket) = (Arc::clone(&self.peer), self.message.id, self.ticket);
        let waiting = Arc::new(Mutex::new(Some(self)));
        peer.wait(id, ticket, &waiting);
        waiting
    }

    pub(super) fn method(&self) -> Arc<Method> {
        Arc::clone(&self.method)
    }

    /// Ready when nobody wants the result any more.
    pub(super) fn token(&self) -> CancellationToken {
        self.token.clone()
    }

    /// The arguments. Gives back nothing when they cannot be read; the call is answered then.
    pub(super) fn arguments(mut self) -> Option<(Self, Vec<Value>)> {
        let payload = std::mem::take(&mut self.message.payload);
        let signature = &self.method.parameters_signature;
        let dialect = self.peer.dialect();
        let decoded = decode_arguments(&payload, self.message.flags, signature, dialect);
        let checked = decoded.and_then(|arguments| {
            let wanted = arguments.wanted.filter(|_| self.peer.message_flags());
            if let Some(wanted) = &wanted {
                check_wanted(&self.method.return_signature, wanted)?;
            }
            Ok((arguments.values, wanted))
        });
        match checked {
            Ok((values, wanted)) => {
                self.wanted = wanted;
                Some((self, values))
            }
            Err(text) => {
                self.answer(Kind::Error, error_payload(&text));
                None
            }
        }
    }

    /// Answers with what the method gave.
    pub(super) fn finish(mut self, result: Result<Value, MethodError>) {
        let value = match result {
            Ok(value) => value,
            Err(MethodError::Canceled) => return self.canceled(),
            Err(MethodError::Failed { text }) => {
                return self.answer(Kind::Error, error_payload(&text));
            }
        };
        let declared = &self.method.return_signature;
        match encode_result(value, declared, self.wanted.as_ref()) {
            Ok((payload, flags)) => self.answer_with(Kind::Reply, flags, payload),
            Err(text) => self.answer(Kind::Error, error_payload(&text)),
        }
    }

    /// Answers that the call was cancelled.
    pub(super) fn canceled(mut self) {
        self.answer(Kind::Canceled, Bytes::new());
    }

    /// Answers that the call was not accepted.
    pub(super) fn refuse(mut self, text: &str) {
        self.answer(Kind::Error, error_payload(text));
    }

    /// Posts get no answer, whatever happens (section 12.2).
    fn answer(&mut self, kind: Kind, payload: Bytes) {
        self.answer_with(kind, Flags::NONE, payload);
    }

    fn answer_with(&mut self, kind: Kind, flags: Flags, payload: Bytes) {
        if !self.answered && self.message.kind == Kind::Call {
            let mut answer = self.message.answer(kind, payload);
            answer.flags = flags;
            self.peer.answer(answer);
        }
        self.answered = true;
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        self.peer.leave(self.message.id, self.ticket);
        self.answer(Kind::Error, error_payload(text::GONE));
    }
}
