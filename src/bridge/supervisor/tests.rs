//! What a snapshot makes of a robot that is away, and of one that comes.

use std::sync::Arc;

use super::*;
use crate::{
    bridge::sample,
    qi::{
        session::Connection,
        value::MetaSignal,
        wire::{ActionId, ObjectId},
    },
    schema::snapshot::Snapshot,
};

/// A meta object with so many signals, which are hidden and so cost no time.
fn meta(signals: usize) -> MetaObject {
    let mut meta = MetaObject::default();
    for uid in (100..).map(ActionId).take(signals) {
        let signal = MetaSignal {
            uid,
            name: format!("_{}", uid.0),
            signature: "()".parse().unwrap(),
        };
        meta.signals.insert(uid, signal);
    }
    meta
}

fn supervisor<'a>(
    services: &[(&str, usize)],
    bus: impl IntoIterator<Item = &'a str>,
) -> (Supervisor, watch::Receiver<State>) {
    let services = services.iter();
    let services = services.map(|(name, signals)| ((*name).to_owned(), meta(*signals)));
    let mut config = RobotConfig::new("tcp://127.0.0.1:9559".parse().unwrap());
    config.known = Snapshot::new(services, bus);
    let objects = Arc::new(ObjectTable::new(config.object_lease));
    let doors = Arc::new(config.hosting.doors());
    Supervisor::new(config, objects, doors)
}

/// A service of the robot comes.
fn link(supervisor: &mut Supervisor, connection: &Connection, name: &str, signals: usize) -> bool {
    let service_id = ServiceId(7);
    let meta = Arc::new(meta(signals));
    let object = RemoteObject::new(connection.clone(), service_id, ObjectId::MAIN, meta);
    let info = ServiceInfo {
        name: name.to_owned(),
        service_id,
        machine_id: String::new(),
        process_id: 1,
        endpoints: Vec::new(),
        session_id: String::new(),
        object_uid: None,
    };
    supervisor.link(name.to_owned(), object, info)
}

fn package<'a>(supervisor: &'a Supervisor, name: &str) -> &'a str {
    &supervisor.known.get(name).unwrap().schema().package
}

fn names(catalogue: &Catalogue) -> Vec<&str> {
    catalogue.services().map(|it| it.name()).collect()
}

#[tokio::test]
async fn what_is_expected_is_known_from_the_start_and_goes_on_as_it_is() {
    let (mut supervisor, state) = supervisor(&[("foo", 3), ("bar", 1)], ["foo", "bar"]);
    let State {
        connected,
        catalogue,
    } = state.borrow().clone();
    assert!(!connected);
    assert_eq!(names(&catalogue), ["bar", "foo"]);
    let expected = Arc::clone(catalogue.service("foo").unwrap());
    assert!(!expected.is_available());

    let (connection, _peer) = sample::connection();
    assert!(link(&mut supervisor, &connection, "foo", 3));
    assert!(expected.is_available());
    assert!(Arc::ptr_eq(supervisor.known.get("foo").unwrap(), &expected));

    assert!(link(&mut supervisor, &connection, "bar", 2));
    supervisor.publish(true);
    let catalogue = Arc::clone(&state.borrow().catalogue);
    let bar = catalogue.service("bar").unwrap();
    assert_eq!(bar.meta().signals.len(), 2);
    assert!(bar.is_available());
}

#[tokio::test]
async fn the_names_of_a_snapshot_keep_their_packages() {
    // "Foo" was on the bus when the snapshot was taken of "foo" alone; it sorts first.
    let (mut supervisor, _state) = supervisor(&[("foo", 3)], ["Foo", "foo"]);
    let expected = Arc::clone(supervisor.known.get("foo").unwrap());
    assert_ne!(expected.schema().package, "qi.foo.v1");

    let (connection, _peer) = sample::connection();
    assert!(link(&mut supervisor, &connection, "other", 1));
    assert!(link(&mut supervisor, &connection, "foo", 3));
    assert!(Arc::ptr_eq(supervisor.known.get("foo").unwrap(), &expected));
    assert!(link(&mut supervisor, &connection, "Foo", 1));
    assert!(Arc::ptr_eq(supervisor.known.get("foo").unwrap(), &expected));
    assert_eq!(package(&supervisor, "Foo"), "qi.foo.v1");
}

/// A service that came later once took the package of one in the snapshot over, if it sorted first.
#[tokio::test]
async fn a_service_that_the_snapshot_lacks_takes_no_package_of_it() {
    let (mut supervisor, _state) = supervisor(&[("ALMotion", 3)], ["ALMotion"]);
    let expected = Arc::clone(supervisor.known.get("ALMotion").unwrap());
    let (connection, _peer) = sample::connection();
    assert!(link(&mut supervisor, &connection, "ALMotion", 3));
    assert!(link(&mut supervisor, &connection, "AL-Motion", 1));
    let known = supervisor.known.get("ALMotion").unwrap();
    assert!(Arc::ptr_eq(known, &expected));
    assert_eq!(package(&supervisor, "ALMotion"), "qi.al_motion.v1");
    assert!(package(&supervisor, "AL-Motion").starts_with("qi.al_motion_x"));
}

#[tokio::test]
async fn limits_hold_for_what_is_expected() {
    let (_, state) = supervisor(&[("a", MAX_MEMBERS + 1), ("b", 1)], []);
    assert_eq!(names(&state.borrow().catalogue), ["b"]);
    let most = MAX_MEMBERS / 2;
    let (_, state) = supervisor(&[("a", most), ("b", most + 1), ("c", most)], []);
    assert_eq!(names(&state.borrow().catalogue), ["a", "c"]);
}

#[tokio::test]
async fn what_is_only_expected_makes_way_for_what_is_there() {
    let most = MAX_MEMBERS / 2;
    let services = [("a", most), ("b", most)];
    let (mut supervisor, state) = supervisor(&services, []);
    let (connection, _peer) = sample::connection();
    assert!(link(&mut supervisor, &connection, "a", most));
    // Too large whatever makes way.
    assert!(!link(&mut supervisor, &connection, "c", most + 1));
    supervisor.publish(true);
    assert_eq!(names(&state.borrow().catalogue), ["a", "b"]);
    assert!(link(&mut supervisor, &connection, "d", 1));
    supervisor.publish(true);
    assert_eq!(names(&state.borrow().catalogue), ["a", "d"]);
}

/// Services that were away once counted for ever, and kept all others out until a restart.
#[tokio::test]
async fn those_that_left_first_make_way_for_what_comes() {
    let third = MAX_MEMBERS / 3;
    let (mut supervisor, state) = supervisor(&[("expected", third)], []);
    let (connection, _peer) = sample::connection();
    let come_and_go = |supervisor: &mut Supervisor, name: &str| {
        assert!(link(supervisor, &connection, name, third), "{name}");
        assert!(supervisor.unlink(ServiceId(7), name));
        supervisor.publish(true);
        state
            .borrow()
            .catalogue
            .services()
            .map(|it| it.name().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(come_and_go(&mut supervisor, "b"), ["b", "expected"]);
    assert_eq!(come_and_go(&mut supervisor, "a"), ["a", "b", "expected"]);
    assert_eq!(come_and_go(&mut supervisor, "c"), ["a", "c", "expected"]);
    assert_eq!(come_and_go(&mut supervisor, "a"), ["a", "c", "expected"]);
    assert_eq!(come_and_go(&mut supervisor, "d"), ["a", "d", "expected"]);
}
