//! Meta objects that were sent before: one cache per connection and direction (section 8).

use std::{collections::BTreeMap, sync::Arc};

use crate::qi::value::MetaObject;

/// The number that means "not cached" (section 8).
pub(super) const NOT_CACHED: u32 = u32::MAX;

/// How many meta objects a cache holds at most. A robot has some hundred kinds of objects.
const MAX_META_OBJECTS: usize = 1024;

/// How many encoded bytes of meta objects are kept at most; the largest known has under 100 KB.
const MAX_META_OBJECT_BYTES: usize = 16 * 1024 * 1024;

/// The meta objects that a peer has sent, under the numbers that it gave them.
///
/// Bounded: once full, new ones are used but not kept, and a later reference to one is refused
/// as unknown.
#[derive(Debug, Default)]
pub struct ReceivedMetaObjects {
    known: BTreeMap<u32, (Arc<MetaObject>, usize)>,
    bytes: usize,
}

impl ReceivedMetaObjects {
    /// The cache of a new connection.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// How many meta objects are known.
    #[must_use]
    pub fn len(&self) -> usize {
        self.known.len()
    }

    /// Whether none is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    /// The meta object of a number.
    pub(super) fn find(&self, id: u32) -> Option<&Arc<MetaObject>> {
        self.known.get(&id).map(|(meta, _)| meta)
    }

    /// Keeps a meta object that took `bytes` bytes on the wire; a number that is used again
    /// stands for the new one.
    pub(super) fn insert(&mut self, id: u32, meta: Arc<MetaObject>, bytes: usize) {
        if id == NOT_CACHED {
            return;
        }
        if let Some((_, freed)) = self.known.remove(&id) {
            self.bytes -= freed;
        }
        if self.known.len() < MAX_META_OBJECTS && self.bytes + bytes <= MAX_META_OBJECT_BYTES {
            self.bytes += bytes;
            self.known.insert(id, (meta, bytes));
        }
    }
}

/// The meta objects that a peer was sent. They are numbered from 1, as libqi does.
///
/// Bounded: once full, new ones are sent whole each time.
#[derive(Debug, Default)]
pub struct SentMetaObjects {
    known: Vec<Arc<MetaObject>>,
}

/// How a meta object is sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Sent {
    /// The peer has it under this number.
    Before(u32),
    /// It goes along, and the peer is to keep it under this number.
    Now(u32),
}

impl SentMetaObjects {
    /// The cache of a new connection.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// How many meta objects were sent to be kept.
    #[must_use]
    pub fn len(&self) -> usize {
        self.known.len()
    }

    /// Whether none was sent.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    /// Decides how to send a meta object.
    pub(super) fn send(&mut self, meta: &Arc<MetaObject>) -> Sent {
        let same = |known: &Arc<MetaObject>| Arc::ptr_eq(known, meta) || known == meta;
        let id = |index: usize| u32::try_from(index + 1).unwrap_or(NOT_CACHED);
        if let Some(index) = self.known.iter().position(same) {
            return Sent::Before(id(index));
        }
        if self.known.len() == MAX_META_OBJECTS {
            return Sent::Now(NOT_CACHED);
        }
        self.known.push(Arc::clone(meta));
        Sent::Now(id(self.known.len() - 1))
    }

    /// Forgets what came after the first `len`, since it was not sent after all.
    pub(super) fn truncate(&mut self, len: usize) {
        self.known.truncate(len);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn described(text: &str) -> Arc<MetaObject> {
        Arc::new(MetaObject {
            description: text.into(),
            ..MetaObject::default()
        })
    }

    #[test]
    fn a_meta_object_is_sent_once() {
        let mut sent = SentMetaObjects::new();
        assert_eq!(sent.send(&described("a")), Sent::Now(1));
        assert_eq!(sent.send(&described("b")), Sent::Now(2));
        assert_eq!(sent.send(&described("a")), Sent::Before(1));
    }

    #[test]
    fn a_full_cache_sends_all_and_keeps_nothing_more() {
        let mut sent = SentMetaObjects::new();
        let mut received = ReceivedMetaObjects::new();
        for number in 0..MAX_META_OBJECTS {
            let meta = described(&number.to_string());
            let Sent::Now(id) = sent.send(&meta) else {
                panic!("it was not sent before");
            };
            received.insert(id, meta, 16);
        }
        assert_eq!(sent.send(&described("more")), Sent::Now(NOT_CACHED));
        assert_eq!(sent.len(), MAX_META_OBJECTS);
        received.insert(77_777, described("more"), 16);
        assert_eq!(received.len(), MAX_META_OBJECTS);
        assert!(received.find(77_777).is_none());
        received.insert(1, described("again"), 16);
        assert_eq!(received.find(1), Some(&described("again")));
    }

    #[test]
    fn large_meta_objects_fill_a_cache_too() {
        let mut received = ReceivedMetaObjects::new();
        received.insert(1, described("a"), MAX_META_OBJECT_BYTES);
        received.insert(2, described("b"), 1);
        assert_eq!(received.len(), 1);
        received.insert(1, described("a"), 16);
        received.insert(2, described("b"), 1);
        assert_eq!(received.len(), 2);
    }
}
