//! Objects that callers pass to services hosted by a gRPC client, and that those give back.
#![allow(clippy::unwrap_used, reason = "tests may panic")]

mod support;

use serde_json::{Value, json};
use support::{
    GrpcClient, LibqiService, PATIENCE, Process,
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

/// A callback target that needs no object of the robot's first: the service that the client hosts.
#[tokio::test]
async fn a_hosted_service_is_passed_by_its_name() {
    let bus = Bus::new().await;
    let _visitors = LibqiService::run("visitors.py", bus.robot.url(), "Visitors").await;
    bus.gateway.wait_serving("qi.visitors.v1.Visitors").await;
    let client = GrpcClient::python(bus.gateway.address()).await;
    let declare = json!({
        "name": "Bell",
        "methods": [{"name": "name", "returnSignature": "s"}],
        "signals": [{"name": "rung", "signature": "(i)"}],
    });
    let hosted = Hosted::declare(&client, declare).await;
    let bell = json!({"service": "Bell"});

    // To a generated method, and inside of a value to one by name. The service is called back.
    let generated = client.unary("qi.visitors.v1.Visitors/Use", json!({"arg1": bell}));
    let used = async {
        let named = hosted.call().await;
        assert_eq!(named.method, "name");
        hosted.answer(&named, json!({"stringValue": "ours"})).await;
    };
    let (answer, ()) = tokio::join!(generated, used);
    assert_eq!(answer.ok()["value"], "ours");

    // It is kept, and what it emits reaches the robot's service.
    let visit = |method: &str, args: Value| {
        let request = json!({"target": {"service": "Visitors"}, "method": method, "args": args});
        client.unary("qi.gateway.v1.DynamicService/Call", request)
    };
    visit("keep", json!([{"objectValue": bell}])).await.ok();
    let heard = client.stream("qi.visitors.v1.Visitors/SubscribeHeard", json!({}));
    let heard = heard.await;
    visit("listen", json!([])).await.ok();
    hosted.emit("rung", json!([{"intValue": 7}])).await;
    assert_eq!(heard.message().await["value"], 7);

    let nobody = json!([{"objectValue": {"service": "Nobody"}}]);
    let refused = visit("keep", nobody).await;
    assert_eq!(refused.code, "INVALID_ARGUMENT");
    let expected = "no client hosts a service \"Nobody\"";
    assert!(refused.message.contains(expected), "{}", refused.message);
}

/// What a client hosts comes back to one through the robot, as an object of the robot's that forwards.
#[tokio::test]
async fn a_hosted_service_that_the_robot_passes_on_is_an_object_like_others() {
    let bus = Bus::new().await;
    let _visitors = LibqiService::run("visitors.py", bus.robot.url(), "Visitors").await;
    bus.gateway.wait_serving("qi.visitors.v1.Visitors").await;
    let client = GrpcClient::python(bus.gateway.address()).await;
    let methods = json!([{"name": "name", "returnSignature": "s"}]);
    let bell = Hosted::declare(&client, json!({"name": "Bell", "methods": methods})).await;
    let take = json!({"name": "take", "parametersSignature": "(o)", "returnSignature": "s"});
    let keeper = Hosted::declare(&client, json!({"name": "Keeper", "methods": [take]})).await;

    let keep = json!({"arg1": {"service": "Bell"}});
    client
        .unary("qi.visitors.v1.Visitors/Keep", keep)
        .await
        .ok();
    let introduced = client.unary(
        "qi.visitors.v1.Visitors/Introduce",
        json!({"arg1": "Keeper"}),
    );
    let taken = async {
        let take = keeper.call().await;
        let id = take.args[0]["objectValue"]["id"].clone();
        let name = json!({"target": {"objectId": id}, "method": "name"});
        let asked = client.unary("qi.gateway.v1.DynamicService/Call", name);
        let named = async {
            let named = bell.call().await;
            bell.answer(&named, json!({"stringValue": "ours"})).await;
        };
        let (name, ()) = tokio::join!(asked, named);
        keeper.answer(&take, name.ok()["value"].clone()).await;
    };
    let (introduced, ()) = tokio::join!(introduced, taken);
    assert_eq!(introduced.ok()["value"], "ours");
}
