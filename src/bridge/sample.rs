//! A service for unit tests, with a link to a scripted peer.

use std::{sync::Arc, time::Duration};

use tokio::io::{DuplexStream, duplex};

use super::{Method, Route, Service, objects::ObjectTable, service::Link};
use crate::{
    qi::{
        session::{
            Capabilities, Connection, ConnectionLimits, ConnectionOptions, Dispatch, Framed,
            NoObjects, RemoteObject,
        },
        value::{MetaMethod, MetaObject, MetaProperty, MetaSignal, Signature},
        wire::{ActionId, Limits, Message, ObjectId, ServiceId},
    },
    schema::{MethodKind, SchemaOptions, ServiceSchema},
};

/// Its method `say (s) -> s`.
pub(crate) const SAY: ActionId = ActionId(100);

/// Its signal `heard (s)`.
pub(crate) const HEARD: ActionId = ActionId(101);

/// Its property `mood: s`.
pub(crate) const MOOD: ActionId = ActionId(102);

/// What it says about itself.
pub(crate) fn meta() -> MetaObject {
    let signature = |text: &str| text.parse::<Signature>().unwrap();
    let mut meta = MetaObject::default();
    meta.methods.insert(
        SAY,
        MetaMethod {
            uid: SAY,
            return_signature: signature("s"),
            name: "say".into(),
            parameters_signature: signature("(s)"),
            description: String::new(),
            parameters: Vec::new(),
            return_description: String::new(),
        },
    );
    meta.signals.insert(
        HEARD,
        MetaSignal {
            uid: HEARD,
            name: "heard".into(),
            signature: signature("(s)"),
        },
    );
    meta.signals.insert(
        MOOD,
        MetaSignal {
            uid: MOOD,
            name: "mood".into(),
            signature: signature("(s)"),
        },
    );
    meta.properties.insert(
        MOOD,
        MetaProperty {
            uid: MOOD,
            name: "mood".into(),
            signature: signature("s"),
        },
    );
    meta
}

/// The service `Sample`, away.
pub(crate) fn service() -> Arc<Service> {
    service_of(meta())
}

/// The same, with another interface.
pub(crate) fn service_of(meta: MetaObject) -> Arc<Service> {
    let schema = ServiceSchema::new("Sample", "qi.sample.v1", &meta, &SchemaOptions::default());
    Arc::new(Service::new(
        schema,
        Arc::new(meta),
        objects(),
        Limits::default(),
    ))
}

/// A table of objects, empty.
pub(crate) fn objects() -> Arc<ObjectTable> {
    Arc::new(ObjectTable::new(Duration::from_secs(60)))
}

/// Its method of a kind.
pub(crate) fn method(service: &Service, kind: MethodKind) -> Arc<Method> {
    let mut methods = service.methods().iter();
    Arc::clone(methods.find(|method| method.schema().kind == kind).unwrap())
}

/// The way to its method `say`.
pub(crate) fn route() -> Route {
    let service = service();
    let method = method(&service, MethodKind::Call);
    Route { service, method }
}

/// The robot's end of a connection.
pub(crate) type Peer = Framed<DuplexStream>;

/// A connection, and its other end.
pub(crate) fn connection() -> (Connection, Peer) {
    connection_with(Arc::new(NoObjects))
}

/// The same, whose calls go to `dispatch`.
pub(crate) fn connection_with(dispatch: Arc<dyn Dispatch>) -> (Connection, Peer) {
    let (ours, theirs) = duplex(64 * 1024);
    let limits = ConnectionLimits::default();
    let options = ConnectionOptions {
        capabilities: Capabilities::OURS,
        limits,
        dispatch,
    };
    let payload_bytes = limits.wire.payload_bytes;
    let connection = Connection::start(Framed::new(ours, payload_bytes), options);
    (connection, Framed::new(theirs, payload_bytes))
}

/// A link to the service of that number.
pub(crate) fn link(connection: &Connection, service: u32) -> Link {
    let object = (ServiceId(service), ObjectId::MAIN);
    Link::new(RemoteObject::new(
        connection.clone(),
        object.0,
        object.1,
        Arc::default(),
    ))
}

/// The peer's next message, which must go to that member.
pub(crate) async fn expect(peer: &mut Peer, service: u32, action: ActionId) -> Message {
    let message = peer.receive().await.unwrap();
    assert_eq!(message.address.service, ServiceId(service), "{message:?}");
    assert_eq!(message.address.action, action, "{message:?}");
    message
}
