//! Which services there are, and where what comes goes.

use std::{collections::HashMap, sync::Arc};

use parking_lot::{Mutex, RwLock};
use tokio::runtime::Handle;

use super::{
    HostLimits, HostedObject, RegisterError,
    exports::Through,
    peer::Peer,
    resources::{Owner, Resources},
    service::Service,
};
use crate::qi::{
    session::{
        AuthMap, Connection, ConnectionId, Dispatch, ExportError, UNHANDLED_CALL,
        auth_map::STATE_DONE, error_payload,
    },
    value::{LiveObject, ObjectReference},
    wire::{Address, Kind, Message, MessageId, ObjectId, Reader, ServiceId},
};

/// The services of a host, for all of its connections.
#[derive(Debug)]
pub(super) struct Table {
    resources: Arc<Resources>,
    services: RwLock<HashMap<ServiceId, Arc<Service>>>,
    peers: Mutex<HashMap<ConnectionId, Arc<Peer>>>,
}

impl Table {
    pub(super) fn new(limits: HostLimits) -> Self {
        Self {
            resources: Arc::new(Resources::new(limits)),
            services: RwLock::default(),
            peers: Mutex::default(),
        }
    }

    /// Makes an object answer as a service. Must be called within a tokio runtime.
    ///
    /// # Errors
    ///
    /// [`RegisterError::NumberTaken`].
    pub(super) fn insert(&self, id: ServiceId, object: &HostedObject) -> Result<(), RegisterError> {
        let mut services = self.services.write();
        if services.contains_key(&id) {
            return Err(RegisterError::NumberTaken { id });
        }
        let service = Service::new(Arc::clone(&object.0), &self.resources, &Handle::current());
        services.insert(id, Arc::new(service));
        Ok(())
    }

    /// Ends a service with its calls, the registrations with its signals and the objects that it
    /// gave to others.
    pub(super) fn remove(&self, id: ServiceId) {
        let service = self.services.write().remove(&id);
        if let Some(service) = service {
            end(id, &service);
            for peer in self.peers() {
                peer.exports().remove_service(peer.id(), id);
                peer.drop_ended();
            }
        }
    }

    /// Ends all services and takes back all objects.
    pub(super) fn clear(&self) {
        let services = std::mem::take(&mut *self.services.write());
        for (id, service) in services {
            end(id, &service);
        }
        let peers = std::mem::take(&mut *self.peers.lock());
        for peer in peers.into_values() {
            peer.closed();
        }
    }

    /// What a message is for: a service, or an object that its sender was given.
    fn find(&self, connection: &Connection, address: Address) -> Option<Arc<Service>> {
        match address.object {
            ObjectId::MAIN => self.services.read().get(&address.service).cloned(),
            _ => {
                let peer = self.peers.lock().get(&connection.id()).cloned();
                peer?.exports().find(address)
            }
        }
    }

    fn peers(&self) -> Vec<Arc<Peer>> {
        self.peers.lock().values().cloned().collect()
    }

    fn peer(&self, connection: &Connection) -> Arc<Peer> {
        let mut peers = self.peers.lock();
        let peer = peers.entry(connection.id());
        Arc::clone(peer.or_insert_with(|| Arc::new(Peer::new(connection, &self.resources))))
    }

    /// The same, where the connection may be over already: then nobody would forget the peer.
    fn open_peer(&self, connection: &Connection) -> Result<Arc<Peer>, ExportError> {
        let mut peers = self.peers.lock();
        // Closed before the lock is taken for the last time, in `closed`.
        if connection.is_closed() {
            return Err(ExportError::Closed);
        }
        let peer = peers.entry(connection.id());
        let peer = peer.or_insert_with(|| Arc::new(Peer::new(connection, &self.resources)));
        Ok(Arc::clone(peer))
    }

    #[cfg(test)]
    pub(super) fn connections(&self) -> usize {
        self.peers.lock().len()
    }

    #[cfg(test)]
    pub(super) fn exported(&self) -> usize {
        self.peers().iter().map(|peer| peer.exports().len()).sum()
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
                match self.find(connection, message.address) {
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
        let services: Vec<_> = self.services.read().values().cloned().collect();
        for service in services {
            service.object().forget(connection);
        }
    }

    fn export(
        &self,
        connection: &Connection,
        service: ServiceId,
        object: &LiveObject,
    ) -> Result<ObjectReference, ExportError> {
        let owner = Owner::Peer;
        let through = Through { service, owner };
        self.open_peer(connection)?.export(through, object)
    }

    fn withdraw(&self, connection: ConnectionId, address: Address) {
        let peer = self.peers.lock().get(&connection).cloned();
        if let Some(peer) = peer {
            peer.exports().withdraw(address);
        }
    }
}

fn end(id: ServiceId, service: &Service) {
    let address = Address::new(id, ObjectId::MAIN, Default::default());
    service.object().leave(None, address);
    service.end();
}

fn unhandled(connection: &Connection, message: &Message) {
    if message.kind == Kind::Call {
        connection.answer(message.answer(Kind::Error, error_payload(UNHANDLED_CALL)));
    }
}
