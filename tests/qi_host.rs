//! Services that we host on the bus of another implementation, as our own clients see them.

#![cfg(feature = "demo")]
#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use qi_grpc_gateway::{
    demo::{DemoConfig, DemoError, DemoRobot},
    qi::{
        host::{
            Handler, Host, HostError, HostOptions, HostedObject, Method, MethodError,
            ObjectBuilder, PropertyHandle, RegisterError, SignalHandle,
        },
        session::{CallError, DialOptions, EventSink, ObjectError, RemoteObject, Session},
        value::Value,
        wire::Flags,
    },
};
use tokio::{sync::mpsc, time::timeout};

/// A service with a member of each kind.
struct Counter {
    object: HostedObject,
    changed: SignalHandle,
    step: PropertyHandle,
}

impl Counter {
    fn new() -> Self {
        let mut builder = ObjectBuilder::new();
        builder.description("Counts");
        let changed = builder.signal("changed", "(is)").unwrap();
        let step = builder.property("step", "i", Value::Int32(1)).unwrap();
        let (emitter, width) = (changed.clone(), step.clone());
        let add = Handler::future(move |arguments| {
            let step = width.value().to_i64().unwrap();
            let sum = arguments[0].to_i64().unwrap() + step;
            let sum = Value::Int32(sum.try_into().unwrap());
            let emitted = emitter.emit(vec![sum.clone(), Value::text("added")]);
            async move {
                emitted
                    .map(|()| sum)
                    .map_err(|e| MethodError::failed(e.to_string()))
            }
        });
        builder
            .method(Method::new("add", "(i)", "i", add).unwrap())
            .unwrap();
        let never = Handler::future(|_| std::future::pending());
        builder
            .method(Method::new("never", "()", "v", never).unwrap())
            .unwrap();
        let fail = Handler::blocking(|_| Err(MethodError::failed("as it should")));
        builder
            .method(Method::new("fail", "()", "v", fail).unwrap())
            .unwrap();
        Self {
            object: builder.build().unwrap(),
            changed,
            step,
        }
    }
}

struct Events(mpsc::Sender<Bytes>);

impl EventSink for Events {
    fn event(&self, payload: &Bytes, flags: Flags) {
        assert_eq!(flags, Flags::NONE);
        self.0.try_send(payload.clone()).unwrap();
    }
}

async fn session(url: &str, host: Option<&Host>) -> Session {
    let mut options = DialOptions::default();
    if let Some(host) = host {
        options.dispatch = host.dispatch();
    }
    Session::connect(&url.parse().unwrap(), options)
        .await
        .unwrap()
}

async fn listen() -> Host {
    Host::listen("tcp://127.0.0.1:0", HostOptions::default())
        .await
        .unwrap()
}

async fn next(events: &mut mpsc::Receiver<Bytes>) -> Bytes {
    timeout(Duration::from_secs(10), events.recv())
        .await
        .unwrap()
        .unwrap()
}

async fn robot() -> DemoRobot {
    DemoRobot::start(DemoConfig::default()).await.unwrap()
}

fn robot_error(result: Result<Value, ObjectError>) -> String {
    match result {
        Err(ObjectError::Call(CallError::Robot { text })) => text,
        other => panic!("an error of the robot expected, not {other:?}"),
    }
}

#[tokio::test]
async fn a_service_is_used_over_the_bus() {
    let robot = robot().await;
    let counter = Counter::new();
    let host = listen().await;
    let provider = session(robot.url(), Some(&host)).await;
    let registration = host
        .register(&provider, "Counter", &counter.object)
        .await
        .unwrap();

    let client = session(robot.url(), None).await;
    let info = client.service_info("Counter").await.unwrap();
    assert_eq!(info.service_id, registration.service_id());
    assert!(
        info.endpoints.contains(&host.endpoints()[0]),
        "{:?}",
        info.endpoints
    );
    assert_eq!(info.object_uid.as_ref().map(Bytes::len), Some(20));
    assert_eq!(info.process_id, std::process::id());

    let remote = client.service("Counter").await.unwrap();
    assert_eq!(**remote.meta(), *counter.object.meta());
    let (sender, mut events) = mpsc::channel(16);
    let sink = Arc::new(Events(sender));
    let subscription = remote.subscribe(counter.changed.uid(), sink).await.unwrap();

    let sum = remote
        .call_by_name("add", vec![Value::Int32(2)])
        .await
        .unwrap();
    assert_eq!(sum, Value::Int32(3));
    assert_eq!(next(&mut events).await, b"\x03\0\0\0\x05\0\0\0added"[..]);

    let mut ten = vec![1, 0, 0, 0, b'l'];
    ten.extend_from_slice(&10_i64.to_le_bytes());
    remote.set_property(counter.step.uid(), &ten).await.unwrap();
    assert_eq!(counter.step.value(), Value::Int32(10));
    let step = remote.property(counter.step.uid()).await.unwrap();
    assert_eq!(step.payload, b"\x01\0\0\0i\x0a\0\0\0"[..]);
    let sum = remote
        .call_by_name("add", vec![Value::Int32(2)])
        .await
        .unwrap();
    assert_eq!(sum, Value::Int32(12));
    next(&mut events).await;
    assert_eq!(
        robot_error(remote.call_by_name("fail", vec![]).await),
        "as it should"
    );

    drop(subscription);
    remote
        .call_by_name("add", vec![Value::Int32(2)])
        .await
        .unwrap();
    counter
        .changed
        .emit(vec![Value::Int32(1), Value::text("")])
        .unwrap();
    counter.changed.emit(vec![Value::Int32(1)]).unwrap_err();
    assert!(events.try_recv().is_err());

    let taken = host.register(&provider, "Counter", &counter.object).await;
    assert!(
        matches!(&taken, Err(RegisterError::NameTaken { name, .. }) if name == "Counter"),
        "{taken:?}"
    );

    // Dropping the call cancels it, so that the object can go on.
    let never = remote.call_by_name("never", vec![]);
    timeout(Duration::from_millis(50), never).await.unwrap_err();
    let add = remote.call_by_name("add", vec![Value::Int32(0)]);
    timeout(Duration::from_secs(10), add)
        .await
        .unwrap()
        .unwrap();

    registration.leave().await.unwrap();
    client.service_info("Counter").await.unwrap_err();
    let gone = remote.call_by_name("add", vec![Value::Int32(2)]).await;
    assert_eq!(robot_error(gone), "The call request could not be handled.");
    robot.shutdown().await;
}

#[tokio::test]
async fn a_dropped_registration_leaves_the_bus() {
    let robot = robot().await;
    let host = listen().await;
    let provider = session(robot.url(), Some(&host)).await;
    let counter = Counter::new();
    drop(
        host.register(&provider, "Counter", &counter.object)
            .await
            .unwrap(),
    );
    provider.service_info("Counter").await.unwrap_err();
    let again = host
        .register(&provider, "Counter", &counter.object)
        .await
        .unwrap();
    let lost = async {
        robot.shutdown().await;
        provider.close();
        again.lost().await
    };
    timeout(Duration::from_secs(10), lost).await.unwrap();
}

#[tokio::test]
async fn neither_bar_nor_better_bar_delays_other_calls() {
    let robot = robot().await;
    let client = session(robot.url(), None).await;
    let remote = client.service("foo").await.unwrap();
    let call = |method: &'static str, delay: f64| {
        let remote: RemoteObject = remote.clone();
        async move {
            remote
                .call_by_name(method, vec![Value::Double(delay)])
                .await
        }
    };
    let bang = || {
        let remote = remote.clone();
        async move { remote.call_by_name("bang", vec![]).await.unwrap() }
    };
    assert_eq!(call("bar", 0.01).await.unwrap(), Value::Double(0.01));

    for delay in [-1.0, f64::NAN, 3601.0] {
        let text = robot_error(call("betterBar", delay).await);
        assert!(text.starts_with("a delay is 0 to 3600 seconds"), "{text}");
    }

    // Calls that cannot end before the other: whichever future is ready first tells.
    for method in ["betterBar", "bar"] {
        tokio::select! {
            biased;
            result = call(method, 20.0) => panic!("after no time: {result:?}"),
            value = bang() => assert_eq!(value, Value::Void),
        }
    }
    let others = client.service("ALTextToSpeech").await.unwrap();
    let language = others.method("getLanguage::()").unwrap().uid;
    tokio::select! {
        biased;
        result = call("bar", 20.0) => panic!("bar delays others: {result:?}"),
        reply = others.call(language, Bytes::new()) => drop(reply.unwrap()),
    }
}

#[tokio::test]
async fn addresses_that_do_not_work_are_named() {
    let robot = robot().await;
    let url = robot.url().to_owned();
    let config = DemoConfig {
        qi_listen: Some(vec![url.clone()]),
        ..DemoConfig::default()
    };
    let error = DemoRobot::start(config).await.unwrap_err();
    assert!(matches!(error, DemoError::Start { .. }), "{error:?}");
    assert!(error.to_string().contains(&url), "{error}");

    let error = Host::listen(&url, HostOptions::default())
        .await
        .unwrap_err();
    assert!(matches!(error, HostError::Listen { .. }), "{error:?}");
    assert!(error.to_string().contains(&url), "{error}");
    let error = Host::listen("tcps://127.0.0.1:0", HostOptions::default())
        .await
        .unwrap_err();
    assert!(matches!(error, HostError::Url { .. }), "{error:?}");
    let options = HostOptions {
        advertise: vec!["tcp://robot.local:0".to_owned(), "tcp://[::1]:7".to_owned()],
        ..HostOptions::default()
    };
    let host = Host::listen("tcp://0.0.0.0:0", options).await.unwrap();
    let endpoints = host.endpoints();
    let [local, other] = &*endpoints else {
        panic!("two endpoints");
    };
    let port = local.strip_prefix("tcp://robot.local:").unwrap();
    assert_ne!(port.parse::<u16>().unwrap(), 0);
    assert_eq!(other, "tcp://[::1]:7");
    let error = Host::listen("tcp://0.0.0.0:0", HostOptions::default())
        .await
        .unwrap_err();
    assert!(
        matches!(error, HostError::NothingToAdvertise { .. }),
        "{error:?}"
    );
}
