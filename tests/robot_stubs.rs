//! The stubs that common generators make of a real robot's services, and of services with awkward names,
//! compile, and call the robot through the gateway. The robot is looked for in `QI_ROBOTS_DIR`, by default `../shared/robots`.
#![allow(clippy::unwrap_used, reason = "tests may panic")]

#[path = "robot_stubs/awkward.rs"]
mod awkward;
mod support;

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use qi_grpc_gateway::proto::STATIC_FILES;
use serde_json::{Value, json};
use support::{
    Gateway, Peers, Process,
    nao::{Nao, robots_dir},
};

/// How long a compiler may take, on a machine with much else to do.
const COMPILES: Duration = Duration::from_secs(600);

/// The same for cargo, which compiles what the stubs depend on when it runs first.
const BUILDS: Duration = Duration::from_secs(1800);

#[tokio::test(flavor = "multi_thread")]
async fn python_stubs_of_all_services_call_the_robot() {
    let folder = tempfile::tempdir().unwrap();
    let api = export(folder.path()).await;
    let stubs = folder.path().join("stubs");
    fs::create_dir(&stubs).unwrap();
    let peers = Peers::provision();
    let mut protoc = Command::new(peers.python());
    protoc
        .args(["-m", "grpc_tools.protoc", "-I", "."])
        .arg(format!("--python_out={}", stubs.display()))
        .arg(format!("--grpc_python_out={}", stubs.display()))
        .args(protos(&api))
        .current_dir(&api);
    run("grpc_tools.protoc", &mut protoc, COMPILES).await;

    let nao = Nao::start().await;
    // As who has libqi, whose package is called as the root of the stubs.
    let mut beside = Command::new(peers.python());
    let script = peers.file("python/stubs.py");
    beside.arg(&script).arg(nao.gateway.address()).arg(&stubs);
    beside.arg("--beside-libqi");
    let said = run("stubs beside libqi", &mut beside, COMPILES).await;
    assert_eq!(answers(&said), expected());

    // As who has not.
    let mut alone = Command::new(peers.python());
    alone
        .arg("-S")
        .env("PYTHONPATH", without_libqi(&peers, folder.path()))
        .arg(&script)
        .arg(nao.gateway.address())
        .arg(&stubs);
    let said = run("stubs without libqi", &mut alone, COMPILES).await;
    assert_eq!(answers(&said), expected());
}

#[tokio::test(flavor = "multi_thread")]
async fn typescript_stubs_of_all_services_call_the_robot() {
    let folder = tempfile::tempdir().unwrap();
    let api = export(folder.path()).await;
    let peers = Peers::provision();
    let template = "version: v2\nplugins:\n  - local: protoc-gen-es\n    strategy: all\n    out: ../gen\n    \
                    opt: [target=ts, import_extension=js]\n";
    fs::write(api.join("buf.gen.yaml"), template).unwrap();
    let mut buf = Command::new(peers.buf());
    let path = std::env::var("PATH").unwrap();
    let plugins = peers.node_modules().join(".bin");
    buf.arg("generate")
        .env("PATH", format!("{}:{path}", plugins.display()))
        .current_dir(&api);
    run("buf generate", &mut buf, COMPILES).await;

    symlink(peers.node_modules(), folder.path().join("node_modules")).unwrap();
    fs::copy(peers.file("ts/client.ts"), folder.path().join("client.ts")).unwrap();
    let compiler = json!({
        "strict": true, "target": "es2022", "module": "nodenext", "outDir": "out", "types": [],
        // Those of Node are not installed.
        "skipLibCheck": true,
    });
    let project = json!({"compilerOptions": compiler, "include": ["client.ts", "gen"]});
    fs::write(folder.path().join("tsconfig.json"), project.to_string()).unwrap();
    fs::write(folder.path().join("package.json"), r#"{"type": "module"}"#).unwrap();
    let mut tsc = Command::new(peers.node());
    tsc.arg(peers.node_modules().join("typescript/bin/tsc"))
        .current_dir(folder.path());
    run("tsc", &mut tsc, COMPILES).await;

    let nao = Nao::start().await;
    let mut client = Command::new(peers.node());
    client
        .args(["out/client.js", nao.gateway.grpc_url()])
        .current_dir(folder.path());
    let said = run("TypeScript client", &mut client, COMPILES).await;
    assert_eq!(answers(&said), expected());
}

/// The crate stays where it is, and what has not changed is not touched: all of it is compiled once.
#[tokio::test(flavor = "multi_thread")]
async fn rust_stubs_of_all_services_call_the_robot() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("robot-stubs");
    let source = Peers::provision().file("rust");
    for file in CRATES {
        update(&source.join(file), &folder.join(file));
    }
    let lock = Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.lock");
    update(&lock, &folder.join("Cargo.lock"));
    let exported = tempfile::tempdir().unwrap();
    let (new, api) = (export(exported.path()).await, folder.join("api"));
    let files = protos(&new);
    for stale in protos(&api).iter().filter(|it| !files.contains(it)) {
        fs::remove_file(api.join(stale)).unwrap();
    }
    for file in files {
        update(&new.join(&file), &api.join(&file));
    }
    // Machine code for all of them would take minutes.
    for steps in [
        ["check", "--package", "all"],
        ["build", "--package", "client"],
    ] {
        let mut cargo = Command::new(env!("CARGO"));
        cargo
            .args(steps)
            .args(["--offline", "--quiet", "--target-dir", "target"])
            .current_dir(&folder);
        run("cargo", &mut cargo, BUILDS).await;
    }

    let nao = Nao::start().await;
    let mut client = Command::new(folder.join("target/debug/client"));
    client.arg(nao.gateway.grpc_url());
    let said = run("Rust client", &mut client, COMPILES).await;
    assert_eq!(answers(&said), expected());
}

/// The files of `tests/peers/rust`.
const CRATES: [&str; 7] = [
    "Cargo.toml",
    "all/Cargo.toml",
    "all/build.rs",
    "all/src/main.rs",
    "client/Cargo.toml",
    "client/build.rs",
    "client/src/main.rs",
];

/// What each client prints.
fn expected() -> Value {
    let label = "Knowledge.makeTripleFromNames";
    json!({
        "volume": 0.25,
        "triple": [label, label],
        "integer": [5, "i"],
        "float": [0.5, ""],
        "list": ["one", 2, true],
        "event": [true, 1],
    })
}

fn answers(said: &str) -> Value {
    serde_json::from_str(said.trim()).unwrap()
}

/// Exports all services of the robot, and some with awkward names, to the folder `api` of that one.
async fn export(folder: &Path) -> PathBuf {
    let text = fs::read_to_string(robots_dir().join("nao-v6.json")).unwrap();
    let mut data: Value = serde_json::from_str(&text).unwrap();
    let services = data["services"].as_array_mut().unwrap();
    services.extend(awkward::services());
    let count = services.len();
    assert!(count > 114);
    let (from, api) = (folder.join("robot.json"), folder.join("api"));
    fs::write(&from, data.to_string()).unwrap();
    let [from, out] = [&from, &api].map(|it| it.to_str().unwrap());
    let told = Gateway::run(&["schema", "export", "--from", from, "--out", out]).await;
    told.success();
    let files = count + STATIC_FILES.len();
    assert_eq!(protos(&api).len(), files, "with the static API");
    api
}

/// The .proto files of a folder, by their paths in it.
fn protos(api: &Path) -> Vec<String> {
    let mut folders = vec![api.to_owned()];
    let mut protos = Vec::new();
    while let Some(folder) = folders.pop().filter(|it| it.exists()) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|it| it == "proto") {
                let path = path.strip_prefix(api).unwrap();
                protos.push(path.to_str().unwrap().to_owned());
            }
        }
    }
    protos
}

/// Copies a file unless it is there already.
fn update(from: &Path, to: &Path) {
    let content = fs::read(from).unwrap();
    if fs::read(to).is_ok_and(|there| there == content) {
        return;
    }
    fs::create_dir_all(to.parent().unwrap()).unwrap();
    fs::write(to, content).unwrap();
}

/// A folder with all Python packages but libqi.
fn without_libqi(peers: &Peers, folder: &Path) -> PathBuf {
    let site = folder.join("site");
    fs::create_dir(&site).unwrap();
    for entry in fs::read_dir(peers.site_packages()).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name();
        let package = name.to_str().unwrap().split(['-', '.']).next();
        if package != Some("qi") {
            symlink(entry.path(), site.join(&name)).unwrap();
        }
    }
    site
}

/// Runs a program that must succeed; gives what it wrote to standard output.
async fn run(name: &str, command: &mut Command, timeout: Duration) -> String {
    Process::spawn(name, command)
        .finish(timeout)
        .await
        .success()
}
