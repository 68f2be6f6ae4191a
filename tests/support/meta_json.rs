//! Meta objects from JSON, each as a service of a snapshot.

#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

use qi_grpc_gateway::{
    qi::value::MetaObject,
    schema::snapshot::{Snapshot, SnapshotLimits},
};
use serde_json::{Value, json};

/// Reads `{name, description, methods, signals, properties}`: the name and the meta object.
pub(crate) fn service(service: &Value) -> (String, MetaObject) {
    let text = json!({"services": [service]}).to_string();
    let snapshot = Snapshot::parse(text.as_bytes(), &SnapshotLimits::default()).unwrap();
    snapshot.into_services().pop_first().unwrap()
}
