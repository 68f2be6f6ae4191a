//! A connection over a pipe, with a scripted peer at its other end.

use std::{
    pin::Pin,
    sync::{Arc, atomic::Ordering},
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex},
    time::sleep,
};

use super::*;
use crate::qi::wire::{
    ActionId, Address, Flags, FrameError, HeaderError, Kind, Message, MessageId, ObjectId,
    ServiceId,
};

mod load;
pub(super) mod recorded;
mod registrations;

const SAY: Address = Address::new(ServiceId(7), ObjectId::MAIN, ActionId(100));
const PIPE_BYTES: usize = 64 * 1024;
const PAYLOAD_BYTES: u32 = 50_000_000;

fn pair() -> (Connection, Framed<DuplexStream>) {
    pair_with(ConnectionLimits::default(), Arc::new(NoObjects))
}

fn pair_with(
    limits: ConnectionLimits,
    dispatch: Arc<dyn Dispatch>,
) -> (Connection, Framed<DuplexStream>) {
    let (ours, theirs) = duplex(PIPE_BYTES);
    let options = ConnectionOptions {
        limits,
        dispatch,
        ..options()
    };
    let connection = Connection::start(Framed::new(ours, PAYLOAD_BYTES), options);
    (connection, Framed::new(theirs, PAYLOAD_BYTES))
}

fn options() -> ConnectionOptions {
    ConnectionOptions {
        capabilities: Capabilities::OURS,
        limits: ConnectionLimits::default(),
        dispatch: Arc::new(NoObjects),
    }
}

async fn receive(peer: &mut Framed<DuplexStream>, kind: Kind) -> Message {
    let message = peer.receive().await.unwrap();
    assert_eq!(message.kind, kind);
    message
}

#[derive(Default)]
struct Recorder {
    events: Mutex<Vec<Bytes>>,
    closed: Mutex<u32>,
}

impl EventSink for Recorder {
    fn event(&self, payload: &Bytes, _: Flags) {
        self.events.lock().push(payload.clone());
    }

    fn closed(&self) {
        *self.closed.lock() += 1;
    }
}

#[tokio::test]
async fn a_slow_call_delays_no_other() {
    let (connection, mut peer) = pair();
    let slow = connection.call(SAY, Bytes::from_static(b"slow"));
    let quick = connection.call(SAY, Bytes::from_static(b"quick"));
    let first = receive(&mut peer, Kind::Call).await;
    let second = receive(&mut peer, Kind::Call).await;
    for call in [second, first] {
        let reply = call.answer(Kind::Reply, call.payload.clone());
        peer.send(&reply).await.unwrap();
    }
    assert_eq!(quick.await.unwrap().payload, "quick");
    assert_eq!(slow.await.unwrap().payload, "slow");
}

#[tokio::test]
async fn answers_of_each_kind() {
    let (connection, mut peer) = pair();
    let calls: Vec<Call> = (0..4).map(|_| connection.call(SAY, Bytes::new())).collect();
    let number = Bytes::from_static(b"\x01\0\0\0i\x2a\0\0\0");
    for (kind, payload) in [
        (Kind::Reply, Bytes::from_static(b"x")),
        (Kind::Error, error_payload("no such thing")),
        (Kind::Error, number),
        (Kind::Canceled, Bytes::new()),
    ] {
        let call = receive(&mut peer, Kind::Call).await;
        peer.send(&call.answer(kind, payload)).await.unwrap();
    }
    let mut results = Vec::new();
    for call in calls {
        results.push(match call.await {
            Ok(reply) => format!("{:?}", reply.payload),
            Err(error) => error.to_string(),
        });
    }
    let expected = [
        "b\"x\"",
        "no such thing",
        "Int32(42)",
        "the call was cancelled",
    ];
    assert_eq!(results, expected);
}

#[tokio::test]
async fn dropping_a_call_cancels_it() {
    let (connection, mut peer) = pair();
    let call = connection.call(SAY, Bytes::new());
    let sent = receive(&mut peer, Kind::Call).await;
    drop(call);
    let cancel = receive(&mut peer, Kind::Cancel).await;
    assert_eq!(cancel.payload, sent.id.0.to_le_bytes()[..]);
    assert_eq!(connection.pending_calls(), 0);
    // A late answer is ignored.
    peer.send(&sent.answer(Kind::Canceled, Bytes::new()))
        .await
        .unwrap();
    connection.call(SAY, Bytes::new()).detach();
    receive(&mut peer, Kind::Call).await;
    connection.post(SAY, Bytes::new()).unwrap();
    receive(&mut peer, Kind::Post).await;
}

#[tokio::test]
async fn calls_on_their_way_are_lost_and_later_ones_not_sent() {
    let (connection, mut peer) = pair();
    let call = connection.call(SAY, Bytes::new());
    receive(&mut peer, Kind::Call).await;
    drop(peer);
    let error = call.await.unwrap_err();
    assert!(matches!(error, CallError::Lost(CloseReason::Peer)));
    assert!(matches!(connection.closed().await, CloseReason::Peer));
    let error = connection.call(SAY, Bytes::new()).await.unwrap_err();
    assert!(matches!(error, CallError::NotSent(SendError::Closed(_))));
}

/// The peer reads nothing: what does not fit into the pipe was not sent when the connection ends.
#[tokio::test(start_paused = true)]
async fn a_peer_that_does_not_read_costs_bounded_memory() {
    let limits = ConnectionLimits {
        outgoing_bytes: 3 * PIPE_BYTES,
        ..ConnectionLimits::default()
    };
    let (connection, peer) = pair_with(limits, Arc::new(NoObjects));
    let call = |size| connection.call(SAY, Bytes::from(vec![0; size]));
    let (sent, torn) = (call(PIPE_BYTES / 2), call(PIPE_BYTES));
    sleep(Duration::from_millis(1)).await;
    let queued = call(PIPE_BYTES);
    let error = call(2 * PIPE_BYTES).await.unwrap_err();
    assert!(
        matches!(error, CallError::NotSent(SendError::QueueFull { .. })),
        "{error}"
    );
    drop(peer);
    assert!(matches!(sent.await.unwrap_err(), CallError::Lost(_)));
    assert!(matches!(torn.await.unwrap_err(), CallError::Lost(_)));
    assert!(matches!(queued.await.unwrap_err(), CallError::NotSent(_)));
}

#[tokio::test]
async fn garbage_ends_the_connection_with_its_reason() {
    let (connection, peer) = pair();
    let (mut io, ..) = peer.into_parts();
    io.write_all(b"GET / HTTP/1.1\r\nHost: robot\r\n\r\n")
        .await
        .unwrap();
    assert!(matches!(
        connection.closed().await,
        CloseReason::Protocol(FrameError::Header(HeaderError::Magic { .. }))
    ));

    let (connection, peer) = pair();
    let (mut io, ..) = peer.into_parts();
    let huge = Message::new(Kind::Reply, MessageId(1), SAY, Bytes::new());
    let mut header = huge.header();
    header.size = u32::MAX;
    io.write_all(&header.encode()).await.unwrap();
    assert!(matches!(
        connection.closed().await,
        CloseReason::Protocol(FrameError::TooLarge { size: u32::MAX, .. })
    ));

    let (connection, peer) = pair();
    let (mut io, ..) = peer.into_parts();
    io.write_all(&huge.header().encode()[..10]).await.unwrap();
    drop(io);
    assert!(matches!(
        connection.closed().await,
        CloseReason::Protocol(FrameError::Truncated { missing: 18 })
    ));
}

#[tokio::test]
async fn calls_of_the_peer_get_an_error_where_nothing_is_hosted() {
    let (connection, mut peer) = pair();
    let call = Message::new(Kind::Call, MessageId(5), SAY, Bytes::new());
    for kind in [Kind::Post, Kind::Cancel, Kind::Capability] {
        let ignored = Message {
            kind,
            ..call.clone()
        };
        peer.send(&ignored).await.unwrap();
    }
    peer.send(&call).await.unwrap();
    let answer = peer.receive().await.unwrap();
    assert_eq!(
        answer,
        call.answer(Kind::Error, error_payload(UNHANDLED_CALL))
    );
    drop(connection);
}

/// A peer that asks and never reads is closed instead of remembered.
#[tokio::test]
async fn unread_answers_end_the_connection() {
    let limits = ConnectionLimits {
        outgoing_bytes: 16 * 1024,
        ..ConnectionLimits::default()
    };
    let (connection, mut peer) = pair_with(limits, Arc::new(NoObjects));
    let call = Message::new(Kind::Call, MessageId(5), SAY, Bytes::new());
    while peer.send(&call).await.is_ok() {}
    assert!(matches!(
        connection.closed().await,
        CloseReason::Unread { .. }
    ));
}

#[tokio::test]
async fn what_is_queued_leaves_before_the_end() {
    let (connection, mut peer) = pair();
    let call = connection.call(SAY, Bytes::new());
    connection.post(SAY, Bytes::from(vec![1; 100_000])).unwrap();
    connection.close();
    assert!(connection.is_closed());
    receive(&mut peer, Kind::Call).await;
    assert_eq!(receive(&mut peer, Kind::Post).await.payload.len(), 100_000);
    assert!(matches!(peer.receive().await, Err(CloseReason::Peer)));
    assert!(matches!(connection.closed().await, CloseReason::Local));
    assert!(matches!(
        call.await.unwrap_err(),
        CallError::Lost(CloseReason::Local)
    ));
}

#[tokio::test(start_paused = true)]
async fn a_blocked_peer_does_not_keep_a_connection_open() {
    let (connection, mut peer) = pair();
    connection
        .post(SAY, Bytes::from(vec![1; 3 * PIPE_BYTES]))
        .unwrap();
    sleep(Duration::from_millis(1)).await;
    connection.close();
    assert!(matches!(connection.closed().await, CloseReason::Local));
    let (mut io, ..) = {
        let _ = &mut peer;
        peer.into_parts()
    };
    let mut rest = Vec::new();
    io.read_to_end(&mut rest).await.unwrap();
    assert_eq!(rest.len(), PIPE_BYTES);
}

#[tokio::test]
async fn the_last_handle_ends_the_connection() {
    let (connection, mut peer) = pair();
    let clone = connection.clone();
    drop(connection);
    clone.post(SAY, Bytes::new()).unwrap();
    drop(clone);
    receive(&mut peer, Kind::Post).await;
    assert!(matches!(peer.receive().await, Err(CloseReason::Peer)));
}
