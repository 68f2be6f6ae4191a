//! How long calls wait for their turn.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use tokio::sync::Notify;

use super::{
    host_with,
    scripted::{Client, member, text_of},
};
use crate::qi::{
    host::{HostOptions, HostedObject, Method, ObjectBuilder},
    wire::{Kind, Message, MessageId},
};

const HOLD: u32 = 100;
const ECHO: u32 = 101;

/// An object that is busy with `hold` until it is told to go on.
fn object(lock_timeout: Duration) -> (HostedObject, Arc<Notify>) {
    let open = Arc::new(Notify::new());
    let opened = Arc::clone(&open);
    let hold = Method::future("hold", move || {
        let open = Arc::clone(&opened);
        async move { open.notified().await }
    });
    let echo = Method::future("echo", |number: i32| async move { number });
    let mut object = ObjectBuilder::new();
    object.lock_timeout(lock_timeout);
    object.method(hold).unwrap().method(echo).unwrap();
    (object.build().unwrap(), open)
}

async fn hold(client: &mut Client) -> MessageId {
    client.start(Kind::Call, member(HOLD), Bytes::new()).await
}

async fn echo(client: &mut Client, number: i32) -> MessageId {
    let payload = Bytes::copy_from_slice(&number.to_le_bytes());
    client.start(Kind::Call, member(ECHO), payload).await
}

fn assert_echo(answer: &Message, number: i32) {
    assert_eq!(answer.kind, Kind::Reply, "{answer:?}");
    assert_eq!(answer.payload[..], number.to_le_bytes());
}

#[tokio::test]
async fn a_call_that_waits_too_long_gets_the_text_of_libqi() {
    let (object, open) = object(Duration::from_millis(20));
    let host = host_with(&object, HostOptions::default()).await;
    let mut client = Client::authenticated(&host).await;
    let held = hold(&mut client).await;
    for number in 0..3 {
        let late = echo(&mut client, number).await;
        let answer = client.answer(late).await;
        assert_eq!(answer.kind, Kind::Error, "{answer:?}");
        assert_eq!(text_of(&answer), "Time-out acquiring lock. Deadlock?");
    }
    // What runs is not hurried, and the object goes on after it.
    open.notify_one();
    assert_eq!(client.answer(held).await.kind, Kind::Reply);
    let next = echo(&mut client, 7).await;
    assert_echo(&client.answer(next).await, 7);
}

#[tokio::test]
async fn calls_that_wait_less_run_in_their_order() {
    run_in_their_order(Duration::from_secs(600)).await;
}

/// Waiting "for ever" was added to the time of day, which is a panic that ended the object.
#[tokio::test]
async fn calls_may_wait_longer_than_time_lasts() {
    run_in_their_order(Duration::MAX).await;
}

async fn run_in_their_order(lock_timeout: Duration) {
    let (object, open) = object(lock_timeout);
    let host = host_with(&object, HostOptions::default()).await;
    let mut client = Client::authenticated(&host).await;
    let held = hold(&mut client).await;
    let mut waiting = Vec::new();
    for number in 0..20 {
        waiting.push((number, echo(&mut client, number).await));
    }
    client.settle().await;
    open.notify_one();
    assert_eq!(client.answer(held).await.kind, Kind::Reply);
    for (number, id) in waiting {
        let answer = client.receive().await.unwrap();
        assert_eq!(answer.id, id);
        assert_echo(&answer, number);
    }
}
