//! The objects that were given to one connection (protocol text, section 13).

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::Arc,
};

use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::{
    HostLimits, ValueError, limits::permits, object::Object, peer::Peer, resources::Owner,
    service::Service,
};
use crate::qi::{
    session::{ConnectionId, ExportError, RemoteObject},
    value::{AsObject as _, LiveObject, ObjectReference, Value},
    wire::{Address, ObjectId, ServiceId},
};

/// Objects by their numbers on one connection.
#[derive(Debug)]
pub(super) struct Exports {
    /// None once the connection is over.
    known: Mutex<Option<Known>>,
    /// How many there may be.
    places: Arc<Semaphore>,
}

type Known = HashMap<(ServiceId, ObjectId), Exported>;

#[derive(Debug)]
struct Exported {
    service: Arc<Service>,
    _places: OwnedSemaphorePermit,
}

/// The service that objects are sent through, and whose it is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Through {
    pub(super) service: ServiceId,
    pub(super) owner: Owner,
}

/// Objects that got numbers for a message. Dropped before [`Self::keep`] they lose them again,
/// since nobody was told.
#[derive(Debug)]
#[must_use = "dropping it takes the objects back"]
pub(super) struct Given<'a> {
    peer: &'a Peer,
    addresses: Vec<Address>,
}

impl Through {
    /// The way that answers and events of the object at an address take.
    pub(super) fn object(address: Address) -> Self {
        Self {
            service: address.service,
            owner: Owner::of(address.object),
        }
    }
}

impl Exports {
    pub(super) fn new(limits: &HostLimits) -> Self {
        Self {
            known: Mutex::new(Some(Known::new())),
            places: Arc::new(Semaphore::new(permits(limits.objects_per_connection))),
        }
    }

    pub(super) fn find(&self, address: Address) -> Option<Arc<Service>> {
        let known = self.known.lock();
        let exported = known.as_ref()?.get(&(address.service, address.object))?;
        Some(Arc::clone(&exported.service))
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.known.lock().as_ref().map_or(0, HashMap::len)
    }

    fn insert(
        &self,
        peer: &Peer,
        through: Through,
        object: &Arc<Object>,
    ) -> Result<ObjectId, ExportError> {
        let count = places(object);
        let mut known = self.known.lock();
        let known = known.as_mut().ok_or(ExportError::Closed)?;
        let places = Arc::clone(&self.places).try_acquire_many_owned(count);
        let places = places.map_err(|_| ExportError::TooMany {
            limit: peer.limits().objects_per_connection,
        })?;
        let resources = peer.resources();
        loop {
            let number = resources.next_object(through.owner);
            // After two billion objects one of that number may still be there.
            if let Entry::Vacant(place) = known.entry((through.service, number)) {
                let service = Service::new(Arc::clone(object), resources, peer.runtime());
                place.insert(Exported {
                    service: Arc::new(service),
                    _places: places,
                });
                return Ok(number);
            }
        }
    }

    /// Takes an object back that nobody was told of, so that nobody can have registered with it.
    pub(super) fn withdraw(&self, address: Address) {
        let key = (address.service, address.object);
        drop(self.take(key));
    }

    /// Lets go of an object. Calls that run already end as they like, but nothing new reaches it.
    pub(super) fn remove(&self, connection: ConnectionId, address: Address) {
        let key = (address.service, address.object);
        if let Some(exported) = self.take(key) {
            let object = exported.service.object();
            object.leave(Some(connection), address);
        }
    }

    fn take(&self, key: (ServiceId, ObjectId)) -> Option<Exported> {
        self.known.lock().as_mut()?.remove(&key)
    }

    /// Ends the objects that were given through a service of this host, which is no more.
    pub(super) fn remove_service(&self, connection: ConnectionId, service: ServiceId) {
        let is_meant =
            |key: &(ServiceId, ObjectId)| key.0 == service && Owner::of(key.1) == Owner::Host;
        let removed: Vec<_> = match &mut *self.known.lock() {
            Some(known) => known.extract_if(|key, _| is_meant(key)).collect(),
            None => return,
        };
        for ((service, object), exported) in removed {
            let address = Address::new(service, object, Default::default());
            exported.service.object().leave(Some(connection), address);
            exported.service.end();
        }
    }

    /// Ends all objects, and takes no more.
    pub(super) fn close(&self, connection: ConnectionId) {
        let known = self.known.lock().take();
        for exported in known.into_iter().flat_map(HashMap::into_values) {
            exported.service.object().forget(connection);
            exported.service.end();
        }
    }
}

impl Peer {
    /// Makes an object answer on the connection; gives its address.
    pub(super) fn export(
        &self,
        through: Through,
        live: &LiveObject,
    ) -> Result<ObjectReference, ExportError> {
        let object = hosted(live)?;
        let number = self.exports().insert(self, through, &object)?;
        Ok(ObjectReference {
            meta: Arc::clone(object.meta()),
            service: through.service,
            object: number,
            uid: Some(object.uid()),
        })
    }

    /// Gives all objects in values an address on the connection.
    ///
    /// # Errors
    ///
    /// [`ValueError::Object`] for an address of another connection, [`ValueError::Export`].
    pub(super) fn give<'a>(
        &self,
        through: Through,
        values: impl IntoIterator<Item = &'a mut Value>,
    ) -> Result<Given<'_>, ValueError> {
        let mut given = Given {
            peer: self,
            addresses: Vec::new(),
        };
        for value in values {
            value.visit_objects(&mut |place| {
                match place {
                    Value::Object(reference) if !reference.is_null() => {
                        return Err(ValueError::Object);
                    }
                    // Of the service that it is sent through (section 8).
                    Value::Object(null) => null.service = through.service,
                    Value::Live(live) => {
                        let reference = self.export(through, live)?;
                        let (service, object) = (reference.service, reference.object);
                        let address = Address::new(service, object, Default::default());
                        given.addresses.push(address);
                        *place = Value::Object(Box::new(reference));
                    }
                    _ => {}
                }
                Ok(())
            })?;
        }
        Ok(given)
    }
}

impl Given<'_> {
    /// The peer was told of the objects.
    pub(super) fn keep(mut self) {
        self.addresses.clear();
    }
}

impl Drop for Given<'_> {
    fn drop(&mut self) {
        for address in &self.addresses {
            self.peer.exports().withdraw(*address);
        }
    }
}

/// How many objects one counts as: what another process says about its object is held here as long
/// as that is passed on.
fn places(object: &Object) -> u32 {
    let foreign = match object.upstream {
        Some(_) => object.encoded_meta().map_or(usize::MAX, |meta| meta.len()),
        None => 0,
    };
    u32::try_from(foreign / FOREIGN_META_BYTES).map_or(u32::MAX, |more| more.saturating_add(1))
}

/// How much another process may say about its object before that counts as one more, in bytes as
/// they are sent. Objects that are values take 2 KiB as a rule, the largest known service 100 KB.
const FOREIGN_META_BYTES: usize = 4 * 1024;

/// What answers for an object: itself, or for one of another process somebody who forwards
/// everything (section 13).
fn hosted(live: &LiveObject) -> Result<Arc<Object>, ExportError> {
    if let Some(object) = live.downcast::<Object>() {
        return Ok(object);
    }
    let remote = live.downcast::<RemoteObject>();
    let remote = remote.ok_or(ExportError::Unknown)?;
    let meta = Arc::clone(remote.meta());
    Ok(Object::forwarding(meta, live.uid(), remote))
}
