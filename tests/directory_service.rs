//! The services of the robot as `DirectoryService` tells them, on the real libqi.
#![allow(clippy::unwrap_used, reason = "tests may panic")]

mod support;

use prost_reflect::{DescriptorPool, bytes::Bytes};
use serde_json::{Value, json};
use support::{LibqiService, Setting};

const DIRECTORY: &str = "qi.gateway.v1.DirectoryService";

async fn ask(setting: &Setting, rpc: &str, request: Value) -> support::Reply {
    let method = format!("{DIRECTORY}/{rpc}");
    setting.grpc.unary(&method, request).await
}

#[tokio::test]
async fn services_are_listed_and_described() {
    let setting = Setting::new().await;
    let listed = ask(&setting, "ListServices", json!({})).await.ok();
    let listed = listed["services"].as_array().unwrap();
    let typed = listed.iter().find(|it| it["name"] == "Typed").unwrap();
    assert_eq!(typed["grpcService"], "qi.typed.v1.Typed");
    assert_eq!(typed["available"], true);
    assert!(typed["serviceId"].as_u64().unwrap() > 1, "{typed}");
    assert!(typed["processId"].as_u64().unwrap() > 0, "{typed}");
    let endpoints = typed["endpoints"].as_array().unwrap();
    assert!(endpoints.contains(&json!(setting.robot.url())), "{typed}");

    let told = ask(&setting, "GetService", json!({"name": "Typed"}))
        .await
        .ok();
    assert_eq!(told["service"]["name"], "Typed");
    let named = |list: &Value, key: &str, name: &str| -> Value {
        let mut found = list.as_array().unwrap().iter();
        found.find(|it| it[key] == name).unwrap().clone()
    };
    let subtract = named(&told["object"]["methods"], "name", "subtract");
    assert_eq!(subtract["parametersSignature"], "(ii)", "{subtract}");
    let path = "/qi.typed.v1.Typed/Subtract";
    let generated = named(&told["generated"], "path", path);
    assert_eq!(generated["kind"], "METHOD_KIND_CALL");
    assert_eq!(generated["uid"], subtract["uid"]);

    let unknown = ask(&setting, "GetService", json!({"name": "Nope"})).await;
    assert_eq!(unknown.code, "NOT_FOUND", "{unknown:?}");
}

#[tokio::test]
async fn services_are_watched_as_they_come_and_go() {
    let setting = Setting::new().await;
    let method = format!("{DIRECTORY}/WatchServices");
    let watching = setting.grpc.stream(&method, json!({})).await;
    let first = watching.message().await;
    let known = first["snapshot"]["services"].as_array().unwrap();
    assert!(known.iter().any(|it| it["name"] == "Plain"), "{first}");

    let extra = LibqiService::register(setting.robot.url(), "Extra").await;
    let added = watching.message().await;
    assert_eq!(added["added"]["name"], "Extra", "{added}");
    assert_eq!(added["added"]["available"], true, "{added}");
    extra.kill();
    let changed = watching.message().await;
    assert_eq!(changed["changed"]["name"], "Extra", "{changed}");
    assert_ne!(changed["changed"]["available"], true, "{changed}");
    watching.cancel().await;
}

#[tokio::test]
async fn a_schema_stands_on_its_own() {
    let setting = Setting::new().await;
    let request = json!({"services": ["Typed", "Plain"]});
    let made = ask(&setting, "GetSchema", request).await.ok();
    let set = support::forms::from_base64(made["fileDescriptorSet"].as_str().unwrap());
    let pool = DescriptorPool::decode(Bytes::from(set)).unwrap();
    assert!(pool.get_service_by_name("qi.typed.v1.Typed").is_some());
    assert!(pool.get_service_by_name("qi.slow.v1.Slow").is_none());

    let folder = tempfile::tempdir().unwrap();
    let files = made["files"].as_array().unwrap();
    for file in files {
        let path = folder.path().join(file["name"].as_str().unwrap());
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, file["content"].as_str().unwrap()).unwrap();
    }
    let names = files.iter().map(|file| file["name"].as_str().unwrap());
    protox::compile(names, [folder.path()]).unwrap();

    let unknown = ask(&setting, "GetSchema", json!({"services": ["Nope"]})).await;
    assert_eq!(unknown.code, "NOT_FOUND", "{unknown:?}");
}
