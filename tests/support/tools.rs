//! Command line tools that run to their end.

use std::{ffi::OsStr, path::Path, process::Command};

use super::{Finished, PATIENCE, Peers, Process};

/// Runs grpcurl. It speaks plain text HTTP/2 if `-plaintext` is among the arguments.
pub(crate) async fn grpcurl<S: AsRef<OsStr>>(args: &[S]) -> Finished {
    let peers = Peers::provision();
    run("grpcurl", Command::new(peers.grpcurl()).args(args)).await
}

/// Runs buf in the folder `proto`.
pub(crate) async fn buf<S: AsRef<OsStr>>(args: &[S]) -> Finished {
    let proto = concat!(env!("CARGO_MANIFEST_DIR"), "/proto");
    buf_in(Path::new(proto), args).await
}

/// Runs buf in a folder.
pub(crate) async fn buf_in<S: AsRef<OsStr>>(folder: &Path, args: &[S]) -> Finished {
    let peers = Peers::provision();
    let mut command = Command::new(peers.buf());
    run("buf", command.args(args).current_dir(folder)).await
}

/// Calls a method at `URL/SERVICE/METHOD` with `buf curl`, which asks for the schema through
/// reflection v1.
pub(crate) async fn buf_curl(url: &str, data: &str) -> Finished {
    let args = ["curl", "--protocol", "grpc", "--http2-prior-knowledge"];
    let reflection = ["--reflect-protocol", "grpc-v1"];
    let all = [&args[..], &reflection[..], &["--data", data, url]].concat();
    buf(&all).await
}

/// Runs a Python program of `tests/peers/python`.
pub(crate) async fn python(script: &str, args: &[&str]) -> Finished {
    run(script, python_command(script).args(args)).await
}

/// Runs a Node program of `tests/peers/node`.
pub(crate) async fn node(script: &str, args: &[&str]) -> Finished {
    run(script, node_command(script).args(args)).await
}

/// The command that runs a Python program of `tests/peers/python`.
pub(crate) fn python_command(script: &str) -> Command {
    let peers = Peers::provision();
    let mut command = Command::new(peers.python());
    command
        .arg(peers.file("python").join(script))
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("PYTHONUNBUFFERED", "1");
    command
}

/// The command that runs a Node program of `tests/peers/node`.
pub(crate) fn node_command(script: &str) -> Command {
    let peers = Peers::provision();
    let mut command = Command::new(peers.node());
    command
        .arg(peers.file("node").join(script))
        .env("NODE_PATH", peers.node_modules());
    command
}

async fn run(name: &str, command: &mut Command) -> Finished {
    Process::spawn(name, command).finish(PATIENCE).await
}

impl Finished {
    /// Standard output of a program that must have succeeded.
    pub(crate) fn success(self) -> String {
        assert!(self.status.success(), "{self:#?}");
        self.stdout
    }
}
