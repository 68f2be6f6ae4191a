//! What all connections and services of a host share.

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

use tokio::sync::Semaphore;

use super::{HostLimits, limits::permits};
use crate::qi::wire::ObjectId;

/// Limits, and what they are taken from.
#[derive(Debug)]
pub(super) struct Resources {
    limits: HostLimits,
    threads: Arc<Semaphore>,
    next_object: AtomicU32,
    next_of_caller: AtomicU32,
}

/// Whose the service is that an object is sent through: its number is borrowed from the callee
/// where the object is an argument (section 13).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Owner {
    Host,
    Peer,
}

impl Owner {
    /// The owner of the service under which one of our objects has that number.
    pub(super) fn of(object: ObjectId) -> Self {
        match object >= ObjectId::FIRST_OF_CALLER {
            true => Self::Peer,
            false => Self::Host,
        }
    }
}

impl Resources {
    pub(super) fn new(limits: HostLimits) -> Self {
        Self {
            limits,
            threads: Arc::new(Semaphore::new(permits(limits.blocking_threads))),
            next_object: AtomicU32::new(ObjectId::FIRST_OF_HOST.0),
            next_of_caller: AtomicU32::new(ObjectId::FIRST_OF_CALLER.0),
        }
    }

    pub(super) const fn limits(&self) -> &HostLimits {
        &self.limits
    }

    /// Those that blocking methods may occupy.
    pub(super) const fn threads(&self) -> &Arc<Semaphore> {
        &self.threads
    }

    /// The next number of an object. After two billion of them, they begin anew.
    pub(super) fn next_object(&self, owner: Owner) -> ObjectId {
        let (counter, first) = match owner {
            Owner::Host => (&self.next_object, ObjectId::FIRST_OF_HOST),
            Owner::Peer => (&self.next_of_caller, ObjectId::FIRST_OF_CALLER),
        };
        loop {
            let id = ObjectId(counter.fetch_add(1, Ordering::Relaxed));
            if id >= first && Owner::of(id) == owner {
                return id;
            }
            counter.store(first.0, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_stay_in_their_half() {
        let resources = Resources::new(HostLimits::default());
        assert_eq!(resources.next_object(Owner::Host), ObjectId(3));
        assert_eq!(resources.next_object(Owner::Host), ObjectId(4));
        assert_eq!(resources.next_object(Owner::Peer), ObjectId(1 << 31));
        resources
            .next_object
            .store(u32::MAX >> 1, Ordering::Relaxed);
        assert_eq!(resources.next_object(Owner::Host), ObjectId(u32::MAX >> 1));
        assert_eq!(resources.next_object(Owner::Host), ObjectId(3));
        resources.next_of_caller.store(u32::MAX, Ordering::Relaxed);
        assert_eq!(resources.next_object(Owner::Peer), ObjectId(u32::MAX));
        assert_eq!(resources.next_object(Owner::Peer), ObjectId(1 << 31));
    }
}
