//! The services that are known, and which of them make way for others.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use tracing::info;

use super::{Service, events::End, links::MAX_LINKS};
use crate::qi::{value::MetaObject, wire::ServiceId};

/// Every service that was met or is expected, by name. One that goes away stays known, but for
/// [`Self::make_room`].
#[derive(Debug, Default)]
pub(super) struct Known {
    services: BTreeMap<String, Entry>,
    /// Counts the services that went away.
    departures: u64,
}

#[derive(Debug)]
struct Entry {
    service: Arc<Service>,
    /// The number of its last departure, 0 before the first.
    left: u64,
}

/// How many services are known at most. As many as are linked.
const MAX_SERVICES: usize = MAX_LINKS;

/// How many methods, signals and properties are known altogether; each costs some KiB of
/// descriptors and plans. A NAO has about 5,000.
pub(super) const MAX_MEMBERS: usize = 32_768;

fn members(meta: &MetaObject) -> usize {
    meta.methods.len() + meta.signals.len() + meta.properties.len()
}

const fn is_within_limits(services: usize, members: usize) -> bool {
    services <= MAX_SERVICES && members <= MAX_MEMBERS
}

impl Known {
    pub(super) fn get(&self, name: &str) -> Option<&Arc<Service>> {
        self.services.get(name).map(|entry| &entry.service)
    }

    pub(super) fn services(&self) -> impl Iterator<Item = &Arc<Service>> {
        self.services.values().map(|entry| &entry.service)
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.services.keys().map(String::as_str)
    }

    pub(super) fn len(&self) -> usize {
        self.services.len()
    }

    /// Adds a service; gives the one whose place it takes.
    pub(super) fn insert(&mut self, service: Arc<Service>) -> Option<Arc<Service>> {
        let name = service.name().to_owned();
        let left = self.services.get(&name).map_or(0, |entry| entry.left);
        let replaced = self.services.insert(name, Entry { service, left });
        replaced.map(|entry| entry.service)
    }

    /// How many services there are with one more, and how many members they have.
    fn size_with(&self, name: &str, meta: &MetaObject) -> (usize, usize) {
        let others = self.services().filter(|other| other.name() != name);
        others.fold((1, members(meta)), |(count, sum), other| {
            (count + 1, sum + members(other.meta()))
        })
    }

    /// Whether there is room for a service as it is.
    pub(super) fn has_room_for(&self, name: &str, meta: &MetaObject) -> bool {
        let (count, sum) = self.size_with(name, meta);
        is_within_limits(count, sum)
    }

    /// Makes room for a service; false if there is none. Services that are away are forgotten for it, as
    /// many as it takes: those that are not expected first, and of them the one that left first, or a bus on which
    /// services with ever new names come and go would keep out all others.
    pub(super) fn make_room(
        &mut self,
        name: &str,
        meta: &MetaObject,
        is_expected: impl Fn(&str) -> bool,
    ) -> bool {
        let (mut count, mut sum) = self.size_with(name, meta);
        let others = self
            .services
            .iter()
            .filter(|(other, entry)| *other != name && !entry.service.is_available());
        let away: BTreeSet<_> = others
            .map(|(other, entry)| (is_expected(other), entry.left, other.clone()))
            .collect();
        let mut forgotten = Vec::new();
        let mut away = away.into_iter();
        while !is_within_limits(count, sum) {
            let Some((_, _, other)) = away.next() else {
                return false;
            };
            count -= 1;
            sum -= self.get(&other).map_or(0, |it| members(it.meta()));
            forgotten.push(other);
        }
        for other in forgotten {
            if let Some(entry) = self.services.remove(&other) {
                info!(service = other, "away, and forgotten to make room");
                // Streams that wait for it would not find it again.
                entry.service.retire(End::Disconnected);
            }
        }
        true
    }

    /// Marks a service as away, unless another of its name has taken its place.
    pub(super) fn unlink(&mut self, id: ServiceId, name: &str) -> bool {
        let Some(entry) = self.services.get_mut(name) else {
            return false;
        };
        let unlinked = entry.service.unlink(id);
        if unlinked {
            self.departures += 1;
            entry.left = self.departures;
        }
        unlinked
    }

    /// Marks all services as away.
    pub(super) fn set_away(&mut self) {
        self.departures += 1;
        for entry in self.services.values_mut() {
            if entry.service.is_available() {
                entry.left = self.departures;
            }
            entry.service.set_link(None);
        }
    }
}
