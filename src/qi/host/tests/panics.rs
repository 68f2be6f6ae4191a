//! Code of users that panics fails what it was called for, and nothing else.

use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::Notify;

use super::{
    host_with,
    scripted::{Client, dynamic, member, text_of},
};
use crate::qi::{
    host::{Handler, HostOptions, HostedObject, Method, MethodError, ObjectBuilder, Origin},
    session::RemoteObject,
    value::{AsObject as _, Value},
    wire::{Kind, Message},
};

const FINE: u32 = 100;

/// Answers, so that the object and the connection can be seen to go on.
fn fine() -> Method {
    Method::future("fine", || async { 1_i32 })
}

async fn assert_fine(client: &mut Client) {
    let answer = client.call(member(FINE), Bytes::new()).await;
    assert_eq!(answer.kind, Kind::Reply, "{answer:?}");
}

#[tokio::test]
async fn a_method_that_panics_fails_its_call() {
    let mut object = ObjectBuilder::new();
    object.method(fine()).unwrap();
    let later = || async { panic!("on purpose") };
    let handlers = [
        Handler::future(|_| -> std::future::Ready<_> { panic!("on purpose") }),
        Handler::future(move |_| later()),
        Handler::deferred(|_| -> std::future::Ready<_> { panic!("on purpose") }),
        Handler::deferred(move |_| later()),
        Handler::blocking(|_| panic!("on purpose")),
        Handler::cancelable(|_, _| panic!("on purpose")),
    ];
    let count = handlers.len();
    for (number, handler) in handlers.into_iter().enumerate() {
        let method = Method::new(&format!("panics{number}"), "()", "v", handler).unwrap();
        object.method(method).unwrap();
    }
    let host = host_with(&object.build().unwrap(), HostOptions::default()).await;
    let mut client = Client::authenticated(&host).await;
    for action in (FINE + 1..).take(count) {
        client.start(Kind::Post, member(action), Bytes::new()).await;
        let answer = client.call(member(action), Bytes::new()).await;
        assert_eq!(text_of(&answer), "the method panicked", "{action}");
        assert_fine(&mut client).await;
    }
}

struct PanicsWhenDropped;

impl Drop for PanicsWhenDropped {
    fn drop(&mut self) {
        panic!("on purpose");
    }
}

/// A method was cancelled, and what it held panicked: the object answered nobody from then on.
#[tokio::test]
async fn a_destructor_that_panics_does_not_end_the_object() {
    let begun = Arc::new(Notify::new());
    let begin = Arc::clone(&begun);
    let hold = Handler::future(move |_| {
        begin.notify_one();
        async {
            let _held = PanicsWhenDropped;
            std::future::pending::<Result<Value, MethodError>>().await
        }
    });
    let mut object = ObjectBuilder::new();
    object.method(fine()).unwrap();
    let hold = Method::new("hold", "()", "v", hold).unwrap();
    object.method(hold).unwrap();
    let host = host_with(&object.build().unwrap(), HostOptions::default()).await;
    let mut client = Client::authenticated(&host).await;
    let held = client
        .start(Kind::Call, member(FINE + 1), Bytes::new())
        .await;
    begun.notified().await;
    let id = Bytes::copy_from_slice(&held.0.to_le_bytes());
    client.start(Kind::Cancel, member(0), id).await;
    assert_eq!(client.answer(held).await.kind, Kind::Error);
    assert_fine(&mut client).await;
}

/// Sets the property 101, `level`.
async fn set(client: &mut Client, level: i32) -> Message {
    let mut payload = dynamic("s", Value::text("level")).to_vec();
    payload.extend_from_slice(&dynamic("i", Value::Int32(level)));
    client.call(member(6), payload.into()).await
}

/// The panic went through the task that reads the connection, and so ended it.
#[tokio::test]
async fn who_sets_a_property_to_what_makes_its_owner_panic_gets_an_error() {
    let mut object = ObjectBuilder::new();
    object.method(fine()).unwrap();
    let level = object
        .property_with("level", "i", Value::Int32(1), |value| {
            assert_ne!(*value, Value::Int32(13), "on purpose");
        })
        .unwrap();
    let host = host_with(&object.build().unwrap(), HostOptions::default()).await;
    let mut client = Client::authenticated(&host).await;
    let mut other = Client::authenticated(&host).await;
    assert_eq!(set(&mut client, 5).await.kind, Kind::Reply);
    let refused = set(&mut client, 13).await;
    assert_eq!(
        text_of(&refused),
        "setProperty: the owner of the property panicked"
    );
    assert_fine(&mut client).await;
    assert_eq!(set(&mut client, 7).await.kind, Kind::Reply);
    assert_eq!(set(&mut other, 8).await.kind, Kind::Reply);
    assert_eq!(level.value(), Value::Int32(8));
}

#[derive(Debug)]
struct Unruly;

impl Origin for Unruly {
    fn object(&self) -> Option<RemoteObject> {
        panic!("on purpose");
    }
}

/// An origin is asked on the task that reads the connection, too.
#[tokio::test]
async fn an_origin_that_panics_is_away() {
    let mut object = ObjectBuilder::new();
    object.method(fine()).unwrap();
    object.signal("changed", "()").unwrap();
    object.property("any", "s", Value::text("")).unwrap();
    let object = object.build().unwrap();
    let (meta, uid) = (Arc::clone(object.0.meta()), object.uid());
    let forwarding = HostedObject::forwarding(meta, uid, Arc::new(Unruly));
    let host = host_with(&forwarding, HostOptions::default()).await;
    let mut client = Client::authenticated(&host).await;
    let registration = Bytes::from_static(b"\x02\0\0\0\x65\0\0\0\x01\0\0\0\0\0\0\0");
    let property = dynamic("s", Value::text("any"));
    client.start(Kind::Post, member(101), Bytes::new()).await;
    for (action, payload) in [(FINE, Bytes::new()), (0, registration), (5, property)] {
        let answer = client.call(member(action), payload).await;
        assert_eq!(text_of(&answer), "Socket is not connected", "{action}");
    }
}
