//! The services that a session has looked up (protocol text, section 15).

use std::collections::HashMap;

use parking_lot::Mutex;

use super::RemoteObject;
use crate::qi::wire::ServiceId;

/// Main objects by the names of their services, until the directory says that a service is gone.
#[derive(Debug, Default)]
pub(super) struct KnownServices(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    objects: HashMap<String, RemoteObject>,
    removals: u64,
}

/// A time, counted in services that went.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Since(u64);

impl KnownServices {
    /// The object, if its connection is alive.
    pub(super) fn find(&self, name: &str) -> Option<RemoteObject> {
        let mut known = self.0.lock();
        let object = known.objects.get(name)?;
        if object.connection().is_closed() {
            known.objects.remove(name);
            return None;
        }
        Some(object.clone())
    }

    /// To be asked before a look-up.
    pub(super) fn now(&self) -> Since {
        Since(self.0.lock().removals)
    }

    /// Keeps what a look-up found, unless some service went meanwhile: it may have been this one,
    /// and the event was faster than the answer (section 17).
    pub(super) fn remember(&self, name: &str, object: &RemoteObject, since: Since) {
        let mut known = self.0.lock();
        if known.removals == since.0 {
            known.objects.insert(name.to_owned(), object.clone());
        }
    }

    /// A service is gone. Another of its name, with another number, stays.
    pub(super) fn forget(&self, id: ServiceId, name: &str) {
        let mut known = self.0.lock();
        known.removals += 1;
        let is_it = known.objects.get(name).map(RemoteObject::service) == Some(id);
        if is_it {
            known.objects.remove(name);
        }
    }

    /// The session is over.
    pub(super) fn clear(&self) {
        let mut known = self.0.lock();
        known.removals += 1;
        known.objects.clear();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio::io::{DuplexStream, duplex};

    use super::*;
    use crate::qi::{
        session::{
            Capabilities, Connection, ConnectionLimits, ConnectionOptions, Framed, NoObjects,
        },
        value::MetaObject,
        wire::ObjectId,
    };

    fn connection() -> (Connection, DuplexStream) {
        let (ours, theirs) = duplex(1024);
        let options = ConnectionOptions {
            capabilities: Capabilities::OURS,
            limits: ConnectionLimits::default(),
            dispatch: Arc::new(NoObjects),
        };
        (Connection::start(Framed::new(ours, 1024), options), theirs)
    }

    fn object(connection: &Connection, id: u32) -> RemoteObject {
        let meta = Arc::new(MetaObject::default());
        RemoteObject::new(connection.clone(), ServiceId(id), ObjectId::MAIN, meta)
    }

    fn id(known: &KnownServices) -> Option<u32> {
        known.find("foo").map(|object| object.service().0)
    }

    #[tokio::test]
    async fn a_service_is_known_until_it_goes() {
        let (connection, _peer) = connection();
        let known = KnownServices::default();
        known.remember("foo", &object(&connection, 5), known.now());
        assert_eq!(id(&known), Some(5));
        known.forget(ServiceId(4), "foo");
        known.forget(ServiceId(5), "bar");
        assert_eq!(id(&known), Some(5));
        known.forget(ServiceId(5), "foo");
        assert_eq!(id(&known), None);

        // Registered again before the old one's end is heard of.
        known.remember("foo", &object(&connection, 6), known.now());
        known.forget(ServiceId(5), "foo");
        assert_eq!(id(&known), Some(6));
        connection.close();
        assert_eq!(id(&known), None);
    }

    /// A look-up of a service that went while it was on its way.
    #[tokio::test]
    async fn what_went_meanwhile_is_not_remembered() {
        let (connection, _peer) = connection();
        let known = KnownServices::default();
        let since = known.now();
        known.forget(ServiceId(5), "foo");
        known.remember("foo", &object(&connection, 5), since);
        assert_eq!(id(&known), None);
    }
}
