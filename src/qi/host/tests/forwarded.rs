//! Objects of one client that are passed on to another one, which never meets the first.

use bytes::Bytes;

use super::{
    factory::{factory, item},
    host_with,
    scripted::{Client, member, text_of},
    until,
};
use crate::qi::{
    host::{Host, HostLimits, HostOptions},
    session::error_payload,
    value::{
        MetaObject, ObjectEncoding, ObjectReference, ObjectUid,
        codec::{EncodeContext, encode_object},
    },
    wire::{ActionId, Address, Kind, Limits, Message, MessageId, ObjectId, ServiceId, Writer},
};

const PROPERTY: u32 = 5;
const KEEP: u32 = 124;
const GIVE: u32 = 121;
const HELLO: u32 = 102;
const RENAME: u32 = 103;
const CHANGED: u32 = 100;

/// Who owns an object, a client who has it from the host, and the host between them.
struct Relay {
    owner: Client,
    user: Client,
    host: Host,
}

impl Relay {
    async fn new() -> Self {
        Self::with(HostLimits::default()).await
    }

    async fn with(limits: HostLimits) -> Self {
        Self::passing(item("x").meta().clone(), limits).await
    }

    async fn passing(meta: MetaObject, limits: HostLimits) -> Self {
        let options = HostOptions {
            limits,
            ..HostOptions::default()
        };
        let host = host_with(&factory(), options).await;
        let mut owner = Client::authenticated(&host).await;
        let object = encoded(meta, ObjectId::FIRST_OF_CALLER);
        let kept = owner.call(member(KEEP), object).await;
        assert_eq!(kept.kind, Kind::Reply);
        let mut user = Client::authenticated(&host).await;
        let given = user.call(member(GIVE), Bytes::new()).await;
        assert_eq!(given.kind, Kind::Reply);
        Self { owner, user, host }
    }

    /// The call that the owner gets.
    async fn asked(&mut self, action: u32) -> Message {
        let asked = self.owner.find(|it| it.kind == Kind::Call).await;
        assert_eq!(asked.address, of_owner(action));
        asked
    }
}

/// An object of the owner as it stands in a payload.
fn encoded(meta: MetaObject, object: ObjectId) -> Bytes {
    let encoding = ObjectEncoding {
        meta_object_cache: false,
        object_uid: true,
    };
    let reference = ObjectReference {
        meta: std::sync::Arc::new(meta),
        service: ServiceId(2),
        object,
        uid: Some(ObjectUid([7; 20])),
    };
    let mut writer = Writer::new();
    let mut context = EncodeContext::new(encoding, Limits::default());
    encode_object(&reference, &mut context, &mut writer).unwrap();
    writer.finish()
}

fn of_owner(action: u32) -> Address {
    Address::new(ServiceId(2), ObjectId::FIRST_OF_CALLER, ActionId(action))
}

fn of_user(action: u32) -> Address {
    Address::new(ServiceId(2), ObjectId(3), ActionId(action))
}

/// The arguments of registerEvent for the signal `changed`.
fn registration(link: u8) -> Bytes {
    let mut arguments = vec![2, 0, 0, 0, 100, 0, 0, 0];
    arguments.extend([link, 0, 0, 0, 0, 0, 0, 0]);
    arguments.into()
}

#[tokio::test]
async fn bytes_errors_and_cancels_are_passed_on() {
    let mut relay = Relay::new().await;
    let text = Bytes::from_static(b"\x03\0\0\0one");
    let calling = relay
        .user
        .start(Kind::Call, of_user(RENAME), text.clone())
        .await;
    let asked = relay.asked(RENAME).await;
    assert_eq!(asked.payload, text);
    relay
        .owner
        .send(&asked.answer(Kind::Error, error_payload("no")))
        .await;
    assert_eq!(text_of(&relay.user.answer(calling).await), "no");

    relay
        .user
        .start(Kind::Post, of_user(RENAME), text.clone())
        .await;
    let posted = relay.owner.find(|it| it.kind == Kind::Post).await;
    assert_eq!((posted.address, &posted.payload), (of_owner(RENAME), &text));

    let calling = relay
        .user
        .start(Kind::Call, of_user(HELLO), Bytes::new())
        .await;
    let asked = relay.asked(HELLO).await;
    let id = Bytes::copy_from_slice(&calling.0.to_le_bytes());
    relay.user.start(Kind::Cancel, of_user(0), id).await;
    assert_eq!(relay.user.answer(calling).await.kind, Kind::Canceled);
    let cancel = relay.owner.find(|it| it.kind == Kind::Cancel).await;
    assert_eq!(cancel.payload[..], asked.id.0.to_le_bytes());
}

/// A call that was cancelled in one breath had left already, and the object in its answer stayed
/// with the owner for nobody.
#[tokio::test]
async fn objects_for_a_call_that_is_cancelled_at_once_are_given_back() {
    let mut relay = Relay::new().await;
    let id = MessageId(7);
    let key = Bytes::from_static(b"\x01\0\0\0s\x05\0\0\0count");
    let call = Message::new(Kind::Call, id, of_user(PROPERTY), key);
    let named = Bytes::copy_from_slice(&id.0.to_le_bytes());
    let cancel = Message::new(Kind::Cancel, MessageId(8), of_user(0), named);
    let both = [call, cancel].map(|it| [&it.header().encode()[..], &it.payload[..]].concat());
    relay.user.send_raw(&both.concat()).await;
    assert_eq!(relay.user.answer(id).await.kind, Kind::Canceled);
    let asked = relay.asked(PROPERTY).await;
    let object = ObjectId(ObjectId::FIRST_OF_CALLER.0 + 1);
    let mut value = b"\x01\0\0\0o".to_vec();
    value.extend_from_slice(&encoded(item("y").meta().clone(), object));
    let reply = asked.answer(Kind::Reply, value.into());
    relay.owner.send(&reply).await;
    let released = relay.owner.find(|it| it.kind == Kind::Post).await;
    let terminate = Address::new(ServiceId(2), object, ActionId::TERMINATE);
    assert_eq!(released.address, terminate);
}

/// Each call was forwarded by a task of its own, so that a later post could reach the owner first.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_and_posts_arrive_in_the_order_in_which_they_were_made() {
    let mut relay = Relay::new().await;
    // A method whose bytes are passed on as they are, a signal, and a method whose result may hold
    // objects.
    let members = [
        (RENAME, Kind::Call),
        (CHANGED, Kind::Post),
        (PROPERTY, Kind::Call),
        (RENAME, Kind::Post),
        (PROPERTY, Kind::Call),
    ];
    let sent: Vec<_> = members.into_iter().cycle().take(200).collect();
    for &(action, kind) in &sent {
        let payload = match action {
            PROPERTY => Bytes::from_static(b"\x01\0\0\0s\x05\0\0\0count"),
            _ => Bytes::from_static(b"\x03\0\0\0one"),
        };
        relay.user.start(kind, of_user(action), payload).await;
    }
    for (at, wanted) in sent.into_iter().enumerate() {
        let came = relay.owner.receive().await.unwrap();
        assert_eq!((came.address.action.0, came.kind), wanted, "the {at}th");
    }
}

#[tokio::test]
async fn the_owner_is_registered_with_while_someone_listens() {
    let mut relay = Relay::new().await;
    // In force before it is answered.
    let first = relay
        .user
        .start(Kind::Call, of_user(0), registration(1))
        .await;
    let asked = relay.asked(0).await;
    assert_eq!(asked.payload[4..8], [100, 0, 0, 0]);
    let link = asked.payload[8..16].to_vec();
    let reply = asked.answer(Kind::Reply, Bytes::from_static(&[0; 8]));
    relay.owner.send(&reply).await;
    assert_eq!(relay.user.answer(first).await.kind, Kind::Reply);
    // Once is enough.
    let second = relay.user.call(of_user(0), registration(2)).await;
    assert_eq!(second.kind, Kind::Reply);
    let text = Bytes::from_static(b"\x03\0\0\0one");
    relay
        .owner
        .start(Kind::Event, of_owner(CHANGED), text.clone())
        .await;
    for _ in 0..2 {
        let event = relay.user.find(|it| it.kind == Kind::Event).await;
        assert_eq!((event.address, &event.payload), (of_user(CHANGED), &text));
    }
    let left = relay.user.call(of_user(1), registration(1)).await;
    assert_eq!(left.kind, Kind::Reply);
    relay.owner.settle().await;
    assert!(relay.owner.unasked.is_empty(), "{:?}", relay.owner.unasked);
    let left = relay.user.call(of_user(1), registration(2)).await;
    assert_eq!(left.kind, Kind::Reply);
    let asked = relay.asked(1).await;
    assert_eq!(asked.payload[8..16], link);

    // Given back while someone listens: the same.
    let again = relay
        .user
        .start(Kind::Call, of_user(0), registration(3))
        .await;
    let asked = relay.asked(0).await;
    let reply = asked.answer(Kind::Reply, Bytes::from_static(&[0; 8]));
    relay.owner.send(&reply).await;
    relay.user.answer(again).await;
    let service = Bytes::from_static(&[2, 0, 0, 0]);
    relay.user.start(Kind::Post, of_user(3), service).await;
    relay.asked(1).await;
    assert_eq!(relay.host.table.exported(), 0);
}

#[tokio::test]
async fn a_registration_that_the_owner_refuses_is_refused() {
    let mut relay = Relay::new().await;
    let calling = relay
        .user
        .start(Kind::Call, of_user(0), registration(1))
        .await;
    let asked = relay.asked(0).await;
    relay
        .owner
        .send(&asked.answer(Kind::Error, error_payload("not now")))
        .await;
    assert_eq!(text_of(&relay.user.answer(calling).await), "not now");
    // It is not there any more.
    let left = relay.user.call(of_user(1), registration(1)).await;
    assert_eq!(left.kind, Kind::Error);
}

/// However much a peer said of an object, it counted as one where it was passed on.
#[tokio::test]
async fn what_says_much_about_itself_counts_as_several() {
    let meta = MetaObject {
        description: "x".repeat(8 * 1024),
        ..item("x").meta().clone()
    };
    let limits = HostLimits {
        objects_per_connection: 4,
        ..HostLimits::default()
    };
    // The one that it is given takes three of four places.
    let mut relay = Relay::passing(meta, limits).await;
    let refused = relay.user.call(member(GIVE), Bytes::new()).await;
    let text = "4 objects already answer on this connection";
    assert_eq!(text_of(&refused), text);
    let service = Bytes::from_static(&[2, 0, 0, 0]);
    relay.user.call(of_user(3), service).await;
    let given = relay.user.call(member(GIVE), Bytes::new()).await;
    assert_eq!(given.kind, Kind::Reply);
}

/// Registrations that an owner never answered made tasks without end, each of which outlived the
/// connection that it was for.
#[tokio::test]
async fn registrations_that_the_owner_does_not_answer_are_calls_that_wait() {
    let mut relay = Relay::with(HostLimits {
        calls_per_connection: 2,
        ..HostLimits::default()
    })
    .await;
    for link in 1..=2 {
        let register = registration(link);
        relay.user.start(Kind::Call, of_user(0), register).await;
    }
    let refused = relay.user.call(of_user(0), registration(3)).await;
    let text = "Too many calls are waiting on this connection";
    assert_eq!(text_of(&refused), text);
    let asked = relay.asked(0).await;
    drop(relay.user);
    let left = relay.owner.find(|it| it.kind == Kind::Call).await;
    assert_eq!(left.address, of_owner(1));
    assert_eq!(left.payload, asked.payload);
}

/// One that was registered with before its owner went took registrations as if it were there.
#[tokio::test]
async fn an_owner_that_is_gone_is_not_registered_with() {
    let mut relay = Relay::new().await;
    let first = relay
        .user
        .start(Kind::Call, of_user(0), registration(1))
        .await;
    let asked = relay.asked(0).await;
    let reply = asked.answer(Kind::Reply, Bytes::from_static(&[0; 8]));
    relay.owner.send(&reply).await;
    assert_eq!(relay.user.answer(first).await.kind, Kind::Reply);
    drop(relay.owner);
    until(|| relay.host.table.connections() == 1).await;
    let second = relay.user.call(of_user(0), registration(2)).await;
    assert_eq!(text_of(&second), "Socket is not connected");
}

#[tokio::test]
async fn properties_are_those_of_the_owner() {
    let mut relay = Relay::new().await;
    let key = Bytes::from_static(b"\x01\0\0\0s\x05\0\0\0count");
    let calling = relay.user.start(Kind::Call, of_user(5), key.clone()).await;
    let asked = relay.asked(5).await;
    assert_eq!(asked.payload, key);
    let value = Bytes::from_static(b"\x01\0\0\0i\x07\0\0\0");
    relay
        .owner
        .send(&asked.answer(Kind::Reply, value.clone()))
        .await;
    assert_eq!(relay.user.answer(calling).await.payload, value);
}
