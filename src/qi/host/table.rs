//! Which services there are, and where what comes goes.

use std::{collections::HashMap, sync::Arc};

use parking_lot::{Mutex, RwLock};
use tokio::sync::Semaphore;

use super::{
    HostLimits, HostedObject, RegisterError, limits::permits, peer::Peer, service::Service,
};
use crate::qi::{
    session::{
        AuthMap, Connection, ConnectionId, Dispatch, UNHANDLED_CALL, auth_map::STATE_DONE,
        error_payload,
    },
    wire::{Address, Kind, Message, MessageId, ObjectId, Reader, ServiceId},
};

/// The services of a host, for all of its connections.
#[derive(Debug)]
pub(super) struct Table {
    limits: HostLimits,
    services: RwLock<HashMap<ServiceId, Arc<Service>>>,
    peers: Mutex<HashMap<ConnectionId, Arc<Peer>>>,
    threads: Arc<Semaphore>,
}

impl Table {
    pub(super) fn new(limits: HostLimits) -> Self {
        Self {
            limits,
            services: RwLock::default(),
            peers: Mutex::default(),
            threads: Arc::new(Semaphore::new(permits(limits.blocking_threads))),
        }
    }

    /// Makes an object answer as a service.
    ///
    /// # Errors
    ///
    /// [`RegisterError::NumberTaken`].
    pub(super) fn insert(&self, id: ServiceId, object: &HostedObject) -> Result<(), RegisterError> {
        let mut services = self.services.write();
        if services.contains_key(&id) {
            return Err(RegisterError::NumberTaken { id });
        }
        let threads = Arc::clone(&self.threads);
        let service = Service::new(Arc::clone(&object.0), &self.limits, threads);
        services.insert(id, Arc::new(service));
        Ok(())
    }

    /// Ends a service with its calls and the registrations with its signals.
    pub(super) fn remove(&self, id: ServiceId) {
        let service = self.services.write().remove(&id);
        if let Some(service) = service {
            service.object().subscribers.leave(id);
        }
    }

    /// Ends all services.
    pub(super) fn clear(&self) {
        let services = std::mem::take(&mut *self.services.write());
        for (id, service) in services {
            service.object().subscribers.leave(id);
        }
    }

    fn service(&self, address: Address) -> Option<Arc<Service>> {
        if address.object != ObjectId::MAIN {
            return None;
        }
        self.services.read().get(&address.service).cloned()
    }

    fn peer(&self, connection: &Connection) -> Arc<Peer> {
        let mut peers = self.peers.lock();
        let peer = peers.entry(connection.id());
        Arc::clone(peer.or_insert_with(|| Arc::new(Peer::new(connection, self.limits))))
    }

    /// Messages to the connection itself, after authentication (section 9).
    fn to_connection(connection: &Connection, message: &Message) {
        if message.kind != Kind::Call {
            return;
        }
        if message.address == Address::AUTHENTICATE {
            let mut map = AuthMap::new();
            map.insert_state(STATE_DONE);
            if let Ok(payload) = map.encode() {
                connection.answer(message.answer(Kind::Reply, payload));
            }
        } else if message.address.object != ObjectId::NONE {
            unhandled(connection, message);
        }
    }
}

impl Dispatch for Table {
    fn dispatch(&self, connection: &Connection, message: Message) {
        match message.kind {
            Kind::Capability => {
                // Both sides' capabilities are fixed by now; only what is none matters (section 9).
                if AuthMap::decode(&message.payload, &connection.limits().wire).is_err() {
                    connection.close();
                }
            }
            Kind::Cancel => {
                if let Ok(id) = Reader::new(&message.payload).u32() {
                    self.peer(connection).cancel(MessageId(id));
                }
            }
            Kind::Call | Kind::Post => {
                if message.address.service == ServiceId::SERVER {
                    return Self::to_connection(connection, &message);
                }
                match self.service(message.address) {
                    Some(service) => service.receive(&self.peer(connection), message),
                    None => unhandled(connection, &message),
                }
            }
            Kind::Reply | Kind::Error | Kind::Event | Kind::Canceled | Kind::Unknown(_) => {}
        }
    }

    fn closed(&self, connection: ConnectionId) {
        let peer = self.peers.lock().remove(&connection);
        if let Some(peer) = peer {
            peer.closed();
        }
        for service in self.services.read().values() {
            service.object().subscribers.forget(connection);
        }
    }
}

fn unhandled(connection: &Connection, message: &Message) {
    if message.kind == Kind::Call {
        connection.answer(message.answer(Kind::Error, error_payload(UNHANDLED_CALL)));
    }
}
