//! Arguments for one object of the robot, with the objects that clients name in them.
//!
//! An object that a client holds has an address on the connection that it came through. The callee
//! may be another process, or the same one under another number: so it gets an object of ours that
//! forwards everything (protocol text, section 13), and the client's is in use as long as the robot
//! holds that.

use std::sync::Arc;

use bytes::Bytes;

use super::{
    BridgeError,
    objects::{ObjectTable, ObjectUse},
};
use crate::{
    qi::{
        host::{HostedObject, Origin},
        session::{Call, Export, ExportError, RemoteObject},
        value::{
            AsObject as _, ObjectReference, Value,
            codec::{EncodeContext, encode_object},
        },
        wire::{ActionId, Limits, Writer},
    },
    transcode::{ObjectName, ObjectSource, RequestContext, RequestError, UnknownObject},
};

/// What a call, or the setting of a property, is sent with.
#[derive(Debug)]
pub(crate) struct Arguments {
    payload: Bytes,
    /// Taken back unless they are sent.
    exports: Vec<Export>,
}

impl Arguments {
    /// Writes what goes to `callee`.
    ///
    /// # Errors
    ///
    /// [`BridgeError::Request`], [`BridgeError::Export`].
    pub(crate) fn write(
        callee: &RemoteObject,
        objects: &Arc<ObjectTable>,
        (limits, capacity): (Limits, usize),
        write: impl FnOnce(&mut RequestContext<'_>, &mut Writer) -> Result<(), RequestError>,
    ) -> Result<Self, BridgeError> {
        let mut passed = PassedOn {
            callee,
            objects,
            exports: Vec::new(),
            failed: None,
        };
        let mut context = RequestContext {
            objects: &mut passed,
            limits,
        };
        let mut out = Writer::with_capacity(capacity);
        let written = write(&mut context, &mut out);
        match passed.failed {
            Some(error) => Err(error.into()),
            None => {
                written?;
                Ok(Self {
                    payload: out.finish(),
                    exports: passed.exports,
                })
            }
        }
    }

    /// The bytes alone, where they are not sent.
    pub(crate) const fn payload(&self) -> &Bytes {
        &self.payload
    }

    /// Calls a method of the object that they were written for.
    pub(crate) fn call(self, callee: &RemoteObject, method: ActionId) -> Call {
        let call = callee.call(method, self.payload);
        keep(self.exports, call)
    }

    /// Sets a property of the object that they were written for.
    pub(crate) fn set_property(self, callee: &RemoteObject, property: ActionId) -> Call {
        let call = callee.set_property(property, &self.payload);
        keep(self.exports, call)
    }
}

/// The robot holds what it was sent.
fn keep(exports: Vec<Export>, call: Call) -> Call {
    if !call.is_refused() {
        exports.into_iter().for_each(Export::keep);
    }
    call
}

/// Passes the objects that clients hold on to a callee.
struct PassedOn<'a> {
    callee: &'a RemoteObject,
    objects: &'a Arc<ObjectTable>,
    exports: Vec<Export>,
    /// Why an object that is there cannot be passed on; the source can only say that it is not.
    failed: Option<ExportError>,
}

impl PassedOn<'_> {
    /// Objects are of this process, so that the error is the peer's or ours, not the client's.
    fn export(&mut self, object: HostedObject) -> Result<ObjectReference, UnknownObject> {
        let value = Value::from(object);
        let live = value.as_live().ok_or(UnknownObject)?;
        let export = self.callee.connection().export(self.callee.service(), live);
        let export = export.map_err(|error| {
            self.failed = Some(error);
            UnknownObject
        })?;
        let reference = export.reference().clone();
        self.exports.push(export);
        Ok(reference)
    }
}

impl ObjectSource for PassedOn<'_> {
    fn write(&mut self, name: ObjectName<'_>, out: &mut Writer) -> Result<(), UnknownObject> {
        let reference = match name {
            ObjectName::Null => ObjectReference::null(self.callee.service()),
            name => self.export(named(self.objects, name).ok_or(UnknownObject)?)?,
        };
        let encoding = self.callee.connection().object_encoding();
        let mut context = EncodeContext::new(encoding, Limits::default());
        encode_object(&reference, &mut context, out).map_err(|_| UnknownObject)
    }
}

/// What is passed on for an object that a client names: one of ours that forwards everything to the
/// one that is held, or a hosted service itself. None if there is no such object.
pub(crate) fn named(objects: &Arc<ObjectTable>, name: ObjectName<'_>) -> Option<HostedObject> {
    match name {
        ObjectName::Null => None,
        ObjectName::Id(id) => {
            let held = objects.hold(id).ok()?;
            let origin = held.object().remote()?;
            let (meta, uid) = (Arc::clone(origin.meta()), origin.uid());
            Some(HostedObject::forwarding(meta, uid, Arc::new(held)))
        }
        ObjectName::Service(name) => objects.offers().find(name),
    }
}

impl Origin for ObjectUse {
    fn object(&self) -> Option<RemoteObject> {
        self.object().remote()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{
        bridge::sample::{self, expect},
        qi::{
            host::{Host, HostLimits, HostOptions},
            value::{
                ObjectUid, Type,
                codec::{DecodeContext, decode},
            },
            wire::{Address, Kind, Message, MessageId, ObjectId, ServiceId},
        },
        transcode::{ObjectSink as _, value_to_typed},
    };

    const LEASE: Duration = Duration::from_secs(60);

    /// A `Value` that is the object of an id.
    fn named(id: &str) -> Vec<u8> {
        let mut reference = Vec::new();
        prost::encoding::string::encode(1, &id.to_owned(), &mut reference);
        let mut value = Vec::new();
        prost::encoding::bytes::encode(12, &reference, &mut value);
        value
    }

    fn write(
        callee: &RemoteObject,
        objects: &Arc<ObjectTable>,
        id: &str,
    ) -> Result<Arguments, BridgeError> {
        let limits = (Limits::default(), 0);
        Arguments::write(callee, objects, limits, |context, out| {
            value_to_typed(&named(id), &Type::Object, context, out)
        })
    }

    /// A table that holds one object, and its id.
    fn holding(connection: &crate::qi::session::Connection) -> (Arc<ObjectTable>, String) {
        let objects = Arc::new(ObjectTable::new(LEASE));
        let mut sink = objects.sink(connection);
        let id = sink.adopt(ObjectReference {
            meta: Arc::default(),
            service: ServiceId(7),
            object: ObjectId(5),
            uid: Some(ObjectUid([3; 20])),
        });
        sink.keep();
        (objects, id)
    }

    fn uses(objects: &ObjectTable) -> usize {
        objects.leases()[0].uses
    }

    #[tokio::test(start_paused = true)]
    async fn an_object_is_in_use_until_the_robot_gives_it_back() {
        let host = Host::new(HostOptions::default());
        let (connection, mut peer) = sample::connection_with(host.dispatch());
        let (objects, id) = holding(&connection);
        let callee = sample::link(&connection, 9);
        let sent = write(callee.object(), &objects, &id).unwrap();
        let context = DecodeContext::new(connection.object_encoding(), Limits::default());
        let written = decode(&Type::Object, sent.payload(), context).unwrap();
        let Value::Object(reference) = written else {
            panic!("{written:?}");
        };
        // Of the callee's service, with the identity that it had.
        assert_eq!(reference.service, ServiceId(9));
        assert_eq!(reference.object, ObjectId::FIRST_OF_CALLER);
        assert_eq!(reference.uid, Some(ObjectUid([3; 20])));
        let call = sent.call(callee.object(), ActionId(100));
        expect(&mut peer, 9, ActionId(100)).await;
        drop(call);
        expect(&mut peer, 9, ActionId(0)).await;
        assert_eq!(uses(&objects), 1);

        // The robot gives it back.
        let address = Address::new(ServiceId(9), reference.object, ActionId::TERMINATE);
        let terminate = Message::new(Kind::Post, MessageId(77), address, vec![9, 0, 0, 0].into());
        peer.send(&terminate).await.unwrap();
        let given_back = async {
            while uses(&objects) > 0 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        let given_back = tokio::time::timeout(LEASE, given_back).await;
        assert!(given_back.is_ok(), "it is still in use");
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_not_sent_is_not_in_use() {
        let limits = HostLimits {
            objects_per_connection: 1,
            ..HostLimits::default()
        };
        let host = Host::new(HostOptions {
            limits,
            ..HostOptions::default()
        });
        let (connection, _peer) = sample::connection_with(host.dispatch());
        let (objects, id) = holding(&connection);
        let callee = sample::link(&connection, 9);
        let first = write(callee.object(), &objects, &id).unwrap();
        assert_eq!(uses(&objects), 1);
        let second = write(callee.object(), &objects, &id);
        let limit = ExportError::TooMany { limit: 1 };
        assert!(
            matches!(second, Err(BridgeError::Export(error)) if error == limit),
            "{second:?}"
        );
        drop(first);
        assert_eq!(uses(&objects), 0);
        drop(write(callee.object(), &objects, &id).unwrap());
        connection.close();
        connection.closed().await;
        let away = write(callee.object(), &objects, &id);
        assert!(
            matches!(away, Err(BridgeError::Export(ExportError::Closed))),
            "{away:?}"
        );
        let unknown = write(callee.object(), &objects, "nope");
        assert!(
            matches!(unknown, Err(BridgeError::Request(_))),
            "{unknown:?}"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn an_object_that_was_released_leads_nowhere() {
        let host = Host::new(HostOptions::default());
        let (connection, mut peer) = sample::connection_with(host.dispatch());
        let (objects, id) = holding(&connection);
        let held = objects.hold(&id).unwrap();
        assert_eq!(Origin::object(&held).unwrap().object(), ObjectId(5));
        objects.release(&id).unwrap();
        assert!(Origin::object(&held).is_none());
        expect(&mut peer, 7, ActionId::TERMINATE).await;
    }
}
