//! What a queue delivers, loses and tells of it.

use std::future::poll_fn;

use super::*;

fn policy(size: usize, overflow: Overflow) -> Policy {
    Policy {
        queue_size: NonZeroUsize::new(size).unwrap(),
        overflow,
        ..Policy::default()
    }
}

fn push(queue: &EventQueue, n: u8) {
    queue.push(&Bytes::copy_from_slice(&[n]), SystemTime::UNIX_EPOCH);
}

/// Value, sequence, dropped, gap.
type Got = (u8, u64, u64, bool);

/// All that waits, and how it ended.
fn drain(queue: &EventQueue) -> (Vec<Got>, Option<End>) {
    let cx = Context::from_waker(Waker::noop());
    let mut got = Vec::new();
    loop {
        match queue.poll_next(&cx) {
            Poll::Ready(Ok(d)) => got.push((d.body[0], d.sequence, d.dropped, d.gap)),
            Poll::Ready(Err(end)) => return (got, Some(end)),
            Poll::Pending => return (got, None),
        }
    }
}

#[test]
fn what_a_full_queue_loses_is_counted() {
    let queue = EventQueue::new(policy(2, Overflow::DropOldest));
    (1..=5).for_each(|n| push(&queue, n));
    assert_eq!(
        drain(&queue).0,
        [(4, 4, 3, false), (5, 5, 0, false)],
        "the newest are kept"
    );

    let queue = EventQueue::new(policy(2, Overflow::DropNewest));
    (1..=5).for_each(|n| push(&queue, n));
    assert_eq!(drain(&queue).0, [(1, 1, 0, false), (2, 2, 0, false)]);
    push(&queue, 6);
    assert_eq!(drain(&queue).0, [(6, 6, 3, false)]);

    let queue = EventQueue::new(policy(2, Overflow::Fail));
    (1..=3).for_each(|n| push(&queue, n));
    assert_eq!(
        drain(&queue),
        (
            vec![(1, 1, 0, false), (2, 2, 0, false)],
            Some(End::Overflow)
        )
    );
}

#[test]
fn a_gap_is_told_once_even_if_its_event_is_dropped() {
    let queue = EventQueue::new(policy(2, Overflow::DropOldest));
    push(&queue, 1);
    queue.disconnect();
    (2..=4).for_each(|n| push(&queue, n));
    assert_eq!(drain(&queue).0, [(3, 3, 2, true), (4, 4, 0, false)]);
}

#[test]
fn a_reader_may_choose_to_end_at_a_disconnect() {
    let queue = EventQueue::new(Policy {
        on_disconnect: OnDisconnect::Fail,
        ..Policy::default()
    });
    push(&queue, 1);
    queue.disconnect();
    push(&queue, 2);
    assert_eq!(
        drain(&queue),
        (vec![(1, 1, 0, false)], Some(End::Disconnected))
    );
}

fn value(n: u8) -> (Bytes, SystemTime) {
    (Bytes::copy_from_slice(&[n]), SystemTime::UNIX_EPOCH)
}

fn release(queue: &EventQueue, n: u8) {
    let (body, at) = value(n);
    queue.release(&body, at);
}

fn refresh(queue: &EventQueue, n: u8) {
    let (body, at) = value(n);
    queue.refresh(&body, at);
}

#[test]
fn a_held_queue_begins_with_the_current_value() {
    let queue = EventQueue::held(Policy::default());
    assert_eq!(drain(&queue).0, []);
    release(&queue, 6);
    push(&queue, 7);
    assert_eq!(drain(&queue).0, [(6, 1, 0, false), (7, 2, 0, false)]);
}

/// The answer was once put in front of the changes that came before it, so that a reader saw a
/// property that counts go 8, 7, 8.
#[test]
fn a_value_that_changed_before_it_was_read_does_not_go_back() {
    let queue = EventQueue::held(Policy::default());
    push(&queue, 7);
    push(&queue, 8);
    assert_eq!(drain(&queue).0, []);
    release(&queue, 8);
    push(&queue, 9);
    let values = [(7, 1, 0, false), (8, 2, 0, false), (9, 3, 0, false)];
    assert_eq!(drain(&queue).0, values);
}

#[test]
fn after_a_disconnect_a_watch_takes_the_value_that_was_read_unless_a_change_was_first() {
    let queue = EventQueue::held(Policy::default());
    release(&queue, 1);
    refresh(&queue, 1);
    assert_eq!(drain(&queue).0, [(1, 1, 0, false)], "nothing was missed");

    queue.disconnect();
    assert!(queue.awaits_value());
    refresh(&queue, 2);
    assert!(!queue.awaits_value());
    push(&queue, 3);
    assert_eq!(drain(&queue).0, [(2, 2, 0, true), (3, 3, 0, false)]);

    queue.disconnect();
    push(&queue, 4);
    refresh(&queue, 3);
    assert_eq!(drain(&queue).0, [(4, 4, 0, true)]);
}

#[test]
fn a_stream_of_a_signal_is_owed_no_value() {
    let queue = EventQueue::new(Policy::default());
    queue.disconnect();
    assert!(!queue.awaits_value());
    refresh(&queue, 1);
    push(&queue, 2);
    assert_eq!(drain(&queue).0, [(2, 1, 0, true)]);
}

#[test]
fn bytes_that_wait_are_bounded() {
    let queue = EventQueue::new(policy(1000, Overflow::DropOldest));
    let body = Bytes::from(vec![0; MAX_QUEUE_BYTES / 2]);
    for _ in 0..5 {
        queue.push(&body, SystemTime::UNIX_EPOCH);
    }
    assert_eq!(drain(&queue).0, [(0, 4, 3, false), (0, 5, 0, false)]);
    let huge = Bytes::from(vec![0; MAX_QUEUE_BYTES + 1]);
    queue.push(&huge, SystemTime::UNIX_EPOCH);
    assert_eq!(drain(&queue).0.len(), 1, "one event is always accepted");
}

#[tokio::test(start_paused = true)]
async fn an_interval_delivers_the_newest_when_it_is_over() {
    let queue = EventQueue::new(Policy {
        min_interval: Some(Duration::from_secs(1)),
        ..Policy::default()
    });
    let mut pace = Pace::default();
    let start = Instant::now();
    push(&queue, 1);
    let first = poll_fn(|cx| pace.poll_next(&queue, cx)).await.unwrap();
    (2..=4).for_each(|n| push(&queue, n));
    let second = poll_fn(|cx| pace.poll_next(&queue, cx)).await.unwrap();
    assert_eq!((first.body[0], first.dropped), (1, 0));
    assert_eq!((second.body[0], second.dropped), (4, 2));
    assert!(start.elapsed() >= Duration::from_secs(1));
}
