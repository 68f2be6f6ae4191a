//! What a connection knows: its pending calls, its event routes and what is to be sent. No IO.

use std::{
    collections::HashMap,
    mem,
    sync::Arc,
    task::{Poll, Waker},
};

use bytes::Bytes;
use smallvec::SmallVec;

use super::{
    CallError, Capabilities, CloseReason, ConnectionLimits, EventSink, SendError, batch::Batch,
    id_map::IdMap,
};
use crate::qi::wire::{Address, Flags, HEADER_BYTES, Kind, Message, MessageId};

/// The bookkeeping of one connection, after authentication. Both sides may call, so it is the same
/// for the side that opened the connection and the side that accepted it.
///
/// ```text
///   our users                                    the socket
///   call, send, answer, release --> queue -----> take_output, sent, blocked
///   poll_answer <-- pending calls <------------- receive -> Received::Answered (wake)
///   subscribe, unsubscribe -> routes ----------> receive -> Received::Event (call the sinks)
///   objects we host <--------------------------- receive -> Received::Dispatch
///
///   a call:  queued -> sent -> answered -> taken by poll_answer
///               |        |
///               |        +-- finish --> Lost        abandon: forgotten, a cancel is queued
///               +----------- finish --> NotSent
///
///   the whole:  open -- close --> closing (nothing new, what is queued leaves) -- finish --> finished
/// ```
///
/// Input from users: [`Self::call`], [`Self::send`], [`Self::answer`], [`Self::release`],
/// [`Self::abandon`], [`Self::subscribe`], [`Self::unsubscribe`], [`Self::close`]. Input from the socket:
/// [`Self::receive`], [`Self::sent`], [`Self::finish`]. Output: [`Self::poll_answer`],
/// [`Self::take_output`] and the results of the inputs. [`Self::finish`] comes last; everything may
/// still be called after it.
#[derive(Debug)]
pub(super) struct State {
    limits: ConnectionLimits,
    cancelable: bool,
    next_id: u32,
    pending: IdMap<Pending>,
    routes: HashMap<Address, SmallVec<[Route; 1]>>,
    next_route: u64,
    queue: Batch,
    /// Bytes of the stream that were queued since the beginning.
    queued_to: u64,
    /// Bytes of the stream that may have reached the socket.
    sent_to: u64,
    life: Life,
    /// Waits for the end, and for something to send if `driver_idle`; otherwise it waits for the
    /// socket to take what it already has.
    driver: Option<Waker>,
    driver_idle: bool,
}

#[derive(Debug)]
enum Life {
    Open,
    Closing(CloseReason),
    Finished(CloseReason),
}

#[derive(Debug)]
enum Pending {
    Waiting {
        address: Address,
        /// Where in the stream the call begins.
        begins_at: u64,
        waker: Option<Waker>,
        asked_to_cancel: bool,
    },
    Answered(Answer),
    Failed(CallError),
}

/// An answer as it came.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) kind: Kind,
    pub(super) flags: Flags,
    pub(super) payload: Bytes,
}

/// What a call leaves behind: to be dropped after the lock around the state is released, since
/// what is in it may come back for the lock.
#[must_use]
pub(super) struct Forgotten {
    _pending: Option<Pending>,
}

/// Names a route.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct RouteId(u64);

struct Route {
    id: RouteId,
    sink: Arc<dyn EventSink>,
}

impl std::fmt::Debug for Route {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.id.fmt(f)
    }
}

/// The sinks of one event; nearly always one.
pub(super) type Sinks = SmallVec<[Arc<dyn EventSink>; 2]>;

/// What a message of the peer asks for.
pub(super) enum Received {
    /// Nothing: it answers no pending call, or its kind is unknown (section 3).
    Ignored,
    /// A call has its answer.
    Answered(Option<Waker>),
    /// A signal was emitted.
    Event(Sinks, Message),
    /// A message for the objects that this side hosts.
    Dispatch(Message),
}

/// What is to be told when a connection has ended.
#[derive(Default)]
pub(super) struct Farewell {
    pub(super) calls: Vec<Waker>,
    pub(super) sinks: Vec<Arc<dyn EventSink>>,
}

impl State {
    /// A connection on which this side's next message has the id `next_id`.
    pub(super) fn new(shared: Capabilities, limits: ConnectionLimits, next_id: MessageId) -> Self {
        Self {
            limits,
            cancelable: shared.remote_cancelable_calls,
            next_id: next_id.0,
            pending: IdMap::default(),
            routes: HashMap::new(),
            next_route: 0,
            queue: Batch::default(),
            queued_to: 0,
            sent_to: 0,
            life: Life::Open,
            driver: None,
            driver_idle: false,
        }
    }

    /// Queues a call and returns its id, for [`Self::poll_answer`] or [`Self::abandon`].
    pub(super) fn call(
        &mut self,
        address: Address,
        flags: Flags,
        payload: Bytes,
    ) -> Result<MessageId, SendError> {
        if self.pending.len() >= self.limits.pending_calls {
            let limit = self.limits.pending_calls;
            return Err(SendError::TooManyCalls { limit });
        }
        self.admit(payload.len(), self.limits.outgoing_bytes)?;
        let id = self.fresh_id();
        let pending = Pending::Waiting {
            address,
            begins_at: self.queued_to,
            waker: None,
            asked_to_cancel: false,
        };
        self.pending.insert(id, pending);
        let mut message = Message::new(Kind::Call, id, address, payload);
        message.flags = flags;
        self.push(message);
        Ok(id)
    }

    /// Queues a message that no answer is expected to, under a new id.
    pub(super) fn send(
        &mut self,
        kind: Kind,
        address: Address,
        flags: Flags,
        payload: Bytes,
    ) -> Result<(), SendError> {
        self.admit(payload.len(), self.limits.outgoing_bytes)?;
        let mut message = Message::new(kind, self.fresh_id(), address, payload);
        message.flags = flags;
        self.push(message);
        Ok(())
    }

    /// Queues an answer to a call of the peer.
    pub(super) fn answer(&mut self, message: Message) -> Result<(), SendError> {
        self.admit_due(message.payload.len())?;
        self.push(message);
        Ok(())
    }

    /// Queues a message that gives something back to the peer, under a new id.
    pub(super) fn release(
        &mut self,
        kind: Kind,
        address: Address,
        payload: Bytes,
    ) -> Result<(), SendError> {
        self.admit_due(payload.len())?;
        let message = Message::new(kind, self.fresh_id(), address, payload);
        self.push(message);
        Ok(())
    }

    /// The answer to a call, once; wakes `waker` when there is one.
    pub(super) fn poll_answer(
        &mut self,
        id: MessageId,
        waker: &Waker,
    ) -> Poll<Result<Answer, CallError>> {
        match self.pending.get_mut(&id) {
            Some(Pending::Waiting { waker: waiting, .. }) => {
                match waiting {
                    Some(waiting) => waiting.clone_from(waker),
                    None => *waiting = Some(waker.clone()),
                }
                return Poll::Pending;
            }
            Some(_) => {}
            None => return Poll::Ready(Err(CallError::Lost(CloseReason::Local))),
        }
        Poll::Ready(match self.pending.remove(&id) {
            Some(Pending::Answered(answer)) => Ok(answer),
            Some(Pending::Failed(error)) => Err(error),
            Some(Pending::Waiting { .. }) | None => Err(CallError::Lost(CloseReason::Local)),
        })
    }

    /// Forgets a call. If it is still waiting, the peer is asked to cancel it where it can, and its
    /// answer will be ignored (section 12.5).
    pub(super) fn abandon(&mut self, id: MessageId) -> Forgotten {
        self.ask_to_cancel(id);
        self.forget(id)
    }

    /// Asks the peer to cancel a call that is still waiting, where it can (section 12.5); once is
    /// enough.
    pub(super) fn ask_to_cancel(&mut self, id: MessageId) {
        let Some(Pending::Waiting {
            address,
            asked_to_cancel,
            ..
        }) = self.pending.get_mut(&id)
        else {
            return;
        };
        if self.cancelable && matches!(self.life, Life::Open) && !*asked_to_cancel {
            *asked_to_cancel = true;
            // Not refused when the queue is full: each call pays for its cancel, and their number
            // is limited.
            let address = Address::new(address.service, address.object, Default::default());
            let payload = Bytes::copy_from_slice(&id.0.to_le_bytes());
            let cancel = Message::new(Kind::Cancel, self.fresh_id(), address, payload);
            self.push(cancel);
        }
    }

    /// Forgets a call and lets it run.
    pub(super) fn forget(&mut self, id: MessageId) -> Forgotten {
        Forgotten {
            _pending: self.pending.remove(&id),
        }
    }

    /// Routes the events of a signal to a sink. Fails with the sink when the connection is over.
    pub(super) fn subscribe(
        &mut self,
        address: Address,
        sink: Arc<dyn EventSink>,
    ) -> Result<RouteId, Arc<dyn EventSink>> {
        if matches!(self.life, Life::Finished(_)) {
            return Err(sink);
        }
        let id = RouteId(self.next_route);
        self.next_route += 1;
        let routes = self.routes.entry(address).or_default();
        routes.push(Route { id, sink });
        Ok(id)
    }

    /// Ends a route and gives its sink back.
    pub(super) fn unsubscribe(
        &mut self,
        address: Address,
        id: RouteId,
    ) -> Option<Arc<dyn EventSink>> {
        let routes = self.routes.get_mut(&address)?;
        let at = routes.iter().position(|route| route.id == id)?;
        let route = routes.remove(at);
        if routes.is_empty() {
            self.routes.remove(&address);
        }
        Some(route.sink)
    }

    /// Takes a message of the peer.
    pub(super) fn receive(&mut self, message: Message) -> Received {
        match message.kind {
            Kind::Reply | Kind::Error | Kind::Canceled => self.answered(message),
            Kind::Event => match self.routes.get(&message.address) {
                Some(routes) => {
                    let sinks = routes.iter().map(|route| route.sink.clone()).collect();
                    Received::Event(sinks, message)
                }
                None => Received::Ignored,
            },
            Kind::Call | Kind::Post | Kind::Cancel | Kind::Capability => {
                Received::Dispatch(message)
            }
            Kind::Unknown(_) => Received::Ignored,
        }
    }

    /// Matched by id alone, as libqi does (section 3).
    fn answered(&mut self, message: Message) -> Received {
        let Some(pending) = self.pending.get_mut(&message.id) else {
            return Received::Ignored;
        };
        let Pending::Waiting { waker, .. } = pending else {
            return Received::Ignored;
        };
        let waker = waker.take();
        *pending = Pending::Answered(Answer {
            kind: message.kind,
            flags: message.flags,
            payload: message.payload,
        });
        Received::Answered(waker)
    }

    /// Moves what is queued into an empty batch. If there is nothing, `waker` is woken when there
    /// is, and when the connection is to be closed.
    pub(super) fn take_output(&mut self, batch: &mut Batch, waker: &Waker) {
        debug_assert_eq!(batch.left(), 0, "the batch before must have left");
        if self.queue.left() > 0 {
            mem::swap(&mut self.queue, batch);
            self.driver = None;
            return;
        }
        self.driver_idle = true;
        self.driver = Some(waker.clone());
    }

    /// The socket takes nothing at the moment: `waker` is woken when the connection is to be closed.
    pub(super) fn blocked(&mut self, waker: &Waker) {
        self.driver_idle = false;
        self.driver = Some(waker.clone());
    }

    /// Notes that `bytes` more bytes may have reached the socket.
    pub(super) fn sent(&mut self, bytes: usize) {
        self.sent_to += bytes as u64;
    }

    /// How many bytes are queued, not counting those that [`Self::take_output`] gave.
    pub(super) const fn queued(&self) -> usize {
        self.queue.left()
    }

    /// How many calls wait for an answer or for being asked about it.
    pub(super) fn pending(&self) -> usize {
        self.pending.len()
    }

    /// Who is to be woken because of what was queued, or because of the end. To be asked after
    /// every input from users.
    pub(super) const fn wake_driver(&mut self) -> Option<Waker> {
        let work = self.driver_idle && self.queue.left() > 0;
        if work || !matches!(self.life, Life::Open) {
            return self.driver.take();
        }
        None
    }

    /// Refuses everything new from now on. The first reason counts.
    pub(super) fn close(&mut self, reason: CloseReason) {
        if matches!(self.life, Life::Open) {
            self.life = Life::Closing(reason);
        }
    }

    /// Why the connection is to be closed, or was.
    pub(super) const fn closing(&self) -> Option<&CloseReason> {
        match &self.life {
            Life::Open => None,
            Life::Closing(reason) | Life::Finished(reason) => Some(reason),
        }
    }

    /// The socket is gone: every pending call fails, and every route ends.
    pub(super) fn finish(&mut self, reason: CloseReason) -> Farewell {
        let reason = match mem::replace(&mut self.life, Life::Open) {
            Life::Open => reason,
            Life::Closing(reason) | Life::Finished(reason) => reason,
        };
        self.life = Life::Finished(reason.clone());
        let mut farewell = Farewell::default();
        for pending in self.pending.values_mut() {
            let Pending::Waiting {
                begins_at, waker, ..
            } = pending
            else {
                continue;
            };
            farewell.calls.extend(waker.take());
            *pending = Pending::Failed(if *begins_at < self.sent_to {
                CallError::Lost(reason.clone())
            } else {
                CallError::NotSent(SendError::Closed(reason.clone()))
            });
        }
        for route in self.routes.drain().flat_map(|(_, routes)| routes) {
            farewell.sinks.push(route.sink);
        }
        self.queue = Batch::default();
        farewell
    }

    /// Whether a payload may be queued. A single one always may be, if nothing else waits.
    fn admit(&self, payload: usize, limit: usize) -> Result<(), SendError> {
        if let Some(reason) = self.closing() {
            return Err(SendError::Closed(reason.clone()));
        }
        if payload > self.limits.wire.payload_bytes as usize {
            return Err(SendError::TooLarge {
                size: payload,
                limit: self.limits.wire.payload_bytes,
            });
        }
        let queued = usize::try_from(self.queued_to - self.sent_to).unwrap_or(usize::MAX);
        if queued > 0 && queued.saturating_add(HEADER_BYTES + payload) > limit {
            return Err(SendError::QueueFull { queued, limit });
        }
        Ok(())
    }

    /// The same for a payload that must not get lost: there is room for as much again, and where that
    /// is taken the connection is closed. A peer that does not read is not worth more memory, and it
    /// forgets with the connection what it could not be told.
    fn admit_due(&mut self, payload: usize) -> Result<(), SendError> {
        let limit = self.limits.outgoing_bytes.saturating_mul(2);
        let admitted = self.admit(payload, limit);
        if let Err(SendError::QueueFull { queued, .. }) = admitted {
            self.close(CloseReason::Unread { queued });
        }
        admitted
    }

    fn push(&mut self, message: Message) {
        let header = message.header();
        self.queued_to += self.queue.push(&header, message.payload) as u64;
    }

    /// Distinct among our pending calls, also after four billion messages (section 3).
    fn fresh_id(&mut self) -> MessageId {
        loop {
            let id = MessageId(self.next_id);
            self.next_id = self.next_id.wrapping_add(1);
            if !self.pending.contains_key(&id) {
                return id;
            }
        }
    }
}

#[cfg(test)]
mod tests;
