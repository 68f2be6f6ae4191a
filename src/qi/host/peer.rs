//! Who calls: what the host knows about one connection.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Weak,
        atomic::{AtomicU32, Ordering},
    },
};

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::{
    runtime::Handle,
    sync::{OwnedSemaphorePermit, Semaphore},
};
use tokio_util::sync::CancellationToken;

use super::{
    HostLimits,
    arguments::{Dialect, Reads},
    call::Call,
    exports::Exports,
    limits::permits,
    resources::Resources,
};
use crate::qi::{
    session::{Connection, ConnectionId, SendError, WeakConnection},
    value::Signature,
    wire::{Message, MessageId},
};

/// A connection that has sent something, or was given an object, until it ends.
#[derive(Debug)]
pub(super) struct Peer {
    id: ConnectionId,
    /// Weak: what the host remembers of a connection must not keep it open.
    connection: WeakConnection,
    dialect: Dialect,
    message_flags: bool,
    resources: Arc<Resources>,
    runtime: Handle,
    next_link: AtomicU32,
    next_ticket: AtomicU32,
    room: Arc<Semaphore>,
    /// In bytes.
    registrations: Arc<Semaphore>,
    /// By id and order of arrival: a peer may give two calls one id, which are two calls nevertheless.
    calls: Mutex<BTreeMap<(MessageId, Ticket), Pending>>,
    exports: Exports,
    ended: CancellationToken,
}

/// A call that is not answered yet.
#[derive(Clone, Debug)]
struct Pending {
    token: CancellationToken,
    /// The call itself, as long as it waits for its turn.
    waiting: Weak<Waiting>,
}

/// A call that waits for its turn, until its turn comes or it is cancelled.
pub(super) type Waiting = Mutex<Option<Call>>;

/// Tells calls apart that carry one id, as they must not. A later call has a higher one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Ticket(u32);

/// What a registration counts as, without its signature.
const REGISTRATION_BYTES: usize = 256;

/// What a byte of a signature counts as once it is parsed: measured, an element of a tuple takes 72
/// bytes, and nested tuples up to 150 a character.
const PARSED_BYTES: usize = 100;

impl Ticket {
    const FIRST: Self = Self(0);
    const LAST: Self = Self(u32::MAX);
}

impl Peer {
    /// Must be called within a tokio runtime.
    pub(super) fn new(connection: &Connection, resources: &Arc<Resources>) -> Self {
        let limits = resources.limits();
        Self {
            id: connection.id(),
            connection: connection.downgrade(),
            dialect: Dialect {
                encoding: connection.object_encoding(),
                limits: connection.limits().wire,
            },
            message_flags: connection.capabilities().message_flags,
            resources: Arc::clone(resources),
            runtime: Handle::current(),
            next_link: AtomicU32::new(1),
            next_ticket: AtomicU32::new(1),
            room: Arc::new(Semaphore::new(permits(limits.calls_per_connection))),
            registrations: Arc::new(Semaphore::new(permits(
                limits.registration_bytes_per_connection,
            ))),
            calls: Mutex::default(),
            exports: Exports::new(limits),
            ended: CancellationToken::new(),
        }
    }

    pub(super) const fn id(&self) -> ConnectionId {
        self.id
    }

    pub(super) const fn connection(&self) -> &WeakConnection {
        &self.connection
    }

    pub(super) const fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// How its payloads are read.
    pub(super) const fn reads(&self) -> Reads<'_> {
        Reads {
            dialect: self.dialect,
            connection: &self.connection,
        }
    }

    /// Whether answers may carry flags.
    pub(super) const fn message_flags(&self) -> bool {
        self.message_flags
    }

    pub(super) fn limits(&self) -> &HostLimits {
        self.resources.limits()
    }

    pub(super) const fn resources(&self) -> &Arc<Resources> {
        &self.resources
    }

    /// Where tasks for this connection run.
    pub(super) const fn runtime(&self) -> &Handle {
        &self.runtime
    }

    /// Cancelled when nothing can be answered any more.
    pub(super) const fn ended(&self) -> &CancellationToken {
        &self.ended
    }

    pub(super) const fn room(&self) -> &Arc<Semaphore> {
        &self.room
    }

    /// The place that a registration takes whose events are converted to `wanted`; none if there is
    /// too little left.
    pub(super) fn registration_room(
        &self,
        wanted: Option<&Signature>,
    ) -> Option<OwnedSemaphorePermit> {
        let text = wanted.map_or(0, |wanted| wanted.as_str().len());
        let bytes = REGISTRATION_BYTES.saturating_add(text.saturating_mul(PARSED_BYTES));
        let bytes = u32::try_from(bytes).ok()?;
        let room = Arc::clone(&self.registrations);
        room.try_acquire_many_owned(bytes).ok()
    }

    /// The objects that were given to this connection.
    pub(super) const fn exports(&self) -> &Exports {
        &self.exports
    }

    pub(super) fn next_link(&self) -> u32 {
        self.next_link.fetch_add(1, Ordering::Relaxed)
    }

    /// Whether a payload fits into an answer; the objects of one that does not are given to nobody.
    pub(super) fn check_size(&self, payload: &Bytes) -> Result<(), SendError> {
        let limit = self.dialect.limits.payload_bytes;
        match payload.len() > limit as usize {
            true => Err(SendError::TooLarge {
                size: payload.len(),
                limit,
            }),
            false => Ok(()),
        }
    }

    /// Sends an answer, if the connection is still there.
    pub(super) fn answer(&self, message: Message) {
        if let Some(connection) = self.connection.upgrade() {
            connection.answer(message);
        }
    }

    /// Notes a call, so that it can be cancelled.
    pub(super) fn enter(&self, id: MessageId, token: CancellationToken) -> Ticket {
        let ticket = Ticket(self.next_ticket.fetch_add(1, Ordering::Relaxed));
        let waiting = Weak::new();
        let pending = Pending { token, waiting };
        self.calls.lock().insert((id, ticket), pending);
        ticket
    }

    /// Notes that a call waits for its turn, so that it need not wait to be cancelled.
    pub(super) fn wait(&self, id: MessageId, ticket: Ticket, waiting: &Arc<Waiting>) {
        let mut calls = self.calls.lock();
        if let Some(known) = calls.get_mut(&(id, ticket)) {
            known.waiting = Arc::downgrade(waiting);
        }
    }

    /// Forgets a call.
    pub(super) fn leave(&self, id: MessageId, ticket: Ticket) {
        self.calls.lock().remove(&(id, ticket));
    }

    /// Cancels a call, the last one of the id; ignored if there is none (section 12.5).
    pub(super) fn cancel(&self, id: MessageId) {
        let pending = {
            let calls = self.calls.lock();
            let mut named = calls.range((id, Ticket::FIRST)..=(id, Ticket::LAST));
            named.next_back().map(|(_, pending)| pending.clone())
        };
        if let Some(call) = pending.and_then(|pending| pending.cancel()) {
            call.canceled();
        }
    }

    /// Fails the calls that wait for objects that were ended; they need not wait for what such an
    /// object still does.
    pub(super) fn drop_ended(&self) {
        let calls: Vec<_> = self.calls.lock().values().cloned().collect();
        for pending in calls {
            if pending.token.is_cancelled() {
                drop(pending.waiting());
            }
        }
    }

    /// Takes back the objects of the connection and cancels all its calls: nobody waits for them
    /// any more.
    pub(super) fn closed(&self) {
        self.ended.cancel();
        self.exports.close(self.id);
        let calls = std::mem::take(&mut *self.calls.lock());
        for pending in calls.into_values() {
            drop(pending.cancel());
        }
    }
}

impl Pending {
    /// Gives the call if it was still waiting.
    fn cancel(&self) -> Option<Call> {
        self.token.cancel();
        self.waiting()
    }

    fn waiting(&self) -> Option<Call> {
        self.waiting.upgrade()?.lock().take()
    }
}
