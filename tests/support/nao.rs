//! The services of a real NAO on the real libqi, with the gateway in front. They are not part of this
//! repository: they are looked for in `QI_ROBOTS_DIR`, by default `../shared/robots`.

use std::{path::PathBuf, process::Command};

use qi_grpc_gateway::schema::snapshot::{Snapshot, SnapshotLimits};
use serde_json::Value;

use super::{Gateway, GrpcClient, LibqiClient, PATIENCE, Peers, Process, Reply, relay::Relay};

/// The robot, the gateway in front of it, and a client of each.
pub(crate) struct Nao {
    /// The gateway that serves it.
    pub(crate) gateway: Gateway,
    /// A client of the gateway, in Python.
    pub(crate) grpc: GrpcClient,
    /// A client of the robot itself.
    pub(crate) libqi: LibqiClient,
    url: String,
    _robot: Process,
}

impl Nao {
    /// Starts all of it and waits until every service can be called.
    pub(crate) async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// The same with more arguments for the robot.
    pub(crate) async fn start_with(args: &[&str]) -> Self {
        let (robot, url) = robot(args).await;
        let gateway = Gateway::serve(&url).await;
        Self::of(robot, url, gateway).await
    }

    /// The same with what passes between robot and gateway in sight.
    pub(crate) async fn start_relayed() -> (Self, Relay) {
        let (robot, url) = robot(&[]).await;
        let relay = Relay::start(&url).await;
        let gateway = Gateway::serve(relay.url()).await;
        (Self::of(robot, url, gateway).await, relay)
    }

    async fn of(robot: Process, url: String, gateway: Gateway) -> Self {
        gateway.wait_serving("").await;
        Self {
            grpc: GrpcClient::python(gateway.address()).await,
            libqi: LibqiClient::connect(&url).await,
            gateway,
            url,
            _robot: robot,
        }
    }

    /// Registers the services `foo` and `fooMulti` from a process of their own.
    pub(crate) async fn register_foo(&self) -> Process {
        program("foo.py", &["--url", &self.url]).await.0
    }

    /// Calls a generated method of ALMemory.
    pub(crate) async fn memory(&self, rpc: &str, request: Value) -> Reply {
        let method = format!("qi.al_memory.v1.ALMemory/{rpc}");
        self.grpc.unary(&method, request).await
    }
}

/// Where the robot is.
pub(crate) fn robots_dir() -> PathBuf {
    std::env::var_os("QI_ROBOTS_DIR").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared/robots"),
        PathBuf::from,
    )
}

/// What its services say about themselves.
pub(crate) fn snapshot() -> Snapshot {
    let text = std::fs::read(data()).expect("QI_ROBOTS_DIR");
    Snapshot::parse(&text, &SnapshotLimits::default()).unwrap()
}

/// The file that says so.
pub(crate) fn data() -> PathBuf {
    robots_dir().join("nao-v6.json")
}

async fn robot(args: &[&str]) -> (Process, String) {
    let listen = ["--listen", "tcp://127.0.0.1:0"];
    program("robot.py", &[&listen, args].concat()).await
}

/// A program of the robot that has said that it is ready, and the URL that it said.
async fn program(script: &str, args: &[&str]) -> (Process, String) {
    let mut command = Command::new(Peers::provision().python());
    command
        .arg(robots_dir().join(script))
        .args(args)
        .arg("--exit-with-stdin")
        .env("PYTHONDONTWRITEBYTECODE", "1");
    let process = Process::spawn(script, &mut command);
    let url = process.wait_value("ready", PATIENCE).await;
    (process, url)
}
