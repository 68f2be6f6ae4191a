//! Statistics and traces, beside those that the real libqi was recorded to give.

use bytes::Bytes;

use super::{
    host_with,
    rich::rich,
    scripted::{Client, member},
};
use crate::qi::{
    host::HostOptions,
    value::{
        Signature, Value,
        codec::{DecodeContext, decode},
    },
    wire::{Kind, Message},
};

fn value(signature: &str, payload: &[u8]) -> Value {
    let signature: Signature = signature.parse().unwrap();
    let payload = Bytes::copy_from_slice(payload);
    decode(signature.ty(), &payload, DecodeContext::default()).unwrap()
}

/// The payload of a frame of the recording, and the signature that decodes it.
fn recorded(frame: usize) -> (String, Vec<u8>) {
    let root = env!("CARGO_MANIFEST_DIR");
    let path = format!("{root}/tests/data/vectors/manageable.json");
    let recording: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let frame = &recording["frames"][frame];
    let signature = frame["payload_signature"].as_str().unwrap().to_owned();
    let payload = hex::decode(frame["payload_hex"].as_str().unwrap()).unwrap();
    (signature, payload)
}

async fn call(client: &mut Client, action: u32, payload: &'static [u8]) -> Bytes {
    let answer = client
        .call(member(action), Bytes::from_static(payload))
        .await;
    assert_eq!(answer.kind, Kind::Reply, "{action}");
    answer.payload
}

/// How often each method ran.
fn counts(stats: &Value) -> Vec<(i64, i64)> {
    let Value::Map(entries) = stats else {
        panic!("{stats:?}");
    };
    let count = |(method, stats): &(Value, Value)| {
        let Value::Tuple(fields) = stats else {
            panic!("{stats:?}");
        };
        (method.to_i64().unwrap(), fields[0].to_i64().unwrap())
    };
    entries.iter().map(count).collect()
}

#[tokio::test]
async fn statistics_are_those_of_libqi() {
    let object = rich();
    let host = host_with(&object, HostOptions::default()).await;
    let mut client = Client::authenticated(&host).await;
    let (signature, payload) = recorded(23);
    let declared = &object.meta().methods[&crate::qi::wire::ActionId(82)].return_signature;
    assert_eq!(declared.as_str(), signature);
    // The calls of the recording, one by one.
    assert_eq!(call(&mut client, 80, b"").await, b"\0"[..]);
    assert_eq!(call(&mut client, 81, b"\x01").await, b""[..]);
    assert_eq!(call(&mut client, 80, b"").await, b"\x01"[..]);
    call(&mut client, 122, b"\x01\0\0\0").await;
    let stats = value(&signature, &call(&mut client, 82, b"").await);
    assert_eq!(counts(&stats), counts(&value(&signature, &payload)));

    let Value::Map(entries) = stats else {
        panic!("{stats:?}");
    };
    let Value::Tuple(inc) = &entries[1].1 else {
        panic!("{entries:?}");
    };
    let Value::Tuple(wall) = &inc[1] else {
        panic!("{inc:?}");
    };
    let [
        Value::Float(shortest),
        Value::Float(longest),
        Value::Float(all),
    ] = **wall
    else {
        panic!("{wall:?}");
    };
    assert!(shortest >= 0.0 && shortest <= longest && longest <= all);

    assert_eq!(call(&mut client, 83, b"").await, b""[..]);
    call(&mut client, 122, b"\x01\0\0\0").await;
    call(&mut client, 122, b"\x01\0\0\0").await;
    let stats = value(&signature, &call(&mut client, 82, b"").await);
    // The clearing itself ended after it.
    assert_eq!(counts(&stats), [(83, 1), (122, 2)]);
    call(&mut client, 81, b"\0").await;
    call(&mut client, 122, b"\x01\0\0\0").await;
    let stats = value(&signature, &call(&mut client, 82, b"").await);
    assert_eq!(counts(&stats), [(81, 1), (82, 1), (83, 1), (122, 2)]);
}

/// Number, kind, member and arguments of a trace.
fn told(signature: &str, event: &[u8]) -> (i64, i64, i64, Value) {
    let Value::Tuple(mut event) = value(signature, event) else {
        panic!("no tuple");
    };
    let Value::Tuple(mut fields) = event.remove(0) else {
        panic!("no trace");
    };
    let number = |at: usize| fields[at].to_i64().unwrap();
    let (id, kind, member) = (number(0), number(1), number(2));
    (id, kind, member, fields.remove(3))
}

#[tokio::test]
async fn traces_are_those_of_libqi() {
    let host = host_with(&rich(), HostOptions::default()).await;
    let mut client = Client::authenticated(&host).await;
    assert_eq!(call(&mut client, 84, b"").await, b"\0"[..]);
    let registration = b"\x02\0\0\0\x56\0\0\0\x01\0\0\0\0\0\0\0";
    call(&mut client, 0, registration).await;
    assert_eq!(call(&mut client, 84, b"").await, b"\x01"[..]);
    call(&mut client, 122, b"\x01\0\0\0").await;
    call(&mut client, 117, b"\x01\0\0\0").await;
    let failed = client.call(member(119), Bytes::new()).await;
    assert_eq!(failed.kind, Kind::Error);
    call(&mut client, 1, registration).await;
    assert_eq!(call(&mut client, 84, b"").await, b"\0"[..]);
    call(&mut client, 122, b"\x01\0\0\0").await;

    let (signature, _) = recorded(37);
    let events = client.unasked.iter().filter(|it| it.address == member(86));
    let payload = |event: &Message| event.payload.to_vec();
    let ours: Vec<_> = events
        .map(|event| told(&signature, &payload(event)))
        .collect();
    let (emitted, rest): (Vec<_>, Vec<_>) = ours.into_iter().partition(|event| event.1 == 4);
    let (failed, rest): (Vec<_>, Vec<_>) = rest.into_iter().partition(|event| event.2 == 119);
    let libqi = [37, 39, 41, 42, 45, 47].map(|frame| told(&signature, &recorded(frame).1));
    // Python's integers are `l`; ours is what was declared.
    let long = |mut event: (i64, i64, i64, Value)| {
        if let Some(number) = event.3.to_i64() {
            event.3 = Value::Int64(number);
        }
        (event.1, event.2, event.3)
    };
    let ours: Vec<_> = rest.iter().cloned().map(long).collect();
    assert_eq!(ours, libqi.map(long));
    // A call and its end have one number.
    for pair in rest.chunks(2) {
        assert_eq!(pair[0].0, pair[1].0);
    }
    let [signal] = &*emitted else {
        panic!("{emitted:?}");
    };
    assert_eq!(signal.2, 147);
    let [_, error] = &*failed else {
        panic!("{failed:?}");
    };
    assert_eq!((error.1, error.3.to_text().unwrap()), (3, "no".to_owned()));
}

#[tokio::test]
async fn a_trace_ends_with_the_connection_of_the_last_listener() {
    let object = rich();
    let host = host_with(&object, HostOptions::default()).await;
    let mut client = Client::authenticated(&host).await;
    call(&mut client, 0, b"\x02\0\0\0\x56\0\0\0\x01\0\0\0\0\0\0\0").await;
    let mut other = Client::authenticated(&host).await;
    assert_eq!(call(&mut other, 84, b"").await, b"\x01"[..]);
    drop(client);
    super::until(|| host.table.connections() == 1).await;
    super::until(|| object.0.subscribers.len() == 0).await;
    assert_eq!(call(&mut other, 84, b"").await, b"\0"[..]);
    // Turned on by hand, it costs nobody anything but time.
    call(&mut other, 85, b"\x01").await;
    assert_eq!(call(&mut other, 84, b"").await, b"\x01"[..]);
}
