//! The service of the libqi guide written in Rust, `examples/foo.rs`, and what the guide says about
//! threads, as the real libqi sees them.

#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

mod support;

use std::{
    sync::{Arc, Barrier, Mutex},
    thread,
    time::{Duration, Instant},
};

use qi_grpc_gateway::qi::{
    application::{Application, ApplicationOptions},
    host::{Method, ObjectBuilder, Publication, Threading},
};
use serde_json::{Value, json};
use support::{Finished, LibqiClient, LibqiRobot, PATIENCE, Process, example_command, python};
use tokio::time::timeout;

/// Starts the example and waits until its service is registered.
async fn start_foo(robot: &LibqiRobot) -> Process {
    let mut command = example_command("foo");
    let process = Process::spawn("example foo", command.args(["--qi-url", robot.url()]));
    process.wait_value("foo is service", PATIENCE).await;
    process
}

#[tokio::test]
async fn the_guide_line_by_line() {
    let robot = LibqiRobot::start(&[]).await;
    let _foo = start_foo(&robot).await;
    let guide: Finished = python("guide.py", &[robot.url()]).await;
    let lines = guide.success();
    let lines: Vec<&str> = lines.lines().collect();
    assert_eq!(
        lines,
        [
            "bang None",
            "onBang 42",
            "bar 0.25",
            "betterBar 0.25",
            "async 0.5",
            "async 0.5",
            "meanwhile 0.125 True",
            "canceled True",
            "done",
        ]
    );
}

#[tokio::test]
async fn the_end_of_the_process_is_the_end_of_its_service() {
    let robot = LibqiRobot::start(&[]).await;
    let client = LibqiClient::connect(robot.url()).await;
    for _ in 0..2 {
        let mut process = start_foo(&robot).await;
        assert_eq!(
            client.call("foo", "bar", json!([0.5])).await,
            Ok(json!(0.5))
        );
        process.kill();
        let gone = async {
            while client.services().await.contains(&"foo".to_owned()) {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        timeout(PATIENCE, gone).await.unwrap();
        client.call("foo", "bar", json!([0.5])).await.unwrap_err();
    }
}

#[tokio::test]
async fn the_example_tells_what_is_wrong() {
    let robot = LibqiRobot::start(&[]).await;
    let _first = start_foo(&robot).await;
    let mut command = example_command("foo");
    command.arg(format!("--qi-url={}", robot.url()));
    let second = Process::spawn("second foo", &mut command)
        .finish(PATIENCE)
        .await;
    assert!(!second.status.success());
    assert!(
        second.stderr.contains("is already registered"),
        "{second:?}"
    );
}

/// A bus, an application of ours on it, and a client of the real libqi.
struct Bus {
    _robot: LibqiRobot,
    application: Application,
    client: LibqiClient,
}

impl Bus {
    async fn start() -> Self {
        let robot = LibqiRobot::start(&[]).await;
        let options = ApplicationOptions {
            url: robot.url().parse().unwrap(),
            ..ApplicationOptions::default()
        };
        let application = Application::start(options).await.unwrap();
        let client = LibqiClient::connect(robot.url()).await;
        Self {
            _robot: robot,
            application,
            client,
        }
    }

    async fn publish(&self, name: &str, object: ObjectBuilder) -> Publication {
        let publication = self.application.publish(name, &object.build().unwrap());
        let registered = timeout(PATIENCE, publication.registered()).await;
        registered.unwrap().unwrap();
        publication
    }
}

const CALLS: i32 = 20;
const DELAY: Duration = Duration::from_millis(50);

fn numbers() -> Value {
    (0..CALLS).map(|number| json!([number])).collect()
}

#[tokio::test]
async fn a_single_threaded_service_takes_one_call_after_the_other() {
    let bus = Bus::start().await;
    let record = Arc::new(Mutex::new(Vec::new()));
    let mut object = ObjectBuilder::new();
    let note = Arc::clone(&record);
    let bar = move |number: i32| {
        note.lock().unwrap().push((number, "begins"));
        thread::sleep(DELAY);
        note.lock().unwrap().push((number, "ends"));
        number
    };
    object.method(Method::blocking("bar", bar)).unwrap();
    let note = Arc::clone(&record);
    let held_bar = move |number: i32| {
        let note = Arc::clone(&note);
        async move {
            note.lock().unwrap().push((number, "begins"));
            tokio::time::sleep(DELAY).await;
            note.lock().unwrap().push((number, "ends"));
            number
        }
    };
    object.method(Method::future("heldBar", held_bar)).unwrap();
    let _publication = bus.publish("foo", object).await;
    let in_order: Vec<_> = (0..CALLS)
        .flat_map(|number| [(number, "begins"), (number, "ends")])
        .collect();
    for method in ["bar", "heldBar"] {
        let since = Instant::now();
        let results = bus.client.call_all("foo", method, numbers()).await;
        let time = since.elapsed();
        let expected: Value = (0..CALLS).map(Value::from).collect();
        assert_eq!(results, Ok(expected));
        assert!(time >= DELAY * CALLS.unsigned_abs(), "{time:?}");
        assert_eq!(std::mem::take(&mut *record.lock().unwrap()), in_order);
    }
}

#[tokio::test]
async fn a_multi_threaded_service_takes_calls_together() {
    let bus = Bus::start().await;
    let mut object = ObjectBuilder::new();
    object.threading(Threading::Multi);
    // None goes on before all are there.
    let all = Barrier::new(CALLS.unsigned_abs() as usize);
    let meet = move |number: i32| {
        all.wait();
        number
    };
    object.method(Method::blocking("meet", meet)).unwrap();
    let _publication = bus.publish("foo", object).await;
    let expected: Value = (0..CALLS).map(Value::from).collect();
    let results = bus.client.call_all("foo", "meet", numbers()).await;
    assert_eq!(results, Ok(expected));
}

#[tokio::test]
async fn a_service_that_blocks_delays_no_other() {
    let bus = Bus::start().await;
    let (begun, mut began) = tokio::sync::mpsc::channel(1);
    let mut object = ObjectBuilder::new();
    let bar = move |delay: f64| {
        begun.blocking_send(()).unwrap();
        thread::sleep(Duration::from_secs_f64(delay));
        delay
    };
    object.method(Method::blocking("bar", bar)).unwrap();
    let _foo = bus.publish("foo", object).await;
    let mut other = ObjectBuilder::new();
    other.method(Method::blocking("quick", || 1)).unwrap();
    let _other = bus.publish("other", other).await;
    let bar = bus.client.call("foo", "bar", json!([5.0]));
    let quick = async {
        began.recv().await.unwrap();
        bus.client.call("other", "quick", json!([])).await
    };
    tokio::select! {
        biased;
        result = bar => panic!("bar ended first: {result:?}"),
        result = quick => assert_eq!(result, Ok(json!(1))),
    }
}
