//! Services that come and go.

use std::sync::{Arc, Weak};

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::broadcast;

use super::{EventSink, directory::changed_service, known::KnownServices, pool::Pool};
use crate::qi::wire::{Flags, ServiceId};

/// A change of the directory.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum DirectoryChange {
    /// A service can be used.
    Added {
        /// Its number.
        id: ServiceId,
        /// Its name.
        name: String,
    },
    /// A service is gone.
    Removed {
        /// Its number.
        id: ServiceId,
        /// Its name.
        name: String,
    },
    /// The consumer was too slow and missed changes, the oldest ones: it has to list the services
    /// again.
    Lagged {
        /// How many changes are missing.
        missed: u64,
    },
}

/// The changes of a directory from some time on.
///
/// At most [`CHANGES`] of them wait for a slow consumer; then the oldest give way, and
/// [`DirectoryChange::Lagged`] stands in their place.
#[derive(Debug)]
pub struct DirectoryChanges {
    receiver: broadcast::Receiver<DirectoryChange>,
}

/// How many changes wait for a consumer at most: a robot that starts or stops has about 120
/// services.
pub const CHANGES: usize = 512;

impl DirectoryChanges {
    /// The next change; none when the session has ended.
    ///
    /// # Cancel safety
    ///
    /// Safe.
    pub async fn next(&mut self) -> Option<DirectoryChange> {
        match self.receiver.recv().await {
            Ok(change) => Some(change),
            Err(broadcast::error::RecvError::Lagged(missed)) => {
                Some(DirectoryChange::Lagged { missed })
            }
            Err(broadcast::error::RecvError::Closed) => None,
        }
    }
}

/// Where the changes come from, and what notices the loss of the directory.
#[derive(Debug)]
pub(super) struct ChangeSource {
    /// None once the session has ended.
    sender: Mutex<Option<broadcast::Sender<DirectoryChange>>>,
    pool: Mutex<Weak<Pool>>,
    known: Arc<KnownServices>,
}

impl ChangeSource {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self {
            sender: Mutex::new(Some(broadcast::Sender::new(CHANGES))),
            pool: Mutex::default(),
            known: Arc::default(),
        })
    }

    /// The services that are forgotten when they are gone.
    pub(super) const fn known(&self) -> &Arc<KnownServices> {
        &self.known
    }

    pub(super) fn subscribe(&self) -> DirectoryChanges {
        let receiver = match &*self.sender.lock() {
            Some(sender) => sender.subscribe(),
            // Ends at once.
            None => broadcast::Sender::new(1).subscribe(),
        };
        DirectoryChanges { receiver }
    }

    fn send(&self, change: DirectoryChange) {
        if let Some(sender) = &*self.sender.lock() {
            // Fails where nobody listens.
            let _ = sender.send(change);
        }
    }

    /// Closes the connections to services together with that to the directory.
    pub(super) fn close_at_end(&self, pool: &Arc<Pool>) {
        *self.pool.lock() = Arc::downgrade(pool);
        if self.sender.lock().is_none() {
            pool.close();
        }
    }

    fn end(&self) {
        self.sender.lock().take();
        self.known.clear();
        let pool = self.pool.lock().upgrade();
        if let Some(pool) = pool {
            pool.close();
        }
    }
}

/// Receives `serviceAdded`.
#[derive(Debug)]
pub(super) struct Additions(pub(super) Arc<ChangeSource>);

/// Receives `serviceRemoved`.
#[derive(Debug)]
pub(super) struct Removals(pub(super) Arc<ChangeSource>);

impl EventSink for Additions {
    fn event(&self, payload: &Bytes, flags: Flags) {
        if let Some((id, name)) = changed_service(payload, flags) {
            self.0.send(DirectoryChange::Added { id, name });
        }
    }

    fn closed(&self) {
        self.0.end();
    }
}

impl EventSink for Removals {
    fn event(&self, payload: &Bytes, flags: Flags) {
        if let Some((id, name)) = changed_service(payload, flags) {
            // First, so that whoever hears of it is not given the old one again.
            self.0.known.forget(id, &name);
            self.0.send(DirectoryChange::Removed { id, name });
        }
    }

    fn closed(&self) {
        self.0.end();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn added(id: u32) -> DirectoryChange {
        DirectoryChange::Added {
            id: ServiceId(id),
            name: "foo".into(),
        }
    }

    #[tokio::test]
    async fn a_slow_consumer_is_told_what_it_missed() {
        let source = ChangeSource::new();
        let mut changes = source.subscribe();
        let total = u32::try_from(CHANGES).unwrap() + 3;
        for id in 0..total {
            source.send(added(id));
        }
        let missed = 3;
        assert_eq!(
            changes.next().await,
            Some(DirectoryChange::Lagged { missed })
        );
        assert_eq!(changes.next().await, Some(added(3)));
        source.end();
        for id in 4..total {
            assert_eq!(changes.next().await, Some(added(id)));
        }
        assert_eq!(changes.next().await, None);
        assert_eq!(source.subscribe().next().await, None);
    }
}
