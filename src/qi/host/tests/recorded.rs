//! What scripted clients sent to the real libqi, sent to our host: the answers are compared.

use std::collections::HashMap;

use bytes::Bytes;

use super::{
    host_with,
    rich::{directory, rich},
    scripted::Client,
};
use crate::qi::{
    host::HostOptions,
    wire::{HEADER_BYTES, Header, Kind, Message, MessageId, ServiceId},
};

enum Frame {
    Sent(Message),
    Received(Message),
    Raw(Vec<u8>),
}

/// What is to be compared of an answer.
#[derive(Clone, Copy, PartialEq)]
enum Compare {
    All,
    Kind,
    /// Ours differs on purpose.
    Nothing,
}

fn frames(name: &str, connection: u64) -> Vec<Frame> {
    let root = env!("CARGO_MANIFEST_DIR");
    let text = std::fs::read_to_string(format!("{root}/tests/data/vectors/{name}.json")).unwrap();
    let recording: serde_json::Value = serde_json::from_str(&text).unwrap();
    let frames = recording["frames"].as_array().unwrap().iter();
    let bytes = |value: &serde_json::Value| hex::decode(value.as_str().unwrap()).unwrap();
    frames
        .filter(|frame| frame["conn"] == connection)
        .map(|frame| {
            if frame.get("raw_hex").is_some() {
                return Frame::Raw(bytes(&frame["raw_hex"]));
            }
            let header = bytes(&frame["header_hex"]);
            let header = Header::decode(header.first_chunk::<HEADER_BYTES>().unwrap()).unwrap();
            let payload = Bytes::from(bytes(&frame["payload_hex"]));
            let message = Message::from_parts(header, payload);
            match frame["dir"] == "c2s" {
                true => Frame::Sent(message),
                false => Frame::Received(message),
            }
        })
        .collect()
}

/// Plays a recording. Gives what came beside the answers: first what came here, then what came
/// from libqi.
async fn play(
    name: &str,
    connection: u64,
    compare: impl Fn(&Message) -> Compare,
) -> [Vec<Message>; 2] {
    let host = host_with(&rich(), HostOptions::default()).await;
    host.table.insert(ServiceId(1), &directory()).unwrap();
    let mut client = Client::connect(&host).await;
    let mut answers = HashMap::<MessageId, Message>::new();
    let mut unasked = Vec::new();
    let frames = frames(name, connection);
    for frame in &frames {
        match frame {
            Frame::Received(message) => match message.kind {
                Kind::Reply | Kind::Error | Kind::Canceled => {
                    answers.insert(message.id, message.clone());
                }
                _ => unasked.push(message.clone()),
            },
            Frame::Sent(_) | Frame::Raw(_) => {}
        }
    }
    for frame in &frames {
        match frame {
            Frame::Received(_) => {}
            Frame::Raw(bytes) => {
                client.send_raw(bytes).await;
                assert_eq!(client.receive().await, None, "{name}: not closed");
            }
            Frame::Sent(message) => {
                client.send(message).await;
                let Some(expected) = answers.remove(&message.id) else {
                    continue;
                };
                let answer = client.answer(message.id).await;
                match compare(message) {
                    Compare::All => assert_eq!(answer, expected, "{name}: {message:?}"),
                    Compare::Kind => {
                        assert_eq!(answer.kind, expected.kind, "{name}: {message:?}");
                        assert_eq!(answer.address, expected.address, "{name}: {message:?}");
                        assert_eq!(answer.flags, expected.flags, "{name}: {message:?}");
                    }
                    Compare::Nothing => {}
                }
            }
        }
    }
    let open = !frames.iter().any(|frame| matches!(frame, Frame::Raw(_)));
    if open {
        client.settle().await;
    }
    let ours = client.unasked.drain(..).collect::<Vec<_>>();
    for message in &ours {
        let unasked = matches!(message.kind, Kind::Event | Kind::Capability);
        assert!(unasked, "{name}: nobody asked for {message:?}");
    }
    [ours, unasked]
}

/// Events without their ids, and in no particular order: libqi's overtake one another.
fn sorted(messages: Vec<Message>) -> Vec<(u32, u8, Vec<u8>)> {
    let mut events: Vec<_> = messages
        .into_iter()
        .map(|event| {
            (
                event.address.action.0,
                event.flags.0,
                event.payload.to_vec(),
            )
        })
        .collect();
    events.sort();
    events
}

/// Meta objects differ, as do the answers of the directory's place and our own links.
fn own_words(message: &Message) -> bool {
    message.address.service == ServiceId(1)
        || matches!(message.address.action.0, 0 | 2 | 8)
            && message.address.service != ServiceId::SERVER
}

fn all_but(message: &Message, kinds: &[u32], nothing: &[u32]) -> Compare {
    match message.id.0 {
        id if nothing.contains(&id) => Compare::Nothing,
        id if kinds.contains(&id) || own_words(message) && message.kind == Kind::Call => {
            Compare::Kind
        }
        _ => Compare::All,
    }
}

#[tokio::test]
async fn peers_may_skip_authentication() {
    for connection in 0..4 {
        let [ours, libqi] = play("auth_skipped", connection, |m| all_but(m, &[], &[])).await;
        assert_eq!(ours.len(), libqi.len(), "connection {connection}");
        for (ours, libqi) in ours.iter().zip(&libqi) {
            assert_eq!(ours.kind, Kind::Capability);
            assert_eq!(
                (ours.address, &ours.payload),
                (libqi.address, &libqi.payload)
            );
        }
    }
}

#[tokio::test]
async fn a_posted_authenticate_is_told_capabilities() {
    let host = host_with(&rich(), HostOptions::default()).await;
    let mut client = Client::connect(&host).await;
    let frames = frames("auth_skipped", 4);
    let [Frame::Sent(post), Frame::Received(expected)] = &*frames else {
        panic!("a post and its answer");
    };
    client.send(post).await;
    let told = client.receive().await.unwrap();
    assert_eq!(told.kind, Kind::Capability);
    assert_eq!(told.payload, expected.payload);
}

#[tokio::test]
async fn registrations_are_those_of_libqi() {
    let [ours, libqi] = play("signals_raw", 0, |m| all_but(m, &[], &[])).await;
    let mut libqi = sorted(libqi);
    // libqi sends an empty tuple to who wants events as `m`, which is of no use: ours is plain.
    let trap = (147, 1, b"\x02\0\0\0()".to_vec());
    let at = libqi.iter().position(|event| *event == trap).unwrap();
    libqi[at] = (147, 0, b"\x07\0\0\0".to_vec());
    libqi.sort();
    assert_eq!(sorted(ours), libqi);
}

#[tokio::test]
async fn properties_are_those_of_libqi() {
    // 17: libqi's text has the C++ name of the type.
    let [ours, libqi] = play("properties_raw", 0, |m| all_but(m, &[17], &[])).await;
    assert_eq!(sorted(ours), sorted(libqi));
}

#[tokio::test]
async fn flags_are_understood() {
    // 7, 11, 13, 14: the texts are those of Python and C++.
    // 18: Python's integers are `l`, ours is what was declared.
    let compare = |m: &Message| all_but(m, &[7, 11, 13, 14, 18], &[]);
    let [ours, libqi] = play("message_flags", 0, compare).await;
    assert!(ours.is_empty() && libqi.is_empty());
    play("message_flags", 1, |m| all_but(m, &[], &[])).await;
}

#[tokio::test]
async fn odd_requests_are_answered_as_by_libqi() {
    // 17: another text. 20: libqi makes `v` of `_`.
    let [ours, libqi] = play("protocol_errors", 0, |m| all_but(m, &[17, 20], &[])).await;
    assert!(ours.is_empty() && libqi.is_empty());
    for connection in [1, 4] {
        play("protocol_errors", connection, |m| all_but(m, &[], &[])).await;
    }
}

#[tokio::test]
async fn posts_are_never_answered() {
    for connection in 0..2 {
        let [ours, libqi] = play("post", connection, |m| match m.address.service {
            // The place of the directory has none of its signals.
            ServiceId(1) => Compare::Nothing,
            _ => all_but(m, &[], &[]),
        })
        .await;
        assert_eq!(sorted(ours), sorted(libqi), "connection {connection}");
    }
}
