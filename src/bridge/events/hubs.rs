//! The signals of one object that have streams.

use std::{collections::HashMap, sync::Arc};

use parking_lot::Mutex;

use super::{End, EventQueue, Subscription, hub::Hub, source::Source};
use crate::{bridge::service::ValueFormat, qi::wire::ActionId};

/// The hubs of one object, each with one registration at the robot.
#[derive(Debug, Default)]
pub(crate) struct Hubs(Mutex<HashMap<HubKey, Arc<Hub>>>);

/// Which streams share a hub: those that get the same bytes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum HubKey {
    /// Streams of the generated API.
    Generated(ActionId),
    /// Streams of `Value`s. The registration is the same as that of the generated API: those with one
    /// object of one connection share it.
    Values(ActionId, ValueFormat),
    /// A stream with an object of its own.
    Own(u64),
}

impl Hubs {
    /// Adds a stream to the hub of a key, or to a new one with that source.
    pub(crate) fn join(
        self: &Arc<Self>,
        key: HubKey,
        queue: &Arc<EventQueue>,
        source: &Arc<dyn Source>,
    ) -> Subscription {
        loop {
            let hub = Arc::clone(
                self.0
                    .lock()
                    .entry(key)
                    .or_insert_with(|| Hub::new(key, self, Arc::clone(source))),
            );
            if let Some(subscription) = hub.join(Arc::clone(queue)) {
                return subscription;
            }
            self.forget(&hub);
        }
    }

    pub(super) fn forget(&self, hub: &Arc<Hub>) {
        let mut hubs = self.0.lock();
        if hubs
            .get(&hub.key())
            .is_some_and(|other| Arc::ptr_eq(other, hub))
        {
            hubs.remove(&hub.key());
        }
    }

    /// Ends every stream.
    pub(crate) fn end(&self, end: End) {
        let hubs: Vec<_> = self.0.lock().drain().map(|(_, hub)| hub).collect();
        for hub in hubs {
            hub.end(end);
        }
    }
}
