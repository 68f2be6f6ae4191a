//! The service of the libqi guide, hosted through the gateway by the programs of
//! `examples/hosting`, line by line as the real libqi sees it.
#![allow(clippy::unwrap_used, reason = "tests may panic")]

mod support;

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::json;
use support::{Gateway, GrpcClient, PATIENCE, Peers, Process, hosting::Bus, python};

/// A file of the examples.
fn example(name: &str) -> PathBuf {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/hosting");
    Path::new(folder).join(name)
}

/// Starts a host of `foo` and waits until its service is on the bus.
async fn start(command: &mut Command, bus: &Bus) -> Process {
    let host = Process::spawn("foo", command.arg(bus.gateway.address()));
    host.wait_value("foo is service", PATIENCE).await;
    host
}

fn in_python() -> Command {
    let mut command = Command::new(Peers::provision().python());
    command.arg(example("foo.py"));
    command
}

/// Node looks for packages beside the program only, so the example is run in a copy of its
/// surroundings.
fn in_node() -> Command {
    let peers = Peers::provision();
    let root = Path::new(env!("CARGO_TARGET_TMPDIR")).join("guide_hosting");
    let _ = fs::remove_dir_all(&root);
    let folder = root.join("examples/hosting");
    fs::create_dir_all(&folder).unwrap();
    fs::copy(example("foo.mjs"), folder.join("foo.mjs")).unwrap();
    let proto = concat!(env!("CARGO_MANIFEST_DIR"), "/proto");
    symlink(proto, root.join("proto")).unwrap();
    symlink(peers.node_modules(), root.join("node_modules")).unwrap();
    let mut command = Command::new(peers.node());
    command.arg(folder.join("foo.mjs"));
    command
}

async fn the_guide_line_by_line(command: &mut Command) {
    let bus = Bus::new().await;
    let mut host = start(command, &bus).await;
    let guide = python("guide.py", &[bus.robot.url()]).await.success();
    let lines: Vec<&str> = guide.lines().collect();
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
        ],
        "{}",
        host.stderr()
    );
    let error = bus.libqi.call("foo", "bar", json!(["x"])).await;
    assert!(error.unwrap_err().contains("conversion failure"));

    host.kill();
    bus.wait_gone("foo").await;
}

#[tokio::test]
async fn the_guide_in_python() {
    the_guide_line_by_line(&mut in_python()).await;
}

/// As the demo tells to: its own `foo` stays away, and gRPC clients call the hosted one.
#[tokio::test]
async fn the_demo_leaves_foo_to_its_host() {
    let gateway = Gateway::demo_with(&["--without-foo"]).await;
    gateway.wait_serving("").await;
    let mut command = in_python();
    let host = Process::spawn("foo", command.arg(gateway.address()));
    host.wait_value("foo is service", PATIENCE).await;
    gateway.wait_serving("qi.foo.v1.Foo").await;
    let client = GrpcClient::python(gateway.address()).await;
    let answer = client.unary("qi.foo.v1.Foo/BetterBar", json!({"arg1": 0.25}));
    assert_eq!(answer.await.ok(), json!({"value": 0.25}));
}

#[tokio::test]
async fn the_guide_in_node() {
    the_guide_line_by_line(&mut in_node()).await;
}
