//! What the integration tests share: real peers, and the gateway's own binary, as guarded processes.
//!
//! | module | what it gives |
//! | --- | --- |
//! | `peers` | Python, Node, grpcurl and buf in the versions pinned under `tests/peers`, installed once |
//! | `process` | a child process that is ended and reaped with its guard |
//! | `json_peer` | a child that takes JSON commands and answers them in any order |
//! | `tools` | grpcurl and buf |
//! | `example` | the programs of `examples` |
//! | `libqi` | a robot, extra services and a client on the real libqi |
//! | `grpc_client` | gRPC clients in Python and Node that know the schema only through reflection |
//! | `gateway` | the gateway's binary |
//! | `hosting` | services that a gRPC client hosts, message by message |
//! | `setting` | a libqi robot, the gateway in front of it, and a client of each |
//! | `reflection` | all that a server's reflection tells |
//! | `relay` | between the gateway and a robot: counts what passes, unchanged |
//! | `ticks` | streams of numbers, read by a client in Rust |
//! | `usage` | what a process uses of the machine |
//! | `nao` | the services of a real NAO, the gateway in front of them, and a client of each |
//! | `forms` | a value as libqi's client gives it and as protobuf has it |
#![allow(
    dead_code,
    unused_imports,
    reason = "every test uses its own part of this"
)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a failure here is the failure of a test"
)]

mod example;
pub(crate) mod forms;
mod gateway;
mod grpc_client;
pub(crate) mod hosting;
mod json_peer;
mod libqi;
pub(crate) mod nao;
mod peers;
mod process;
pub(crate) mod reflection;
pub(crate) mod relay;
mod setting;
pub(crate) mod ticks;
mod tools;
pub(crate) mod usage;

use std::time::Duration;

pub(crate) use self::{
    example::example_command,
    gateway::Gateway,
    grpc_client::{GrpcClient, GrpcStream, GrpcTalk, Reply},
    json_peer::{Answers, JsonPeer},
    libqi::{Burst, LibqiClient, LibqiRobot, LibqiService, PendingCall},
    peers::Peers,
    process::{Finished, Process},
    setting::Setting,
    tools::{buf, buf_curl, buf_in, grpcurl, node, node_command, python, python_command},
};

/// How long a test waits for something that should come at once, on a machine with much else to do.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
