//! What the services of a robot say about themselves, kept in a file.
//!
//! The file is JSON that compares well line by line: services by name, members by number, no ids or
//! places that change from run to run, nothing that is empty. In short:
//!
//! ```json
//! {
//!   "formatVersion": 1,
//!   "services": [
//!     {
//!       "name": "foo",
//!       "methods": [
//!         {
//!           "uid": 100,
//!           "name": "bang",
//!           "parametersSignature": "()",
//!           "returnSignature": "m",
//!           "description": "Emits onBang."
//!         }
//!       ],
//!       "signals": [],
//!       "properties": []
//!     }
//!   ]
//! }
//! ```
//!
//! What is missing when a file is read counts as empty, a missing version as 1, and unknown keys are
//! passed over; only names, numbers and signatures must be there.

use std::collections::{BTreeMap, BTreeSet};

use super::{SchemaOptions, ServiceSchema, packages};
use crate::qi::{
    value::{MetaObject, SignatureError},
    wire::Limits,
};

mod read;
mod write;

/// The version of the format that is written, and the newest that is read.
pub const FORMAT_VERSION: u64 = 1;

/// The services of a robot, with all that they say about themselves.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Snapshot {
    services: BTreeMap<String, MetaObject>,
    neighbours: BTreeSet<String>,
}

/// What is accepted of a snapshot's file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SnapshotLimits {
    /// The size of the file, in bytes. Default 16 MiB: that of a NAO with its 114 services has less
    /// than 1 MiB; parsed, a file takes some 20 times its size at worst.
    pub bytes: usize,
    /// How many services there may be. Default 4096, as many as a gateway remembers.
    pub services: usize,
    /// What is accepted of signatures. All of them together may have [`Limits::values`] bytes.
    pub signatures: Limits,
}

impl Default for SnapshotLimits {
    fn default() -> Self {
        Self {
            bytes: 16 * 1024 * 1024,
            services: 4096,
            signatures: Limits::default(),
        }
    }
}

/// Why a file is no snapshot.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// The file is too large.
    #[error("a snapshot of {bytes} bytes is over the limit of {limit}")]
    TooLarge {
        /// Its size.
        bytes: usize,
        /// [`SnapshotLimits::bytes`].
        limit: usize,
    },
    /// The file is no JSON.
    #[error("no JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// A later program wrote the file.
    #[error("the format has version {found}, the newest that is known is {FORMAT_VERSION}")]
    Version {
        /// The version that stands there.
        found: u64,
    },
    /// Something is missing, or of another kind than it must be.
    #[error("{place}: {expected} expected")]
    Unexpected {
        /// Where, as in `services[0].methods[3].uid`.
        place: String,
        /// What must stand there.
        expected: &'static str,
    },
    /// A signature is none.
    #[error("{place}: {source}")]
    Signature {
        /// Where, as in `services[0].methods[3].returnSignature`.
        place: String,
        /// What is wrong with it.
        source: SignatureError,
    },
    /// A service or a member is there twice.
    #[error("{place}: already there before")]
    Duplicate {
        /// Where the second one is.
        place: String,
    },
    /// There are too many services.
    #[error("more than {limit} services")]
    TooManyServices {
        /// [`SnapshotLimits::services`].
        limit: usize,
    },
    /// The signatures are too long together.
    #[error("the signatures have more than {limit} bytes together")]
    TooManyTypes {
        /// [`Limits::values`].
        limit: u32,
    },
}

impl Snapshot {
    /// A snapshot of some services of a bus; `bus` names all that are on it. Members are filed
    /// under the numbers by which they are called.
    #[must_use]
    pub fn new<'a>(
        services: impl IntoIterator<Item = (String, MetaObject)>,
        bus: impl IntoIterator<Item = &'a str>,
    ) -> Self {
        let services = services.into_iter();
        let mut snapshot = Self {
            services: services.map(|(name, meta)| (name, filed(meta))).collect(),
            neighbours: BTreeSet::new(),
        };
        snapshot.note_neighbours(bus);
        snapshot
    }

    /// Reads the text of a file.
    ///
    /// # Errors
    ///
    /// [`SnapshotError`].
    pub fn parse(text: &[u8], limits: &SnapshotLimits) -> Result<Self, SnapshotError> {
        read::parse(text, limits)
    }

    /// The text of a file. The same services give the same text, which ends with a line feed.
    #[must_use]
    pub fn to_json(&self) -> String {
        write::json(self)
    }

    /// The services by name.
    #[must_use]
    pub const fn services(&self) -> &BTreeMap<String, MetaObject> {
        &self.services
    }

    /// The services that were on the bus beside those of the snapshot and want the package of one of
    /// them, by name.
    #[must_use]
    pub const fn neighbours(&self) -> &BTreeSet<String> {
        &self.neighbours
    }

    /// The services themselves.
    #[must_use]
    pub fn into_services(self) -> BTreeMap<String, MetaObject> {
        self.services
    }

    /// Only the services of these names; those that there are not are passed over.
    #[must_use]
    pub fn select(mut self, names: &BTreeSet<String>) -> Self {
        let mut others = std::mem::take(&mut self.neighbours);
        let unwanted = self.services.keys().filter(|name| !names.contains(*name));
        others.extend(unwanted.cloned());
        self.services.retain(|name, _| names.contains(name));
        self.note_neighbours(others.iter().map(String::as_str));
        self
    }

    /// The schemas of the services, by name.
    #[must_use]
    pub fn schemas(&self, options: &SchemaOptions) -> Vec<ServiceSchema> {
        let names = self.services.keys().chain(&self.neighbours);
        let packages = packages(names.map(String::as_str), []);
        let schema = |(name, meta): (&String, &MetaObject)| {
            let package = packages.get(name)?;
            Some(ServiceSchema::new(name, package, meta, options))
        };
        self.services.iter().filter_map(schema).collect()
    }

    /// Remembers the services that are not in the snapshot but want the package of one that is.
    fn note_neighbours<'a>(&mut self, bus: impl IntoIterator<Item = &'a str>) {
        let wanted: BTreeSet<_> = self.services.keys().map(|it| super::package(it)).collect();
        let neighbours = bus.into_iter().filter(|name| {
            !self.services.contains_key(*name) && wanted.contains(&super::package(name))
        });
        self.neighbours = neighbours.map(ToOwned::to_owned).collect();
    }
}

/// A meta object whose members have the numbers that they are filed under.
fn filed(mut meta: MetaObject) -> MetaObject {
    for (uid, method) in &mut meta.methods {
        method.uid = *uid;
    }
    for (uid, signal) in &mut meta.signals {
        signal.uid = *uid;
    }
    for (uid, property) in &mut meta.properties {
        property.uid = *uid;
    }
    meta
}

#[cfg(test)]
mod tests;
