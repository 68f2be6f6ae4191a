//! A client session against an independent implementation of qi: the NAOqi simulator of
//! `libqi-vibe`, in the protocol of NAOqi 2.5 and later and in that of NAOqi 2.1.

#![cfg(feature = "demo")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test")]

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use naoqi::{
    Protocol,
    naoqi_sim::{AlValue, Config, RobotModel, Simulator, simulator::AUTH_USER},
};
use qi_grpc_gateway::qi::{
    session::{
        CallError, CloseReason, ConnectError, Credentials, DialError, DialOptions, Endpoint,
        EventSink, HandshakeError, ObjectError, RemoteObject, ServiceError, Session,
    },
    value::{Dynamic, Signature, Type, Value},
    wire::{Flags, ObjectId},
};
use tokio::{sync::mpsc, time::timeout};

/// How long anything may take here.
const PATIENCE: Duration = Duration::from_secs(20);

const PROTOCOLS: [Protocol; 2] = [Protocol::Standard, Protocol::Legacy];

async fn robot(protocol: Protocol) -> (Simulator, Session) {
    let config = Config::new(RobotModel::Nao)
        .on_loopback()
        .with_protocol(protocol);
    let simulator = Simulator::start(config).await.unwrap();
    let session = connect(&simulator, DialOptions::default()).await.unwrap();
    (simulator, session)
}

async fn connect(simulator: &Simulator, options: DialOptions) -> Result<Session, ConnectError> {
    let endpoint: Endpoint = simulator.address().unwrap().to_string().parse().unwrap();
    timeout(PATIENCE, Session::connect(&endpoint, options))
        .await
        .expect("connecting takes too long")
}

async fn call(object: &RemoteObject, method: &str, arguments: Vec<Value>) -> Value {
    timeout(PATIENCE, object.call_by_name(method, arguments))
        .await
        .expect("a call takes too long")
        .unwrap_or_else(|error| panic!("{method}: {error}"))
}

/// Events as they come; the channel is longer than any test needs.
struct Sink(mpsc::Sender<Option<Bytes>>);

impl EventSink for Sink {
    fn event(&self, payload: &Bytes, _: Flags) {
        let _ = self.0.try_send(Some(payload.clone()));
    }

    fn closed(&self) {
        let _ = self.0.try_send(None);
    }
}

fn sink() -> (Arc<Sink>, mpsc::Receiver<Option<Bytes>>) {
    let (sender, receiver) = mpsc::channel(100);
    (Arc::new(Sink(sender)), receiver)
}

#[tokio::test]
async fn every_service_says_what_it_is() {
    for protocol in PROTOCOLS {
        let (simulator, session) = robot(protocol).await;
        let services = session.services().await.unwrap();
        for (name, id) in simulator.service_ids() {
            let info = services.iter().find(|info| info.name == *name).unwrap();
            assert_eq!(info.service_id.0.to_string(), id.to_string(), "{name}");
            let object = session.object(info).await.unwrap();
            assert!(
                object.meta().methods.values().any(|m| m.uid.0 >= 100),
                "{name} has no methods of its own"
            );
            assert_eq!(object.object(), ObjectId::MAIN);
            // They all live in the process of the directory.
            assert_eq!(object.connection().id(), session.connection().id());
        }
        assert_eq!(
            services.iter().map(|info| &*info.machine_id).next(),
            Some(session.machine_id())
        );
        let cancelable = session.connection().capabilities().remote_cancelable_calls;
        assert_eq!(cancelable, protocol == Protocol::Standard);
    }
}

#[tokio::test]
async fn calls_by_name() {
    for protocol in PROTOCOLS {
        let (simulator, session) = robot(protocol).await;
        let tts = session.service("ALTextToSpeech").await.unwrap();
        call(&tts, "say::(s)", vec![Value::text("hello")]).await;
        assert_eq!(simulator.spoken(), ["hello"]);

        let memory = session.service("ALMemory").await.unwrap();
        let number = Dynamic::new(Signature::from(Type::Int32), Value::Int32(42));
        let arguments = vec![Value::text("answer"), Value::Dynamic(Box::new(number))];
        call(&memory, "insertData", arguments).await;
        let answer = call(&memory, "getData", vec![Value::text("answer")]).await;
        assert_eq!(answer.to_i64(), Some(42));

        let missing = memory.call_by_name("noSuchMethod", vec![]).await;
        assert!(matches!(missing, Err(ObjectError::NoSuchMethod { .. })));
        let wrong = memory
            .call_by_name("getData", vec![Value::Bool(true)])
            .await;
        assert!(matches!(wrong, Err(ObjectError::Arguments { .. })));
        let unknown = memory
            .call_by_name("getData", vec![Value::text("no such key")])
            .await;
        let Err(ObjectError::Call(CallError::Robot { text })) = unknown else {
            panic!("not the robot's error: {unknown:?}");
        };
        assert!(text.contains("no such key"), "{text}");
    }
}

#[tokio::test]
async fn unknown_services_are_the_directorys_error() {
    let (_simulator, session) = robot(Protocol::Standard).await;
    let error = session.service("NoSuchService").await.unwrap_err();
    assert!(
        matches!(&error, ServiceError::LookUp(CallError::Robot { .. })),
        "{error:?}"
    );
}

#[tokio::test]
async fn events_of_a_returned_object() {
    for protocol in PROTOCOLS {
        let (simulator, session) = robot(protocol).await;
        let memory = session.service("ALMemory").await.unwrap();
        let name = vec![Value::text("FrontTactilTouched")];
        let given = call(&memory, "subscriber", name).await;
        let subscriber = RemoteObject::from_value(&given).unwrap();
        let signal = subscriber.meta().signal("signal").unwrap().uid;
        let (sink, mut events) = sink();
        let subscription = subscriber.subscribe(signal, sink).await.unwrap();
        simulator.raise("FrontTactilTouched", AlValue::new(1.0_f32));
        let event = timeout(PATIENCE, events.recv()).await.unwrap().unwrap();
        // `m` that holds a float.
        assert_eq!(event.unwrap(), b"\x01\0\0\0f\0\0\x80\x3f"[..]);
        drop(subscription);
        subscriber.terminate().unwrap();

        // After the end of the subscription nothing comes, not even the end.
        let another = call(&memory, "ping", vec![]).await;
        assert_eq!(another, Value::Bool(true));
        simulator.raise("FrontTactilTouched", AlValue::new(0.0_f32));
        call(&memory, "ping", vec![]).await;
        assert!(events.try_recv().is_err());
    }
}

#[tokio::test]
async fn concurrent_calls_are_answered_each_with_its_own() {
    let (_simulator, session) = robot(Protocol::Standard).await;
    let memory = session.service("ALMemory").await.unwrap();
    let calls = (0..500).map(|n| {
        let memory = memory.clone();
        async move {
            let key = format!("key{n}");
            let number = Dynamic::new(Signature::from(Type::Int32), Value::Int32(n));
            let number = Value::Dynamic(Box::new(number));
            call(&memory, "insertData", vec![Value::text(&key), number]).await;
            let found = call(&memory, "getData", vec![Value::text(&key)]).await;
            assert_eq!(found.to_i64(), Some(n.into()));
        }
    });
    futures_util::future::join_all(calls).await;
    assert_eq!(session.connection().pending_calls(), 0);
}

#[tokio::test]
async fn the_loss_of_the_directory_ends_the_session() {
    let (simulator, session) = robot(Protocol::Standard).await;
    let mut changes = session.directory_changes();
    let memory = session.service("ALMemory").await.unwrap();
    simulator.shutdown().await;
    let reason = timeout(PATIENCE, session.closed()).await.unwrap();
    assert!(
        matches!(reason, CloseReason::Peer | CloseReason::Io(_)),
        "{reason}"
    );
    while timeout(PATIENCE, changes.next()).await.unwrap().is_some() {}
    let error = memory.call_by_name("ping", vec![]).await.unwrap_err();
    assert!(matches!(error, ObjectError::Call(CallError::NotSent(_))));
    assert!(session.is_closed());
}

#[tokio::test]
async fn passwords() {
    let config = Config::new(RobotModel::Pepper)
        .on_loopback()
        .with_protocol(Protocol::Standard)
        .with_password("pepper");
    let simulator = Simulator::start(config).await.unwrap();
    let options = |token: &str| DialOptions {
        credentials: Some(Credentials {
            user: AUTH_USER.into(),
            token: token.into(),
        }),
        ..DialOptions::default()
    };
    let session = connect(&simulator, options("pepper")).await.unwrap();
    session.service("ALMemory").await.unwrap();
    let refused = |result: Result<Session, ConnectError>| {
        matches!(
            result,
            Err(ConnectError::Dial(DialError::Handshake {
                source: HandshakeError::Refused { .. },
                ..
            }))
        )
    };
    assert!(refused(connect(&simulator, options("salt")).await));
    assert!(refused(connect(&simulator, DialOptions::default()).await));
}
