//! Who gets the events of an object (protocol text, section 12.3).

use bytes::Bytes;
use parking_lot::Mutex;

use super::{
    ValueError,
    arguments::{encode_arguments, encode_converted},
    error::text,
};
use crate::qi::{
    session::{ConnectionId, WeakConnection},
    value::{Signature, Value},
    wire::{ActionId, Address, Flags, ServiceId},
};

/// The registrations with all signals of one object.
#[derive(Debug, Default)]
pub(super) struct Subscribers(Mutex<Vec<Subscriber>>);

/// One registration; each gets its own event per emission.
#[derive(Debug)]
pub(super) struct Subscriber {
    pub(super) id: ConnectionId,
    pub(super) connection: WeakConnection,
    /// The signal, under the number that the service has for this subscriber.
    pub(super) signal: Address,
    /// The name of the registration on its connection; none once another took it.
    pub(super) link: Option<u64>,
    /// The type that the subscriber wants.
    pub(super) wanted: Option<Signature>,
}

/// The link that names no registration.
const INVALID_LINK: u64 = u64::MAX;

impl Subscribers {
    /// Adds a registration. One that has the same link stays, but cannot be ended any more by
    /// itself, as in libqi.
    pub(super) fn register(&self, new: Subscriber, limit: usize) -> Result<(), String> {
        let mut all = self.0.lock();
        let count = all.iter().filter(|known| known.id == new.id).count();
        if count >= limit {
            return Err(text::REGISTRATIONS.to_owned());
        }
        for known in all.iter_mut() {
            if known.id == new.id && known.link == new.link {
                known.link = None;
            }
        }
        all.push(new);
        Ok(())
    }

    /// Ends a registration; the signal is not checked, `first` is only for the error.
    pub(super) fn unregister(&self, id: ConnectionId, link: u64, first: u32) -> Result<(), String> {
        if link == INVALID_LINK {
            return Ok(());
        }
        let mut all = self.0.lock();
        let found = all
            .iter()
            .position(|known| known.id == id && known.link == Some(link));
        let Some(found) = found else {
            return Err(format!("Unregister request failed for {link} {first}"));
        };
        all.remove(found);
        Ok(())
    }

    /// Ends all registrations of a connection that is over.
    pub(super) fn forget(&self, id: ConnectionId) {
        self.0.lock().retain(|known| known.id != id);
    }

    /// Ends all registrations with a service that is no more.
    pub(super) fn leave(&self, service: ServiceId) {
        self.0
            .lock()
            .retain(|known| known.signal.service != service);
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
        let mut all = self.0.lock();
        let registered = || all.iter().filter(|known| known.signal.action == signal);
        let converts = registered().any(|known| known.wanted.is_some());
        let kept = converts.then(|| values.clone());
        let plain = encode_arguments(values, signature)?;
        let mut gone = false;
        for known in registered() {
            let converted = known.converted(kept.as_deref(), signature);
            let (payload, flags) = match converted {
                Some(payload) => (payload, Flags::DYNAMIC_PAYLOAD),
                None => (plain.clone(), Flags::NONE),
            };
            let Some(connection) = known.connection.upgrade() else {
                gone = true;
                continue;
            };
            if let Err(error) = connection.emit(known.signal, flags, payload) {
                tracing::debug!(signal = %known.signal, %error, "event lost");
            }
        }
        // A registration may have come in while its service left.
        if gone {
            all.retain(|known| known.connection.upgrade().is_some());
        }
        Ok(())
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.0.lock().len()
    }
}

impl Subscriber {
    fn converted(&self, values: Option<&[Value]>, signature: &Signature) -> Option<Bytes> {
        encode_converted(values?, signature, self.wanted.as_ref()?)
    }
}
