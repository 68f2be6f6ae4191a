//! `serve` in front of a robot on the real libqi: every type that a signature can name, overloads,
//! signals, properties and objects arrive as they do from a libqi client.
#![allow(clippy::unwrap_used, reason = "tests may panic")]

mod support;

use serde_json::{Value, json};
use support::Setting;

/// A method that returns its argument, the argument for libqi, and the same as proto3 JSON.
fn echoes() -> Vec<(&'static str, &'static str, Value, Value)> {
    let same = |method, rpc, value: Value| (method, rpc, value.clone(), value);
    let point = |x: f64, y: f64| json!({"x": x, "y": y});
    let track = json!({"label": "home", "points": [point(0.0, 1.0), point(2.0, 3.0)]});
    vec![
        same("echoBool", "EchoBool", json!(true)),
        same("echoBool", "EchoBool", json!(false)),
        same("echoInt8", "EchoInt8", json!(-128)),
        same("echoUInt8", "EchoUInt8", json!(255)),
        same("echoInt16", "EchoInt16", json!(-32768)),
        same("echoUInt16", "EchoUInt16", json!(65535)),
        same("echoInt32", "EchoInt32", json!(i32::MIN)),
        same("echoUInt32", "EchoUInt32", json!(u32::MAX)),
        (
            "echoInt64",
            "EchoInt64",
            json!(i64::MIN),
            json!("-9223372036854775808"),
        ),
        (
            "echoUInt64",
            "EchoUInt64",
            json!(i64::MAX),
            json!("9223372036854775807"),
        ),
        same("echoFloat", "EchoFloat", json!(-0.5)),
        same("echoDouble", "EchoDouble", json!(0.1)),
        same(
            "echoString",
            "EchoString",
            json!("gr\u{fc}\u{df} dich, \u{1f916}"),
        ),
        same("echoString", "EchoString", json!("")),
        (
            "echoRaw",
            "EchoRaw",
            json!({"base64": "AP8QgA=="}),
            json!("AP8QgA=="),
        ),
        same("echoStrings", "EchoStrings", json!(["a", "", "c"])),
        same("echoStrings", "EchoStrings", json!([])),
        same("echoFloats", "EchoFloats", json!([0.5, -1.5, 2.0])),
        (
            "echoTable",
            "EchoTable",
            json!([[1, 2], [], [3]]),
            json!([{"items": [1, 2]}, {"items": []}, {"items": [3]}]),
        ),
        same("echoCounts", "EchoCounts", json!({"one": 1, "two": -2})),
        (
            "echoNames",
            "EchoNames",
            json!({"map": [[-1, "below"], [7, "seven"]]}),
            json!({"-1": "below", "7": "seven"}),
        ),
        (
            "echoByDouble",
            "EchoByDouble",
            json!({"map": [[0.5, "half"], [2.5, "more"]]}),
            json!([{"key": 0.5, "value": "half"}, {"key": 2.5, "value": "more"}]),
        ),
        (
            "echoGroups",
            "EchoGroups",
            json!({"a": [1, 2], "b": []}),
            json!({"a": {"items": [1, 2]}, "b": {"items": []}}),
        ),
        (
            "echoTuple",
            "EchoTuple",
            json!([3, "x"]),
            json!({"item1": 3, "item2": "x"}),
        ),
        same("echoPoint", "EchoPoint", point(1.5, -2.5)),
        same(
            "echoPath",
            "EchoPath",
            json!([point(0.0, 1.0), point(-1.0, 0.25)]),
        ),
        same("echoTracks", "EchoTracks", json!({"first": track})),
        same("echoOptional", "EchoOptional", json!(5)),
    ]
}

/// The same for a dynamic argument: what libqi's client sends, and the `Value` for that.
fn dynamics() -> Vec<(Value, Value)> {
    let int = |value: i64| json!({"intValue": value.to_string(), "signature": ""});
    let string = |value: &str| json!({"stringValue": value, "signature": ""});
    vec![
        (json!(null), json!({"voidValue": {}, "signature": ""})),
        (json!(true), json!({"boolValue": true, "signature": ""})),
        (json!(-5), int(-5)),
        (json!(1.5), json!({"doubleValue": 1.5, "signature": ""})),
        (json!("text"), string("text")),
        (
            json!([1, "two"]),
            json!({"listValue": {"items": [int(1), string("two")]}, "signature": ""}),
        ),
        (
            json!({"key": 9}),
            json!({
                "mapValue": {"entries": [{"key": string("key"), "value": int(9)}]},
                "signature": "",
            }),
        ),
    ]
}

#[tokio::test]
async fn every_type_arrives_as_from_a_libqi_client() {
    let setting = Setting::new().await;
    for (method, rpc, for_libqi, for_grpc) in echoes() {
        let through_grpc = setting.typed(rpc, json!({"arg1": for_grpc})).await.ok();
        assert_eq!(through_grpc, json!({"value": for_grpc}), "{rpc}");
        let seen_from_grpc = setting.seen().await;
        let through_libqi = setting
            .libqi
            .call("Typed", method, json!([for_libqi]))
            .await;
        assert_eq!(through_libqi, Ok(for_libqi), "{method}");
        assert_eq!(seen_from_grpc, setting.seen().await, "{method}");
    }
}

#[tokio::test]
async fn an_absent_optional_stays_absent() {
    let setting = Setting::new().await;
    let through_grpc = setting.typed("EchoOptional", json!({})).await.ok();
    assert_eq!(through_grpc, json!({}));
    assert_eq!(setting.seen().await, "None");
}

#[tokio::test]
async fn dynamic_values_arrive_as_from_a_libqi_client() {
    let setting = Setting::new().await;
    for (for_libqi, for_grpc) in dynamics() {
        let through_grpc = setting
            .typed("EchoDynamic", json!({"arg1": for_grpc}))
            .await;
        assert_eq!(through_grpc.ok(), json!({"value": for_grpc}));
        let seen_from_grpc = setting.seen().await;
        let through_libqi = setting
            .libqi
            .call("Typed", "echoDynamic", json!([for_libqi]))
            .await;
        assert_eq!(through_libqi, Ok(for_libqi));
        assert_eq!(seen_from_grpc, setting.seen().await);

        // The same as a person would write it.
        let plain = through_libqi.unwrap();
        let through_grpc = setting
            .typed("EchoDynamic", json!({"arg1": {"json": plain}}))
            .await;
        assert_eq!(through_grpc.ok(), json!({"value": for_grpc}));
    }
}

#[tokio::test]
async fn python_objects_without_types_can_be_called() {
    let setting = Setting::new().await;
    let plain = |rpc: &str| format!("qi.plain.v1.Plain/{rpc}");
    let request = json!({"arg1": {"json": "robot"}, "arg2": {"json": 2}});
    let greeting = setting.grpc.unary(&plain("Greet"), request).await.ok();
    assert_eq!(greeting["value"]["stringValue"], "hello robot hello robot");
    let request = json!({"arg1": {"json": [1, "two"]}});
    let reversed = setting.grpc.unary(&plain("Reverse"), request).await.ok();
    let items = &reversed["value"]["listValue"]["items"];
    assert_eq!(items[0]["stringValue"], "two");
    assert_eq!(items[1]["intValue"], "1");
}

#[tokio::test]
async fn overloads_have_names_of_their_own() {
    let setting = Setting::new().await;
    for (rpc, request, expected) in [
        ("Describe", json!({"arg1": 4}), "integer 4"),
        ("DescribeString", json!({"arg1": "a"}), "text a"),
        (
            "DescribeStringInt32",
            json!({"arg1": "a", "arg2": 4}),
            "text a, integer 4",
        ),
    ] {
        let described = setting.typed(rpc, request).await.ok();
        assert_eq!(described, json!({"value": expected}), "{rpc}");
    }
}

#[tokio::test]
async fn variable_arguments_arrive_as_from_a_libqi_client() {
    let setting = Setting::new().await;
    let args = json!([{"intValue": 1}, {"stringValue": "b"}, {"json": null}]);
    let counted = setting.typed("Count", json!({ "args": args })).await.ok();
    assert_eq!(counted, json!({"value": 3}));

    let request = json!({"arg1": "steps", "arg2": [1, 2]});
    let through_grpc = setting.typed("Tally", request).await.ok();
    let seen_from_grpc = setting.seen().await;
    let args = json!(["steps", [1, 2]]);
    let through_libqi = setting.libqi.call("Typed", "tally", args).await;
    assert_eq!(through_grpc["value"], through_libqi.unwrap());
    assert_eq!(seen_from_grpc, setting.seen().await);
}

#[tokio::test]
async fn signals_of_every_form_are_streamed() {
    let setting = Setting::new().await;
    let int = json!({"intValue": "7", "signature": ""});
    for (signal, rpc, args, expected) in [
        ("onNothing", "SubscribeOnNothing", json!([]), json!({})),
        ("onInt", "SubscribeOnInt", json!([-3]), json!({"value": -3})),
        (
            "onPair",
            "SubscribeOnPair",
            json!(["a", 0.5]),
            json!({"arg1": "a", "arg2": 0.5}),
        ),
        (
            "onDynamic",
            "SubscribeOnDynamic",
            json!([7]),
            json!({"value": int}),
        ),
        (
            "onPoint",
            "SubscribeOnPoint",
            json!([[1.0, 2.0]]),
            json!({"value": {"x": 1.0, "y": 2.0}}),
        ),
    ] {
        let method = format!("qi.typed.v1.Typed/{rpc}");
        let stream = setting.grpc.stream(&method, json!({})).await;
        for sequence in 1..=2 {
            let emitted = setting
                .libqi
                .call("Typed", "emit", json!([signal, args]))
                .await;
            assert_eq!(emitted, Ok(json!(null)), "{signal}");
            let mut message = stream.message().await;
            let info = message.as_object_mut().unwrap().remove("info").unwrap();
            assert_eq!(message, expected, "{signal}");
            assert_eq!(info["sequence"], sequence.to_string(), "{signal}");
            assert_eq!(info["gap"], false, "{signal}");
        }
        stream.cancel().await;
    }
}

/// Events once came in full whatever the client asked for, while the first value of a watched
/// property came as JSON: an event is transcoded for all its streams together, which may differ.
#[tokio::test]
async fn streams_give_json_to_who_asks_for_it() {
    let setting = Setting::new().await;
    let method = "qi.typed.v1.Typed/SubscribeOnDynamic";
    let metadata = json!({"qi-value-format": "json"});
    let as_json = setting.grpc.stream_with(method, json!({}), metadata).await;
    let exact = setting.grpc.stream(method, json!({})).await;
    for (args, in_json, in_full) in [
        (json!([7]), json!(7.0), json!({"intValue": "7"})),
        (json!(["a"]), json!("a"), json!({"stringValue": "a"})),
    ] {
        let emit = json!(["onDynamic", args]);
        setting.libqi.call("Typed", "emit", emit).await.unwrap();
        assert_eq!(as_json.message().await["value"]["json"], in_json);
        let message = exact.message().await;
        for (arm, value) in in_full.as_object().unwrap() {
            assert_eq!(message["value"][arm], *value, "{message}");
        }
    }
    exact.cancel().await;
    setting
        .libqi
        .call("Typed", "emit", json!(["onDynamic", [true]]))
        .await
        .unwrap();
    assert_eq!(as_json.message().await["value"]["json"], true);
}

#[tokio::test]
async fn a_signal_without_a_signature_is_streamed() {
    let setting = Setting::new().await;
    let stream = setting
        .grpc
        .stream("qi.plain.v1.Plain/SubscribeOnNews", json!({}))
        .await;
    setting
        .libqi
        .call("Plain", "news", json!(["fresh"]))
        .await
        .unwrap();
    let message = stream.message().await;
    assert_eq!(message["args"][0]["stringValue"], "fresh", "{message}");
}

#[tokio::test]
async fn properties_are_read_written_and_watched() {
    let setting = Setting::new().await;
    let level = setting.typed("GetLevelProperty", json!({})).await.ok();
    assert_eq!(level, json!({"value": 7}));
    let origin = setting.typed("GetOriginProperty", json!({})).await.ok();
    assert_eq!(origin, json!({"value": {"x": 1.0, "y": -1.0}}));

    let watch = setting
        .grpc
        .stream("qi.typed.v1.Typed/WatchLevelProperty", json!({}))
        .await;
    assert_eq!(watch.message().await["value"], 7);
    setting
        .typed("SetLevelProperty", json!({"value": 9}))
        .await
        .ok();
    assert_eq!(watch.message().await["value"], 9);
    assert_eq!(setting.libqi.property("Typed", "level").await, Ok(json!(9)));
    setting
        .libqi
        .set_property("Typed", "level", json!(11))
        .await
        .unwrap();
    assert_eq!(watch.message().await["value"], 11);
}

#[tokio::test]
async fn objects_get_unguessable_ids() {
    let setting = Setting::new().await;
    let mut ids = Vec::new();
    for _ in 0..2 {
        let made = setting
            .typed("MakeTool", json!({"arg1": "hammer"}))
            .await
            .ok();
        let id = made["value"]["id"].as_str().unwrap().to_owned();
        assert!(id.len() >= 16, "{id}");
        ids.push(id);
    }
    assert_ne!(ids[0], ids[1]);
}
