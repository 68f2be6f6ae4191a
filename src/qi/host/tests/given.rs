//! Objects that go over the wire, both ways, as real libqi peers were recorded to do it: what the
//! client sent is sent to our host, which must do as libqi's server did.

use std::collections::{HashMap, hash_map::Entry};

use bytes::Bytes;

use super::{factory::factory, host_with, scripted::Client};
use crate::qi::{
    host::{Host, HostOptions},
    value::{
        ObjectEncoding, Signature, Value,
        codec::{DecodeContext, decode},
    },
    wire::{
        ActionId, Address, HEADER_BYTES, Header, Kind, Limits, Message, MessageId, ObjectId,
        ServiceId,
    },
};

struct Frame {
    connection: u64,
    sent: bool,
    message: Message,
    signature: Option<Signature>,
}

struct Recording {
    name: &'static str,
    frames: Vec<Frame>,
    /// Which connection its client closed after which frame.
    closes: Vec<(usize, u64)>,
}

impl Recording {
    fn read(name: &'static str) -> Self {
        let root = env!("CARGO_MANIFEST_DIR");
        let text =
            std::fs::read_to_string(format!("{root}/tests/data/vectors/{name}.json")).unwrap();
        let recording: serde_json::Value = serde_json::from_str(&text).unwrap();
        let bytes = |value: &serde_json::Value| hex::decode(value.as_str().unwrap()).unwrap();
        let frame = |frame: &serde_json::Value| {
            let header = bytes(&frame["header_hex"]);
            let header = Header::decode(header.first_chunk::<HEADER_BYTES>().unwrap()).unwrap();
            let signature = frame["payload_signature"].as_str();
            Frame {
                connection: frame["conn"].as_u64().unwrap(),
                sent: frame["dir"] == "c2s",
                message: Message::from_parts(header, Bytes::from(bytes(&frame["payload_hex"]))),
                signature: signature.map(|text| text.parse().unwrap()),
            }
        };
        let close = |close: &serde_json::Value| {
            let after = close["after_frame"].as_u64().unwrap();
            (
                usize::try_from(after).unwrap(),
                close["conn"].as_u64().unwrap(),
            )
        };
        Self {
            name,
            frames: recording["frames"]
                .as_array()
                .unwrap()
                .iter()
                .map(frame)
                .collect(),
            closes: recording["closes"]
                .as_array()
                .unwrap()
                .iter()
                .map(close)
                .collect(),
        }
    }

    /// Plays the part of the clients.
    async fn play(&self, encoding: ObjectEncoding) -> Host {
        let host = host_with(&factory(), HostOptions::default()).await;
        let mut clients = HashMap::<u64, Player>::new();
        for (index, frame) in self.frames.iter().enumerate() {
            // The directory is not ours.
            if frame.message.address.service == ServiceId(1) {
                continue;
            }
            let client = match clients.entry(frame.connection) {
                Entry::Occupied(known) => known.into_mut(),
                Entry::Vacant(place) => place.insert(Player::connect(&host).await),
            };
            if frame.sent {
                client.send(&frame.message).await;
            } else {
                client.expect(self.name, frame, encoding).await;
            }
            for (_, connection) in self.closes.iter().filter(|(after, _)| *after == index) {
                let last = index + 1 == self.frames.len();
                let closed = clients.remove(connection).unwrap();
                if !last {
                    closed.close(self.name).await;
                    let left = clients.len();
                    super::until(|| host.table.connections() == left).await;
                }
            }
        }
        for client in clients.into_values() {
            client.close(self.name).await;
        }
        super::until(|| host.table.connections() == 0).await;
        host
    }
}

struct Player {
    client: Client,
    /// Our calls by the ids that libqi's had.
    calls: HashMap<MessageId, MessageId>,
}

impl Player {
    async fn connect(host: &Host) -> Self {
        Self {
            client: Client::connect(host).await,
            calls: HashMap::new(),
        }
    }

    async fn send(&mut self, message: &Message) {
        let mut message = message.clone();
        if matches!(message.kind, Kind::Reply | Kind::Error | Kind::Canceled) {
            message.id = self.calls[&message.id];
        }
        self.client.send(&message).await;
    }

    async fn expect(&mut self, name: &str, frame: &Frame, encoding: ObjectEncoding) {
        let expected = &frame.message;
        let is_answer = matches!(expected.kind, Kind::Reply | Kind::Error);
        let found = self
            .client
            .find(|message| {
                message.kind == expected.kind
                    && message.address == expected.address
                    && (!is_answer || message.id == expected.id)
            })
            .await;
        let action = expected.address.action;
        if expected.kind == Kind::Call {
            self.calls.insert(expected.id, found.id);
            if action == ActionId::REGISTER_EVENT {
                // Everyone has links of his own.
                assert_eq!(found.payload[..8], expected.payload[..8]);
                return;
            }
        }
        let own_words = expected.kind == Kind::Error && expected.address.object == ObjectId::MAIN
            || matches!(action, ActionId::REGISTER_EVENT)
            || action == ActionId::META_OBJECT && expected.address.object == ObjectId::MAIN
            || expected.address == Address::AUTHENTICATE;
        if !own_words {
            let signature = frame.signature.as_ref().unwrap();
            let value = |message: &Message| anonymous(message, signature, encoding);
            assert_eq!(value(&found), value(expected), "{name}: {expected:?}");
        }
    }

    async fn close(mut self, name: &str) {
        self.client.settle().await;
        let left = &self.client.unasked;
        assert!(left.is_empty(), "{name}: nobody asked for {left:?}");
    }
}

/// What a message holds, without the identities of objects that its host made up.
fn anonymous(message: &Message, signature: &Signature, encoding: ObjectEncoding) -> Value {
    let context = DecodeContext::new(encoding, Limits::default());
    let mut value = decode(signature.ty(), &message.payload, context).unwrap();
    let visited = value.visit_objects::<()>(&mut |place| {
        if let Value::Object(reference) = place {
            reference.uid = None;
        }
        Ok(())
    });
    visited.unwrap();
    value
}

const WITH_UID: ObjectEncoding = ObjectEncoding {
    meta_object_cache: false,
    object_uid: true,
};

#[tokio::test]
async fn returned_objects_are_those_of_libqi() {
    Recording::read("returned_object").play(WITH_UID).await;
}

#[tokio::test]
async fn returned_objects_live_as_long_as_those_of_libqi() {
    Recording::read("returned_object_raw").play(WITH_UID).await;
}

#[tokio::test]
async fn objects_of_clients_are_used_as_by_libqi() {
    Recording::read("client_object").play(WITH_UID).await;
}

#[tokio::test]
async fn whatever_clients_answer_for_their_objects_is_taken() {
    Recording::read("client_object_raw").play(WITH_UID).await;
}

#[tokio::test]
async fn objects_of_clients_are_passed_on() {
    Recording::read("client_object_relay").play(WITH_UID).await;
}

#[tokio::test]
async fn older_peers_get_no_identities() {
    let without = ObjectEncoding::default();
    Recording::read("objects_bare").play(without).await;
}

/// The one who gave an object knows it again.
#[tokio::test]
async fn an_object_keeps_its_identity() {
    let recording = Recording::read("client_object");
    let uid = |payload: &Bytes| payload[payload.len() - 20..].to_vec();
    let given = |action: u32, sent: bool| {
        let mut frames = recording.frames.iter();
        let frame = frames.find(|frame| {
            frame.sent == sent
                && frame.message.address
                    == Address::new(ServiceId(2), ObjectId::MAIN, ActionId(action))
        });
        frame.unwrap().message.clone()
    };
    let host = host_with(&factory(), HostOptions::default()).await;
    let mut client = Client::authenticated(&host).await;
    let keep = given(124, true);
    client.send(&keep).await;
    client.answer(keep.id).await;
    let give = given(121, true);
    client.send(&give).await;
    let back = client.answer(give.id).await;
    assert_eq!(uid(&back.payload), uid(&keep.payload));
    assert_eq!(back.payload, given(121, false).payload);

    // Of one of ours there is one too, whatever its number.
    let shared = Address::new(ServiceId(2), ObjectId::MAIN, ActionId(133));
    let first = client.call(shared, Bytes::new()).await;
    let second = client.call(shared, Bytes::new()).await;
    assert_eq!(uid(&first.payload), uid(&second.payload));
    assert_ne!(first.payload, second.payload);
}
