//! What the robot does: it shows, remembers, speaks, and other programs add services to it.

use std::time::{Duration, Instant};

use serde_json::json;
use tonic_health::pb::health_check_response::ServingStatus;

use qi_grpc_gateway::qi::wire::ObjectId;

use crate::support::{
    forms::base64,
    nao::Nao,
    relay::{registers, terminates},
};

/// The camera's pictures are lists with numbers and raw bytes in a dynamic; a service in plain
/// Python sends the bytes as a text that is none.
#[tokio::test]
async fn pictures_keep_their_bytes() {
    for (args, signature) in [(&[][..], ""), (&["--bytes-as-string"], "s")] {
        let nao = Nao::start_with(args).await;
        let camera = |rpc: &str| format!("qi.al_video_device.v1.ALVideoDevice/{rpc}");
        // 160 x 120 pixels in RGB.
        let request = json!({
            "name": "test", "cameraIndex": 0, "resolution": 0, "colorSpace": 11, "fps": 10,
        });
        let handle = nao
            .grpc
            .unary(&camera("SubscribeCamera"), request)
            .await
            .ok();
        assert_eq!(handle["value"], "test_0");

        let request = json!({"name": "test_0"});
        for frame in 1..=2 {
            let image = nao
                .grpc
                .unary(&camera("GetImageRemote"), request.clone())
                .await
                .ok();
            let items = &image["value"]["listValue"]["items"];
            assert_eq!(items[0]["intValue"], "160", "{args:?}");
            assert_eq!(items[1]["intValue"], "120");
            assert_eq!(items[2]["intValue"], "3");
            assert_eq!(items[8]["doubleValue"], 0.5);
            let pixels: Vec<u8> = (0..160 * 120 * 3)
                .map(|i: u32| ((i + frame) % 251).try_into().unwrap())
                .collect();
            assert!(
                items[6]["rawValue"] == base64(&pixels),
                "{args:?}: other pixels"
            );
            assert_eq!(items[6]["signature"], signature);
        }
    }
}

#[tokio::test]
async fn the_memory_keeps_values_of_any_type() {
    let nao = Nao::start().await;
    let string = |text: &str| json!({"stringValue": text, "signature": ""});
    let int = |value: i64| json!({"intValue": value.to_string(), "signature": ""});
    let raw = json!({"rawValue": "AP8QgA==", "signature": ""});
    let list = json!({"listValue": {"items": [int(1), string("two"), raw]}, "signature": ""});
    for value in [&list, &int(-9), &raw] {
        let event = json!({"name": "test/key", "value": value});
        nao.memory("RaiseEvent", event).await.ok();
        let got = nao.memory("GetData", json!({"key": "test/key"})).await.ok();
        assert_eq!(got["value"], *value);
        let data = json!({"key": "test/key", "data": value});
        nao.memory("InsertDataStringValue", data).await.ok();
        let got = nao.memory("GetData", json!({"key": "test/key"})).await.ok();
        assert_eq!(got["value"], *value);
    }
    // The type of the overload stays, too.
    let request = json!({"key": "test/key", "value": 5});
    nao.memory("InsertData", request).await.ok();
    let got = nao.memory("GetData", json!({"key": "test/key"})).await.ok();
    assert_eq!(got["value"], json!({"intValue": "5", "signature": "i"}));

    let missing = nao.memory("GetData", json!({"key": "test/none"})).await;
    assert_eq!(missing.code, "UNKNOWN", "{missing:#?}");
    assert!(
        missing.message.contains("no data for key test/none"),
        "{missing:#?}"
    );
    let info = missing.detail("google.rpc.ErrorInfo");
    assert_eq!(info["reason"], "ROBOT_ERROR");
    assert_eq!(info["metadata"]["service"], "ALMemory");
}

#[tokio::test]
async fn a_deadline_ends_what_the_robot_says() {
    let nao = Nao::start().await;
    let say = "qi.al_text_to_speech.v1.ALTextToSpeech/Say";
    // The robot takes 20 ms a letter: a minute.
    let request = json!({"stringToSay": "a".repeat(3000)});
    let deadline = Some(Duration::from_millis(500));
    let ended = nao.grpc.unary_with(say, request, json!({}), deadline).await;
    assert_eq!(ended.code, "DEADLINE_EXCEEDED", "{ended:#?}");

    // It says one text after the other, so that this one waits for the end of the first.
    let started = Instant::now();
    nao.grpc
        .unary(say, json!({"stringToSay": "next"}))
        .await
        .ok();
    assert!(
        started.elapsed() < Duration::from_secs(20),
        "{:?}",
        started.elapsed()
    );
    let history = nao
        .libqi
        .call(
            "ALMemory",
            "getEventHistory",
            json!(["ALTextToSpeech/Status"]),
        )
        .await
        .unwrap();
    let states: Vec<_> = history
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| &entry[0])
        .collect();
    assert!(states.contains(&&json!([1, "stopped"])), "{states:?}");
    assert!(states.contains(&&json!([2, "done"])), "{states:?}");
}

#[tokio::test]
async fn services_come_and_crash_while_the_robot_goes_on() {
    let nao = Nao::start().await;
    let mut foo = nao.register_foo().await;
    nao.gateway.wait_serving("qi.foo.v1.Foo").await;
    nao.gateway.wait_serving("qi.foo_multi.v1.FooMulti").await;

    let bangs = nao
        .grpc
        .stream("qi.foo.v1.Foo/SubscribeOnBang", json!({}))
        .await;
    nao.grpc.unary("qi.foo.v1.Foo/Bang", json!({})).await.ok();
    assert_eq!(bangs.message().await["value"], 42);
    let delay = |seconds: f64| json!({"arg1": {"json": seconds}});
    let better = nao
        .grpc
        .unary("qi.foo.v1.Foo/BetterBar", delay(0.25))
        .await
        .ok();
    assert_eq!(better["value"]["doubleValue"], 0.25);

    let held = nao
        .grpc
        .start_unary("qi.foo_multi.v1.FooMulti/Bar", delay(5.0));
    let calls: Vec<_> = (0..1000)
        .map(|_| {
            nao.grpc
                .start_unary("qi.foo_multi.v1.FooMulti/BetterBar", delay(0.0))
        })
        .collect();
    for call in &calls {
        call.reply().await.ok();
    }
    assert_eq!(held.reply_within(Duration::ZERO).await, None);
    held.reply().await.ok();

    foo.kill();
    for (service, rpc) in [
        ("qi.foo.v1.Foo", "Bang"),
        ("qi.foo_multi.v1.FooMulti", "Bang"),
    ] {
        nao.gateway
            .wait_health(service, ServingStatus::NotServing)
            .await;
        let refused = nao.grpc.unary(&format!("{service}/{rpc}"), json!({})).await;
        assert_eq!(refused.code, "UNAVAILABLE", "{refused:#?}");
    }
    let name = nao
        .memory("GetData", json!({"key": "robot/name"}))
        .await
        .ok();
    assert_eq!(name["value"]["stringValue"], "nao");

    let _again = nao.register_foo().await;
    nao.gateway.wait_serving("qi.foo.v1.Foo").await;
    nao.gateway.wait_serving("qi.foo_multi.v1.FooMulti").await;
    nao.grpc.unary("qi.foo.v1.Foo/Bang", json!({})).await.ok();
}

/// An event of the memory is a signal of an object that is there for the stream alone; libqi itself
/// says when it is gone.
#[tokio::test]
async fn the_subscriber_of_an_event_is_destroyed_with_the_stream() {
    let (nao, relay) = Nao::start_relayed().await;
    let through = json!({"method": "subscriber", "args": [{"stringValue": "FrontTactilTouched"}]});
    let touched = json!({
        "target": {"service": "ALMemory", "through": through}, "signal": "signal",
    });
    for round in 1..=2 {
        let subscribe = "qi.gateway.v1.DynamicService/Subscribe";
        let touches = nao.grpc.stream(subscribe, touched.clone()).await;
        let registered = relay
            .sent(|message| registers(message) && message.address.object != ObjectId::MAIN)
            .pop()
            .unwrap()
            .address;
        let touch = json!({"name": "FrontTactilTouched", "value": {"json": round}});
        nao.memory("RaiseEvent", touch).await.ok();
        let event = touches.message().await;
        assert_eq!(event["args"][0]["intValue"], round.to_string(), "{event}");
        assert!(relay.is_there(registered.service, registered.object).await);

        touches.cancel().await;
        relay.wait_sent(round, terminates).await;
        assert!(!relay.is_there(registered.service, registered.object).await);
    }
}
