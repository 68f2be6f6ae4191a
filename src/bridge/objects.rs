//! Objects that methods returned, each with an id and a lease.
//!
//! An object lives on the robot until it is told to terminate it, and is reachable only on the
//! connection that it came through (protocol text, section 13). A client knows it by an id that
//! nobody can guess, for as long as its lease lasts.

mod late;

use std::{collections::HashMap, fmt::Write as _, sync::Arc, time::Duration};

use parking_lot::Mutex;
use tokio::{
    sync::watch,
    time::{Instant, MissedTickBehavior},
};
use tracing::{debug, warn};

use self::late::LateAnswers;
pub(crate) use self::late::{ReturningCall, Returns};
use super::{
    dynamic::TargetError,
    events::{End, Hubs},
    hosting::offers::Offers,
    service::Link,
};
use crate::{
    qi::{
        session::{Call, Connection, RemoteObject},
        value::{MetaObject, ObjectReference},
        wire::ActionId,
    },
    transcode::ObjectSink,
};

/// The objects of a robot that clients hold.
#[derive(Debug)]
pub struct ObjectTable {
    lease: Duration,
    offers: Arc<Offers>,
    entries: Mutex<HashMap<String, Entry>>,
    late: LateAnswers,
}

/// An object that is held.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Lease {
    /// Its id.
    pub id: String,
    /// What it says about itself.
    pub description: String,
    /// How long it is still held, unless it is in use then.
    pub left: Duration,
    /// How many calls and streams use it now, and how often the robot holds it as an argument.
    pub uses: usize,
}

#[derive(Debug)]
struct Entry {
    object: Arc<HeldObject>,
    /// When the lease ends, unless the object is in use then.
    expires: Instant,
    /// How many calls and streams use the object now.
    uses: usize,
}

/// An object that a client holds.
#[derive(Debug)]
pub(crate) struct HeldObject {
    meta: Arc<MetaObject>,
    /// None once it was released.
    link: watch::Sender<Option<Arc<Link>>>,
    hubs: Arc<Hubs>,
}

impl HeldObject {
    fn new(object: RemoteObject) -> Self {
        Self {
            meta: Arc::clone(object.meta()),
            link: watch::Sender::new(Some(Arc::new(Link::new(object)))),
            hubs: Arc::default(),
        }
    }

    pub(crate) const fn meta(&self) -> &Arc<MetaObject> {
        &self.meta
    }

    pub(crate) fn links(&self) -> watch::Receiver<Option<Arc<Link>>> {
        self.link.subscribe()
    }

    pub(crate) const fn hubs(&self) -> &Arc<Hubs> {
        &self.hubs
    }

    /// The object itself; none once it was released.
    pub(crate) fn remote(&self) -> Option<RemoteObject> {
        let link = self.link.borrow();
        link.as_ref().map(|link| link.object().clone())
    }

    fn is_reachable(&self) -> bool {
        let link = self.link.borrow();
        link.as_ref()
            .is_some_and(|link| !link.object().connection().is_closed())
    }

    /// Ends its streams and tells the robot that the object is needed no more. Where that cannot be
    /// sent, the connection is over and its objects with it.
    /// Gives the way to it, if it was not released before.
    fn release(&self, end: End) -> Option<Arc<Link>> {
        // The reason comes first: a stream without a link would tell that the robot went away.
        self.hubs.retire(end);
        let link = self.link.send_replace(None)?;
        let _ = link.object().terminate();
        Some(link)
    }
}

/// Keeps an object while it is used. The lease begins anew when it is dropped.
#[derive(Debug)]
pub(crate) struct ObjectUse {
    table: Arc<ObjectTable>,
    id: String,
    object: Arc<HeldObject>,
}

impl ObjectUse {
    pub(crate) const fn object(&self) -> &Arc<HeldObject> {
        &self.object
    }
}

impl Drop for ObjectUse {
    fn drop(&mut self) {
        // Ids are never given again: it is the same object, or none.
        if let Some(entry) = self.table.entries.lock().get_mut(&self.id) {
            entry.uses = entry.uses.saturating_sub(1);
            entry.expires = Instant::now() + self.table.lease;
        }
    }
}

/// How many objects are held at most. The one whose lease would end first makes room, of those that
/// are not in use as long as there is one: a NAO's
/// services hand out a few objects an hour, and each costs some KiB here.
pub const MAX_OBJECTS: usize = 16_384;

/// How many objects of one message are held at most; more are released at once. No robot sends
/// more than a few, and none shall be able to push out those of all clients with one message.
pub(crate) const MAX_OBJECTS_PER_MESSAGE: usize = 1024;

/// How long a lease lasts at most: clocks have an end.
const MAX_LEASE: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);

/// How often leases are looked at.
const SWEEP_INTERVAL: Duration = Duration::from_secs(1);

impl ObjectTable {
    /// An empty table whose leases last `lease`, a century at most.
    #[must_use]
    pub fn new(lease: Duration) -> Self {
        Self {
            lease: lease.min(MAX_LEASE),
            offers: Arc::default(),
            entries: Mutex::default(),
            late: LateAnswers::default(),
        }
    }

    /// The objects that clients host themselves.
    pub(crate) const fn offers(&self) -> &Arc<Offers> {
        &self.offers
    }

    /// How many objects are held.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.lock().len()
    }

    /// Whether no object is held.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.lock().is_empty()
    }

    /// Takes what a reply or event brings through `connection`.
    pub(crate) const fn sink<'a>(&'a self, connection: &'a Connection) -> TableSink<'a> {
        TableSink {
            table: self,
            connection,
            taken: Vec::new(),
        }
    }

    /// A call for a client: the objects that it returns are not lost if the client does not wait.
    pub(crate) const fn returning<'a>(
        &'a self,
        call: Call,
        connection: &'a Connection,
        returns: Returns<'a>,
    ) -> ReturningCall<'a> {
        ReturningCall::new(call, connection, returns, &self.late)
    }

    /// Asks for a property, for a client: the same.
    pub(crate) fn property_of<'a>(
        &'a self,
        object: &'a RemoteObject,
        property: ActionId,
    ) -> ReturningCall<'a> {
        let call = object.property(property);
        self.returning(call, object.connection(), Returns::Dynamic)
    }

    /// Holds an object by an id that is its own, see [`new_id`].
    pub(crate) fn insert(&self, id: String, object: RemoteObject) {
        let entry = Entry {
            object: Arc::new(HeldObject::new(object)),
            expires: Instant::now() + self.lease,
            uses: 0,
        };
        let mut entries = self.entries.lock();
        let evicted = if entries.len() >= MAX_OBJECTS {
            let first = entries
                .iter()
                .min_by_key(|(_, entry)| (entry.uses > 0, entry.expires))
                .map(|(id, _)| id.clone());
            first.and_then(|id| entries.remove(&id))
        } else {
            None
        };
        entries.insert(id, entry);
        drop(entries);
        if let Some(evicted) = evicted {
            warn!(
                limit = MAX_OBJECTS,
                "too many objects are held, one is released early"
            );
            evicted.object.release(End::Released);
        }
    }

    /// Uses an object until the guard is dropped.
    ///
    /// # Errors
    ///
    /// [`TargetError::UnknownObject`].
    pub(crate) fn hold(self: &Arc<Self>, id: &str) -> Result<ObjectUse, TargetError> {
        let mut entries = self.entries.lock();
        let entry = entries.get_mut(id).ok_or_else(|| unknown(id))?;
        entry.uses += 1;
        Ok(ObjectUse {
            table: Arc::clone(self),
            id: id.to_owned(),
            object: Arc::clone(&entry.object),
        })
    }

    /// Begins the lease of an object anew; gives how long it lasts.
    ///
    /// # Errors
    ///
    /// [`TargetError::UnknownObject`].
    pub fn extend(&self, id: &str) -> Result<Duration, TargetError> {
        let mut entries = self.entries.lock();
        let entry = entries.get_mut(id).ok_or_else(|| unknown(id))?;
        entry.expires = Instant::now() + self.lease;
        Ok(self.lease)
    }

    /// Releases an object and ends its streams.
    ///
    /// # Errors
    ///
    /// [`TargetError::UnknownObject`].
    pub fn release(&self, id: &str) -> Result<(), TargetError> {
        let entry = self.entries.lock().remove(id);
        let entry = entry.ok_or_else(|| unknown(id))?;
        entry.object.release(End::Released);
        Ok(())
    }

    /// The objects that are held, the one whose lease ends first in front.
    #[must_use]
    pub fn leases(&self) -> Vec<Lease> {
        let now = Instant::now();
        let entries = self.entries.lock();
        let mut leases: Vec<_> = entries
            .iter()
            .map(|(id, entry)| Lease {
                id: id.clone(),
                description: entry.object.meta.description.clone(),
                left: entry.expires.saturating_duration_since(now),
                uses: entry.uses,
            })
            .collect();
        drop(entries);
        leases.sort_by(|a, b| (a.left, &a.id).cmp(&(b.left, &b.id)));
        leases
    }

    /// Releases objects whose lease is over, and forgets those whose connection is; never ends.
    pub(crate) async fn keep_sweeping(&self) {
        let mut ticks = tokio::time::interval(SWEEP_INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            self.sweep(Instant::now());
        }
    }

    fn sweep(&self, now: Instant) {
        let is_over =
            |entry: &Entry| entry.uses == 0 && entry.expires <= now || !entry.object.is_reachable();
        let over: Vec<Entry> = self
            .entries
            .lock()
            .extract_if(|_, entry| is_over(entry))
            .map(|(_, entry)| entry)
            .collect();
        if !over.is_empty() {
            debug!(objects = over.len(), "released");
        }
        for entry in over {
            entry.object.release(End::Released);
        }
    }

    /// Releases everything and closes the connections, once the robot was told.
    pub(crate) async fn close(&self) {
        let entries = std::mem::take(&mut *self.entries.lock());
        let links: Vec<_> = entries
            .into_values()
            .filter_map(|entry| entry.object.release(End::Shutdown))
            .collect();
        for link in links {
            let connection = link.object().connection();
            connection.close();
            // What is queued leaves before, for which the connection takes its time.
            connection.closed().await;
        }
    }
}

fn unknown(id: &str) -> TargetError {
    TargetError::UnknownObject { id: id.to_owned() }
}

/// Takes the objects of one reply or event, to put them into a table with [`Self::keep`]. Dropped
/// before, it releases them: where a message fails to decode, no client learns their ids.
#[derive(Debug)]
pub(crate) struct TableSink<'a> {
    table: &'a ObjectTable,
    connection: &'a Connection,
    taken: Vec<(String, RemoteObject)>,
}

impl TableSink<'_> {
    /// The message is good: its objects are held from now on.
    pub(crate) fn keep(mut self) {
        for (id, object) in self.taken.drain(..) {
            self.table.insert(id, object);
        }
    }
}

impl ObjectSink for TableSink<'_> {
    fn adopt(&mut self, object: ObjectReference) -> String {
        let connection = self.connection.clone();
        let object = RemoteObject::received(connection, object);
        let id = new_id();
        if self.taken.len() < MAX_OBJECTS_PER_MESSAGE {
            self.taken.push((id.clone(), object));
        } else {
            let _ = object.terminate();
        }
        id
    }
}

impl Drop for TableSink<'_> {
    fn drop(&mut self) {
        for (_, object) in &self.taken {
            // As in [`HeldObject::release`].
            let _ = object.terminate();
        }
    }
}

/// 128 random bits in hexadecimal: nobody guesses an object of another client.
pub(crate) fn new_id() -> String {
    let bytes: [u8; 16] = rand::random();
    let mut id = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        // Writing to a string cannot fail.
        let _ = write!(id, "{byte:02x}");
    }
    id
}

#[cfg(test)]
mod tests;
