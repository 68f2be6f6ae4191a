//! The demo is a robot for the real libqi as well: its client finds the services on the demo's own
//! bus, the gateway's `foo` among those of the simulated robot.

mod support;

use serde_json::json;
use support::{Gateway, LibqiClient};

#[tokio::test]
async fn libqi_finds_foo_beside_the_robots_services() {
    let (_gateway, client) = demo().await;
    let services = client.services().await;
    for name in ["foo", "ALMemory", "ALTextToSpeech"] {
        assert!(services.contains(&name.to_owned()), "{services:?}");
    }
}

#[tokio::test]
async fn libqi_gets_the_bang() {
    let (_gateway, client) = demo().await;
    let events = client.subscribe("foo", "onBang").await;
    for _ in 0..3 {
        assert_eq!(client.call("foo", "bang", json!([])).await, Ok(json!(null)));
        assert_eq!(events.next().await, json!([42]));
    }
}

#[tokio::test]
async fn libqi_gets_what_bar_returns() {
    let (_gateway, client) = demo().await;
    for method in ["bar", "betterBar"] {
        let called = client.call("foo", method, json!([0.2])).await;
        assert_eq!(called, Ok(json!(0.2)), "{method}");
        let called = client.run_async("foo", method, json!([0.2])).await;
        assert_eq!(called, Ok(json!(0.2)), "{method}, asynchronously");
    }
}

#[tokio::test]
async fn libqi_calls_the_simulated_robot() {
    let (_gateway, client) = demo().await;
    let stored = client
        .call("ALMemory", "insertData", json!(["gateway/test", "hello"]))
        .await;
    assert_eq!(stored, Ok(json!(null)));
    let read = client
        .call("ALMemory", "getData", json!(["gateway/test"]))
        .await;
    assert_eq!(read, Ok(json!("hello")));
    client
        .call("ALMemory", "getData", json!(["gateway/none"]))
        .await
        .unwrap_err();
}

async fn demo() -> (Gateway, LibqiClient) {
    let gateway = Gateway::demo().await;
    let client = LibqiClient::connect(gateway.qi_url()).await;
    (gateway, client)
}
