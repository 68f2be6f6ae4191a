//! What happens to streams while links come and go, against a scripted peer.

use std::{future::poll_fn, time::Duration};

use super::*;
use crate::{
    bridge::{
        Service,
        events::{Delivery, Pace},
        sample::{self, HEARD, MOOD, Peer, expect, link},
    },
    qi::{
        session::error_payload,
        wire::{ActionId, Address, Kind, Message, MessageId, ObjectId, ServiceId},
    },
    schema::MethodKind,
};

const REGISTER: ActionId = ActionId::REGISTER_EVENT;
const UNREGISTER: ActionId = ActionId::UNREGISTER_EVENT;

fn subscribe(service: &Arc<Service>) -> Subscription {
    let method = sample::method(service, MethodKind::Subscribe);
    service
        .subscribe(&method, Policy::default(), false)
        .unwrap()
}

async fn accept(peer: &mut Peer, service: u32) {
    let call = expect(peer, service, REGISTER).await;
    let answer = call.answer(Kind::Reply, Bytes::from_static(&[0; 8]));
    peer.send(&answer).await.unwrap();
}

async fn emit(peer: &mut Peer, service: u32, letter: u8) {
    emit_from(peer, service, HEARD, letter).await;
}

async fn emit_from(peer: &mut Peer, service: u32, member: ActionId, letter: u8) {
    let address = Address::new(ServiceId(service), ObjectId::MAIN, member);
    let payload = Bytes::copy_from_slice(&[1, 0, 0, 0, letter]);
    let event = Message::new(Kind::Event, MessageId(99), address, payload);
    peer.send(&event).await.unwrap();
}

async fn next(stream: &Subscription) -> Result<Delivery, End> {
    let mut pace = Pace::default();
    let next = poll_fn(|cx| pace.poll_next(stream.queue(), cx));
    tokio::time::timeout(Duration::from_secs(600), next)
        .await
        .expect("the stream hangs")
}

/// The last byte of an event is its letter.
fn letter(delivery: &Delivery) -> (char, bool) {
    (char::from(*delivery.body.last().unwrap()), delivery.gap)
}

#[tokio::test(start_paused = true)]
async fn streams_follow_a_service_that_is_replaced_on_a_living_connection() {
    let service = sample::service();
    let (connection, mut peer) = sample::connection();
    service.set_link(Some(link(&connection, 7)));
    let stream = subscribe(&service);
    accept(&mut peer, 7).await;
    stream.registered().await.unwrap();
    emit(&mut peer, 7, b'a').await;
    assert_eq!(letter(&next(&stream).await.unwrap()), ('a', false));

    service.set_link(Some(link(&connection, 8)));
    expect(&mut peer, 7, UNREGISTER).await;
    accept(&mut peer, 8).await;
    stream.registered().await.unwrap();
    emit(&mut peer, 8, b'b').await;
    assert_eq!(letter(&next(&stream).await.unwrap()), ('b', true));
}

#[tokio::test(start_paused = true)]
async fn a_service_that_leaves_a_living_connection_is_away_for_its_streams() {
    let service = sample::service();
    let (connection, mut peer) = sample::connection();
    service.set_link(Some(link(&connection, 7)));
    let method = sample::method(&service, MethodKind::Subscribe);
    let policy = Policy {
        on_disconnect: crate::bridge::events::OnDisconnect::Fail,
        ..Policy::default()
    };
    let stream = service.subscribe(&method, policy, false).unwrap();
    accept(&mut peer, 7).await;
    stream.registered().await.unwrap();
    assert!(service.unlink(ServiceId(7)));
    assert_eq!(next(&stream).await, Err(End::Disconnected));
}

#[tokio::test(start_paused = true)]
async fn a_connection_lost_while_registering_is_a_disconnect() {
    let service = sample::service();
    let (connection, mut peer) = sample::connection();
    service.set_link(Some(link(&connection, 7)));
    let stream = subscribe(&service);
    expect(&mut peer, 7, REGISTER).await;
    drop(peer);
    let error = stream.registered().await.unwrap_err();
    assert!(matches!(*error, BridgeError::Unavailable), "{error}");
    assert!(!stream.queue().has_ended());

    let (connection, mut peer) = sample::connection();
    service.set_link(Some(link(&connection, 8)));
    accept(&mut peer, 8).await;
    emit(&mut peer, 8, b'a').await;
    // It had no events before, so that it missed none.
    assert_eq!(letter(&next(&stream).await.unwrap()), ('a', false));
}

#[tokio::test(start_paused = true)]
async fn a_registration_that_is_never_answered_does_not_outlast_its_link() {
    let service = sample::service();
    let (connection, mut peer) = sample::connection();
    service.set_link(Some(link(&connection, 7)));
    let stream = subscribe(&service);
    expect(&mut peer, 7, REGISTER).await;
    service.set_link(None);
    assert!(stream.registered().await.is_err());
}

#[tokio::test(start_paused = true)]
async fn a_refusal_ends_the_streams() {
    let service = sample::service();
    let (connection, mut peer) = sample::connection();
    service.set_link(Some(link(&connection, 7)));
    let stream = subscribe(&service);
    let call = expect(&mut peer, 7, REGISTER).await;
    let refusal = call.answer(Kind::Error, error_payload("not for you"));
    peer.send(&refusal).await.unwrap();
    let error = stream.registered().await.unwrap_err();
    assert_eq!(error.to_string(), "not for you");
    assert_eq!(next(&stream).await, Err(End::Refused));
    // The next stream asks again.
    let again = subscribe(&service);
    accept(&mut peer, 7).await;
    again.registered().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn the_last_stream_to_leave_unregisters() {
    let service = sample::service();
    let (connection, mut peer) = sample::connection();
    service.set_link(Some(link(&connection, 7)));
    let (one, two) = (subscribe(&service), subscribe(&service));
    accept(&mut peer, 7).await;
    one.registered().await.unwrap();
    two.registered().await.unwrap();
    drop(one);
    emit(&mut peer, 7, b'a').await;
    assert_eq!(letter(&next(&two).await.unwrap()), ('a', false));
    drop(two);
    expect(&mut peer, 7, UNREGISTER).await;
}

#[tokio::test(start_paused = true)]
async fn a_retired_service_ends_its_streams_and_takes_no_more() {
    let service = sample::service();
    let (connection, mut peer) = sample::connection();
    service.set_link(Some(link(&connection, 7)));
    let stream = subscribe(&service);
    accept(&mut peer, 7).await;
    stream.registered().await.unwrap();
    service.retire(End::Changed);
    assert_eq!(next(&stream).await, Err(End::Changed));
    let method = sample::method(&service, MethodKind::Subscribe);
    let refused = service.subscribe(&method, Policy::default(), false);
    assert!(matches!(refused, Err(BridgeError::Unavailable)));
}

fn watch(service: &Arc<Service>) -> Subscription {
    let method = sample::method(service, MethodKind::WatchProperty);
    service.subscribe(&method, Policy::default(), true).unwrap()
}

/// Answers the next call, which must read the property, with a letter.
async fn tell(peer: &mut Peer, service: u32, letter: u8) {
    let call = expect(peer, service, ActionId::PROPERTY).await;
    let value = [1, 0, 0, 0, b's', 1, 0, 0, 0, letter];
    let answer = call.answer(Kind::Reply, Bytes::copy_from_slice(&value));
    peer.send(&answer).await.unwrap();
}

/// The letter of a message whose field 1 is a text.
fn message(letter: u8) -> Bytes {
    Bytes::copy_from_slice(&[0x0a, 1, letter])
}

#[tokio::test(start_paused = true)]
async fn a_property_is_read_once_for_all_its_streams_when_the_robot_is_back() {
    let service = sample::service();
    let (connection, mut peer) = sample::connection();
    service.set_link(Some(link(&connection, 7)));
    let watches = [watch(&service), watch(&service), watch(&service)];
    accept(&mut peer, 7).await;
    for watch in &watches {
        watch.registered().await.unwrap();
        watch.queue().release(&message(b'a'), SystemTime::now());
        assert_eq!(letter(&next(watch).await.unwrap()), ('a', false));
    }
    drop(peer);
    connection.closed().await;

    let (connection, mut peer) = sample::connection();
    service.set_link(Some(link(&connection, 8)));
    accept(&mut peer, 8).await;
    tell(&mut peer, 8, b'b').await;
    let mut shared = Vec::new();
    for watch in &watches {
        let delivery = next(watch).await.unwrap();
        assert_eq!(letter(&delivery), ('b', true));
        shared.push(delivery.body.as_ptr());
    }
    assert!(shared.iter().all(|body| *body == shared[0]), "{shared:?}");
    emit_from(&mut peer, 8, MOOD, b'c').await;
    for watch in &watches {
        assert_eq!(letter(&next(watch).await.unwrap()), ('c', false));
    }
    // Had it been read for each, the next message would be another reading.
    drop(watches);
    expect(&mut peer, 8, UNREGISTER).await;
}

#[tokio::test(start_paused = true)]
async fn a_change_before_the_answer_is_the_newer_value() {
    let service = sample::service();
    let (connection, mut peer) = sample::connection();
    service.set_link(Some(link(&connection, 7)));
    let watch = watch(&service);
    accept(&mut peer, 7).await;
    watch.registered().await.unwrap();
    watch.queue().release(&message(b'a'), SystemTime::now());
    assert_eq!(letter(&next(&watch).await.unwrap()), ('a', false));

    service.set_link(Some(link(&connection, 8)));
    expect(&mut peer, 7, UNREGISTER).await;
    accept(&mut peer, 8).await;
    let call = expect(&mut peer, 8, ActionId::PROPERTY).await;
    emit_from(&mut peer, 8, MOOD, b'c').await;
    let value = [1, 0, 0, 0, b's', 1, 0, 0, 0, b'b'];
    let answer = call.answer(Kind::Reply, Bytes::copy_from_slice(&value));
    peer.send(&answer).await.unwrap();
    emit_from(&mut peer, 8, MOOD, b'd').await;
    assert_eq!(letter(&next(&watch).await.unwrap()), ('c', true));
    assert_eq!(letter(&next(&watch).await.unwrap()), ('d', false));
}

#[tokio::test(start_paused = true)]
async fn a_property_that_cannot_be_read_yet_is_asked_for_again() {
    let service = sample::service();
    let (connection, mut peer) = sample::connection();
    service.set_link(Some(link(&connection, 7)));
    let watch = watch(&service);
    accept(&mut peer, 7).await;
    watch.registered().await.unwrap();
    watch.queue().release(&message(b'a'), SystemTime::now());
    assert_eq!(letter(&next(&watch).await.unwrap()), ('a', false));

    service.set_link(Some(link(&connection, 8)));
    expect(&mut peer, 7, UNREGISTER).await;
    accept(&mut peer, 8).await;
    let call = expect(&mut peer, 8, ActionId::PROPERTY).await;
    let refusal = call.answer(Kind::Error, error_payload("not yet"));
    peer.send(&refusal).await.unwrap();
    tell(&mut peer, 8, b'b').await;
    assert_eq!(letter(&next(&watch).await.unwrap()), ('b', true));
}

/// A camera's frame is its bytes, once: not one copy for each stream.
#[tokio::test(start_paused = true)]
async fn the_bytes_of_an_event_are_shared_by_all_streams() {
    let service = sample::service();
    let (connection, mut peer) = sample::connection();
    service.set_link(Some(link(&connection, 7)));
    let streams: Vec<_> = (0..10).map(|_| subscribe(&service)).collect();
    accept(&mut peer, 7).await;
    let letters = 921_600_u32;
    let payload = [&letters.to_le_bytes()[..], &vec![b'x'; letters as usize]].concat();
    let address = Address::new(ServiceId(7), ObjectId::MAIN, HEARD);
    let event = Message::new(Kind::Event, MessageId(99), address, payload.into());
    peer.send(&event).await.unwrap();
    let mut bodies = Vec::new();
    for stream in &streams {
        bodies.push(next(stream).await.unwrap().body);
    }
    let first = bodies[0].as_ptr();
    assert!(bodies[0].len() > letters as usize);
    assert!(bodies.iter().all(|body| body.as_ptr() == first));
}

/// A keeper that runs on another thread while its hub is ended said that the registration is
/// pending, after the end was told, and who waited for it hung.
#[tokio::test(start_paused = true)]
async fn nothing_is_told_after_the_end() {
    let service = sample::service();
    let (connection, _peer) = sample::connection();
    service.set_link(Some(link(&connection, 7)));
    let stream = subscribe(&service);
    stream.hub.end(End::Changed);
    stream.hub.tell(Registration::Pending);
    let registered = tokio::time::timeout(Duration::from_secs(600), stream.registered());
    let error = registered.await.expect("the stream hangs").unwrap_err();
    assert!(
        matches!(*error, BridgeError::Ended(End::Changed)),
        "{error}"
    );
}
