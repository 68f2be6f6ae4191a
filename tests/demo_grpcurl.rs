//! The demo as the first minute with the gateway shows it: command line tools that know nothing but
//! the address find, describe, call and watch the robot's services.
#![allow(clippy::unwrap_used, reason = "tests may panic")]

mod support;

use std::process::Command;

use serde_json::{Value, json};
use support::{Gateway, GrpcClient, PATIENCE, Peers, Process, buf_curl, grpcurl};

const FOO: &str = "qi.foo.v1.Foo";

#[tokio::test]
async fn grpcurl_lists_the_services_of_the_robot() {
    let gateway = demo().await;
    let listed = grpcurl(&["-plaintext", gateway.address(), "list"])
        .await
        .success();
    let services: Vec<&str> = listed.lines().collect();
    for service in [
        FOO,
        "qi.al_text_to_speech.v1.ALTextToSpeech",
        "qi.al_memory.v1.ALMemory",
        "grpc.health.v1.Health",
        "grpc.reflection.v1.ServerReflection",
        "grpc.reflection.v1alpha.ServerReflection",
    ] {
        assert!(services.contains(&service), "{service} is not in\n{listed}");
    }
}

#[tokio::test]
async fn grpcurl_describes_methods_with_the_robots_own_words() {
    let gateway = demo().await;
    let describe = ["-plaintext", gateway.address(), "describe", FOO];
    let described = grpcurl(&describe).await.success();
    for part in [
        "rpc Bang ( .qi.foo.v1.BangRequest ) returns ( .qi.foo.v1.BangResponse )",
        "rpc SubscribeOnBang ( .qi.foo.v1.SubscribeOnBangRequest ) \
         returns ( stream .qi.foo.v1.SubscribeOnBangResponse )",
    ] {
        assert!(described.contains(part), "{part} is not in\n{described}");
    }
    let comment = |line: &str| line.trim_start().starts_with("// ");
    assert!(described.lines().any(comment), "no comments:\n{described}");
}

/// grpcurl asks reflection for the types of the details too.
#[tokio::test]
async fn grpcurl_shows_what_is_wrong_with_a_request() {
    let gateway = demo().await;
    let wrong =
        r#"{"target": {"service": "foo"}, "method": "bar", "args": [{"boolValue": true}, {}]}"#;
    let method = "qi.gateway.v1.DynamicService/Call";
    let failed = grpcurl(&["-plaintext", "-d", wrong, gateway.address(), method]).await;
    let told = failed.stderr;
    for part in [
        "Code: InvalidArgument",
        "args: (bv) was given, bar::(d) is taken",
        r#""@type":"type.googleapis.com/google.rpc.BadRequest""#,
        r#""fieldViolations":[{"field":"args""#,
    ] {
        assert!(told.contains(part), "{part} is not in\n{told}");
    }
}

#[tokio::test]
async fn grpcurl_sees_the_bang() {
    let gateway = demo().await;
    let method = format!("{FOO}/SubscribeOnBang");
    let mut command = Command::new(Peers::provision().grpcurl());
    // Verbose, it tells when the server has accepted the stream.
    command.args(["-plaintext", "-v", gateway.address(), &method]);
    let watching = Process::spawn("grpcurl", &mut command);
    let accepted = |line: &str| line.starts_with("Response headers received");
    watching.wait_line(accepted, PATIENCE).await;

    let bang = format!("{FOO}/Bang");
    let answer = grpcurl(&["-plaintext", gateway.address(), &bang])
        .await
        .success();
    assert_eq!(serde_json::from_str::<Value>(&answer).unwrap(), json!({}));

    let value = |line: &str| line.trim().trim_end_matches(',') == r#""value": 42"#;
    watching.wait_line(value, PATIENCE).await;
}

#[tokio::test]
async fn buf_curl_calls_over_reflection_v1() {
    let gateway = demo().await;
    let url = format!("{}/{FOO}/Bang", gateway.grpc_url());
    let answer = buf_curl(&url, "{}").await.success();
    assert_eq!(serde_json::from_str::<Value>(&answer).unwrap(), json!({}));
}

#[tokio::test]
async fn python_and_node_see_the_bang() {
    let gateway = demo().await;
    let python = GrpcClient::python(gateway.address()).await;
    let node = GrpcClient::node(gateway.address()).await;
    let method = format!("{FOO}/SubscribeOnBang");
    let in_python = python.stream(&method, json!({})).await;
    let in_node = node.stream(&method, json!({})).await;
    for client in [&python, &node] {
        client.unary(&format!("{FOO}/Bang"), json!({})).await.ok();
        for stream in [&in_python, &in_node] {
            assert_eq!(stream.message().await["value"], 42);
        }
    }
    in_python.cancel().await;
    in_node.cancel().await;
}

async fn demo() -> Gateway {
    let gateway = Gateway::demo().await;
    gateway.wait_serving(FOO).await;
    gateway
}
