//! The queue of one stream: bounded, with the policy that its reader chose.

use std::{
    collections::VecDeque,
    num::NonZeroUsize,
    pin::Pin,
    task::{Context, Poll, Waker},
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use parking_lot::{Mutex, MutexGuard};
use tokio::time::{Instant, Sleep};

use crate::bridge::service::ValueFormat;

/// How a stream is delivered: `qi.gateway.v1.SubscribeOptions`, checked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Policy {
    /// How many events may wait.
    pub queue_size: NonZeroUsize,
    /// What happens to an event that finds the queue full.
    pub overflow: Overflow,
    /// At most one event in this time. The newest of those that came is delivered when it is
    /// over, so the last state of the robot is never withheld; the others count as dropped.
    pub min_interval: Option<Duration>,
    /// What happens when the robot goes away.
    pub on_disconnect: OnDisconnect,
    /// How the values come; told by the metadata of the request, not by its options.
    pub format: ValueFormat,
}

/// What happens to an event that finds the queue full.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Overflow {
    /// The oldest one makes room.
    #[default]
    DropOldest,
    /// It is dropped.
    DropNewest,
    /// The stream ends.
    Fail,
}

/// What happens to a stream when the robot goes away.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum OnDisconnect {
    /// It stays open and goes on when the robot is back.
    #[default]
    Wait,
    /// It ends.
    Fail,
}

impl Policy {
    /// How many events may wait at most, whatever the reader asks for.
    pub const MAX_QUEUE_SIZE: NonZeroUsize = size(16_384);

    /// How many events wait for a reader that chose nothing: two seconds of a robot's 30 Hz
    /// sensors.
    pub const DEFAULT_QUEUE_SIZE: NonZeroUsize = size(64);
}

const fn size(size: usize) -> NonZeroUsize {
    match NonZeroUsize::new(size) {
        Some(size) => size,
        None => NonZeroUsize::MIN,
    }
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            queue_size: Self::DEFAULT_QUEUE_SIZE,
            overflow: Overflow::default(),
            min_interval: None,
            on_disconnect: OnDisconnect::default(),
            format: ValueFormat::default(),
        }
    }
}

/// How many bytes of events may wait in one queue. Beyond it the queue is full, whatever its
/// size; one event is always accepted. Room for half a second of 640x480 video at 30 Hz; events
/// are shared between streams, so a hundred slow ones of one signal pin hardly more than one does.
pub const MAX_QUEUE_BYTES: usize = 16 * 1024 * 1024;

/// Why a stream ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum End {
    /// The queue was full and the reader chose [`Overflow::Fail`].
    #[error("the reader is too slow: its queue is full")]
    Overflow,
    /// The robot went away and the reader chose [`OnDisconnect::Fail`].
    #[error("the connection to the service was lost")]
    Disconnected,
    /// The service came back with another interface.
    #[error("the service has changed its interface")]
    Changed,
    /// The robot refuses the subscription.
    #[error("the robot refuses the subscription")]
    Refused,
    /// The object that the events come from was released, or its connection is over.
    #[error("the object was released")]
    Released,
    /// The gateway shuts down.
    #[error("the gateway shuts down")]
    Shutdown,
}

/// An event for a stream.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Delivery {
    /// The transcoded values: the event's message without its `info` field. Shared by all streams.
    pub body: Bytes,
    /// Counts the events that arrived for the stream, from 1.
    pub sequence: u64,
    /// How many were lost since the one delivered before.
    pub dropped: u64,
    /// When the gateway received it.
    pub received_at: SystemTime,
    /// Whether the connection was lost since the one delivered before.
    pub gap: bool,
}

/// The queue between one signal and one stream.
///
/// The signal pushes and never waits; one reader polls.
#[derive(Debug)]
pub struct EventQueue {
    policy: Policy,
    /// Whether the events are the values of a property, of which the reader is owed the current one.
    watch: bool,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    events: VecDeque<Queued>,
    bytes: usize,
    /// The sequence number of the last event that arrived.
    arrived: u64,
    /// The sequence number of the last event that was delivered.
    delivered: u64,
    /// The next event that is kept tells of a gap.
    gap: bool,
    /// Events are kept back until the current value is known.
    held: bool,
    end: Option<End>,
    waker: Option<Waker>,
}

#[derive(Debug)]
struct Queued {
    body: Bytes,
    sequence: u64,
    received_at: SystemTime,
    gap: bool,
}

impl EventQueue {
    /// An empty queue.
    #[must_use]
    pub const fn new(policy: Policy) -> Self {
        Self::with_state(policy, false)
    }

    /// An empty queue for the values of a property. It delivers nothing before [`Self::release`].
    #[must_use]
    pub const fn held(policy: Policy) -> Self {
        Self::with_state(policy, true)
    }

    const fn with_state(policy: Policy, held: bool) -> Self {
        Self {
            policy,
            watch: held,
            state: Mutex::new(State {
                events: VecDeque::new(),
                bytes: 0,
                arrived: 0,
                delivered: 0,
                gap: false,
                held,
                end: None,
                waker: None,
            }),
        }
    }

    /// The policy that the reader chose.
    #[must_use]
    pub const fn policy(&self) -> &Policy {
        &self.policy
    }

    /// An event arrived.
    pub fn push(&self, body: &Bytes, received_at: SystemTime) {
        self.push_into(self.state.lock(), body, received_at);
    }

    fn push_into(&self, mut state: MutexGuard<'_, State>, body: &Bytes, received_at: SystemTime) {
        if state.end.is_some() {
            return;
        }
        state.arrived += 1;
        let queued = Queued {
            body: body.clone(),
            sequence: state.arrived,
            received_at,
            gap: false,
        };
        if self.policy.min_interval.is_some() {
            // Only the newest is ever wanted.
            while state.drop_oldest() {}
        }
        while self.is_full(&state, body.len()) {
            match self.policy.overflow {
                Overflow::DropOldest => {
                    state.drop_oldest();
                }
                Overflow::DropNewest => return,
                Overflow::Fail => return finish(state, End::Overflow),
            }
        }
        let gap = std::mem::take(&mut state.gap);
        state.bytes += body.len();
        state.events.push_back(Queued { gap, ..queued });
        wake(state);
    }

    fn is_full(&self, state: &State, bytes: usize) -> bool {
        !state.events.is_empty()
            && (state.events.len() >= self.policy.queue_size.get()
                || state.bytes + bytes > MAX_QUEUE_BYTES)
    }

    /// An event arrived that cannot be delivered: it counts as dropped.
    pub fn skip(&self) {
        let mut state = self.state.lock();
        if state.end.is_none() {
            state.arrived += 1;
        }
    }

    /// Lets a held queue go on, with the value that was asked for once events came. If one of them came
    /// before the answer, it tells of a change that is as new or newer, and the answer is not needed:
    /// put before it, it could be the later value.
    pub fn release(&self, current: &Bytes, received_at: SystemTime) {
        let mut state = self.state.lock();
        state.held = false;
        if state.events.is_empty() {
            self.push_into(state, current, received_at);
        } else {
            wake(state);
        }
    }

    /// Whether the reader watches a property and was told nothing since the robot went away.
    #[must_use]
    pub fn awaits_value(&self) -> bool {
        self.awaits(&self.state.lock())
    }

    const fn awaits(&self, state: &State) -> bool {
        self.watch && state.gap && state.end.is_none()
    }

    /// The value that was asked for after a disconnect. As with [`Self::release`], an event that came
    /// before the answer is preferred to it.
    pub fn refresh(&self, current: &Bytes, received_at: SystemTime) {
        let state = self.state.lock();
        if self.awaits(&state) {
            self.push_into(state, current, received_at);
        }
    }

    /// The robot went away.
    pub fn disconnect(&self) {
        let mut state = self.state.lock();
        match self.policy.on_disconnect {
            OnDisconnect::Wait => state.gap = true,
            OnDisconnect::Fail => finish(state, End::Disconnected),
        }
    }

    /// The stream ends after the events that wait already. The first reason stays.
    pub fn end(&self, end: End) {
        finish(self.state.lock(), end);
    }

    /// Whether no event is accepted any more.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.state.lock().end.is_some()
    }

    /// The next event, or why there is none any more.
    fn poll_next(&self, cx: &Context<'_>) -> Poll<Result<Delivery, End>> {
        let mut state = self.state.lock();
        if !state.held
            && let Some(event) = state.events.pop_front()
        {
            state.bytes -= event.body.len();
            let dropped = event.sequence - state.delivered - 1;
            state.delivered = event.sequence;
            return Poll::Ready(Ok(Delivery {
                body: event.body,
                sequence: event.sequence,
                dropped,
                received_at: event.received_at,
                gap: event.gap,
            }));
        }
        if let Some(end) = state.end {
            return Poll::Ready(Err(end));
        }
        match &mut state.waker {
            Some(waker) => waker.clone_from(cx.waker()),
            none => *none = Some(cx.waker().clone()),
        }
        Poll::Pending
    }
}

impl State {
    /// Takes out the oldest event; what it told of a gap goes on to the next.
    fn drop_oldest(&mut self) -> bool {
        let Some(oldest) = self.events.pop_front() else {
            return false;
        };
        self.bytes -= oldest.body.len();
        if oldest.gap {
            match self.events.front_mut() {
                Some(next) => next.gap = true,
                None => self.gap = true,
            }
        }
        true
    }
}

fn finish(mut state: MutexGuard<'_, State>, end: End) {
    if state.end.is_none() {
        state.end = Some(end);
        state.held = false;
        wake(state);
    }
}

/// Wakes the reader, after the lock is released: what it does then is not ours to know.
fn wake(mut state: MutexGuard<'_, State>) {
    let waker = state.waker.take();
    drop(state);
    if let Some(waker) = waker {
        waker.wake();
    }
}

/// Reads a queue at the pace of its policy.
#[derive(Debug, Default)]
pub struct Pace {
    /// Set while the next event must wait.
    pause: Option<Pin<Box<Sleep>>>,
}

impl Pace {
    /// The next event of `queue`, or why there is none any more.
    pub fn poll_next(
        &mut self,
        queue: &EventQueue,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Delivery, End>> {
        if let Some(pause) = &mut self.pause {
            if pause.as_mut().poll(cx).is_pending() && !queue.has_ended() {
                return Poll::Pending;
            }
            self.pause = None;
        }
        let next = queue.poll_next(cx);
        if let (Poll::Ready(Ok(_)), Some(interval)) = (&next, queue.policy.min_interval) {
            self.pause = Some(Box::pin(tokio::time::sleep_until(
                Instant::now() + interval,
            )));
        }
        next
    }
}

#[cfg(test)]
mod tests;
