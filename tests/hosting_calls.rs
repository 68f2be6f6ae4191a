//! Calls of services that a gRPC client hosts, by clients of the real libqi: order, errors,
//! cancellation, limits, and hosts that go away.
#![allow(clippy::unwrap_used, reason = "tests may panic")]

mod support;

use std::time::Duration;

use serde_json::{Value, json};
use support::{
    GrpcClient, PATIENCE,
    hosting::{Bus, HOST, Hosted},
};

/// A service with one method that gives back its argument.
fn echo(more: Value) -> Value {
    let mut declare = json!({
        "name": "Echo",
        "methods": [
            {"name": "echo", "parametersSignature": "(i)", "returnSignature": "i"},
            {"name": "size", "parametersSignature": "([i])", "returnSignature": "(is)"},
        ],
    });
    let fields = declare.as_object_mut().unwrap();
    fields.extend(more.as_object().unwrap().clone());
    declare
}

/// How long nothing must happen.
const QUIET: Duration = Duration::from_millis(300);

#[tokio::test]
async fn calls_come_one_after_the_other_in_their_order() {
    let bus = Bus::new().await;
    let client = GrpcClient::python(bus.gateway.address()).await;
    let hosted = Hosted::declare(&client, echo(json!({}))).await;
    let mut waiting = Vec::new();
    for number in 0..5 {
        waiting.push(bus.libqi.begin("Echo", "echo", json!([number])).await);
    }
    for (number, waiting) in waiting.iter().enumerate() {
        let call = hosted.call().await;
        assert_eq!(call.args[0]["intValue"], number.to_string());
        let other = hosted.talk.message_within(QUIET).await;
        assert_eq!(other, None, "the one before is not answered");
        hosted.answer(&call, call.args[0].clone()).await;
        assert_eq!(waiting.answer().await, Ok(json!(number)));
    }
}

#[tokio::test]
async fn calls_of_a_multi_threaded_service_overlap() {
    let bus = Bus::new().await;
    let client = GrpcClient::python(bus.gateway.address()).await;
    let hosted = Hosted::declare(&client, echo(json!({"multiThreaded": true}))).await;
    let mut waiting = Vec::new();
    for number in 0..5 {
        waiting.push(bus.libqi.begin("Echo", "echo", json!([number])).await);
    }
    let mut calls = Vec::new();
    for _ in 0..5 {
        calls.push(hosted.call().await);
    }
    for call in calls.iter().rev() {
        hosted.answer(call, call.args[0].clone()).await;
    }
    for (number, waiting) in waiting.iter().enumerate() {
        assert_eq!(waiting.answer().await, Ok(json!(number)));
    }
}

#[tokio::test]
async fn callers_are_told_why_a_call_failed() {
    let bus = Bus::new().await;
    let client = GrpcClient::python(bus.gateway.address()).await;
    let hosted = Hosted::declare(&client, echo(json!({}))).await;
    for (result, expected) in [
        (json!({"error": "the lamp is broken"}), "the lamp is broken"),
        (json!({"canceled": {}}), "canceled"),
        (
            json!({"value": {"stringValue": "x"}}),
            "Echo: the host's answer to echo is not what it declares: value.string_value: takes an \
             integer from -2^31 to 2^31-1, not a string",
        ),
        (
            json!({"value": {"intValue": "3000000000"}}),
            "Echo: the host's answer to echo is not what it declares: value.int_value: takes an \
             integer from -2^31 to 2^31-1, not 3000000000",
        ),
        (
            json!({}),
            "Echo: the host's answer to echo is not what it declares: value.void_value: takes an \
             integer from -2^31 to 2^31-1, not no value",
        ),
    ] {
        let calling = bus.libqi.begin("Echo", "echo", json!([1])).await;
        let call = hosted.call().await;
        hosted.result(&call, result).await;
        assert_eq!(calling.answer().await, Err(expected.to_owned()));
    }
    // A structure with a wrong member in it.
    let calling = bus.libqi.begin("Echo", "size", json!([[1, 2]])).await;
    let call = hosted.call().await;
    hosted.answer(&call, json!({"json": [2, 3]})).await;
    let error = calling.answer().await.unwrap_err();
    assert!(
        error.contains("value.json[1]: takes the qi type s"),
        "{error}"
    );
}

#[tokio::test]
async fn answers_that_nobody_waits_for_are_ignored() {
    let bus = Bus::new().await;
    let client = GrpcClient::python(bus.gateway.address()).await;
    let hosted = Hosted::declare(&client, echo(json!({"multiThreaded": true}))).await;
    let unknown = json!({"callId": "12345", "value": {"json": 1}});
    hosted.talk.say(json!({ "result": unknown })).await;
    let first = bus.libqi.begin("Echo", "echo", json!([1])).await;
    let call = hosted.call().await;
    hosted.answer(&call, json!({"json": 1})).await;
    hosted.answer(&call, json!({"json": 2})).await;
    assert_eq!(first.answer().await, Ok(json!(1)));
    let second = bus.libqi.begin("Echo", "echo", json!([3])).await;
    let next = hosted.call().await;
    hosted.answer(&call, json!({"json": 4})).await;
    hosted.answer(&next, json!({"json": 3})).await;
    assert_eq!(second.answer().await, Ok(json!(3)));
}

#[tokio::test]
async fn a_caller_that_cancels_is_answered_and_the_host_is_told() {
    let bus = Bus::new().await;
    let client = GrpcClient::python(bus.gateway.address()).await;
    let hosted = Hosted::declare(&client, echo(json!({}))).await;
    let calling = bus.libqi.begin("Echo", "echo", json!([1])).await;
    let waiting = bus.libqi.begin("Echo", "echo", json!([2])).await;
    let last = bus.libqi.begin("Echo", "echo", json!([3])).await;
    let call = hosted.call().await;
    // The host never hears of a call that is cancelled before its turn comes.
    waiting.cancel().await;
    assert_eq!(waiting.answer().await, Err("canceled".to_owned()));
    calling.cancel().await;
    assert_eq!(hosted.cancel().await, call.id);
    assert_eq!(calling.answer().await, Err("canceled".to_owned()));
    hosted.result(&call, json!({"canceled": {}})).await;
    let call = hosted.call().await;
    assert_eq!(call.args[0]["intValue"], "3");
    hosted.answer(&call, json!({"json": 3})).await;
    assert_eq!(last.answer().await, Ok(json!(3)));
}

#[tokio::test]
async fn a_caller_that_goes_away_is_as_good_as_a_cancel() {
    let bus = Bus::new().await;
    let client = GrpcClient::python(bus.gateway.address()).await;
    let hosted = Hosted::declare(&client, echo(json!({}))).await;
    let caller = support::LibqiClient::connect(bus.robot.url()).await;
    let calling = caller.begin("Echo", "echo", json!([1])).await;
    let call = hosted.call().await;
    drop(calling);
    drop(caller);
    assert_eq!(hosted.cancel().await, call.id);
}

#[tokio::test]
async fn a_host_that_does_not_answer_in_time_costs_its_callers_an_error() {
    let bus = Bus::new().await;
    let client = GrpcClient::python(bus.gateway.address()).await;
    let declare = echo(json!({"answerTimeout": "0.2s"}));
    let hosted = Hosted::declare(&client, declare).await;
    let calling = bus.libqi.begin("Echo", "echo", json!([1])).await;
    let call = hosted.call().await;
    assert_eq!(hosted.cancel().await, call.id);
    assert_eq!(
        calling.answer().await,
        Err("Echo: the host has not answered echo within 200ms".to_owned())
    );
    let calling = bus.libqi.begin("Echo", "echo", json!([2])).await;
    let call = hosted.call().await;
    hosted.answer(&call, json!({"json": 2})).await;
    assert_eq!(calling.answer().await, Ok(json!(2)));
}

#[tokio::test]
async fn too_many_calls_are_refused_with_a_reason() {
    let bus = Bus::new().await;
    let client = GrpcClient::python(bus.gateway.address()).await;
    for multi_threaded in [true, false] {
        let declare = echo(json!({"maxCalls": 2, "multiThreaded": multi_threaded}));
        let hosted = Hosted::declare(&client, declare).await;
        let first = bus.libqi.begin("Echo", "echo", json!([1])).await;
        let second = bus.libqi.begin("Echo", "echo", json!([2])).await;
        let third = bus.libqi.begin("Echo", "echo", json!([3])).await;
        let refused = third.answer().await;
        assert_eq!(
            refused,
            Err("Too many calls are waiting for the service".to_owned())
        );
        // They come in any order where they overlap.
        for _ in 0..2 {
            let call = hosted.call().await;
            hosted.answer(&call, call.args[0].clone()).await;
        }
        for waiting in [first, second] {
            waiting.answer().await.unwrap();
        }
        let fourth = bus.libqi.begin("Echo", "echo", json!([4])).await;
        let call = hosted.call().await;
        hosted.answer(&call, json!({"json": 4})).await;
        assert_eq!(fourth.answer().await, Ok(json!(4)));
        hosted.talk.cancel().await;
        bus.wait_gone("Echo").await;
    }
}

#[tokio::test]
async fn calls_fail_at_once_when_their_host_goes() {
    let bus = Bus::new().await;
    for end in ["hush", "cancel", "kill"] {
        let client = GrpcClient::python(bus.gateway.address()).await;
        let hosted = Hosted::declare(&client, echo(json!({}))).await;
        let calling = bus.libqi.begin("Echo", "echo", json!([1])).await;
        let waiting = bus.libqi.begin("Echo", "echo", json!([2])).await;
        hosted.call().await;
        match end {
            "hush" => {
                hosted.talk.hush().await;
                assert_eq!(hosted.talk.end().await.code, "OK");
            }
            "cancel" => hosted.talk.cancel().await,
            _ => {
                drop(hosted);
                client.kill();
            }
        }
        for failed in [calling, waiting] {
            let error = failed.answer().await.unwrap_err();
            // libqi's client gives up by itself when it hears of the end of the service first.
            let texts = [
                "Echo: the host is gone",
                "The service left the bus",
                "Service removed",
            ];
            assert!(texts.contains(&&*error), "{end}: {error}");
        }
        bus.wait_gone("Echo").await;
    }
}

/// The stream ended as soon as the gateway was told to end, and failed calls that its host was busy
/// with.
#[tokio::test]
async fn a_gateway_that_shuts_down_lets_calls_end_and_takes_its_services_with_it() {
    let bus = Bus::new().await;
    let client = GrpcClient::python(bus.gateway.address()).await;
    let hosted = Hosted::declare(&client, echo(json!({"multiThreaded": true}))).await;
    let calling = bus.libqi.begin("Echo", "echo", json!([1])).await;
    let call = hosted.call().await;
    bus.gateway.process().terminate();
    // Refused from some moment on; those that come before it are answered too.
    let refused = loop {
        let late = bus.libqi.begin("Echo", "echo", json!([2])).await;
        let told = tokio::select! {
            told = hosted.talk.message_within(PATIENCE) => told.expect("told or refused"),
            refused = late.answer() => break refused,
        };
        let id = &told["call"]["callId"];
        let value = json!({"json": 2});
        hosted
            .talk
            .say(json!({"result": {"callId": id, "value": value}}))
            .await;
        assert_eq!(late.answer().await, Ok(json!(2)));
    };
    assert_eq!(refused, Err("Echo: the gateway shuts down".to_owned()));
    hosted.answer(&call, json!({"json": 1})).await;
    assert_eq!(calling.answer().await, Ok(json!(1)));
    let end = hosted.talk.end().await;
    assert_eq!(end.code, "UNAVAILABLE", "{end:?}");
    assert_eq!(end.detail("google.rpc.ErrorInfo")["reason"], "SHUTDOWN");
    bus.wait_gone("Echo").await;
    let ended = bus.gateway.end().await;
    assert!(ended.status.success(), "{ended:?}");
}

/// A host that never answers does not keep the gateway.
#[tokio::test]
async fn calls_that_do_not_end_fail_with_the_gateway() {
    let bus = Bus::new().await;
    let client = GrpcClient::python(bus.gateway.address()).await;
    let hosted = Hosted::declare(&client, echo(json!({}))).await;
    let calling = bus.libqi.begin("Echo", "echo", json!([1])).await;
    hosted.call().await;
    bus.gateway.process().terminate();
    // Perhaps after a `cancel`, if there was time for it.
    let end = hosted.talk.end_at_last().await;
    assert_eq!(end.code, "UNAVAILABLE", "{end:?}");
    assert_eq!(end.detail("google.rpc.ErrorInfo")["reason"], "SHUTDOWN");
    calling.answer().await.unwrap_err();
    bus.wait_gone("Echo").await;
    let ended = bus.gateway.end().await;
    assert!(ended.status.success(), "{ended:?}");
}

/// A host that reads nothing: callers get errors, and the gateway goes on.
#[tokio::test]
async fn a_host_that_does_not_read_harms_only_its_own_callers() {
    let bus = Bus::new().await;
    let client = GrpcClient::python(bus.gateway.address()).await;
    let declare = echo(json!({"multiThreaded": true, "maxCalls": 8, "answerTimeout": "1s"}));
    let hosted = Hosted::declare(&client, declare).await;
    // What a stopped process does not read fills its window first.
    client.process().signal("STOP");
    let numbers: Vec<i32> = vec![7; 50_000];
    let mut waiting = Vec::new();
    for _ in 0..8 {
        waiting.push(bus.libqi.begin("Echo", "size", json!([numbers])).await);
    }
    let refused = bus.libqi.call("Echo", "echo", json!([1])).await;
    refused.unwrap_err();
    for waiting in &waiting {
        let error = waiting.answer().await.unwrap_err();
        assert!(error.contains("has not answered size"), "{error}");
    }
    let other = GrpcClient::python(bus.gateway.address()).await;
    let talk = other.talk(HOST, json!({"declare": {"name": "Other"}}));
    assert!(talk.message_within(PATIENCE).await.is_some());
    client.process().signal("CONT");
    // What waited in the window, and was given up meanwhile.
    loop {
        let message = hosted.talk.message().await;
        if message["cancel"].is_object() {
            break;
        }
    }
    drop(hosted);
}
