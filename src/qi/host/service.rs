//! An object under an address: what comes for it.

use std::sync::Arc;

use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use super::{
    arguments::{Arguments, decode_arguments},
    call::Call,
    error::text,
    forward, manage,
    object::Object,
    peer::Peer,
    resources::Resources,
    runner::Runner,
    special,
};
use crate::qi::{
    session::error_payload,
    value::Signature,
    wire::{ActionId, Kind, Message},
};

/// An object that can be called: as a service by everyone, or by the peer that it was given to.
///
/// [`Self::end`], or dropping the last clone, ends its calls; each call holds one. A blocking method
/// that runs already goes on until it returns, for nobody.
#[derive(Debug)]
pub(super) struct Service {
    object: Arc<Object>,
    runner: Arc<Runner>,
    ended: CancellationToken,
}

impl Service {
    /// Calls run on `runtime`.
    pub(super) fn new(object: Arc<Object>, resources: &Resources, runtime: &Handle) -> Self {
        Self {
            runner: object.runner(resources, runtime),
            object,
            ended: CancellationToken::new(),
        }
    }

    pub(super) const fn object(&self) -> &Arc<Object> {
        &self.object
    }

    pub(super) const fn runner(&self) -> &Arc<Runner> {
        &self.runner
    }

    /// Cancelled when nobody can have an answer any more.
    pub(super) const fn ended(&self) -> &CancellationToken {
        &self.ended
    }

    /// Ends all calls.
    pub(super) fn end(&self) {
        self.ended.cancel();
    }

    /// Takes a call or post.
    pub(super) fn receive(self: &Arc<Self>, peer: &Arc<Peer>, message: Message) {
        let action = message.address.action;
        if message.version > 0 {
            refuse(peer, &message, text::VERSION);
        } else if let Some(method) = self.object.method(action) {
            match self.runner.room(peer, message.payload.len()) {
                Ok(room) => self
                    .runner
                    .run(Call::new(peer, self, message, method, room)),
                Err(text) => refuse(peer, &message, text),
            }
        } else if let Some(parameters) = special::parameters(action) {
            self.special(peer, &message, parameters);
        } else if message.kind == Kind::Post {
            self.emit(peer, &message);
        } else {
            let id = message.id;
            let text = format!("No such method {{{}, id:{id}}}", message.address);
            refuse(peer, &message, &text);
        }
    }

    /// Runs at once, on the task that reads the connection: none of these waits for anything.
    fn special(self: &Arc<Self>, peer: &Arc<Peer>, message: &Message, parameters: &Signature) {
        let (object, address) = (&self.object, message.address);
        let decoded = decode_arguments(&message.payload, message.flags, parameters, peer.reads());
        let result = decoded.and_then(|arguments| {
            let observed = manage::observe_special(object, address.action, &arguments.values);
            let result = self.special_member(peer, message, arguments);
            if let Some(observed) = observed {
                observed.end_encoded(&result);
            }
            result
        });
        if message.kind != Kind::Call {
            return;
        }
        match result {
            Ok(special::Answer::Payload(payload) | special::Answer::Registered(payload, None)) => {
                peer.answer(message.answer(Kind::Reply, payload));
            }
            Ok(special::Answer::Registered(payload, Some(registration))) => {
                let answer = message.answer(Kind::Reply, payload);
                forward::registered(object, peer, registration, answer);
            }
            Err(text) => peer.answer(message.answer(Kind::Error, error_payload(&text))),
        }
    }

    fn special_member(
        &self,
        peer: &Arc<Peer>,
        message: &Message,
        arguments: Arguments,
    ) -> Result<special::Answer, String> {
        let address = message.address;
        if address.action == ActionId::PROPERTY && message.kind != Kind::Call {
            // Objects in the value would be given to nobody.
            return Ok(special::Answer::Payload(Default::default()));
        }
        special::call(&self.object, peer, address, arguments)
    }

    /// A post to a signal emits it; one to a property emits that it changed, which it did not
    /// (section 12.2). What cannot be read is dropped, as posts are never answered.
    fn emit(&self, peer: &Peer, message: &Message) {
        let Some(signal) = self.object.meta.signals.get(&message.address.action) else {
            return;
        };
        if self.object.upstream.is_some() {
            return forward::post(&self.object, peer, message, &signal.signature);
        }
        let signature = &signal.signature;
        let decoded = decode_arguments(&message.payload, message.flags, signature, peer.reads());
        let emitted = decoded.and_then(|arguments| {
            let subscribers = &self.object.subscribers;
            let emitted = subscribers.emit(signal.uid, signature, arguments.values);
            emitted.map_err(|error| error.to_string())
        });
        if let Err(error) = emitted {
            tracing::debug!(address = %message.address, error, "a posted event is dropped");
        }
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.ended.cancel();
    }
}

fn refuse(peer: &Peer, message: &Message, text: &str) {
    if message.kind == Kind::Call {
        peer.answer(message.answer(Kind::Error, error_payload(text)));
    }
}
