//! Where others on the bus reach services that gRPC clients host.
#![allow(clippy::unwrap_used, reason = "tests may panic")]

mod support;

use std::net::TcpListener;

use serde_json::json;
use support::{
    Gateway, GrpcClient, LibqiClient, LibqiRobot,
    hosting::{HOST, Hosted},
};

/// What the robot's directory says where a service is that a client hosts through such a gateway.
/// The service is called there too.
async fn endpoints(args: &[&str]) -> Vec<String> {
    let robot = LibqiRobot::start(&[]).await;
    let gateway = Gateway::serve_with(robot.url(), args).await;
    let client = GrpcClient::python(gateway.address()).await;
    let method = json!({"name": "echo", "parametersSignature": "(i)", "returnSignature": "i"});
    let declare = json!({"name": "Echo", "methods": [method]});
    let hosted = Hosted::declare(&client, declare).await;
    let libqi = LibqiClient::connect(robot.url()).await;
    let calling = libqi.begin("Echo", "echo", json!([7])).await;
    let call = hosted.call().await;
    hosted.answer(&call, json!({"json": 7})).await;
    assert_eq!(calling.answer().await, Ok(json!(7)));

    gateway.wait_serving("qi.echo.v1.Echo").await;
    let listed = client
        .unary("qi.gateway.v1.DirectoryService/ListServices", json!({}))
        .await
        .ok();
    let services = listed["services"].as_array().unwrap();
    let echo = services.iter().find(|it| it["name"] == "Echo").unwrap();
    let endpoints: Vec<String> = serde_json::from_value(echo["endpoints"].clone()).unwrap();
    // The directory adds the name of the service, and has an order of its own.
    let addresses = endpoints.into_iter().filter(|it| it.starts_with("tcp"));
    let mut addresses: Vec<_> = addresses.collect();
    addresses.sort();
    addresses
}

fn port(endpoint: &str, before: &str) -> u16 {
    let port = endpoint.strip_prefix(before);
    let port = port.unwrap_or_else(|| panic!("{endpoint}"));
    port.parse().unwrap()
}

#[tokio::test]
async fn it_is_the_address_that_leads_to_the_robot() {
    let [endpoint] = &*endpoints(&[]).await else {
        panic!("one endpoint");
    };
    assert_ne!(port(endpoint, "tcp://127.0.0.1:"), 0);
}

#[tokio::test]
async fn it_is_what_the_arguments_say() {
    let args = ["--qi-listen", "tcp://0.0.0.0:0"];
    let advertised = ["--qi-advertise", "tcp://localhost:0", "--qi-advertise"];
    let args = [&args[..], &advertised, &["tcp://127.0.0.1:0"]].concat();
    let [address, named] = &*endpoints(&args).await else {
        panic!("two endpoints");
    };
    assert_eq!(
        port(named, "tcp://localhost:"),
        port(address, "tcp://127.0.0.1:")
    );
}

#[tokio::test]
async fn an_address_that_nobody_can_reach_is_refused_at_the_start() {
    let serve = ["serve", "--listen", "127.0.0.1:0"];
    for (args, said) in [
        (["--qi-listen", "tcp://0.0.0.0:0"], "--qi-advertise"),
        (["--qi-listen", "udp://127.0.0.1:1"], "tcp://host:port"),
        (["--qi-advertise", "nowhere"], "tcp://host:port"),
    ] {
        let ended = Gateway::run(&[&serve[..], &args].concat()).await;
        assert!(!ended.status.success(), "{ended:?}");
        assert!(ended.stderr.contains(said), "{ended:?}");
    }
}

#[tokio::test]
async fn an_address_that_is_in_use_is_told_to_the_host() {
    let robot = LibqiRobot::start(&[]).await;
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("tcp://{}", other.local_addr().unwrap());
    let gateway = Gateway::serve_with(robot.url(), &["--qi-listen", &url]).await;
    let client = GrpcClient::python(gateway.address()).await;
    let talk = client.talk(HOST, json!({"declare": {"name": "Echo"}}));
    let end = talk.end().await;
    assert_eq!(end.code, "FAILED_PRECONDITION", "{end:?}");
    assert!(end.message.contains(&url), "{end:?}");

    drop(other);
    let hosted = Hosted::declare(&client, json!({"name": "Echo"})).await;
    hosted.talk.hush().await;
}
