//! Who gets in, and what becomes of those who misbehave.

use bytes::Bytes;

use super::{
    host_with,
    rich::rich,
    scripted::{Client, member, text_of},
};
use crate::qi::{
    host::{HostLimits, HostOptions},
    wire::{Kind, Message, MessageId},
};

#[tokio::test]
async fn connections_are_bounded() {
    let limits = HostLimits {
        connections: 1,
        ..HostLimits::default()
    };
    let options = HostOptions {
        limits,
        ..HostOptions::default()
    };
    let host = host_with(&rich(), options).await;
    let first = Client::authenticated(&host).await;
    let mut second = Client::connect(&host).await;
    assert_eq!(second.receive().await, None);
    drop(first);
    // The place is free once the host has noticed.
    loop {
        let mut third = Client::connect(&host).await;
        let call = Message::new(Kind::Call, MessageId(1), member(2), Bytes::new());
        let mut bytes = call.header().encode().to_vec();
        bytes.extend_from_slice(&call.payload);
        third.send_raw(&bytes).await;
        if let Some(answer) = third.receive().await {
            assert_eq!(text_of(&answer), "The call request could not be handled.");
            break;
        }
    }
}

#[tokio::test]
async fn strangers_may_send_little() {
    let host = host_with(&rich(), HostOptions::default()).await;
    let large = Bytes::from(vec![0; 65 * 1024]);
    let mut stranger = Client::connect(&host).await;
    let call = Message::new(Kind::Call, MessageId(1), member(122), large.clone());
    stranger.send_raw(&call.header().encode()).await;
    assert_eq!(stranger.receive().await, None);

    let mut friend = Client::authenticated(&host).await;
    assert_eq!(friend.call(member(122), large).await.kind, Kind::Reply);
}
