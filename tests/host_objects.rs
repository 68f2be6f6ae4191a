//! Objects that we give to peers of the real libqi, and objects of theirs that we use.
#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

mod support;

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use bytes::Bytes;
use parking_lot::Mutex;
use qi_grpc_gateway::qi::{
    host::{
        Handler, Host, HostOptions, HostedObject, Method, MethodError, ObjectBuilder, Registration,
        SignalHandle,
    },
    session::{DialOptions, EventSink, RemoteObject, RemoteSignal, Session},
    value::{
        Dynamic, MetaSignal, Value,
        codec::{DecodeContext, decode},
    },
    wire::Flags,
};
use serde_json::json;
use support::{Answers, JsonPeer, LibqiRobot, LibqiService, PATIENCE, python_command};
use tokio::sync::mpsc;

/// A bell of ours, with the members of the Python ones.
struct Bell {
    object: HostedObject,
    rung: SignalHandle,
    /// Dead once nobody holds the object.
    alive: Weak<()>,
}

impl Bell {
    fn new(name: &str) -> Self {
        let life = Arc::new(());
        let alive = Arc::downgrade(&life);
        let mut builder = ObjectBuilder::new();
        builder.description("A bell");
        let rung = builder.signal("rung", "(i)").unwrap();
        builder.property("volume", "i", Value::Int32(5)).unwrap();
        let name = name.to_owned();
        method(&mut builder, "name", "()", "s", move |_| {
            let _life = &life;
            std::future::ready(Ok(Value::text(&name)))
        });
        method(&mut builder, "crack", "()", "v", |_| async {
            Err(MethodError::failed("the bell is cracked"))
        });
        Self {
            object: builder.build().unwrap(),
            rung,
            alive,
        }
    }
}

fn method<F, R>(builder: &mut ObjectBuilder, name: &str, takes: &str, gives: &str, function: F)
where
    F: Fn(Vec<Value>) -> R + Send + Sync + 'static,
    R: Future<Output = Result<Value, MethodError>> + Send + 'static,
{
    let method = Method::new(name, takes, gives, Handler::deferred(function)).unwrap();
    builder.method(method).unwrap();
}

fn failed(error: impl std::fmt::Display) -> MethodError {
    MethodError::failed(error.to_string())
}

/// A service of ours that gives bells out and takes them.
struct Foundry {
    bells: Arc<Mutex<Vec<Bell>>>,
    kept: Arc<Mutex<Option<RemoteObject>>>,
    left: SignalHandle,
    _registration: Registration,
    _host: Host,
    session: Session,
}

impl Foundry {
    async fn on(url: &str) -> Self {
        let host = Host::listen("tcp://127.0.0.1:0", HostOptions::default())
            .await
            .unwrap();
        let options = DialOptions {
            dispatch: host.dispatch(),
            ..DialOptions::default()
        };
        let session = Session::connect(&url.parse().unwrap(), options)
            .await
            .unwrap();
        let bells = Arc::<Mutex<Vec<Bell>>>::default();
        let kept = Arc::<Mutex<Option<RemoteObject>>>::default();
        let mut builder = ObjectBuilder::new();
        let left = builder.signal("left", "(o)").unwrap();
        let cast = {
            let bells = Arc::clone(&bells);
            move |name: &Value| {
                let bell = Bell::new(&name.to_text().unwrap());
                let object = bell.object.clone();
                bells.lock().push(bell);
                Value::from(object)
            }
        };
        let make = cast.clone();
        method(&mut builder, "make", "(s)", "o", move |args| {
            std::future::ready(Ok(make(&args[0])))
        });
        method(&mut builder, "makeAll", "([s])", "[m]", move |args| {
            let Value::List(names) = &args[0] else {
                return std::future::ready(Err(failed("no list")));
            };
            let dynamic = |bell| Dynamic::new("o".parse().unwrap(), bell);
            let bells = names
                .iter()
                .map(|name| Value::Dynamic(Box::new(dynamic(cast(name)))));
            std::future::ready(Ok(Value::List(bells.collect())))
        });
        takers(&mut builder, &kept);
        let object = builder.build().unwrap();
        let registration = host.register(&session, "Foundry", &object).await.unwrap();
        Self {
            bells,
            kept,
            left,
            _registration: registration,
            _host: host,
            session,
        }
    }

    fn bell(&self, at: usize) -> Weak<()> {
        self.bells.lock()[at].alive.clone()
    }

    /// Nothing here holds the bells any more.
    fn forget(&self) {
        self.bells.lock().clear();
    }
}

fn takers(builder: &mut ObjectBuilder, kept: &Arc<Mutex<Option<RemoteObject>>>) {
    method(builder, "use", "(o)", "s", |args| async move {
        let bell = RemoteObject::from_value(&args[0]).ok_or_else(|| failed("no object"))?;
        bell.call_by_name("name", vec![]).await.map_err(failed)
    });
    method(builder, "fail", "(m)", "s", |args| async move {
        let bell = RemoteObject::from_value(&args[0]).ok_or_else(|| failed("no object"))?;
        bell.call_by_name("crack", vec![]).await.map_err(failed)
    });
    let keep = Arc::clone(kept);
    method(builder, "keep", "(o)", "v", move |args| {
        *keep.lock() = RemoteObject::from_value(&args[0]);
        std::future::ready(Ok(Value::Void))
    });
    let give = Arc::clone(kept);
    method(builder, "give", "()", "o", move |_| {
        let kept = give.lock().clone();
        std::future::ready(
            kept.map(Value::from)
                .ok_or_else(|| failed("nothing is kept")),
        )
    });
}

/// A libqi client that holds objects, `tests/peers/python/object_client.py`.
struct Client(JsonPeer);

impl Client {
    async fn connect(url: &str) -> Self {
        let mut command = python_command("object_client.py");
        Self(JsonPeer::start("libqi client", command.arg(url)).await)
    }

    async fn try_do(&self, command: serde_json::Value) -> Result<serde_json::Value, String> {
        let mut answer = self.0.request(command).await;
        match answer["error"].as_str() {
            Some(error) => Err(error.to_owned()),
            None => Ok(answer["value"].take()),
        }
    }

    async fn run(&self, command: serde_json::Value) -> serde_json::Value {
        let what = command.to_string();
        self.try_do(command)
            .await
            .unwrap_or_else(|error| panic!("{what}: {error}"))
    }

    async fn call(&self, on: &str, method: &str, args: serde_json::Value) -> serde_json::Value {
        self.run(json!({"op": "call", "on": on, "method": method, "args": args}))
            .await
    }

    async fn watch(&self, on: &str, signal: &str) -> Answers<'_> {
        let answers = self
            .0
            .send(json!({"op": "watch", "on": on, "signal": signal}));
        assert_eq!(answers.next().await["watching"], true);
        answers
    }
}

async fn until(what: &str, condition: impl Fn() -> bool) {
    let waiting = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let waited = tokio::time::timeout(PATIENCE, waiting).await;
    assert!(waited.is_ok(), "{what}");
}

struct Numbers(mpsc::Sender<Bytes>);

impl EventSink for Numbers {
    fn event(&self, payload: &Bytes, flags: Flags) {
        assert_eq!(flags, Flags::NONE);
        self.0.try_send(payload.clone()).unwrap();
    }
}

async fn listen(bell: &RemoteObject) -> (RemoteSignal, mpsc::Receiver<Bytes>) {
    let (sender, events) = mpsc::channel(16);
    let rung = bell.meta().signal("rung").unwrap().uid;
    let signal = bell.subscribe(rung, Arc::new(Numbers(sender))).await;
    (signal.unwrap(), events)
}

#[tokio::test]
async fn a_libqi_client_uses_what_our_method_returns() {
    let robot = LibqiRobot::start(&[]).await;
    let foundry = Foundry::on(robot.url()).await;
    let client = Client::connect(robot.url()).await;
    let take = |method: &str, args| json!({"op": "take", "service": "Foundry", "method": method, "args": args, "as": "bell"});
    client.run(take("make", json!(["tower"]))).await;
    let alive = foundry.bell(0);
    assert_eq!(client.call("bell", "name", json!([])).await, "tower");
    let cracked = json!({"op": "call", "on": "bell", "method": "crack", "args": []});
    let error = client.try_do(cracked).await.unwrap_err();
    assert!(error.contains("the bell is cracked"), "{error}");
    client
        .run(json!({"op": "set", "on": "bell", "property": "volume", "value": 9}))
        .await;
    let get = json!({"op": "get", "on": "bell", "property": "volume"});
    assert_eq!(client.run(get).await, 9);
    let rung = client.watch("bell", "rung").await;
    let emitter = foundry.bells.lock()[0].rung.clone();
    emitter.emit(vec![Value::Int32(3)]).unwrap();
    assert_eq!(rung.next().await["event"], json!([3]));

    foundry.forget();
    drop(emitter);
    assert_eq!(client.call("bell", "name", json!([])).await, "tower");
    assert!(alive.upgrade().is_some(), "the client holds it");
    client.run(json!({"op": "drop", "as": "bell"})).await;
    until("the bell is given back", || alive.upgrade().is_none()).await;
}

#[tokio::test]
async fn statistics_and_traces_are_what_a_libqi_client_expects() {
    let robot = LibqiRobot::start(&[]).await;
    let foundry = Foundry::on(robot.url()).await;
    let client = Client::connect(robot.url()).await;
    client
        .run(json!({"op": "service", "service": "Foundry", "as": "foundry"}))
        .await;
    let call = |method: &'static str, args| client.call("foundry", method, args);
    assert_eq!(call("isStatsEnabled", json!([])).await, false);
    call("enableStats", json!([true])).await;
    assert_eq!(call("isStatsEnabled", json!([])).await, true);
    call("make", json!(["x"])).await;
    let stats = call("stats", json!([])).await;
    let make = stats["map"].as_array().unwrap().last().unwrap();
    assert_eq!(make[1]["count"], 1, "{stats}");
    assert!(
        make[1]["wall"]["maxValue"].as_f64().unwrap() >= 0.0,
        "{stats}"
    );
    call("clearStats", json!([])).await;

    // Python's proxies have no way to listen to traces, so that one of ours does.
    let url = robot.url().parse().unwrap();
    let session = Session::connect(&url, DialOptions::default())
        .await
        .unwrap();
    let listener = session.service("Foundry").await.unwrap();
    let (sender, mut traces) = mpsc::channel(64);
    let signal = listener.meta().signal("traceObject").unwrap().clone();
    let subscribed = listener.subscribe(signal.uid, Arc::new(Numbers(sender)));
    let subscribed = subscribed.await.unwrap();
    assert_eq!(call("isTraceEnabled", json!([])).await, true);
    // A call and its result, a call and its error, an event.
    call("make", json!(["y"])).await;
    let nothing = json!({"op": "call", "on": "foundry", "method": "give", "args": []});
    client.try_do(nothing).await.unwrap_err();
    let bell = Bell::new("passing").object;
    foundry.left.emit(vec![bell.into()]).unwrap();
    let mut kinds = Vec::new();
    while kinds.last() != Some(&4) {
        let trace = tokio::time::timeout(PATIENCE, traces.recv()).await.unwrap();
        kinds.push(kind(&listener, &signal, &trace.unwrap()));
    }
    assert_eq!(kinds, [1, 2, 1, 2, 1, 3, 4]);
    drop(subscribed);
    listener
        .call_by_name("isStatsEnabled", vec![])
        .await
        .unwrap();
    assert_eq!(call("isTraceEnabled", json!([])).await, false);
    call("enableTrace", json!([true])).await;
    assert_eq!(call("isTraceEnabled", json!([])).await, true);
}

/// The kind of a trace.
fn kind(listener: &RemoteObject, signal: &MetaSignal, payload: &Bytes) -> i64 {
    let connection = listener.connection();
    let context = DecodeContext::new(connection.object_encoding(), connection.limits().wire);
    let trace = decode(signal.signature.ty(), payload, context).unwrap();
    let Value::Tuple(arguments) = trace else {
        panic!("{trace:?}");
    };
    let Value::Tuple(fields) = &arguments[0] else {
        panic!("{arguments:?}");
    };
    fields[1].to_i64().unwrap()
}

#[tokio::test]
async fn we_use_what_a_libqi_client_passes() {
    let robot = LibqiRobot::start(&[]).await;
    let foundry = Foundry::on(robot.url()).await;
    let client = Client::connect(robot.url()).await;
    client
        .run(json!({"op": "service", "service": "Foundry", "as": "foundry"}))
        .await;
    client.run(json!({"op": "own", "as": "mine"})).await;
    let mine = json!([{"object": "mine"}]);
    assert_eq!(client.call("foundry", "use", mine.clone()).await, "mine");
    let fail = json!({"op": "call", "on": "foundry", "method": "fail", "args": mine});
    let error = client.try_do(fail).await.unwrap_err();
    assert!(error.contains("the bell is cracked"), "{error}");

    client.call("foundry", "keep", mine.clone()).await;
    let kept = foundry.kept.lock().clone().unwrap();
    let name = kept.call_by_name("name", vec![]).await.unwrap();
    assert_eq!(name, Value::text("mine"));
    let (signal, mut events) = listen(&kept).await;
    client
        .run(json!({"op": "ring", "on": "mine", "times": 7}))
        .await;
    let event = tokio::time::timeout(PATIENCE, events.recv()).await.unwrap();
    assert_eq!(event.unwrap(), b"\x07\0\0\0"[..]);
    drop(signal);

    // Returned to its owner, who gets a proxy, and to a third party.
    let take =
        json!({"op": "take", "service": "Foundry", "method": "give", "args": [], "as": "proxy"});
    client.run(take.clone()).await;
    assert_eq!(client.call("proxy", "name", json!([])).await, "mine");
    let other = Client::connect(robot.url()).await;
    other.run(take).await;
    assert_eq!(other.call("proxy", "name", json!([])).await, "mine");
    let rung = other.watch("proxy", "rung").await;
    client
        .run(json!({"op": "ring", "on": "mine", "times": 8}))
        .await;
    assert_eq!(rung.next().await["event"], json!([8]));
    let get = json!({"op": "get", "on": "proxy", "property": "volume"});
    assert_eq!(other.run(get).await, 5);

    // The owner goes: what is left leads nowhere.
    drop(client);
    let gone = tokio::time::timeout(PATIENCE, kept.connection().closed()).await;
    gone.unwrap();
    let call = json!({"op": "call", "on": "proxy", "method": "name", "args": []});
    let error = other.try_do(call).await.unwrap_err();
    assert!(error.contains("Socket is not connected"), "{error}");
}

#[tokio::test]
async fn a_libqi_service_uses_what_we_pass() {
    let robot = LibqiRobot::start(&[]).await;
    let _visitors = LibqiService::run("visitors.py", robot.url(), "Visitors").await;
    let foundry = Foundry::on(robot.url()).await;
    let visitors = foundry.session.service("Visitors").await.unwrap();
    let bell = Bell::new("ours");
    let alive = bell.alive.clone();
    let object = || Value::from(bell.object.clone());
    let used = visitors.call_by_name("use", vec![object()]).await;
    assert_eq!(used.unwrap(), Value::text("ours"));
    let all = Value::List(vec![object(), object()]);
    let used = visitors.call_by_name("useAll", vec![all]).await.unwrap();
    assert_eq!(used, Value::List(vec![Value::text("ours"); 2]));
    let failed = visitors.call_by_name("fail", vec![object()]).await;
    let error = failed.unwrap_err().to_string();
    assert!(error.contains("the bell is cracked"), "{error}");

    visitors.call_by_name("keep", vec![object()]).await.unwrap();
    let poked = visitors.call_by_name("poke", vec![]).await.unwrap();
    assert_eq!(poked, Value::text("ours"));
    let volume = visitors
        .call_by_name("setVolume", vec![Value::Int32(9)])
        .await;
    assert_eq!(volume.unwrap(), Value::Int32(9));
    visitors.call_by_name("listen", vec![]).await.unwrap();
    let (sender, mut heard) = mpsc::channel(16);
    let signal = visitors.meta().signal("heard").unwrap().uid;
    let subscribed = visitors.subscribe(signal, Arc::new(Numbers(sender))).await;
    let _subscribed = subscribed.unwrap();
    bell.rung.emit(vec![Value::Int32(4)]).unwrap();
    let event = tokio::time::timeout(PATIENCE, heard.recv()).await.unwrap();
    assert_eq!(event.unwrap(), b"\x04\0\0\0"[..]);

    // Given back to us as a proxy, which leads to the bell after all.
    let given = visitors.call_by_name("give", vec![]).await.unwrap();
    let proxy = RemoteObject::from_value(&given).unwrap();
    let name = proxy.call_by_name("name", vec![]).await.unwrap();
    assert_eq!(name, Value::text("ours"));
    drop((proxy, given));

    // A bell of the robot, from one process to the other through us.
    let bells = foundry.session.service("Bells").await.unwrap();
    let made = bells
        .call_by_name("make", vec![Value::text("theirs")])
        .await
        .unwrap();
    let used = visitors.call_by_name("use", vec![made]).await;
    assert_eq!(used.unwrap(), Value::text("theirs"));

    drop(bell);
    assert!(alive.upgrade().is_some(), "the service holds it");
    visitors.call_by_name("forget", vec![]).await.unwrap();
    until("the bell is given back", || alive.upgrade().is_none()).await;
}
