//! Objects that methods returned, each with an id and a lease.
//!
//! An object lives on the robot until it is told to terminate it, and is reachable only on the
//! connection that it came through (protocol text, section 13). A client knows it by an id that
//! nobody can guess, for as long as its lease lasts.

use std::{collections::HashMap, fmt::Write as _, sync::Arc, time::Duration};

use parking_lot::Mutex;
use tokio::{
    sync::watch,
    time::{Instant, MissedTickBehavior},
};
use tracing::{debug, warn};

use super::{
    dynamic::TargetError,
    events::{End, Hubs},
    service::Link,
};
use crate::{
    qi::{
        session::{Connection, RemoteObject},
        value::{
            MetaObject, ObjectEncoding, ObjectReference, ObjectUid, Type, Value,
            codec::{EncodeContext, encode},
        },
        wire::{Limits, ObjectId, ServiceId, Writer},
    },
    transcode::{ObjectSink, ObjectSource, UnknownObject},
};

/// The objects of a robot that clients hold.
#[derive(Debug)]
pub struct ObjectTable {
    lease: Duration,
    entries: Mutex<HashMap<String, Entry>>,
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
    /// How many calls and streams use it now.
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
const MAX_OBJECTS_PER_MESSAGE: usize = 1024;

/// How often leases are looked at.
const SWEEP_INTERVAL: Duration = Duration::from_secs(1);

impl ObjectTable {
    /// An empty table whose leases last `lease`.
    #[must_use]
    pub fn new(lease: Duration) -> Self {
        Self {
            lease,
            entries: Mutex::default(),
        }
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

    fn insert(&self, id: String, object: RemoteObject) {
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
        let object = RemoteObject::new(connection, object.service, object.object, object.meta);
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

/// The objects that arguments may name: the null object, by an empty id.
#[derive(Debug)]
pub(crate) struct NullObjects {
    service: ServiceId,
    encoding: ObjectEncoding,
}

impl NullObjects {
    /// For arguments of a call to `callee`.
    pub(crate) fn new(callee: &RemoteObject) -> Self {
        Self {
            service: callee.service(),
            encoding: callee.connection().object_encoding(),
        }
    }
}

impl ObjectSource for NullObjects {
    fn write(&mut self, id: &str, out: &mut Writer) -> Result<(), UnknownObject> {
        if !id.is_empty() {
            return Err(UnknownObject);
        }
        let null = ObjectReference {
            meta: Arc::default(),
            service: self.service,
            object: ObjectId::NONE,
            uid: self.encoding.object_uid.then_some(ObjectUid([0; 20])),
        };
        let mut context = EncodeContext::new(self.encoding, Limits::default());
        encode(
            &Value::Object(Box::new(null)),
            &Type::Object,
            &mut context,
            out,
        )
        .map_err(|_| UnknownObject)
    }
}

/// 128 random bits in hexadecimal: nobody guesses an object of another client.
fn new_id() -> String {
    let bytes: [u8; 16] = rand::random();
    let mut id = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        // Writing to a string cannot fail.
        let _ = write!(id, "{byte:02x}");
    }
    id
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        bridge::sample::{self, expect},
        qi::wire::{ActionId, Kind},
    };

    fn reference(object: u32) -> ObjectReference {
        ObjectReference {
            meta: Arc::default(),
            service: ServiceId(7),
            object: ObjectId(object),
            uid: None,
        }
    }

    /// A reply with an object in front of garbage left the object behind until its lease ended,
    /// though no client had its id.
    #[tokio::test(start_paused = true)]
    async fn objects_of_a_message_that_fails_are_released() {
        let table = ObjectTable::new(Duration::from_secs(60));
        let (connection, mut peer) = sample::connection();
        let mut sink = table.sink(&connection);
        sink.adopt(reference(5));
        drop(sink);
        assert!(table.is_empty());
        let message = expect(&mut peer, 7, ActionId::TERMINATE).await;
        assert_eq!(
            (message.kind, message.address.object),
            (Kind::Post, ObjectId(5))
        );

        let mut sink = table.sink(&connection);
        sink.adopt(reference(6));
        sink.keep();
        assert_eq!(table.len(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn closing_tells_the_robot_before_the_connection_ends() {
        let table = ObjectTable::new(Duration::from_secs(60));
        let (connection, mut peer) = sample::connection();
        let mut sink = table.sink(&connection);
        sink.adopt(reference(5));
        sink.keep();
        let told = async {
            let message = expect(&mut peer, 7, ActionId::TERMINATE).await;
            assert_eq!(message.address.object, ObjectId(5));
            assert!(peer.receive().await.is_err(), "the connection ends");
        };
        tokio::join!(table.close(), told);
        assert!(table.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn a_lease_that_is_over_releases() {
        let table = ObjectTable::new(Duration::from_secs(60));
        let (connection, mut peer) = sample::connection();
        let mut sink = table.sink(&connection);
        sink.adopt(reference(5));
        sink.keep();
        table.sweep(Instant::now() + Duration::from_secs(59));
        assert_eq!(table.len(), 1);
        table.sweep(Instant::now() + Duration::from_secs(60));
        assert!(table.is_empty());
        expect(&mut peer, 7, ActionId::TERMINATE).await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_lease_begins_anew_after_each_use() {
        let table = Arc::new(ObjectTable::new(Duration::from_secs(60)));
        let (connection, mut peer) = sample::connection();
        let mut sink = table.sink(&connection);
        let id = sink.adopt(reference(5));
        sink.keep();
        let minutes = |count: u64| tokio::time::advance(Duration::from_secs(60 * count));

        let used = table.hold(&id).unwrap();
        assert_eq!(table.leases()[0].uses, 1);
        minutes(10).await;
        table.sweep(Instant::now());
        assert_eq!(table.len(), 1, "what is in use is kept");
        drop(used);
        table.sweep(Instant::now());
        assert_eq!(table.leases()[0].left, Duration::from_secs(60));

        tokio::time::advance(Duration::from_secs(40)).await;
        assert_eq!(table.leases()[0].left, Duration::from_secs(20));
        assert_eq!(table.extend(&id).unwrap(), Duration::from_secs(60));
        tokio::time::advance(Duration::from_secs(40)).await;
        table.sweep(Instant::now());
        assert_eq!(table.len(), 1);
        minutes(1).await;
        table.sweep(Instant::now());
        assert!(table.is_empty());
        expect(&mut peer, 7, ActionId::TERMINATE).await;
        assert!(table.hold(&id).is_err());
        assert!(table.extend(&id).is_err());
        assert!(table.release(&id).is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn a_release_tells_the_robot_at_once() {
        let table = Arc::new(ObjectTable::new(Duration::from_secs(60)));
        let (connection, mut peer) = sample::connection();
        let mut sink = table.sink(&connection);
        let id = sink.adopt(reference(5));
        sink.keep();
        let used = table.hold(&id).unwrap();
        table.release(&id).unwrap();
        expect(&mut peer, 7, ActionId::TERMINATE).await;
        assert!(used.object().links().borrow().is_none());
        drop(used);
        assert!(table.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn one_message_cannot_push_out_the_objects_of_all() {
        let table = ObjectTable::new(Duration::from_secs(60));
        let (connection, _peer) = sample::connection();
        let mut sink = table.sink(&connection);
        for object in 0..5000 {
            sink.adopt(reference(object));
        }
        sink.keep();
        assert_eq!(table.len(), MAX_OBJECTS_PER_MESSAGE);
    }
}
