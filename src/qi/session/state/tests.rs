use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::qi::wire::{ActionId, FrameDecoder, ObjectId, ServiceId};

const SAY: Address = Address::new(ServiceId(7), ObjectId::MAIN, ActionId(100));

fn state() -> State {
    state_with(ConnectionLimits::default())
}

fn state_with(limits: ConnectionLimits) -> State {
    let shared = Capabilities {
        remote_cancelable_calls: true,
        ..Capabilities::default()
    };
    State::new(shared, limits, MessageId(2))
}

/// All that `state` has to send, as its peer reads it; `sent` of its bytes count as sent.
fn output(state: &mut State) -> Vec<Message> {
    let mut batch = Batch::default();
    state.take_output(&mut batch, Waker::noop());
    let mut decoder = FrameDecoder::new(u32::MAX);
    while batch.left() > 0 {
        let mut slices = [std::io::IoSlice::new(&[]); crate::qi::session::batch::PIECES];
        let (count, bytes) = batch.next(&mut slices);
        decoder.buffer().extend_from_slice(
            &slices[..count]
                .iter()
                .flat_map(|slice| slice.iter().copied())
                .collect::<Vec<u8>>(),
        );
        batch.advance(bytes);
        state.sent(bytes);
    }
    let mut messages = Vec::new();
    while let Some(message) = decoder.next_message().unwrap() {
        messages.push(message);
    }
    messages
}

fn call(state: &mut State, payload: &'static [u8]) -> MessageId {
    state
        .call(SAY, Flags::NONE, Bytes::from_static(payload))
        .unwrap()
}

fn poll(state: &mut State, id: MessageId) -> Poll<Result<Answer, CallError>> {
    state.poll_answer(id, Waker::noop())
}

struct Counter(AtomicUsize);

impl EventSink for Counter {
    fn event(&self, _: &Bytes, _: Flags) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn answers_find_their_calls_in_any_order() {
    let (mut us, mut peer) = (state(), state());
    let ids = [
        call(&mut us, b"a"),
        call(&mut us, b"b"),
        call(&mut us, b"c"),
    ];
    for message in output(&mut us).iter().rev() {
        assert_eq!((message.kind, message.address), (Kind::Call, SAY));
        let answer = message.answer(Kind::Reply, message.payload.clone());
        peer.answer(answer).unwrap();
    }
    for id in ids {
        assert!(poll(&mut us, id).is_pending());
    }
    for answer in output(&mut peer) {
        assert!(matches!(us.receive(answer), Received::Answered(Some(_))));
    }
    for (id, payload) in ids.into_iter().zip([b"a", b"b", b"c"]) {
        let Poll::Ready(Ok(answer)) = poll(&mut us, id) else {
            panic!("no answer to {id}");
        };
        assert_eq!(answer.payload, &payload[..]);
    }
    assert_eq!(us.pending(), 0);
}

#[test]
fn an_answer_counts_once_and_only_for_a_pending_call() {
    let mut us = state();
    let id = call(&mut us, b"");
    let answer = Message::new(Kind::Reply, id, SAY, Bytes::from_static(b"1"));
    let stray = Message::new(Kind::Error, MessageId(99), SAY, Bytes::new());
    assert!(matches!(us.receive(stray), Received::Ignored));
    assert!(matches!(
        us.receive(answer.clone()),
        Received::Answered(None)
    ));
    let second = Message {
        payload: Bytes::from_static(b"2"),
        ..answer
    };
    assert!(matches!(us.receive(second), Received::Ignored));
    let Poll::Ready(Ok(answer)) = poll(&mut us, id) else {
        panic!("no answer");
    };
    assert_eq!(answer.payload, &b"1"[..]);
}

#[test]
fn an_abandoned_call_is_cancelled_where_the_peer_can() {
    let mut us = state();
    let id = call(&mut us, b"");
    drop(us.abandon(id));
    let sent = output(&mut us);
    assert_eq!(sent.len(), 2);
    assert_eq!(sent[1].kind, Kind::Cancel);
    let target = Address::new(SAY.service, SAY.object, ActionId(0));
    assert_eq!(sent[1].address, target);
    assert_eq!(sent[1].payload, id.0.to_le_bytes()[..]);
    assert_ne!(sent[1].id, id);
    assert_eq!(us.pending(), 0);

    us.cancelable = false;
    let id = call(&mut us, b"");
    drop(us.abandon(id));
    assert_eq!(output(&mut us).len(), 1);

    us.cancelable = true;
    let id = call(&mut us, b"");
    us.receive(Message::new(Kind::Reply, id, SAY, Bytes::new()));
    drop(us.abandon(id));
    assert_eq!(output(&mut us).len(), 1, "answered calls are not cancelled");
}

/// Each time that a call was cancelled, and once more when it was dropped, a message was queued
/// however full the queue was.
#[test]
fn a_call_is_cancelled_once() {
    let mut us = state();
    let id = call(&mut us, b"");
    us.ask_to_cancel(id);
    us.ask_to_cancel(id);
    drop(us.abandon(id));
    let kinds: Vec<_> = output(&mut us).iter().map(|sent| sent.kind).collect();
    assert_eq!(kinds, [Kind::Call, Kind::Cancel]);
}

#[test]
fn at_the_end_calls_are_lost_or_never_sent() {
    let mut us = state();
    let lost = call(&mut us, b"sent");
    output(&mut us);
    let torn = call(&mut us, b"partly sent");
    us.sent(1);
    let unsent = call(&mut us, b"queued");
    us.finish(CloseReason::Peer);
    let result = |polled| match polled {
        Poll::Ready(Err(error)) => error,
        _ => panic!("the call has not failed"),
    };
    for id in [lost, torn] {
        let error = result(poll(&mut us, id));
        assert!(matches!(error, CallError::Lost(CloseReason::Peer)), "{id}");
    }
    assert!(matches!(
        result(poll(&mut us, unsent)),
        CallError::NotSent(SendError::Closed(CloseReason::Peer))
    ));
    assert!(matches!(
        us.call(SAY, Flags::NONE, Bytes::new()),
        Err(SendError::Closed(CloseReason::Peer))
    ));
    assert_eq!(us.pending(), 0);
}

#[test]
fn queues_are_bounded() {
    let mut us = state_with(ConnectionLimits {
        pending_calls: 3,
        outgoing_bytes: 100,
        ..ConnectionLimits::default()
    });
    call(&mut us, b"");
    call(&mut us, b"");
    call(&mut us, b"");
    assert!(matches!(
        us.call(SAY, Flags::NONE, Bytes::new()),
        Err(SendError::TooManyCalls { limit: 3 })
    ));
    assert!(matches!(
        us.send(Kind::Post, SAY, Flags::NONE, Bytes::new()),
        Err(SendError::QueueFull {
            queued: 84,
            limit: 100
        })
    ));
    // Answers have room for as much again, then the connection ends.
    let answer = Message::new(Kind::Reply, MessageId(1), SAY, Bytes::from(vec![0; 80]));
    us.answer(answer.clone()).unwrap();
    assert!(us.answer(answer).is_err());
    assert!(matches!(
        us.closing(),
        Some(CloseReason::Unread { queued: 192 })
    ));
}

/// What gives something back was lost when the queue was full, and the peer kept it.
#[test]
fn what_is_given_back_has_room_like_answers() {
    let mut us = state_with(ConnectionLimits {
        outgoing_bytes: 100,
        ..ConnectionLimits::default()
    });
    let give_back = |us: &mut State| us.release(Kind::Post, SAY, Bytes::from_static(b"1234"));
    us.send(Kind::Post, SAY, Flags::NONE, Bytes::from(vec![0; 72]))
        .unwrap();
    for _ in 0..3 {
        give_back(&mut us).unwrap();
    }
    assert!(give_back(&mut us).is_err());
    assert!(matches!(
        us.closing(),
        Some(CloseReason::Unread { queued: 196 })
    ));
    assert_eq!(output(&mut us).len(), 4);
}

#[test]
fn one_large_message_passes_if_nothing_else_waits() {
    let mut us = state_with(ConnectionLimits {
        outgoing_bytes: 100,
        wire: crate::qi::wire::Limits {
            payload_bytes: 1000,
            ..Default::default()
        },
        ..ConnectionLimits::default()
    });
    let post = |us: &mut State, size: usize| {
        us.send(Kind::Post, SAY, Flags::NONE, Bytes::from(vec![0; size]))
    };
    assert!(matches!(
        post(&mut us, 1001),
        Err(SendError::TooLarge {
            size: 1001,
            limit: 1000
        })
    ));
    post(&mut us, 1000).unwrap();
    assert!(matches!(post(&mut us, 0), Err(SendError::QueueFull { .. })));
    output(&mut us);
    post(&mut us, 0).unwrap();
}

#[test]
fn events_go_to_the_sinks_of_their_signal() {
    let mut us = state();
    let sinks: Vec<Arc<Counter>> = (0..3)
        .map(|_| Arc::new(Counter(AtomicUsize::new(0))))
        .collect();
    let other = Address::new(SAY.service, ObjectId(3), SAY.action);
    let mut routes = Vec::new();
    for (sink, address) in sinks.iter().zip([SAY, SAY, other]) {
        routes.push(us.subscribe(address, sink.clone()).ok().unwrap());
    }
    let event = Message::new(Kind::Event, MessageId(1), SAY, Bytes::new());
    let emit = |us: &mut State| match us.receive(event.clone()) {
        Received::Event(sinks, message) => {
            for sink in &sinks {
                sink.event(&message.payload, message.flags);
            }
            sinks.len()
        }
        _ => 0,
    };
    assert_eq!(emit(&mut us), 2);
    drop(us.unsubscribe(SAY, routes[0]));
    assert_eq!(emit(&mut us), 1);
    drop(us.unsubscribe(SAY, routes[1]));
    assert_eq!(emit(&mut us), 0);
    let counts = sinks.iter().map(|sink| sink.0.load(Ordering::Relaxed));
    assert_eq!(counts.collect::<Vec<_>>(), [1, 2, 0]);
    assert_eq!(us.finish(CloseReason::Peer).sinks.len(), 1);
    assert!(us.subscribe(SAY, sinks[0].clone()).is_err());
}

/// Four billion messages later, the id of a call that still waits is not given again.
#[test]
fn ids_wrap_around_pending_calls() {
    let mut us = state();
    us.next_id = u32::MAX;
    let old = call(&mut us, b"");
    us.next_id = u32::MAX;
    let new = call(&mut us, b"");
    assert_eq!((old, new), (MessageId(u32::MAX), MessageId(0)));
}

#[test]
fn unknown_kinds_are_ignored_and_calls_dispatched() {
    let mut us = state();
    let message = |kind| Message::new(kind, MessageId(1), SAY, Bytes::new());
    for kind in [Kind::Unknown(0), Kind::Unknown(9), Kind::Event] {
        assert!(matches!(us.receive(message(kind)), Received::Ignored));
    }
    for kind in [Kind::Call, Kind::Post, Kind::Cancel, Kind::Capability] {
        assert!(matches!(us.receive(message(kind)), Received::Dispatch(_)));
    }
}
