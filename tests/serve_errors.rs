//! What `serve` does when something is not as it should be: it starts without a robot, tells what
//! is wrong with its arguments, and comes back when the robot does.
#![allow(clippy::unwrap_used, reason = "tests may panic")]

mod support;

use std::{net::TcpListener, time::Duration};

use serde_json::json;
use support::{Finished, Gateway, GrpcClient, LibqiRobot};
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};

const SUBTRACT: &str = "qi.typed.v1.Typed/Subtract";
const WHOLE_SERVER: &str = "";

#[tokio::test]
async fn it_listens_before_any_robot_is_there() {
    let url = format!("tcp://127.0.0.1:{}", unused_port());
    let gateway = Gateway::serve(&url).await;
    let health = gateway.health(WHOLE_SERVER).await.unwrap();
    assert_eq!(health, ServingStatus::NotServing);

    let _robot = LibqiRobot::start(&["--listen", &url]).await;
    gateway.wait_serving(WHOLE_SERVER).await;
    gateway.wait_serving("qi.typed.v1.Typed").await;
    let client = GrpcClient::python(gateway.address()).await;
    let difference = client.unary(SUBTRACT, json!({"arg1": 5, "arg2": 3})).await;
    assert_eq!(difference.ok(), json!({"value": 2}));
}

#[tokio::test]
async fn calls_are_unavailable_while_the_robot_is_away() {
    let robot = LibqiRobot::start(&[]).await;
    let url = robot.url().to_owned();
    let gateway = Gateway::serve(&url).await;
    gateway.wait_serving("qi.typed.v1.Typed").await;
    let client = GrpcClient::python(gateway.address()).await;
    let request = json!({"arg1": 5, "arg2": 3});
    client.unary(SUBTRACT, request.clone()).await.ok();

    drop(robot);
    gateway
        .wait_health(WHOLE_SERVER, ServingStatus::NotServing)
        .await;
    gateway
        .wait_health("qi.typed.v1.Typed", ServingStatus::NotServing)
        .await;
    let refused = client.unary(SUBTRACT, request.clone()).await;
    assert_eq!(refused.code, "UNAVAILABLE", "{refused:#?}");
    assert_eq!(
        refused.detail("google.rpc.ErrorInfo")["domain"],
        "qi.gateway"
    );
    let services = client.services().await;
    assert!(
        services.contains(&"qi.typed.v1.Typed".to_owned()),
        "{services:?}"
    );

    let _robot = LibqiRobot::start(&["--listen", &url]).await;
    gateway.wait_serving("qi.typed.v1.Typed").await;
    let difference = client.unary(SUBTRACT, request).await;
    assert_eq!(difference.ok(), json!({"value": 2}));
}

#[tokio::test]
async fn a_port_in_use_is_told() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let args = [
        "serve",
        "--qi-url",
        "tcp://127.0.0.1:9559",
        "--listen",
        &address,
    ];
    let finished = Gateway::run(&args).await;
    assert_refused(&finished, &address);
    assert!(finished.stderr.contains("in use"), "{finished:#?}");
}

#[tokio::test]
async fn a_url_that_is_none_is_told() {
    for url in [
        "not a url",
        "http://127.0.0.1:9559",
        "tcp://127.0.0.1:99999",
    ] {
        let args = ["serve", "--qi-url", url, "--listen", "127.0.0.1:0"];
        assert_refused(&Gateway::run(&args).await, url);
    }
}

/// A client whose user gave up on a page full of calls once lost its connection, and with it all
/// streams: the server took the cancelled calls for an attack.
#[tokio::test]
async fn a_client_that_gives_up_many_calls_keeps_its_connection() {
    let url = format!("tcp://127.0.0.1:{}", unused_port());
    let gateway = Gateway::serve(&url).await;
    let mut client = HealthClient::new(gateway.channel().await);
    let request = HealthCheckRequest::default();
    let mut changes = client.watch(request.clone()).await.unwrap().into_inner();
    let first = changes.message().await.unwrap().unwrap();
    assert_eq!(first.status(), ServingStatus::NotServing);

    for patience in 0..40 {
        let calls = (0..100).map(|_| {
            let (mut client, request) = (client.clone(), request.clone());
            async move { client.check(request).await }
        });
        let given_up = async {
            for _ in 0..patience {
                tokio::task::yield_now().await;
            }
        };
        tokio::select! {
            biased;
            _ = futures_util::future::join_all(calls) => {}
            () = given_up => {}
        }
    }
    client.check(request).await.unwrap();
    let ended = tokio::time::timeout(Duration::from_millis(200), changes.message()).await;
    assert!(ended.is_err(), "{ended:?}");
}

#[tokio::test]
async fn it_ends_well_on_sigterm() {
    let robot = LibqiRobot::start(&[]).await;
    let gateway = Gateway::serve(robot.url()).await;
    gateway.wait_serving(WHOLE_SERVER).await;
    let finished = gateway.shut_down().await;
    assert!(finished.status.success(), "{finished:#?}");
}

/// The program ended with an error that names what is wrong, and did not panic.
fn assert_refused(finished: &Finished, named: &str) {
    let code = finished.status.code();
    assert!(
        code.is_some_and(|code| code != 0 && code != 101),
        "{finished:#?}"
    );
    assert!(finished.stderr.contains(named), "{finished:#?}");
    assert!(!finished.stderr.contains("panicked"), "{finished:#?}");
}

/// A port that was free a moment ago.
fn unused_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}
