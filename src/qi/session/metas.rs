//! What the objects that came through a connection say about themselves.

use std::{
    collections::HashMap,
    hash::{BuildHasher as _, RandomState},
    sync::{Arc, Weak},
};

use parking_lot::Mutex;

use crate::qi::value::MetaObject;

/// Lets objects that say the same of themselves share it: it comes with each of them, and takes some
/// ten times the memory that it takes bytes.
#[derive(Debug, Default)]
pub(super) struct SharedMetas {
    by_hash: Mutex<HashMap<u64, Weak<MetaObject>>>,
    hasher: RandomState,
}

/// How many are known at a time; others are not shared. A robot has some hundred kinds of objects.
const MAX_METAS: usize = 1024;

impl SharedMetas {
    /// The same, as others have it already.
    pub(super) fn share(&self, meta: Arc<MetaObject>) -> Arc<MetaObject> {
        let hash = self.hasher.hash_one(&meta);
        let mut known = self.by_hash.lock();
        if let Some(same) = known.get(&hash).and_then(Weak::upgrade)
            && same == meta
        {
            return same;
        }
        if known.len() >= MAX_METAS {
            known.retain(|_, meta| meta.strong_count() > 0);
        }
        if known.len() < MAX_METAS {
            known.insert(hash, Arc::downgrade(&meta));
        }
        meta
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

    /// A thousand objects of one kind took a thousand times what one of them says about itself.
    #[test]
    fn equal_ones_are_one() {
        let metas = SharedMetas::default();
        let first = metas.share(described("a"));
        let other = metas.share(described("b"));
        assert!(Arc::ptr_eq(&metas.share(described("a")), &first));
        assert!(!Arc::ptr_eq(&other, &first));
        // Nothing is kept for the next one.
        let gone = Arc::downgrade(&first);
        drop(first);
        assert!(gone.upgrade().is_none());
        assert_eq!(metas.share(described("a")), described("a"));
    }

    #[test]
    fn only_so_many_are_known() {
        let metas = SharedMetas::default();
        let held: Vec<_> = (0..MAX_METAS)
            .map(|number| metas.share(described(&number.to_string())))
            .collect();
        let more = metas.share(described("more"));
        assert!(!Arc::ptr_eq(&metas.share(described("more")), &more));
        assert_eq!(metas.by_hash.lock().len(), MAX_METAS);
        drop(held);
        let more = metas.share(described("more"));
        assert!(Arc::ptr_eq(&metas.share(described("more")), &more));
        assert_eq!(metas.by_hash.lock().len(), 1);
    }
}
