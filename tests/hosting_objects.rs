//! Objects that callers pass to services hosted by a gRPC client, and that those give back.
#![allow(clippy::unwrap_used, reason = "tests may panic")]

mod support;

use serde_json::json;
use support::{
    GrpcClient, PATIENCE, Process,
    hosting::{Bus, Hosted},
    python_command,
};

#[tokio::test]
async fn a_host_calls_the_object_it_was_given_and_gives_it_back() {
    let bus = Bus::new().await;
    let client = GrpcClient::python(bus.gateway.address()).await;
    let declare = json!({
        "name": "Keeper",
        "methods": [
            {"name": "take", "parametersSignature": "(o)", "returnSignature": "s"},
            {"name": "give", "returnSignature": "o"},
        ],
    });
    let hosted = Hosted::declare(&client, declare).await;
    let mut command = python_command("callback.py");
    let caller = Process::spawn("caller", command.arg(bus.robot.url()));

    let take = hosted.call().await;
    let object = take.args[0]["objectValue"].clone();
    let id = object["id"].as_str().unwrap();
    assert!(!id.is_empty(), "{take:?}");
    let described = client
        .unary(
            "qi.gateway.v1.ObjectService/Describe",
            json!({"objectId": id}),
        )
        .await
        .ok();
    assert!(
        described.to_string().contains("Tells what it heard."),
        "{described}"
    );
    let hear = json!({
        "target": {"objectId": id}, "method": "hear", "args": [{"stringValue": "a bell"}],
    });
    let heard = client
        .unary("qi.gateway.v1.DynamicService/Call", hear)
        .await;
    let heard = heard.ok()["value"].clone();
    assert_eq!(heard["stringValue"], "I heard a bell");
    caller
        .wait_line(|line| line == "heard a bell", PATIENCE)
        .await;
    hosted.answer(&take, heard).await;
    let taken = |line: &str| line == "take I heard a bell";
    caller.wait_line(taken, PATIENCE).await;

    let give = hosted.call().await;
    hosted.answer(&give, json!({ "objectValue": object })).await;
    let given = |line: &str| line == "give I heard my own voice";
    caller.wait_line(given, PATIENCE).await;
    let ended = caller.finish(PATIENCE).await;
    assert!(ended.status.success(), "{ended:?}");
}

#[tokio::test]
async fn an_object_that_is_unknown_is_an_error_of_the_host() {
    let bus = Bus::new().await;
    let client = GrpcClient::python(bus.gateway.address()).await;
    let methods = json!([{"name": "give", "returnSignature": "o"}]);
    let declare = json!({"name": "Keeper", "methods": methods});
    let hosted = Hosted::declare(&client, declare).await;
    let giving = bus.libqi.begin("Keeper", "give", json!([])).await;
    let give = hosted.call().await;
    hosted
        .answer(&give, json!({"objectValue": {"id": "none"}}))
        .await;
    let error = giving.answer().await.unwrap_err();
    assert!(error.contains("there is no object \"none\""), "{error}");
}
