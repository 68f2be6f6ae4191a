//! Members by their names at the robot, for a client that knows only the static API: on the real
//! libqi, and with grpcurl on naoqi-sim.
#![allow(clippy::unwrap_used, reason = "tests may panic")]

mod support;

use std::{process::Command, time::Duration};

use serde_json::{Value, json};
use support::{Gateway, GrpcClient, PATIENCE, Peers, Process, Reply, Setting, grpcurl};

const DYNAMIC: &str = "qi.gateway.v1.DynamicService";

/// A call of a method of a service.
fn request(service: &str, method: &str, args: Value) -> Value {
    json!({"target": {"service": service}, "method": method, "args": args})
}

async fn call(grpc: &GrpcClient, request: Value) -> Reply {
    grpc.unary(&format!("{DYNAMIC}/Call"), request).await
}

/// What a call returned, without the empty fields that the client fills in.
fn value(reply: Reply) -> Value {
    let mut value = reply.ok()["value"].take();
    if let Some(fields) = value.as_object_mut() {
        fields.retain(|_, field| *field != "");
    }
    value
}

#[tokio::test]
async fn values_in_json_become_what_the_robot_declares() {
    let setting = Setting::new().await;
    let grpc = &setting.grpc;
    for (method, args, expected) in [
        (
            "subtract",
            json!([{"json": 5}, {"intValue": 3}]),
            json!({"intValue": "2", "signature": "i"}),
        ),
        ("echoStrings", json!([{"json": ["a", "b"]}]), json!(null)),
        (
            "echoPoint",
            json!([{"json": {"x": 1, "y": 0.5}}]),
            json!(null),
        ),
        (
            "echoBool",
            json!([{"boolValue": true}]),
            json!({"boolValue": true}),
        ),
        (
            "count",
            json!([{"json": 1}, {"json": "two"}, {"json": null}]),
            json!({"intValue": "3", "signature": "i"}),
        ),
        (
            "subtract::(ii)",
            json!([{"json": 1}, {"json": 2}]),
            json!({"intValue": "-1", "signature": "i"}),
        ),
    ] {
        let got = value(call(grpc, request("Typed", method, args)).await);
        if !expected.is_null() {
            assert_eq!(got, expected, "{method}");
        }
    }
    let metadata = json!({"qi-value-format": "json"});
    let echoed = request("Typed", "echoPath", json!([{"json": [{"x": 1, "y": 2}]}]));
    let reply = grpc
        .unary_with(&format!("{DYNAMIC}/Call"), echoed, metadata, None)
        .await;
    assert_eq!(reply.ok()["value"]["json"], json!([{"x": 1.0, "y": 2.0}]));
}

#[tokio::test]
async fn an_overload_is_found_as_libqi_finds_it() {
    let setting = Setting::new().await;
    for (method, args) in [
        ("describe", json!([7])),
        ("describe", json!(["seven"])),
        ("describe", json!(["seven", 7])),
        ("closest", json!([7])),
        ("closest", json!([0.5])),
        ("closest", json!(["x"])),
        ("nearest", json!([7])),
        ("nearest", json!([0.5])),
        ("nearest", json!([["x"]])),
    ] {
        let service = if method == "describe" {
            "Typed"
        } else {
            "Bells"
        };
        let by_libqi = setting.libqi.call(service, method, args.clone()).await;
        let values = args.as_array().unwrap().iter();
        let values: Vec<Value> = values.map(|arg| json!({"json": arg})).collect();
        let called = call(&setting.grpc, request(service, method, json!(values))).await;
        let text = value(called)["stringValue"].take();
        assert_eq!(text, by_libqi.unwrap(), "{method} {args}");
    }
    let full = request("Typed", "describe::(s)", json!([{"stringValue": "x"}]));
    assert_eq!(
        value(call(&setting.grpc, full).await),
        json!({"stringValue": "text x"})
    );

    let none = request(
        "Typed",
        "describe",
        json!([{"boolValue": true}, {"boolValue": true}]),
    );
    let refused = call(&setting.grpc, none).await;
    assert_eq!(refused.code, "INVALID_ARGUMENT");
    assert!(refused.message.contains("describe::(si)"), "{refused:?}");
}

#[tokio::test]
async fn what_is_wrong_is_named() {
    let setting = Setting::new().await;
    let grpc = &setting.grpc;
    let id = "00000000000000000000000000000000";
    for (request, code, reason) in [
        (
            request("Nope", "say", json!([])),
            "NOT_FOUND",
            "UNKNOWN_SERVICE",
        ),
        (
            json!({"target": {"objectId": id}, "method": "name"}),
            "NOT_FOUND",
            "UNKNOWN_OBJECT",
        ),
        (
            request("Typed", "nope", json!([])),
            "UNIMPLEMENTED",
            "UNKNOWN_MEMBER",
        ),
        (
            request("Typed", "terminate", json!([{"json": 1}])),
            "UNIMPLEMENTED",
            "UNKNOWN_MEMBER",
        ),
        (
            request(
                "ServiceDirectory",
                "unregisterService",
                json!([{"json": 2}]),
            ),
            "UNIMPLEMENTED",
            "UNKNOWN_MEMBER",
        ),
        (
            request("Typed", "fail", json!([{"json": "no"}])),
            "UNKNOWN",
            "ROBOT_ERROR",
        ),
    ] {
        let reply = call(grpc, request.clone()).await;
        assert_eq!(reply.code, code, "{request} {reply:?}");
        assert_eq!(
            reply.detail("google.rpc.ErrorInfo")["reason"],
            reason,
            "{request}"
        );
    }
    let mut wrong = request("Bells", "name", json!([]));
    wrong["target"]["through"] = json!({"method": "make", "args": [{"boolValue": true}]});
    for (request, field) in [
        (json!({"method": "x"}), "target"),
        (request("Typed", "subtract", json!([{"json": 1}])), "args"),
        (
            request("Typed", "subtract", json!([{"json": 1}, {"json": "x"}])),
            "args[1].json",
        ),
        (wrong, "target.through.args[0].bool_value"),
        (
            json!({"target": {"service": "Bells", "through": {"method": "nearest", "args": [{"json": 1}]}}, "method": "name"}),
            "target.through.method",
        ),
    ] {
        let reply = call(grpc, request.clone()).await;
        assert_eq!(reply.code, "INVALID_ARGUMENT", "{request} {reply:?}");
        let violation = &reply.detail("google.rpc.BadRequest")["fieldViolations"][0];
        assert_eq!(violation["field"], field, "{request} {reply:?}");
    }
}

#[tokio::test]
async fn properties_are_read_written_and_watched() {
    let setting = Setting::new().await;
    let grpc = &setting.grpc;
    let level = json!({"target": {"service": "Typed"}, "property": "level"});
    let watching = grpc
        .stream(&format!("{DYNAMIC}/WatchProperty"), level.clone())
        .await;
    assert_eq!(watching.message().await["value"]["intValue"], "7");
    let mut set = level.clone();
    set["value"] = json!({"json": 9});
    grpc.unary(&format!("{DYNAMIC}/SetProperty"), set)
        .await
        .ok();
    let changed = watching.message().await;
    assert_eq!(changed["value"]["intValue"], "9", "{changed}");
    assert_eq!(changed["info"]["sequence"], "2", "{changed}");
    let read = grpc.unary(&format!("{DYNAMIC}/GetProperty"), level).await;
    assert_eq!(value(read), json!({"intValue": "9", "signature": "i"}));
    watching.cancel().await;

    let wrong =
        json!({"target": {"service": "Typed"}, "property": "level", "value": {"json": "x"}});
    let refused = grpc.unary(&format!("{DYNAMIC}/SetProperty"), wrong).await;
    assert_eq!(refused.code, "INVALID_ARGUMENT", "{refused:?}");
}

#[tokio::test]
async fn signals_are_streamed_as_values() {
    let setting = Setting::new().await;
    let request = json!({"target": {"service": "Typed"}, "signal": "onPair"});
    let pairs = setting
        .grpc
        .stream(&format!("{DYNAMIC}/Subscribe"), request)
        .await;
    let request = json!({"target": {"service": "Typed"}, "signal": "onPair"});
    let as_json = json!({"qi-value-format": "json"});
    let in_json = setting
        .grpc
        .stream_with(&format!("{DYNAMIC}/Subscribe"), request, as_json)
        .await;
    let generated = setting
        .grpc
        .stream("qi.typed.v1.Typed/SubscribeOnPair", json!({}))
        .await;
    let emit = request_emit("onPair", json!([{"json": "a"}, {"json": 0.5}]));
    call(&setting.grpc, emit).await.ok();
    let event = pairs.message().await;
    assert_eq!(event["args"][0]["stringValue"], "a", "{event}");
    assert_eq!(event["args"][1]["doubleValue"], 0.5, "{event}");
    assert_eq!(
        event["info"]["sequence"], "1",
        "one registration, one event: {event}"
    );
    assert_eq!(generated.message().await["info"]["sequence"], "1");
    assert_eq!(in_json.message().await["args"][0]["json"], "a");
    in_json.cancel().await;
    pairs.cancel().await;
    generated.cancel().await;
}

fn request_emit(signal: &str, values: Value) -> Value {
    let values = json!({"listValue": {"items": values}});
    request("Typed", "emit", json!([{"json": signal}, values]))
}

#[tokio::test]
async fn a_request_goes_through_a_returned_object() {
    let setting = Setting::new().await;
    let grpc = &setting.grpc;
    let through = json!({"method": "make", "args": [{"json": "great"}]});
    let make = json!({"service": "Bells", "through": through});
    let named = call(grpc, json!({"target": make, "method": "name"})).await;
    assert_eq!(value(named), json!({"stringValue": "great"}));
    let failed = call(grpc, json!({"target": make, "method": "nope"})).await;
    assert_eq!(failed.code, "UNIMPLEMENTED");

    let rung = json!({"target": make, "signal": "rung"});
    let method = format!("{DYNAMIC}/Subscribe");
    let ringing = grpc.stream(&method, rung).await;
    let volume = json!({"target": make, "property": "volume"});
    let watching = grpc
        .stream(&format!("{DYNAMIC}/WatchProperty"), volume)
        .await;
    assert_eq!(watching.message().await["value"]["intValue"], "5");
    let ring = setting.libqi.call("Bells", "ring", json!([3]));
    ring.await.unwrap();
    let event = ringing.message().await;
    assert_eq!(event["args"][0]["intValue"], "3", "{event}");
    ringing.cancel().await;
    watching.cancel().await;
}

#[tokio::test]
async fn a_stream_through_an_object_goes_on_when_the_robot_is_back() {
    let robot = support::LibqiRobot::start(&[]).await;
    let url = robot.url().to_owned();
    let gateway = Gateway::serve(&url).await;
    gateway.wait_serving("qi.bells.v1.Bells").await;
    let grpc = GrpcClient::python(gateway.address()).await;
    let through = json!({"method": "make", "args": [{"json": "b"}]});
    let rung = json!({"target": {"service": "Bells", "through": through}, "signal": "rung"});
    let ringing = grpc.stream(&format!("{DYNAMIC}/Subscribe"), rung).await;
    drop(robot);
    gateway
        .wait_health(
            "qi.bells.v1.Bells",
            tonic_health::pb::health_check_response::ServingStatus::NotServing,
        )
        .await;
    let _robot = support::LibqiRobot::start(&["--listen", &url]).await;
    gateway.wait_serving("qi.bells.v1.Bells").await;
    let event = loop {
        call(&grpc, request("Bells", "ring", json!([{"json": 4}])))
            .await
            .ok();
        if let Some(event) = ringing.message_within(Duration::from_millis(200)).await {
            break event;
        }
    };
    assert_eq!(event["args"][0]["intValue"], "4", "{event}");
    assert_eq!(event["info"]["gap"], true, "{event}");
}

#[cfg(feature = "demo")]
#[tokio::test]
async fn grpcurl_streams_a_robot_event_with_one_rpc() {
    let gateway = Gateway::demo().await;
    gateway.wait_serving("qi.al_memory.v1.ALMemory").await;
    let through = json!({"method": "subscriber", "args": [{"stringValue": "FrontTactilTouched"}]});
    let request =
        json!({"target": {"service": "ALMemory", "through": through}, "signal": "signal"});
    let method = format!("{DYNAMIC}/Subscribe");
    let mut command = Command::new(Peers::provision().grpcurl());
    command.args([
        "-plaintext",
        "-v",
        "-d",
        &request.to_string(),
        gateway.address(),
        &method,
    ]);
    let watching = Process::spawn("grpcurl", &mut command);
    let accepted = |line: &str| line.starts_with("Response headers received");
    watching.wait_line(accepted, PATIENCE).await;

    let raise = json!({"target": {"service": "ALMemory"}, "method": "raiseEvent",
        "args": [{"json": "FrontTactilTouched"}, {"json": 1.0}]});
    let call = format!("{DYNAMIC}/Call");
    let data = raise.to_string();
    grpcurl(&["-plaintext", "-d", &data, gateway.address(), &call])
        .await
        .success();
    watching
        .wait_line(|line| line.trim().starts_with(r#""receivedAt""#), PATIENCE)
        .await;
}

#[tokio::test]
async fn a_returned_object_is_used_until_it_is_released() {
    const OBJECTS: &str = "qi.gateway.v1.ObjectService";
    let setting = Setting::new().await;
    let grpc = &setting.grpc;
    let ask =
        async |rpc: &str, request: Value| grpc.unary(&format!("{OBJECTS}/{rpc}"), request).await;

    let made = call(grpc, request("Bells", "make", json!([{"json": "big"}]))).await;
    let id = value(made)["objectValue"]["id"].take();
    let bell = json!({"objectId": id});
    let named = call(grpc, json!({"target": bell, "method": "name"})).await;
    assert_eq!(value(named), json!({"stringValue": "big"}));
    let level = json!({"target": bell, "property": "volume"});
    let read = grpc.unary(&format!("{DYNAMIC}/GetProperty"), level).await;
    assert_eq!(value(read)["intValue"], "5");

    let described = ask("Describe", bell.clone()).await.ok()["object"].take();
    let methods = described["methods"].as_array().unwrap();
    assert_eq!(methods.len(), 1, "{described}");
    assert_eq!(methods[0]["name"], "name", "{described}");
    assert_eq!(methods[0]["returnSignature"], "s", "{described}");
    assert_eq!(ask("ExtendLease", bell.clone()).await.ok()["lease"], "300s");

    let rung = json!({"target": bell, "signal": "rung"});
    let ringing = grpc.stream(&format!("{DYNAMIC}/Subscribe"), rung).await;
    let listed = ask("List", json!({})).await.ok()["objects"].take();
    assert_eq!(listed[0]["objectId"], id, "{listed}");
    assert_eq!(listed[0]["uses"], 1, "{listed}");
    setting
        .libqi
        .call("Bells", "ring", json!([2]))
        .await
        .unwrap();
    assert_eq!(ringing.message().await["args"][0]["intValue"], "2");

    ask("Release", bell.clone()).await.ok();
    let ended = ringing.end().await;
    assert_eq!(ended.code, "NOT_FOUND", "{ended:?}");
    assert_eq!(
        ended.detail("google.rpc.ErrorInfo")["reason"],
        "OBJECT_RELEASED"
    );
    for rpc in ["Describe", "ExtendLease", "Release"] {
        let unknown = ask(rpc, bell.clone()).await;
        assert_eq!(unknown.code, "NOT_FOUND", "{rpc} {unknown:?}");
    }
    let gone = call(grpc, json!({"target": bell, "method": "name"})).await;
    assert_eq!(gone.code, "NOT_FOUND", "{gone:?}");
}
