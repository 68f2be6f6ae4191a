//! `serve --schema`: the schema of a snapshot is served before the robot is there, and what the
//! robot turns out to be is held against it.
#![allow(clippy::unwrap_used, reason = "tests may panic")]

mod support;

use std::{
    fs,
    net::TcpListener,
    path::{Path, PathBuf},
};

use serde_json::{Value, json};
use support::{Gateway, GrpcClient, LibqiClient, LibqiRobot, grpcurl, reflection::Reflected};
use tonic_health::pb::health_check_response::ServingStatus;

const SUBTRACT: &str = "qi.typed.v1.Typed/Subtract";
const ON_INT: &str = "qi.typed.v1.Typed/SubscribeOnInt";
const SERVICES: [&str; 4] = [
    "qi.bells.v1.Bells",
    "qi.plain.v1.Plain",
    "qi.slow.v1.Slow",
    "qi.typed.v1.Typed",
];

/// The folder with a snapshot of a robot, `robot.json`.
struct Kept {
    folder: tempfile::TempDir,
}

impl Kept {
    async fn of(robot: &LibqiRobot) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let kept = Self { folder };
        let file = kept.file();
        let args = ["schema", "snapshot", "--qi-url", robot.url(), "--out"];
        let args = [&args[..], &[file.to_str().unwrap()]].concat();
        Gateway::run(&args).await.success();
        kept
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("robot.json")
    }

    /// Changes the list of the services.
    fn change(&self, change: impl FnOnce(&mut Vec<Value>)) {
        let mut json: Value = serde_json::from_slice(&fs::read(self.file()).unwrap()).unwrap();
        change(json["services"].as_array_mut().unwrap());
        fs::write(self.file(), json.to_string()).unwrap();
    }

    async fn serve(&self, url: &str) -> Gateway {
        let file = self.file();
        Gateway::serve_with(url, &["--schema", file.to_str().unwrap()]).await
    }
}

#[tokio::test]
async fn the_schema_is_served_before_the_robot_is_there() {
    let robot = LibqiRobot::start(&[]).await;
    let url = robot.url().to_owned();
    let kept = Kept::of(&robot).await;
    drop(robot);

    let gateway = kept.serve(&url).await;
    for service in SERVICES.into_iter().chain([""]) {
        gateway
            .wait_health(service, ServingStatus::NotServing)
            .await;
    }
    let before = generated(&gateway).await;
    let names: Vec<&str> = before.iter().map(|(name, _)| name.as_str()).collect();
    assert!(SERVICES.iter().all(|it| names.contains(it)), "{names:?}");
    told_by_grpcurl(gateway.address()).await;
    let client = GrpcClient::python(gateway.address()).await;
    calls_are_unavailable(&client).await;
    assert!(
        !listed(&client, "Typed").await["available"]
            .as_bool()
            .unwrap()
    );

    let robot = LibqiRobot::start(&["--listen", &url]).await;
    for service in SERVICES {
        gateway.wait_serving(service).await;
    }
    let difference = client.unary(SUBTRACT, json!({"arg1": 5, "arg2": 3})).await;
    assert_eq!(difference.ok(), json!({"value": 2}));
    let stream = client.stream(ON_INT, json!({})).await;
    let libqi = LibqiClient::connect(robot.url()).await;
    let emit = json!(["onInt", [4]]);
    libqi.call("Typed", "emit", emit).await.unwrap();
    let event = stream.message().await;
    assert_eq!(
        (&event["value"], &event["info"]["gap"]),
        (&json!(4), &json!(false))
    );
    assert!(
        listed(&client, "Typed").await["available"]
            .as_bool()
            .unwrap()
    );
    assert_eq!(generated(&gateway).await, before);

    let log = gateway.shut_down().await.stderr;
    let known = format!("known from a snapshot services={}", names.len());
    assert!(log.contains(&known), "{log}");
    assert!(log.contains(" ready "), "{log}");
    assert!(!log.contains("the snapshot"), "{log}");
}

/// The generated services and the bytes of their files.
async fn generated(gateway: &Gateway) -> Vec<(String, Vec<u8>)> {
    let reflected = Reflected::read(gateway.channel().await).await;
    let generated = reflected.generated().into_iter();
    let files = generated.map(|(_, service)| {
        let file = service.parent_file().encode_to_vec();
        (service.full_name().to_owned(), file)
    });
    files.collect()
}

async fn told_by_grpcurl(address: &str) {
    let list = grpcurl(&["-plaintext", address, "list"]).await.success();
    for service in SERVICES {
        assert!(list.lines().any(|line| line == service), "{list}");
    }
    let args = ["-plaintext", address, "describe", "qi.typed.v1.Typed"];
    let text = grpcurl(&args).await.success();
    assert!(text.contains("rpc Subtract ("), "{text}");
    let args = ["-plaintext", "-d", "{}", address, ON_INT];
    let refused = grpcurl(&args).await;
    assert!(!refused.status.success(), "{refused:#?}");
    assert!(refused.stderr.contains("Unavailable"), "{refused:#?}");
}

async fn calls_are_unavailable(client: &GrpcClient) {
    let typed = client.unary(SUBTRACT, json!({"arg1": 5, "arg2": 3})).await;
    let level = "qi.typed.v1.Typed/GetLevelProperty";
    let property = client.unary(level, json!({})).await;
    let dynamic = json!({"target": {"service": "Typed"}, "method": "seen"});
    let dynamic = client
        .unary("qi.gateway.v1.DynamicService/Call", dynamic)
        .await;
    // Whether the robot has a service that the snapshot lacks is not known before it is there.
    let unknown = client
        .unary(
            "qi.gateway.v1.DynamicService/Call",
            json!({"target": {"service": "nobody"}, "method": "seen"}),
        )
        .await;
    for refused in [typed, property, dynamic, unknown] {
        assert_eq!(refused.code, "UNAVAILABLE", "{refused:#?}");
        let info = refused.detail("google.rpc.ErrorInfo");
        assert_eq!(info["reason"], "SERVICE_UNAVAILABLE", "{refused:#?}");
    }
}

/// What `DirectoryService` says of a service.
async fn listed(client: &GrpcClient, name: &str) -> Value {
    let method = "qi.gateway.v1.DirectoryService/ListServices";
    let mut list = client.unary(method, json!({})).await.ok();
    let services = list["services"].as_array_mut().unwrap();
    let found = services.iter_mut().find(|it| it["name"] == name);
    found.unwrap().take()
}

#[tokio::test]
async fn what_the_robot_does_otherwise_is_told() {
    let robot = LibqiRobot::start(&[]).await;
    let kept = Kept::of(&robot).await;
    kept.change(|services| {
        let mut slow = services.remove(at(services, "Slow"));
        slow["name"] = "Ghost".into();
        services.push(slow);
        let plain = at(services, "Plain");
        methods(&mut services[plain]).retain(|method| method["name"] != "greet");
        let typed = at(services, "Typed");
        for method in methods(&mut services[typed]) {
            if method["name"] == "subtract" {
                method["parametersSignature"] = "(is)".into();
            }
        }
    });

    let gateway = kept.serve(robot.url()).await;
    gateway.wait_serving("").await;
    for service in SERVICES {
        gateway.wait_serving(service).await;
    }
    let client = GrpcClient::python(gateway.address()).await;
    // As the robot has it, not the snapshot.
    let difference = client.unary(SUBTRACT, json!({"arg1": 5, "arg2": 3})).await;
    assert_eq!(difference.ok(), json!({"value": 2}));
    let greet = json!({"arg1": {"json": "robot"}, "arg2": {"json": 1}});
    let greeting = client.unary("qi.plain.v1.Plain/Greet", greet).await.ok();
    assert_eq!(greeting["value"]["stringValue"], "hello robot");
    let services = client.services().await;
    let ghost = "qi.ghost.v1.Ghost";
    assert!(services.iter().any(|it| it == ghost), "{services:?}");
    let health = gateway.health(ghost).await.unwrap();
    assert_eq!(health, ServingStatus::NotServing);

    let log = gateway.shut_down().await.stderr;
    for told in [
        " WARN not as in the snapshot, which breaks its clients service=\"Typed\" \
         changes=~ rpc Subtract, qi: method subtract(is) -> i => method subtract(ii) -> i; \
         ~ field SubtractRequest.arg2, type: string => int32 \
         (qi: method subtract(ii) -> i) [breaks clients]",
        " WARN not as in the snapshot, whose clients go on service=\"Plain\" \
         changes=+ rpc Greet (qi: method greet",
        " WARN in the snapshot, but not on the robot services=\"Ghost\"",
        " INFO not in the snapshot, added services=\"Slow\"",
    ] {
        let (level, text) = told.split_at(6);
        let lines = log.lines().filter(|line| line.contains(text));
        let lines: Vec<&str> = lines.collect();
        assert_eq!(lines.len(), 1, "{text}\n{log}");
        assert!(lines[0].contains(level), "{log}");
    }
    assert_eq!(log.matches("the snapshot").count(), 4, "{log}");
}

fn at(services: &[Value], name: &str) -> usize {
    let mut services = services.iter();
    services.position(|it| it["name"] == name).unwrap()
}

fn methods(service: &mut Value) -> &mut Vec<Value> {
    service["methods"].as_array_mut().unwrap()
}

#[tokio::test]
async fn a_file_that_is_no_snapshot_is_told_before_anything_listens() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        fs::write(folder.path().join(name), text).unwrap();
    };
    file("text.json", "no json");
    file("later.json", r#"{"formatVersion": 2, "services": []}"#);
    file(
        "other.json",
        r#"{"services": [{"name": "foo", "methods": 3}]}"#,
    );
    for (name, reason) in [
        ("missing.json", "No such file"),
        ("", "directory"),
        ("text.json", "no JSON"),
        ("later.json", "the format has version 2"),
        ("other.json", "services[0].methods: a list expected"),
    ] {
        refused(&folder.path().join(name), reason).await;
    }
}

async fn refused(file: &Path, reason: &str) {
    // Whoever tried to listen first would name this address.
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let file = file.to_str().unwrap();
    let told = Gateway::run(&["serve", "--schema", file, "--listen", &address]).await;
    assert_eq!(told.status.code(), Some(1), "{told:#?}");
    assert_eq!(told.stdout, "");
    let error = told.stderr.strip_prefix(&format!("error: {file}: "));
    let error = error.unwrap_or_else(|| panic!("{told:#?}"));
    assert!(error.contains(reason), "{told:#?}");
    assert!(!told.stderr.contains(&address), "{told:#?}");
}
