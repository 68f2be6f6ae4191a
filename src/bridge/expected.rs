//! What a snapshot says of a robot, held against what the robot turns out to be.

use std::{collections::BTreeSet, fmt};

use tracing::{debug, info, warn};

use crate::schema::{ServiceSchema, diff::Diff, snapshot::Snapshot};

/// The services that a robot should have. None are expected of one without a snapshot.
#[derive(Debug)]
pub(super) struct Expected {
    services: BTreeSet<String>,
    /// Services that are not in the snapshot but have a say in the packages of those that are.
    neighbours: BTreeSet<String>,
    /// Those of the snapshot that the robot was never seen with.
    unmet: BTreeSet<String>,
    /// Those that were missing when this was last told.
    missing: Vec<String>,
    /// Those that the snapshot lacks, as was last told.
    added: BTreeSet<String>,
}

/// How many changes of a service a warning names. `schema diff` tells all.
const TOLD_CHANGES: usize = 20;

impl Expected {
    pub(super) fn new(snapshot: &Snapshot) -> Self {
        let services: BTreeSet<String> = snapshot.services().keys().cloned().collect();
        Self {
            unmet: services.clone(),
            services,
            neighbours: snapshot.neighbours().clone(),
            missing: Vec::new(),
            added: BTreeSet::new(),
        }
    }

    /// The names that keep their packages, whether the robot has them or not, and whatever else it
    /// has: what clients were built for must not move because a neighbour is away, or new.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        let names = self.services.iter().chain(&self.neighbours);
        names.map(String::as_str)
    }

    /// Whether the snapshot has a service.
    pub(super) fn contains(&self, name: &str) -> bool {
        self.services.contains(name)
    }

    /// Notes that the robot has a service. Whether this is the first time that one of the snapshot
    /// is seen.
    pub(super) fn meet(&mut self, name: &str) -> bool {
        self.unmet.remove(name)
    }

    /// Warns of the services that the robot does not have.
    pub(super) fn tell_missing(&mut self, is_on_bus: impl Fn(&str) -> bool) {
        let missing = self.unmet.iter().filter(|name| !is_on_bus(name));
        let missing: Vec<String> = missing.cloned().collect();
        // Not again whenever the robot comes back without them.
        if !missing.is_empty() && missing != self.missing {
            warn!(
                services = missing.join(", "),
                "in the snapshot, but not on the robot"
            );
        }
        self.missing = missing;
    }

    /// Names the services that the snapshot lacks, out of all that are known.
    pub(super) fn tell_added<'a>(&mut self, known: impl Iterator<Item = &'a str>) {
        if self.services.is_empty() {
            return;
        }
        let added = known.filter(|name| !self.services.contains(*name));
        let added: BTreeSet<String> = added.map(ToOwned::to_owned).collect();
        let new: Vec<&str> = added.difference(&self.added).map(String::as_str).collect();
        if !new.is_empty() {
            info!(services = new.join(", "), "not in the snapshot, added");
        }
        self.added = added;
    }
}

/// Warns that a service is not as the snapshot says, in the words of `schema diff`.
pub(super) fn tell_difference(expected: &ServiceSchema, found: &ServiceSchema) {
    let service = found.qi_name.as_str();
    let versions = (std::slice::from_ref(expected), std::slice::from_ref(found));
    match Diff::between(versions.0, versions.1) {
        Ok(diff) if diff.services.is_empty() => {
            debug!(service, "not as in the snapshot, but the same for clients");
        }
        Ok(diff) => {
            let changes = Changes(&diff);
            if diff.is_breaking() {
                warn!(service, %changes, "not as in the snapshot, which breaks its clients");
            } else {
                warn!(service, %changes, "not as in the snapshot, whose clients go on");
            }
        }
        Err(error) => warn!(service, %error, "not as in the snapshot"),
    }
}

/// The changes on one line, the first of them if they are many.
struct Changes<'a>(&'a Diff);

impl fmt::Display for Changes<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let changes = || self.0.services.iter().flat_map(|it| &it.changes);
        for (at, change) in changes().take(TOLD_CHANGES).enumerate() {
            let separator = if at == 0 { "" } else { "; " };
            write!(f, "{separator}{change}")?;
        }
        match changes().count().saturating_sub(TOLD_CHANGES) {
            0 => Ok(()),
            more => write!(f, "; and {more} more"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::{SchemaOptions, snapshot::SnapshotLimits};

    fn schema(methods: usize) -> Vec<ServiceSchema> {
        let method = |uid: usize| {
            format!(
                r#"{{"uid": {}, "name": "do{uid}", "parametersSignature": "()", "returnSignature": "v"}}"#,
                100 + uid
            )
        };
        let methods: Vec<String> = (0..methods).map(method).collect();
        let text = format!(
            r#"{{"services": [{{"name": "foo", "methods": [{}]}}]}}"#,
            methods.join(", ")
        );
        let snapshot = Snapshot::parse(text.as_bytes(), &SnapshotLimits::default());
        snapshot.unwrap().schemas(&SchemaOptions::default())
    }

    #[test]
    fn changes_stand_on_one_line_of_bounded_length() {
        let told = |old, new| {
            let diff = Diff::between(&schema(old), &schema(new)).unwrap();
            Changes(&diff).to_string()
        };
        assert_eq!(
            told(2, 0),
            "- rpc Do0 (qi: method do0() -> v) [breaks clients]; \
             - rpc Do1 (qi: method do1() -> v) [breaks clients]"
        );
        let many = told(0, TOLD_CHANGES + 3);
        assert_eq!(many.matches("+ rpc").count(), TOLD_CHANGES);
        assert!(many.ends_with("; and 3 more"), "{many}");
        assert!(!many.contains('\n'));
    }

    #[test]
    fn a_service_is_met_once() {
        let snapshot = Snapshot::new(
            [("foo".to_owned(), Default::default())],
            ["foo", "Foo", "bar"],
        );
        let mut expected = Expected::new(&snapshot);
        assert_eq!(expected.names().collect::<Vec<_>>(), ["foo", "Foo"]);
        assert!(expected.contains("foo"));
        assert!(!expected.contains("Foo"));
        assert!(!expected.meet("Foo"));
        assert!(expected.meet("foo"));
        assert!(!expected.meet("foo"));
    }
}
