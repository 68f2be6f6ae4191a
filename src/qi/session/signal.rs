//! Registering with the signals of remote objects (protocol text, section 12.3).

use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::OnceCell;

use super::{CallError, Connection, EventSink, Subscription};
use crate::qi::wire::{ActionId, Address, Kind, ObjectId, ServiceId, Writer};

/// A subscription to a signal, or to the changes of a property, of a remote object.
///
/// Dropping it ends it. All subscriptions to one signal on one connection share one registration
/// with the object, since each registration would bring each event once more, indistinguishable
/// from the others; the last one to go unregisters.
#[derive(Debug)]
#[must_use = "dropping it ends the subscription"]
pub struct RemoteSignal {
    /// Dropped first, so that nothing comes after the end.
    _route: Subscription,
    _registration: Arc<Registration>,
}

impl RemoteSignal {
    /// Hands the events of a signal to `sink`. Events may come before this returns.
    ///
    /// # Errors
    ///
    /// [`CallError`].
    ///
    /// # Cancel safety
    ///
    /// Safe: a registration that may have been made is ended.
    pub async fn register(
        connection: &Connection,
        service: ServiceId,
        object: ObjectId,
        signal: ActionId,
        sink: Arc<dyn EventSink>,
    ) -> Result<Self, CallError> {
        // The route comes first: the first event may be faster than the reply (section 17).
        let route = connection.subscribe(service, object, signal, sink);
        let address = Address::new(service, object, signal);
        let registration = Registration::of(connection, address);
        registration
            .registered
            .get_or_try_init(|| registration.register())
            .await?;
        Ok(Self {
            _route: route,
            _registration: registration,
        })
    }
}

/// What all subscriptions to one signal share.
#[derive(Debug)]
pub(super) struct Registration {
    connection: Connection,
    address: Address,
    registered: OnceCell<Registered>,
}

/// One registerEvent, undone when dropped.
#[derive(Debug)]
struct Registered {
    connection: Connection,
    address: Address,
    /// Ours; the object's own link, in the reply, is of no use.
    link: u64,
    /// The object refused: there is nothing to undo.
    refused: bool,
}

impl Registration {
    fn of(connection: &Connection, address: Address) -> Arc<Self> {
        let mut registrations = connection.registrations().lock();
        let known = registrations
            .get(&address)
            .and_then(std::sync::Weak::upgrade);
        known.unwrap_or_else(|| {
            let registration = Arc::new(Self {
                connection: connection.clone(),
                address,
                registered: OnceCell::new(),
            });
            registrations.insert(address, Arc::downgrade(&registration));
            registration
        })
    }

    /// Each attempt has a link of its own: of two registrations with one link, only the last could
    /// be ended.
    async fn register(&self) -> Result<Registered, CallError> {
        let uid = self.address.action;
        let mut registered = Registered {
            connection: self.connection.clone(),
            address: self.address,
            link: u64::from(uid.0) << 32 | u64::from(self.connection.next_link()),
            refused: false,
        };
        let arguments = registered.arguments();
        let method = registered.method(ActionId::REGISTER_EVENT);
        match self.connection.call(method, arguments).await {
            Ok(_) => Ok(registered),
            Err(error) => {
                registered.refused = true;
                Err(error)
            }
        }
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        let mut registrations = self.connection.registrations().lock();
        if let Some(known) = registrations.get(&self.address)
            && known.strong_count() == 0
        {
            registrations.remove(&self.address);
        }
    }
}

impl Registered {
    fn method(&self, method: ActionId) -> Address {
        Address::new(self.address.service, self.address.object, method)
    }

    fn arguments(&self) -> Bytes {
        let mut writer = Writer::with_capacity(16);
        writer.u32(self.address.service.0);
        writer.u32(self.address.action.0);
        writer.u64(self.link);
        writer.finish()
    }
}

impl Drop for Registered {
    fn drop(&mut self) {
        if !self.refused {
            let method = self.method(ActionId::UNREGISTER_EVENT);
            // Where nothing can be sent any more, the object forgets us with the connection.
            let arguments = self.arguments();
            let _ = self.connection.release(Kind::Call, method, arguments);
        }
    }
}
