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
    exports::Through,
    forward::Origin,
    manage::{self, Observed},
    peer::{Peer, Ticket, Waiting},
    runner::Runner,
    service::Service,
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
    /// Not ended by its release, as long as a call runs.
    service: Arc<Service>,
    message: Message,
    method: Arc<Method>,
    token: CancellationToken,
    ticket: Ticket,
    wanted: Option<Signature>,
    observed: Option<Observed>,
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
    pub(super) fn new(
        peer: &Arc<Peer>,
        service: &Arc<Service>,
        message: Message,
        method: Arc<Method>,
        room: Room,
    ) -> Self {
        // Cancelled with the service, or this call alone.
        let token = service.ended().child_token();
        let ticket = peer.enter(message.id, token.clone());
        Self {
            peer: Arc::clone(peer),
            service: Arc::clone(service),
            message,
            method,
            token,
            ticket,
            wanted: None,
            observed: None,
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

    pub(super) const fn message(&self) -> &Message {
        &self.message
    }

    /// What the object forwards calls to, if it does.
    pub(super) fn upstream(&self) -> Option<Arc<dyn Origin>> {
        let upstream = self.service.object().upstream.as_ref();
        upstream.map(|upstream| Arc::clone(upstream.origin()))
    }

    /// Ready when nobody wants the result any more.
    pub(super) fn token(&self) -> CancellationToken {
        self.token.clone()
    }

    /// What runs the calls of its object.
    pub(super) fn runner(&self) -> Arc<Runner> {
        Arc::clone(self.service.runner())
    }

    /// Ready when the object cannot be called any more.
    pub(super) fn ended(&self) -> CancellationToken {
        self.service.ended().clone()
    }

    /// The arguments. Gives back nothing when they cannot be read; the call is answered then.
    pub(super) fn arguments(mut self) -> Option<(Self, Vec<Value>)> {
        let payload = std::mem::take(&mut self.message.payload);
        let signature = &self.method.parameters_signature;
        let decoded = decode_arguments(&payload, self.message.flags, signature, self.peer.reads());
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
                let (object, uid) = (self.service.object(), self.message.address.action);
                self.observed = manage::observe(object, uid, signature, &values);
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
        if let Some(observed) = self.observed.take() {
            observed.end(&self.method.return_signature, &result);
        }
        let value = match result {
            Ok(value) => value,
            Err(MethodError::Canceled) => return self.canceled(),
            Err(MethodError::Failed { text }) => {
                return self.answer(Kind::Error, error_payload(&text));
            }
        };
        if self.message.kind == Kind::Call {
            match self.reply(value) {
                Ok(()) => {}
                Err(text) => self.answer(Kind::Error, error_payload(&text)),
            }
        }
    }

    fn reply(&mut self, mut value: Value) -> Result<(), String> {
        let declared = &self.method.return_signature;
        let peer = Arc::clone(&self.peer);
        let given = match declared.ty().may_hold_objects() {
            true => {
                let through = Through::object(self.message.address);
                let given = peer.give(through, [&mut value]);
                Some(given.map_err(|error| error.to_string())?)
            }
            false => None,
        };
        let encoding = peer.dialect().encoding;
        let (payload, flags) = encode_result(value, declared, self.wanted.as_ref(), encoding)?;
        peer.check_size(&payload)
            .map_err(|error| error.to_string())?;
        self.answer_with(Kind::Reply, flags, payload);
        if let Some(given) = given {
            given.keep();
        }
        Ok(())
    }

    /// Answers with what another object answered.
    pub(super) fn relay(mut self, payload: Bytes) {
        self.answer(Kind::Reply, payload);
    }

    /// Answers that the call was cancelled.
    pub(super) fn canceled(mut self) {
        if let Some(observed) = self.observed.take() {
            observed.end(&self.method.return_signature, &Err(MethodError::Canceled));
        }
        self.answer(Kind::Canceled, Bytes::new());
    }

    /// Answers a call whose token is cancelled: by its caller, or since the object is no more.
    pub(super) fn cancel(self) {
        if !self.service.ended().is_cancelled() {
            self.canceled();
        }
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
