//! Who gets the events of an object (protocol text, section 12.3).

use std::sync::Weak;

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::OwnedSemaphorePermit;

use super::{
    ValueError,
    arguments::{Reads, check_arguments, decode_arguments, encode_arguments, encode_converted},
    error::text,
    exports::Through,
    manage::{TRACE_OBJECT, Trace},
    peer::Peer,
};
use crate::qi::{
    session::{ConnectionId, SendError},
    value::{ObjectEncoding, Signature, Value},
    wire::{ActionId, Address, Flags},
};

/// The registrations with all signals of one object.
#[derive(Debug, Default)]
pub(super) struct Subscribers {
    all: Mutex<Vec<Subscriber>>,
    /// Whether calls and events are traced: those who registered for it turn it on (section 5).
    pub(super) trace: Trace,
}

/// One registration; each gets its own event per emission.
#[derive(Debug)]
pub(super) struct Subscriber {
    pub(super) id: ConnectionId,
    /// Weak: objects that the peer was given are held by it, and know their subscribers.
    pub(super) peer: Weak<Peer>,
    /// The signal, under the number that the service has for this subscriber.
    pub(super) signal: Address,
    /// The name of the registration on its connection; none once another took it.
    pub(super) link: Option<u64>,
    /// The type that the subscriber wants.
    pub(super) wanted: Option<Signature>,
    pub(super) _room: OwnedSemaphorePermit,
}

/// The link that names no registration.
const INVALID_LINK: u64 = u64::MAX;

impl Subscribers {
    /// Those of an object that forwards the events of another one.
    pub(super) fn forwarded() -> Self {
        Self {
            trace: Trace::forwarded(),
            ..Self::default()
        }
    }

    /// Adds a registration. One that has the same link stays, but cannot be ended any more by
    /// itself, as in libqi.
    pub(super) fn register(&self, new: Subscriber, limit: usize) -> Result<(), String> {
        self.change(|all| {
            let count = all.iter().filter(|known| known.id == new.id).count();
            if count >= limit {
                return Err(text::REGISTRATIONS.to_owned());
            }
            for known in all.iter_mut() {
                if known.is_at(new.id, new.signal) && known.link == new.link {
                    known.link = None;
                }
            }
            all.push(new);
            Ok(())
        })
    }

    /// Ends a registration with the object at `address`; the signal is not checked, `first` is only
    /// for the error.
    pub(super) fn unregister(
        &self,
        id: ConnectionId,
        address: Address,
        link: u64,
        first: u32,
    ) -> Result<(), String> {
        if link == INVALID_LINK {
            return Ok(());
        }
        self.change(|all| {
            let found = all
                .iter()
                .position(|known| known.is_at(id, address) && known.link == Some(link));
            let Some(found) = found else {
                return Err(format!("Unregister request failed for {link} {first}"));
            };
            all.remove(found);
            Ok(())
        })
    }

    /// Ends all registrations of a connection that is over.
    pub(super) fn forget(&self, id: ConnectionId) {
        self.change(|all| all.retain(|known| known.id != id));
    }

    /// Ends the registrations with the object at an address that is no more: those of one
    /// connection, or of all.
    pub(super) fn leave(&self, id: Option<ConnectionId>, address: Address) {
        self.change(|all| {
            all.retain(|known| !known.is_at(id.unwrap_or(known.id), address));
        });
    }

    /// Ends the registrations of a connection with a signal of the object at `address`.
    pub(super) fn drop_signal(&self, id: ConnectionId, address: Address, signal: ActionId) {
        self.change(|all| {
            all.retain(|known| !(known.is_at(id, address) && known.signal.action == signal));
        });
    }

    /// Whether anyone registered with a signal.
    pub(super) fn has(&self, signal: ActionId) -> bool {
        let all = self.all.lock();
        all.iter().any(|known| known.signal.action == signal)
    }

    /// The first registration with the trace turns it on, the last one to go turns it off.
    fn change<T>(&self, change: impl FnOnce(&mut Vec<Subscriber>) -> T) -> T {
        let traced = |all: &[Subscriber]| {
            let mut all = all.iter();
            all.any(|known| known.signal.action == TRACE_OBJECT)
        };
        let mut all = self.all.lock();
        let before = traced(&all);
        let result = change(&mut all);
        let after = traced(&all);
        if before != after {
            self.trace.enable(after);
        }
        result
    }

    /// Sends an event to all who registered with `signal`.
    ///
    /// The lock is held meanwhile, so that every subscriber sees all events in one order. An event
    /// is lost for a peer that does not keep up, and for no other.
    pub(super) fn emit(
        &self,
        signal: ActionId,
        signature: &Signature,
        values: Vec<Value>,
    ) -> Result<(), ValueError> {
        let traced = self.trace.event(signal, signature, &values);
        if signature.ty().may_hold_objects() && values.iter().any(Value::holds_objects) {
            check_arguments(values.clone(), signature)?;
            self.emit_objects(signal, signature, &values);
        } else {
            let mut all = self.all.lock();
            let mut registered = all.iter().filter(|known| known.signal.action == signal);
            let converts = registered.any(|known| known.wanted.is_some());
            let kept = converts.then(|| values.clone());
            let payload = encode_arguments(values, signature, ObjectEncoding::default())?;
            send_all(&mut all, signal, signature, kept.as_deref(), &payload);
        }
        if let Some(event) = traced {
            self.emit_trace(event);
        }
        Ok(())
    }

    /// Sends an event whose payload is known already, and holds no objects.
    pub(super) fn emit_encoded(
        &self,
        signal: ActionId,
        signature: &Signature,
        payload: &Bytes,
        reads: Reads<'_>,
    ) {
        let mut all = self.all.lock();
        let mut registered = all.iter().filter(|known| known.signal.action == signal);
        let converts = registered.any(|known| known.wanted.is_some());
        let decode = || decode_arguments(payload, Flags::NONE, signature, reads).ok();
        let kept = converts.then(decode).flatten();
        let kept = kept.as_ref().map(|arguments| &*arguments.values);
        send_all(&mut all, signal, signature, kept, payload);
    }

    /// Tells who registered with the trace.
    pub(super) fn emit_trace(&self, event: Value) {
        if let Some(signature) = Trace::signature()
            && let Err(error) = self.emit(TRACE_OBJECT, signature, vec![event])
        {
            tracing::debug!(%error, "not traced");
        }
    }

    /// Each subscriber gets the objects under numbers of its own (section 13).
    fn emit_objects(&self, signal: ActionId, signature: &Signature, values: &[Value]) {
        let mut all = self.all.lock();
        let mut gone = false;
        for known in all.iter().filter(|known| known.signal.action == signal) {
            let Some(peer) = known.peer.upgrade() else {
                gone = true;
                continue;
            };
            let mut values = values.to_vec();
            let given = match peer.give(Through::object(known.signal), &mut values) {
                Ok(given) => given,
                Err(error) => {
                    tracing::debug!(signal = %known.signal, %error, "event lost");
                    continue;
                }
            };
            let encoding = peer.dialect().encoding;
            let converted = known.converted(Some(&values), signature, encoding);
            let event = match converted {
                Some(payload) => Ok((payload, Flags::DYNAMIC_PAYLOAD)),
                None => encode_arguments(values, signature, encoding).map(|it| (it, Flags::NONE)),
            };
            // Checked before, so that it does not fail.
            let Ok((payload, flags)) = event else {
                continue;
            };
            match known.send(payload, flags) {
                Some(Ok(())) => given.keep(),
                Some(Err(())) => {}
                None => gone = true,
            }
        }
        if gone {
            forget_unreachable(&mut all);
        }
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.all.lock().len()
    }
}

/// Sends a payload to all who registered with `signal`, converted for those who want that.
fn send_all(
    all: &mut Vec<Subscriber>,
    signal: ActionId,
    signature: &Signature,
    values: Option<&[Value]>,
    payload: &Bytes,
) {
    let mut gone = false;
    for known in all.iter().filter(|known| known.signal.action == signal) {
        let converted = known.converted(values, signature, ObjectEncoding::default());
        let (payload, flags) = match converted {
            Some(payload) => (payload, Flags::DYNAMIC_PAYLOAD),
            None => (payload.clone(), Flags::NONE),
        };
        gone |= known.send(payload, flags).is_none();
    }
    if gone {
        forget_unreachable(all);
    }
}

/// A registration may have come in while its service left.
fn forget_unreachable(all: &mut Vec<Subscriber>) {
    all.retain(Subscriber::is_reachable);
}

impl Subscriber {
    /// Whether it registered with the object at an address.
    fn is_at(&self, id: ConnectionId, address: Address) -> bool {
        self.id == id
            && self.signal.service == address.service
            && self.signal.object == address.object
    }

    fn is_reachable(&self) -> bool {
        let peer = self.peer.upgrade();
        peer.is_some_and(|peer| peer.connection().upgrade().is_some())
    }

    fn converted(
        &self,
        values: Option<&[Value]>,
        signature: &Signature,
        encoding: ObjectEncoding,
    ) -> Option<Bytes> {
        encode_converted(values?, signature, self.wanted.as_ref()?, encoding)
    }

    /// None where nobody is there any more.
    fn send(&self, payload: Bytes, flags: Flags) -> Option<Result<(), ()>> {
        let connection = self.peer.upgrade()?.connection().upgrade()?;
        let sent = connection.emit(self.signal, flags, payload);
        let lost = |error: SendError| {
            tracing::debug!(signal = %self.signal, %error, "event lost");
        };
        Some(sent.map_err(lost))
    }
}
