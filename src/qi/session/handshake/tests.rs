//! Recordings of the real libqi, with us in the place of its client.

use tokio::{
    io::{DuplexStream, duplex},
    time::Instant,
};

use super::*;
use crate::qi::session::tests::recorded::{frames, is_answer};

const ALL: Capabilities = Capabilities::OURS;

fn alice() -> HandshakeOptions {
    HandshakeOptions {
        credentials: Some(Credentials {
            user: "alice".into(),
            token: "s3cret".into(),
        }),
        ..HandshakeOptions::default()
    }
}

fn pair() -> (Framed<DuplexStream>, Framed<DuplexStream>) {
    let (ours, theirs) = duplex(64 * 1024);
    (
        Framed::new(ours, 50_000_000),
        Framed::new(theirs, 50_000_000),
    )
}

/// Maps are compared without the dynamics that Python wraps texts in.
fn unwrapped(payload: &Bytes) -> Vec<(String, String)> {
    let map = AuthMap::decode(payload, &Limits::default()).unwrap();
    let names = ALL.entries().map(|(name, _)| name);
    let names = names.into_iter().chain([USER, TOKEN]);
    names
        .filter_map(|name| Some((name.to_owned(), format!("{:?}", map.value(name)?))))
        .collect()
}

/// Plays the server's part of a recording and compares ours with that of libqi's client.
async fn play(name: &str, options: &HandshakeOptions) -> Result<Authenticated, HandshakeError> {
    let (mut us, mut peer) = pair();
    let script = async {
        let handshake = frames(name);
        let handshake = handshake
            .iter()
            .take_while(|frame| frame.message.address.service.0 == 0);
        let mut id = None;
        for frame in handshake {
            let recorded = &frame.message;
            if frame.from_client {
                let message = peer.receive().await.unwrap();
                assert_eq!(message.kind, recorded.kind, "{name}");
                assert_eq!(message.address, recorded.address, "{name}");
                assert_eq!(message.flags, recorded.flags, "{name}");
                assert_eq!(
                    unwrapped(&message.payload),
                    unwrapped(&recorded.payload),
                    "{name}"
                );
                if options.credentials.is_none() {
                    assert_eq!(message.payload, recorded.payload, "{name}");
                }
                id = Some(message.id);
            } else {
                let mut message = recorded.clone();
                if is_answer(&message) {
                    message.id = id.unwrap();
                }
                peer.send(&message).await.unwrap();
            }
        }
        // Nothing more is said before the first call to a service.
        drop(us_is_done(&mut peer).await);
    };
    let ours = async {
        let result = authenticate(&mut us, options).await;
        drop(us);
        result
    };
    let (result, ()) = tokio::join!(ours, script);
    result
}

async fn us_is_done(peer: &mut Framed<DuplexStream>) -> CloseReason {
    peer.receive().await.expect_err("nothing more to say")
}

#[tokio::test]
async fn recorded_handshakes_succeed() {
    let none = HandshakeOptions::default();
    let done = play("connect_authenticate", &none).await.unwrap();
    assert_eq!(done.shared, ALL);
    assert_eq!(done.new_token, None);

    for name in ["auth_new_token", "auth_state_as_int"] {
        let done = play(name, &alice()).await.unwrap();
        assert_eq!(done.shared, ALL, "{name}");
        assert_eq!(done.new_token.as_deref(), Some("n3wtoken"), "{name}");
    }

    let done = play("old_server_25", &none).await.unwrap();
    let old = Capabilities {
        object_ptr_uid: false,
        relative_endpoint_uri: false,
        ..ALL
    };
    assert_eq!(done.shared, old);

    let done = play("old_server_preauth", &none).await.unwrap();
    let older = Capabilities {
        remote_cancelable_calls: false,
        ..old
    };
    assert_eq!(done.shared, older);
}

#[tokio::test]
async fn recorded_refusals_are_told() {
    let refused = play("auth_error_reply", &alice()).await.unwrap_err();
    assert_eq!(
        refused.to_string(),
        "refused: Authentication failed: bad token [1.0]"
    );
    let bad = play("auth_bad_state", &alice()).await.unwrap_err();
    assert!(matches!(bad, HandshakeError::BadState { state: None }));
}

/// The peer plays with `reply` until we give up.
async fn endless(reply: AuthMap) -> (Result<Authenticated, HandshakeError>, u32) {
    let (mut us, mut peer) = pair();
    let ours = async {
        let result = authenticate(&mut us, &alice()).await;
        drop(us);
        result
    };
    let script = async {
        let payload = reply.encode().unwrap();
        let mut calls = 0;
        while let Ok(call) = peer.receive().await {
            calls += 1;
            let answer = call.answer(Kind::Reply, payload.clone());
            peer.send(&answer).await.unwrap();
        }
        calls
    };
    tokio::join!(ours, script)
}

#[tokio::test]
async fn attempts_are_bounded() {
    let mut reply = AuthMap::new();
    reply.insert_state(STATE_CONTINUE);
    let (result, calls) = endless(reply).await;
    assert!(matches!(
        result,
        Err(HandshakeError::TooManyAttempts { attempts: 5 })
    ));
    assert_eq!(calls, 5);
}

#[tokio::test]
async fn a_refusing_state_is_final() {
    let mut reply = AuthMap::new();
    reply.insert_state(STATE_ERROR);
    reply.insert_text(ERROR_REASON, "not you");
    let (result, calls) = endless(reply).await;
    assert_eq!(result.unwrap_err().to_string(), "refused: not you");
    assert_eq!(calls, 1);
}

/// Seen with robots of NAOqi 2.1 under load: their error came before their capabilities.
#[tokio::test(start_paused = true)]
async fn old_peers_may_tell_their_capabilities_late() {
    for is_told in [true, false] {
        let (mut us, mut peer) = pair();
        let script = async {
            let call = peer.receive().await.unwrap();
            let text = "can't find service, address: {0.0.8, id:2}";
            let error = call.answer(Kind::Error, error_payload(text));
            peer.send(&error).await.unwrap();
            if is_told {
                let payload = AuthMap::of(ALL).encode().unwrap();
                let address = Address::default();
                let told = Message::new(Kind::Capability, call.id, address, payload);
                peer.send(&told).await.unwrap();
                assert_eq!(peer.receive().await.unwrap().kind, Kind::Capability);
            }
        };
        let options = HandshakeOptions::default();
        let (result, ()) = tokio::join!(authenticate(&mut us, &options), script);
        match result {
            Ok(done) => assert!(is_told && done.shared == ALL),
            Err(error) => assert!(!is_told && matches!(error, HandshakeError::Refused { .. })),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_silent_peer_is_given_up() {
    let (mut us, _peer) = pair();
    let start = Instant::now();
    let result = authenticate(&mut us, &HandshakeOptions::default()).await;
    assert!(matches!(result, Err(HandshakeError::TimedOut(_))));
    assert_eq!(start.elapsed(), Duration::from_secs(10));
}

#[test]
fn secrets_are_not_printed() {
    assert!(!format!("{:?}", alice()).contains("s3cret"));
}
