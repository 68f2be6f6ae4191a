//! Robots, services and clients on the real libqi, in processes of their own.

use std::{collections::BTreeMap, time::Duration};

use serde_json::{Value, json};

use super::{
    PATIENCE,
    json_peer::{Answers, JsonPeer},
    process::Process,
    tools::python_command,
};

/// A service directory with the services of `tests/peers/python/host.py`.
pub(crate) struct LibqiRobot {
    process: Process,
    url: String,
}

impl LibqiRobot {
    /// Starts the robot and waits until its services are registered.
    pub(crate) async fn start(args: &[&str]) -> Self {
        let process = Process::spawn("libqi robot", python_command("host.py").args(args));
        let url = process.wait_value("ready", PATIENCE).await;
        Self { process, url }
    }

    /// Where it listens: `tcp://127.0.0.1:PORT`.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// The process itself.
    pub(crate) fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    /// Ends the robot with SIGKILL, as a crash would, and starts it again where it listened.
    pub(crate) async fn crash_and_restart(&mut self) {
        self.process.kill();
        let url = self.url.clone();
        *self = Self::start(&["--listen", &url]).await;
    }
}

/// One service, `Extra` of `tests/peers/python/register.py`, registered by a process of its own.
pub(crate) struct LibqiService {
    process: Process,
}

impl LibqiService {
    /// Registers the service on the directory at that URL.
    pub(crate) async fn register(url: &str, name: &str) -> Self {
        Self::register_with_level(url, name, 0).await
    }

    /// Registers the service with that value of its property `level`.
    pub(crate) async fn register_with_level(url: &str, name: &str, level: i32) -> Self {
        Self::spawn("register.py", &[url, name, &level.to_string()], name).await
    }

    /// Registers the service of a program under `tests/peers/python`.
    pub(crate) async fn run(program: &str, url: &str, name: &str) -> Self {
        Self::spawn(program, &[url, name], name).await
    }

    async fn spawn(program: &str, args: &[&str], name: &str) -> Self {
        let process = Process::spawn(name, python_command(program).args(args));
        process.wait_value("ready", PATIENCE).await;
        Self { process }
    }

    /// Ends the process with SIGKILL, as a crash would.
    pub(crate) fn kill(mut self) {
        self.process.kill();
    }
}

/// A libqi client that does what the test tells it, `tests/peers/python/client.py`.
pub(crate) struct LibqiClient {
    peer: JsonPeer,
}

impl LibqiClient {
    /// Connects to the directory at that URL.
    pub(crate) async fn connect(url: &str) -> Self {
        let mut command = python_command("client.py");
        let peer = JsonPeer::start("libqi client", command.arg(url)).await;
        Self { peer }
    }

    /// Calls a method; the error is libqi's text.
    pub(crate) async fn call(
        &self,
        service: &str,
        method: &str,
        args: Value,
    ) -> Result<Value, String> {
        let command = json!({"op": "call", "service": service, "method": method, "args": args});
        value_of(self.peer.request(command).await)
    }

    /// Calls a method through `qi.runAsync`.
    pub(crate) async fn run_async(
        &self,
        service: &str,
        method: &str,
        args: Value,
    ) -> Result<Value, String> {
        let command = json!({"op": "runAsync", "service": service, "method": method, "args": args});
        value_of(self.peer.request(command).await)
    }

    /// Calls a method with each of a list of argument lists, in that order and without waiting in
    /// between, and gives all results.
    pub(crate) async fn call_all(
        &self,
        service: &str,
        method: &str,
        args: Value,
    ) -> Result<Value, String> {
        let command = json!({"op": "callAll", "service": service, "method": method, "args": args});
        value_of(self.peer.request(command).await)
    }

    /// Reads a property.
    pub(crate) async fn property(&self, service: &str, property: &str) -> Result<Value, String> {
        let command = json!({"op": "get", "service": service, "property": property});
        value_of(self.peer.request(command).await)
    }

    /// Writes a property.
    pub(crate) async fn set_property(
        &self,
        service: &str,
        property: &str,
        value: Value,
    ) -> Result<(), String> {
        let command =
            json!({"op": "set", "service": service, "property": property, "value": value});
        value_of(self.peer.request(command).await).map(|_| ())
    }

    /// The names of the services on the bus.
    pub(crate) async fn services(&self) -> Vec<String> {
        let names = value_of(self.peer.request(json!({"op": "services"})).await);
        serde_json::from_value(names.unwrap()).unwrap()
    }

    /// What a service says about itself: the maps `methods`, `signals` and `properties` by number.
    pub(crate) async fn meta_object(&self, service: &str) -> Value {
        let command = json!({"op": "metaObject", "service": service});
        value_of(self.peer.request(command).await).unwrap()
    }

    /// Makes a call and does not wait for its answer. Calls are made in the order of these.
    pub(crate) async fn begin(&self, service: &str, method: &str, args: Value) -> PendingCall<'_> {
        let command = json!({"op": "begin", "service": service, "method": method, "args": args});
        let answers = self.peer.send(command);
        let first = answers.next().await;
        assert_eq!(first["begun"], true, "{service}.{method}: {first}");
        PendingCall {
            client: self,
            answers,
        }
    }

    /// Makes `count` calls with their numbers, `threads` at a time; how many were answered with
    /// the number (`right`), and with what else.
    pub(crate) fn start_burst(
        &self,
        (service, method): (&str, &str),
        count: u32,
        threads: u32,
    ) -> Burst<'_> {
        let command = json!({
            "op": "burst", "service": service, "method": method, "count": count,
            "threads": threads,
        });
        Burst(self.peer.send(command))
    }

    /// Connects to a signal or a property; returns once that is in force.
    pub(crate) async fn subscribe(&self, service: &str, signal: &str) -> Events<'_> {
        let command = json!({"op": "subscribe", "service": service, "signal": signal});
        let answers = self.peer.send(command);
        let first = answers.next().await;
        assert_eq!(first["subscribed"], true, "{service}.{signal}: {first}");
        Events { answers }
    }
}

/// A call that was made.
pub(crate) struct PendingCall<'a> {
    client: &'a LibqiClient,
    answers: Answers<'a>,
}

impl PendingCall<'_> {
    /// Waits for the answer; the error is libqi's text, or `canceled`.
    pub(crate) async fn answer(&self) -> Result<Value, String> {
        let answer = self.answers.next().await;
        match answer.get("canceled") {
            Some(_) => Err("canceled".to_owned()),
            None => value_of(answer),
        }
    }

    /// Cancels the call.
    pub(crate) async fn cancel(&self) {
        let command = json!({"op": "abort", "call": self.answers.id()});
        value_of(self.client.peer.request(command).await).unwrap();
    }
}

/// Many calls that are being made.
pub(crate) struct Burst<'a>(Answers<'a>);

impl Burst<'_> {
    /// What they were answered with, and how often, if all are answered in that time.
    pub(crate) async fn outcomes(&self, timeout: Duration) -> Option<BTreeMap<String, u32>> {
        let outcomes = value_of(self.0.next_within(timeout).await?).unwrap();
        Some(serde_json::from_value(outcomes).unwrap())
    }
}

/// The events of one subscription.
pub(crate) struct Events<'a> {
    answers: Answers<'a>,
}

impl Events<'_> {
    /// The arguments of the next event, as a list.
    pub(crate) async fn next(&self) -> Value {
        self.answers.next().await["event"].take()
    }

    /// The arguments of the next event if one comes in that time.
    pub(crate) async fn next_within(&self, timeout: Duration) -> Option<Value> {
        let mut answer = self.answers.next_within(timeout).await?;
        Some(answer["event"].take())
    }
}

fn value_of(mut answer: Value) -> Result<Value, String> {
    match answer.get("error").and_then(Value::as_str) {
        Some(error) => Err(error.to_owned()),
        None => Ok(answer["value"].take()),
    }
}
