//! How long objects live that are given to others, and how many there may be.

use std::sync::{Arc, Weak};

use bytes::Bytes;

use super::{
    factory::{factory, item},
    host_with,
    rich::method,
    scripted::{Client, member, text_of},
    until,
};
use crate::qi::{
    host::{
        Handler, Host, HostLimits, HostOptions, HostedObject, Method, ObjectBuilder, SignalHandle,
        Threading, ValueError,
    },
    session::{DialOptions, ExportError, ObjectError, RemoteObject, dial},
    value::{AsObject as _, ObjectReference, ObjectUid, Value},
    wire::{ActionId, Address, Kind, ObjectId, ServiceId},
};

const MAKE: u32 = 129;
const MAKE_MANY: u32 = 131;
const NO_TEXT: &[u8] = b"\0\0\0\0";

fn given(object: u32, action: u32) -> Address {
    Address::new(ServiceId(2), ObjectId(object), ActionId(action))
}

/// A service that emits one object, and whether that still lives.
fn emitter() -> (
    HostedObject,
    SignalHandle,
    HostedObject,
    Weak<super::super::object::Object>,
) {
    let mut object = ObjectBuilder::new();
    let signal = object.signal("out", "(o)").unwrap();
    let item = item("emitted");
    let alive = Arc::downgrade(&item.0);
    (object.build().unwrap(), signal, item, alive)
}

async fn connect(host: &Host, ours: &Host) -> RemoteObject {
    let endpoint = host.endpoints()[0].parse().unwrap();
    let options = DialOptions {
        dispatch: ours.dispatch(),
        ..DialOptions::default()
    };
    let dialed = dial(&endpoint, &options).await.unwrap();
    let fetched = RemoteObject::fetch(&dialed.connection, ServiceId(2), ObjectId::MAIN).await;
    fetched.unwrap().0
}

#[tokio::test]
async fn a_connection_holds_only_so_many_objects() {
    let limits = HostLimits {
        objects_per_connection: 2,
        ..HostLimits::default()
    };
    let options = HostOptions {
        limits,
        ..HostOptions::default()
    };
    let host = host_with(&factory(), options).await;
    let mut client = Client::authenticated(&host).await;
    let refused = client.call(member(MAKE_MANY), Bytes::from_static(b"\x03\0\0\0"));
    let refused = text_of(&refused.await);
    assert_eq!(refused, "2 objects already answer on this connection");
    assert_eq!(host.table.exported(), 0, "all or none");
    let made = client.call(member(MAKE_MANY), Bytes::from_static(b"\x02\0\0\0"));
    assert_eq!(made.await.kind, Kind::Reply);
    assert_eq!(host.table.exported(), 2);
    // One is given back: there is room for one.
    client
        .call(given(5, 3), Bytes::from_static(b"\x02\0\0\0"))
        .await;
    let made = client.call(member(MAKE), Bytes::from_static(NO_TEXT)).await;
    assert_eq!(made.kind, Kind::Reply);
    let refused = client.call(member(MAKE), Bytes::from_static(NO_TEXT)).await;
    assert_eq!(refused.kind, Kind::Error);
}

/// The objects of an answer that is too large for a message were given to a peer who never heard of
/// them.
#[tokio::test]
async fn objects_of_an_answer_that_is_too_large_are_taken_back() {
    let mut limits = HostLimits::default();
    limits.connection.wire.payload_bytes = 10_000;
    let options = HostOptions {
        limits,
        ..HostOptions::default()
    };
    let many = || Value::List((0..10).map(|_| item("x").into()).collect());
    let mut object = ObjectBuilder::new();
    method(&mut object, "f", "()", "[o]", move |_| Ok(many()));
    object.property("p", "[o]", many()).unwrap();
    let host = host_with(&object.build().unwrap(), options).await;
    let mut client = Client::authenticated(&host).await;
    let property = Bytes::from_static(b"\x01\0\0\0s\x01\0\0\0p");
    for (action, payload) in [(100, Bytes::new()), (5, property)] {
        let refused = text_of(&client.call(member(action), payload).await);
        assert!(refused.contains("10000"), "{refused}");
        assert_eq!(host.table.exported(), 0);
    }
}

#[tokio::test]
async fn every_subscriber_gets_an_object_of_its_own() {
    let (object, signal, item, alive) = emitter();
    let host = host_with(&object, HostOptions::default()).await;
    let mut clients = Vec::new();
    for _ in 0..2 {
        let mut client = Client::authenticated(&host).await;
        let register = b"\x02\0\0\0\x64\0\0\0\x01\0\0\0\0\0\0\0";
        client.call(member(0), Bytes::from_static(register)).await;
        clients.push(client);
    }
    signal.emit(vec![item.into()]).unwrap();
    for (number, client) in (3..).zip(&mut clients) {
        let event = client.find(|it| it.kind == Kind::Event).await;
        let tail = event.payload.len() - 24;
        assert_eq!(event.payload[tail..tail + 4], [number, 0, 0, 0]);
        let hello = client.call(given(number.into(), 102), Bytes::new()).await;
        assert_eq!(hello.kind, Kind::Reply);
    }
    // What one holds is not the other's.
    let hello = clients[0].call(given(4, 102), Bytes::new()).await;
    assert_eq!(hello.kind, Kind::Error);
    assert_eq!(host.table.exported(), 2);
    let last = clients.pop().unwrap();
    drop(clients);
    until(|| host.table.exported() == 1).await;
    assert!(alive.upgrade().is_some());
    drop(last);
    until(|| alive.upgrade().is_none()).await;
    assert_eq!(host.table.exported(), 0);
}

#[tokio::test]
async fn an_object_ends_with_its_service_and_with_its_host() {
    let host = host_with(&factory(), HostOptions::default()).await;
    let mut client = Client::authenticated(&host).await;
    client.call(member(MAKE), Bytes::from_static(NO_TEXT)).await;
    assert_eq!(host.table.exported(), 1);
    host.table.remove(ServiceId(2));
    assert_eq!(host.table.exported(), 0);
    let hello = client.call(given(3, 102), Bytes::new()).await;
    assert_eq!(hello.kind, Kind::Error);

    host.table.insert(ServiceId(2), &factory()).unwrap();
    client.call(member(MAKE), Bytes::from_static(NO_TEXT)).await;
    let table = Arc::clone(&host.table);
    drop(host);
    assert_eq!(table.exported(), 0);
}

#[tokio::test]
async fn one_thing_at_a_time_under_every_number() {
    let mut builder = ObjectBuilder::new();
    let (begun, open) = (
        Arc::new(tokio::sync::Semaphore::new(0)),
        Arc::new(tokio::sync::Semaphore::new(0)),
    );
    let (begin, wait) = (Arc::clone(&begun), Arc::clone(&open));
    let handler = Handler::future(move |_| {
        let wait = Arc::clone(&wait);
        begin.add_permits(1);
        async move {
            wait.acquire().await.unwrap().forget();
            Ok(Value::Void)
        }
    });
    let slow = Method::new("slow", "()", "v", handler).unwrap();
    builder.threading(Threading::Single).method(slow).unwrap();
    let one = builder.build().unwrap();
    let mut maker = ObjectBuilder::new();
    method(&mut maker, "give", "()", "o", move |_| {
        Ok(one.clone().into())
    });
    let host = host_with(&maker.build().unwrap(), HostOptions::default()).await;
    let mut client = Client::authenticated(&host).await;
    for _ in 0..2 {
        client.call(member(100), Bytes::new()).await;
    }
    let first = client.start(Kind::Call, given(3, 100), Bytes::new()).await;
    let second = client.start(Kind::Call, given(4, 100), Bytes::new()).await;
    client.settle().await;
    begun.acquire().await.unwrap().forget();
    assert_eq!(begun.available_permits(), 0);
    // Given back while it waits: what was begun still ends as it likes.
    client
        .start(Kind::Post, given(4, 3), Bytes::from_static(b"\x02\0\0\0"))
        .await;
    open.add_permits(1);
    client.answer(first).await;
    begun.acquire().await.unwrap().forget();
    open.add_permits(1);
    assert_eq!(client.answer(second).await.kind, Kind::Reply);
    let gone = client.call(given(4, 100), Bytes::new()).await;
    assert_eq!(gone.kind, Kind::Error);
}

#[tokio::test]
async fn a_client_hosts_what_it_passes() {
    let host = host_with(&factory(), HostOptions::default()).await;
    let ours = Host::new(HostOptions::default());
    let remote = connect(&host, &ours).await;
    let item = item("ours");
    let alive = Arc::downgrade(&item.0);
    let used = remote.call_by_name("use", vec![item.clone().into()]).await;
    assert_eq!(used.unwrap().to_text().unwrap(), "got: hello from ours");
    until(|| ours.table.exported() == 0).await;

    let kept = remote.call_by_name("keep", vec![item.clone().into()]).await;
    kept.unwrap();
    assert_eq!(ours.table.exported(), 1);
    let given = remote.call_by_name("giveKept", vec![]).await.unwrap();
    let back = RemoteObject::from_value(&given).unwrap();
    assert_eq!(back.uid(), item.uid());
    assert_eq!(back.object(), ObjectId(3));
    let hello = back.call_by_name("hello", vec![]).await.unwrap();
    assert_eq!(hello.to_text().unwrap(), "hello from ours");
    drop((back, given));
    until(|| host.table.exported() == 0).await;
    drop(item);
    assert!(alive.upgrade().is_some());
    remote.call_by_name("dropKept", vec![]).await.unwrap();
    until(|| alive.upgrade().is_none()).await;
    assert_eq!(ours.table.exported(), 0);
}

#[tokio::test]
async fn what_is_not_sent_is_taken_back() {
    let host = host_with(&factory(), HostOptions::default()).await;
    let ours = Host::new(HostOptions::default());
    let remote = connect(&host, &ours).await;
    let item = item("ours");
    let two = vec![item.clone().into(), item.clone().into()];
    let wrong = remote.call_by_name("use", two).await;
    assert!(
        matches!(wrong, Err(ObjectError::Arguments { .. })),
        "{wrong:?}"
    );
    assert_eq!(ours.table.exported(), 0);

    // The end of the connection takes back what was kept.
    remote
        .call_by_name("keep", vec![item.clone().into()])
        .await
        .unwrap();
    assert_eq!(ours.table.exported(), 1);
    let connection = remote.connection().clone();
    connection.close();
    connection.closed().await;
    until(|| ours.table.connections() == 0).await;
    let live = Value::from(item.clone());
    let refused = connection.export(ServiceId(2), live.as_live().unwrap());
    assert_eq!(refused.unwrap_err(), ExportError::Closed);
    assert_eq!(ours.table.connections(), 0);

    let endpoint = host.endpoints()[0].parse().unwrap();
    let dialed = dial(&endpoint, &DialOptions::default()).await.unwrap();
    let refused = dialed
        .connection
        .export(ServiceId(2), live.as_live().unwrap());
    assert_eq!(refused.unwrap_err(), ExportError::NotHosting);
}

/// The address of an object went out as it was, where one that a peer gave could not be taken any
/// more since that peer was gone: to whoever has an object of that number on another connection.
#[tokio::test]
async fn an_address_is_not_passed_on() {
    let host = host_with(&factory(), HostOptions::default()).await;
    let ours = host_with(&factory(), HostOptions::default()).await;
    let remote = connect(&host, &ours).await;
    let reference = ObjectReference {
        object: ObjectId(3),
        uid: Some(ObjectUid([7; 20])),
        ..ObjectReference::null(ServiceId(2))
    };
    let address = Value::Object(Box::new(reference));
    let kept = remote.call_by_name("keep", vec![address]).await;
    let Err(ObjectError::Export { source, .. }) = kept else {
        panic!("an address on another connection went out: {kept:?}");
    };
    assert_eq!(source, ExportError::Unknown);
    // That there is no object can be said anywhere.
    let null = Value::Object(Box::new(ObjectReference::null(ServiceId(2))));
    remote.call_by_name("keep", vec![null]).await.unwrap();
}

#[tokio::test]
async fn a_property_may_be_an_object() {
    let mut builder = ObjectBuilder::new();
    let first = item("first");
    let alive = Arc::downgrade(&first.0);
    let bell = builder.property("bell", "o", first.into()).unwrap();
    let host = host_with(&builder.build().unwrap(), HostOptions::default()).await;
    let mut client = Client::authenticated(&host).await;
    let key = Bytes::from_static(b"\x01\0\0\0s\x04\0\0\0bell");
    // Each who reads it gets it under a number of its own.
    for number in 3..5 {
        let read = client.call(member(5), key.clone()).await;
        assert_eq!(read.kind, Kind::Reply);
        let hello = client.call(given(number, 102), Bytes::new()).await;
        assert_eq!(&hello.payload[4..], b"hello from first");
    }
    let register = b"\x02\0\0\0\x64\0\0\0\x01\0\0\0\0\0\0\0";
    client.call(member(0), Bytes::from_static(register)).await;
    bell.set(item("second").into()).unwrap();
    client.find(|it| it.kind == Kind::Event).await;
    let hello = client.call(given(5, 102), Bytes::new()).await;
    assert_eq!(&hello.payload[4..], b"hello from second");
    // An address is none: it means something on one connection only.
    let reference = ObjectReference {
        object: ObjectId(3),
        ..ObjectReference::null(ServiceId(2))
    };
    let refused = bell.set(Value::Object(Box::new(reference)));
    assert_eq!(refused, Err(ValueError::Object));
    for number in 3..5 {
        client
            .call(given(number, 3), Bytes::from_static(b"\x02\0\0\0"))
            .await;
    }
    until(|| alive.upgrade().is_none()).await;
}

#[tokio::test]
async fn typed_members_take_and_give_objects() {
    let mut builder = ObjectBuilder::new();
    let make = Method::blocking("make", |name: String| item(&name));
    builder.method(make).unwrap();
    let greet = Method::deferred("greet", |objects: Vec<RemoteObject>| async move {
        let mut texts = Vec::new();
        for object in objects {
            let text = object.call_by_name("hello", vec![]).await;
            texts.push(text.map_err(|error| error.to_string())?.to_text());
        }
        Ok::<_, String>(texts)
    });
    builder.method(greet).unwrap();
    let echo = Method::future("echo", |object: RemoteObject| async { object });
    builder.method(echo).unwrap();
    let host = host_with(&builder.build().unwrap(), HostOptions::default()).await;
    let ours = Host::new(HostOptions::default());
    let remote = connect(&host, &ours).await;
    let declared = |name| {
        let method = remote.method(name).unwrap();
        let (takes, gives) = (&method.parameters_signature, &method.return_signature);
        format!("{takes} -> {gives}")
    };
    assert_eq!(declared("make"), "(s) -> o");
    assert_eq!(declared("greet"), "([o]) -> [+s]");
    assert_eq!(declared("echo"), "(o) -> o");
    let made = remote.call_by_name("make", vec![Value::text("made")]).await;
    // A proxy of theirs and an object of ours, both as arguments.
    let both = Value::List(vec![made.unwrap(), item("ours").into()]);
    let greeted = remote.call_by_name("greet", vec![both]).await.unwrap();
    let Value::List(texts) = greeted else {
        panic!("{greeted:?}");
    };
    let texts = texts.iter().map(|text| match text {
        Value::Optional(Some(text)) => text.to_text().unwrap(),
        other => panic!("{other:?}"),
    });
    assert_eq!(
        texts.collect::<Vec<_>>(),
        ["hello from made", "hello from ours"]
    );
    let echoed = remote.call_by_name("echo", vec![item("ours").into()]).await;
    let echoed = RemoteObject::from_value(&echoed.unwrap()).unwrap();
    let text = echoed.call_by_name("hello", vec![]).await.unwrap();
    assert_eq!(text, Value::text("hello from ours"));
    let null = Value::Object(Box::new(ObjectReference::null(ServiceId(2))));
    let refused = remote.call_by_name("echo", vec![null]).await.unwrap_err();
    assert!(refused.to_string().contains("null object"), "{refused}");
    drop(echoed);
    until(|| host.table.exported() == 0 && ours.table.exported() == 0).await;
}
