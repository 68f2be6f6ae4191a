use super::*;
use crate::{
    bridge::sample::{self, expect},
    qi::wire::{ActionId, Kind, ObjectId, ServiceId},
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

/// The end of a lease was computed without asking whether there is such a time.
#[tokio::test]
async fn a_lease_may_be_as_long_as_a_duration_can_be() {
    let table = Arc::new(ObjectTable::new(Duration::MAX));
    let (connection, _peer) = sample::connection();
    let mut sink = table.sink(&connection);
    let id = sink.adopt(reference(5));
    sink.keep();
    drop(table.hold(&id).unwrap());
    assert!(table.extend(&id).unwrap() > Duration::from_secs(u64::from(u32::MAX) / 2));
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
