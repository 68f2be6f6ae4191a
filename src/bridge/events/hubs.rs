//! The signals of one object that have streams.

use std::{collections::HashMap, sync::Arc};

use parking_lot::Mutex;

use super::{End, EventQueue, Subscription, hub::Hub, source::Source};
use crate::{bridge::BridgeError, qi::wire::ActionId};

/// The hubs of one object, each with one registration at the robot.
#[derive(Debug, Default)]
pub(crate) struct Hubs(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    by_key: HashMap<HubKey, Arc<Hub>>,
    /// The object was replaced or released: why there are no streams any more.
    retired: Option<End>,
}

/// Which streams share a hub: those whose messages are of one type.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum HubKey {
    /// Streams of the generated API.
    Generated(ActionId),
    /// Streams of `Value`s. The registration is the same as that of the generated API: those with one
    /// object of one connection share it.
    Values(ActionId),
    /// A stream with an object of its own.
    Own(u64),
}

impl Hubs {
    /// Adds a stream to the hub of a key, or to a new one with that source.
    ///
    /// # Errors
    ///
    /// [`BridgeError::Ended`] once they are retired.
    pub(crate) fn join(
        self: &Arc<Self>,
        key: HubKey,
        queue: &Arc<EventQueue>,
        source: &Arc<dyn Source>,
    ) -> Result<Subscription, BridgeError> {
        loop {
            let hub = {
                let mut hubs = self.0.lock();
                if let Some(end) = hubs.retired {
                    return Err(end.into());
                }
                let hub = hubs.by_key.entry(key);
                Arc::clone(hub.or_insert_with(|| Hub::new(key, self, Arc::clone(source))))
            };
            if let Some(subscription) = hub.join(Arc::clone(queue)) {
                return Ok(subscription);
            }
            self.forget(&hub);
        }
    }

    pub(super) fn forget(&self, hub: &Arc<Hub>) {
        let hubs = &mut self.0.lock().by_key;
        if hubs
            .get(&hub.key())
            .is_some_and(|other| Arc::ptr_eq(other, hub))
        {
            hubs.remove(&hub.key());
        }
    }

    /// Ends every stream for good.
    pub(crate) fn retire(&self, end: End) {
        let hubs = {
            let mut hubs = self.0.lock();
            hubs.retired = Some(end);
            std::mem::take(&mut hubs.by_key)
        };
        for hub in hubs.into_values() {
            hub.end(end);
        }
    }
}
