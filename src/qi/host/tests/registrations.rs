//! Registrations with signals: how many there may be.

use bytes::Bytes;

use super::{
    host_with,
    scripted::{Client, member, text_of},
    until,
};
use crate::qi::{
    host::{HostLimits, HostOptions, HostedObject, ObjectBuilder},
    wire::Kind,
};

/// A service with the signal 100 `s`.
fn signals() -> HostedObject {
    let mut object = ObjectBuilder::new();
    object.signal("s", "()").unwrap();
    object.build().unwrap()
}

#[tokio::test]
async fn registrations_are_bounded() {
    let signals = signals();
    let limits = HostLimits {
        registrations: 3,
        ..HostLimits::default()
    };
    let options = HostOptions {
        limits,
        ..HostOptions::default()
    };
    let host = host_with(&signals, options).await;
    let mut client = Client::authenticated(&host).await;
    let mut arguments = [0; 16];
    arguments[4] = 100;
    for link in 0..4 {
        arguments[8] = link;
        let answer = client
            .call(member(0), Bytes::copy_from_slice(&arguments))
            .await;
        match link {
            3 => assert_eq!(
                text_of(&answer),
                "Too many registrations on this connection"
            ),
            _ => assert_eq!(answer.kind, Kind::Reply),
        }
    }
    assert_eq!(signals.0.subscribers.len(), 3);
    arguments[8] = 0;
    let answer = client
        .call(member(1), Bytes::copy_from_slice(&arguments))
        .await;
    assert_eq!(answer.kind, Kind::Reply);
    assert_eq!(signals.0.subscribers.len(), 2);
    drop(client);
    until(|| signals.0.subscribers.len() == 0).await;
}

/// A thousand registrations at each object could each come with a signature of 64 KiB, which takes a
/// hundred times as much once it is parsed.
#[tokio::test]
async fn the_bytes_of_registrations_are_bounded() {
    let limits = HostLimits {
        registration_bytes_per_connection: 300 * 1024,
        ..HostLimits::default()
    };
    let options = HostOptions {
        limits,
        ..HostOptions::default()
    };
    let host = host_with(&signals(), options).await;
    let mut client = Client::authenticated(&host).await;
    let register = async |client: &mut Client, link: u8, signature: &str| {
        let mut arguments = vec![2, 0, 0, 0, 100, 0, 0, 0, link, 0, 0, 0, 0, 0, 0, 0];
        arguments.extend(u32::try_from(signature.len()).unwrap().to_le_bytes());
        arguments.extend(signature.as_bytes());
        client.call(member(8), arguments.into()).await
    };
    let long = format!("({})", "i".repeat(998));
    for link in 0..2 {
        let answer = register(&mut client, link, &long).await;
        assert_eq!(answer.kind, Kind::Reply);
    }
    let refused = register(&mut client, 2, &format!("({})", "i".repeat(1100))).await;
    assert_eq!(
        text_of(&refused),
        "Too many registrations on this connection"
    );
    // Each place is free again with its registration.
    let first = Bytes::from_static(b"\x02\0\0\0\x64\0\0\0\0\0\0\0\0\0\0\0");
    assert_eq!(client.call(member(1), first).await.kind, Kind::Reply);
    let answer = register(&mut client, 2, &long).await;
    assert_eq!(answer.kind, Kind::Reply);
}
