//! `serve` in front of a robot on the real libqi: errors, cancellation, slow calls, and services that
//! come and crash while the others go on.

mod support;

use std::time::Duration;

use serde_json::json;
use support::{LibqiService, Setting};
use tonic_health::pb::health_check_response::ServingStatus;

#[tokio::test]
async fn errors_of_the_robot_keep_their_text() {
    let setting = Setting::new().await;
    let failed = setting
        .typed("Fail", json!({"arg1": "motor too hot"}))
        .await;
    assert_eq!(failed.code, "UNKNOWN");
    assert!(failed.message.contains("motor too hot"), "{failed:#?}");
    let info = failed.detail("google.rpc.ErrorInfo");
    assert_eq!(info["domain"], "qi.gateway");
    assert_eq!(info["reason"], "ROBOT_ERROR");
    assert_eq!(info["metadata"]["service"], "Typed");
    assert_eq!(info["metadata"]["method"], "fail");
}

#[tokio::test]
async fn arguments_out_of_range_name_their_field() {
    let setting = Setting::new().await;
    for (rpc, value) in [("EchoInt8", 128), ("EchoUInt8", 256), ("EchoInt16", -32769)] {
        let refused = setting.typed(rpc, json!({"arg1": value})).await;
        assert_eq!(refused.code, "INVALID_ARGUMENT", "{refused:#?}");
        let violations = &refused.detail("google.rpc.BadRequest")["fieldViolations"];
        assert_eq!(violations[0]["field"], "arg1", "{refused:#?}");
    }
}

#[tokio::test]
async fn a_deadline_cancels_the_call_at_the_robot() {
    let setting = Setting::new().await;
    let deadline = Some(Duration::from_millis(500));
    let request = json!({"arg1": 600.0});
    let wait = "qi.slow.v1.Slow/Wait";
    let ended = setting
        .grpc
        .unary_with(wait, request, json!({}), deadline)
        .await;
    assert_eq!(ended.code, "DEADLINE_EXCEEDED");
    let canceled = setting
        .libqi
        .call("Slow", "awaitCanceled", json!([1, 60.0]))
        .await;
    assert_eq!(canceled, Ok(json!(true)));
}

#[tokio::test]
async fn a_client_that_goes_away_cancels_its_call_at_the_robot() {
    let setting = Setting::new().await;
    let pending = setting
        .grpc
        .start_unary("qi.slow.v1.Slow/Wait", json!({"arg1": 600.0}));
    let started = setting
        .libqi
        .call("Slow", "awaitStarted", json!([1, 60.0]))
        .await;
    assert_eq!(started, Ok(json!(true)));
    assert_eq!(
        setting.libqi.call("Slow", "wasCanceled", json!([])).await,
        Ok(json!(false))
    );
    pending.cancel().await;
    assert_eq!(pending.reply().await.code, "CANCELLED");
    let canceled = setting
        .libqi
        .call("Slow", "awaitCanceled", json!([1, 60.0]))
        .await;
    assert_eq!(canceled, Ok(json!(true)));
}

#[tokio::test]
async fn a_slow_call_does_not_delay_others() {
    let setting = Setting::new().await;
    let held = setting
        .grpc
        .start_unary("qi.slow.v1.Slow/Hold", json!({"arg1": 600.0}));
    let started = setting
        .libqi
        .call("Slow", "awaitStarted", json!([1, 60.0]))
        .await;
    assert_eq!(started, Ok(json!(true)));

    let subtract = "qi.typed.v1.Typed/Subtract";
    let request = |number: i32| json!({"arg1": number, "arg2": 1});
    let call = |number| setting.grpc.start_unary(subtract, request(number));
    let calls: Vec<_> = (0..1000).map(call).collect();
    for (number, call) in (0..).zip(&calls) {
        assert_eq!(call.reply().await.ok(), json!({"value": number - 1}));
    }

    assert_eq!(held.reply_within(Duration::ZERO).await, None);
    setting
        .libqi
        .call("Slow", "release", json!([]))
        .await
        .unwrap();
    assert_eq!(held.reply().await.ok(), json!({"value": true}));
}

#[tokio::test]
async fn a_service_that_comes_and_crashes_leaves_the_others_alone() {
    let setting = Setting::new().await;
    let extra = "qi.extra.v1.Extra";
    let ping = "qi.extra.v1.Extra/Ping";
    assert!(!setting.grpc.services().await.contains(&extra.to_owned()));

    let service = LibqiService::register(setting.robot.url(), "Extra").await;
    setting.gateway.wait_serving(extra).await;
    assert!(setting.grpc.services().await.contains(&extra.to_owned()));
    let pinged = setting.grpc.unary(ping, json!({"arg1": 3})).await.ok();
    assert_eq!(pinged, json!({"value": 3}));

    let stream = setting
        .grpc
        .stream("qi.extra.v1.Extra/SubscribeOnPing", json!({}))
        .await;
    let hanging = setting
        .grpc
        .start_unary("qi.extra.v1.Extra/Hang", json!({}));
    assert_eq!(stream.message().await["value"], -1);
    service.kill();

    // It was sent, so that nobody knows whether it was done.
    let lost = hanging.reply().await;
    assert_eq!(lost.code, "UNKNOWN", "{lost:#?}");
    assert_eq!(
        lost.detail("google.rpc.ErrorInfo")["reason"],
        "CONNECTION_LOST"
    );
    setting
        .gateway
        .wait_health(extra, ServingStatus::NotServing)
        .await;
    let refused = setting.grpc.unary(ping, json!({"arg1": 4})).await;
    assert_eq!(refused.code, "UNAVAILABLE", "{refused:#?}");
    let difference = setting
        .typed("Subtract", json!({"arg1": 5, "arg2": 3}))
        .await
        .ok();
    assert_eq!(difference, json!({"value": 2}));

    let _again = LibqiService::register(setting.robot.url(), "Extra").await;
    setting.gateway.wait_serving(extra).await;
    // The stream that was open all the time goes on once it is registered anew.
    let event = loop {
        setting.grpc.unary(ping, json!({"arg1": 5})).await.ok();
        let soon = Duration::from_millis(200);
        if let Some(event) = stream.message_within(soon).await {
            break event;
        }
    };
    assert_eq!(event["value"], 5);
    assert_eq!(event["info"]["gap"], true, "{event}");
}
