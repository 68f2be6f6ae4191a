//! Who calls: what the host knows about one connection.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

use parking_lot::Mutex;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use super::{HostLimits, arguments::Dialect, limits::permits};
use crate::qi::{
    session::{Connection, ConnectionId, WeakConnection},
    wire::{Message, MessageId},
};

/// A connection that has sent something, until it ends.
#[derive(Debug)]
pub(super) struct Peer {
    id: ConnectionId,
    /// Weak: what the host remembers of a connection must not keep it open.
    connection: WeakConnection,
    dialect: Dialect,
    message_flags: bool,
    limits: HostLimits,
    next_link: AtomicU32,
    next_ticket: AtomicU32,
    room: Arc<Semaphore>,
    calls: Mutex<HashMap<MessageId, (Ticket, CancellationToken)>>,
}

/// Tells calls apart that carry one id, as they must not.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Ticket(u32);

impl Peer {
    pub(super) fn new(connection: &Connection, limits: HostLimits) -> Self {
        Self {
            id: connection.id(),
            connection: connection.downgrade(),
            dialect: Dialect {
                encoding: connection.object_encoding(),
                limits: connection.limits().wire,
            },
            message_flags: connection.capabilities().message_flags,
            limits,
            next_link: AtomicU32::new(1),
            next_ticket: AtomicU32::new(1),
            room: Arc::new(Semaphore::new(permits(limits.calls_per_connection))),
            calls: Mutex::default(),
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

    /// Whether answers may carry flags.
    pub(super) const fn message_flags(&self) -> bool {
        self.message_flags
    }

    pub(super) const fn limits(&self) -> &HostLimits {
        &self.limits
    }

    pub(super) const fn room(&self) -> &Arc<Semaphore> {
        &self.room
    }

    pub(super) fn next_link(&self) -> u32 {
        self.next_link.fetch_add(1, Ordering::Relaxed)
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
        self.calls.lock().insert(id, (ticket, token));
        ticket
    }

    /// Forgets a call.
    pub(super) fn leave(&self, id: MessageId, ticket: Ticket) {
        let mut calls = self.calls.lock();
        if calls.get(&id).is_some_and(|(known, _)| *known == ticket) {
            calls.remove(&id);
        }
    }

    /// Cancels a call; ignored if there is none of the id (section 12.5).
    pub(super) fn cancel(&self, id: MessageId) {
        let token = self.calls.lock().get(&id).map(|(_, token)| token.clone());
        if let Some(token) = token {
            token.cancel();
        }
    }

    /// Cancels all calls: nobody waits for them any more.
    pub(super) fn closed(&self) {
        let calls = std::mem::take(&mut *self.calls.lock());
        for (_, token) in calls.into_values() {
            token.cancel();
        }
    }
}
