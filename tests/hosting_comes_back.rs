//! Services that gRPC clients host, over robots and hosts that go and come back.
#![allow(clippy::unwrap_used, reason = "tests may panic")]

mod support;

use std::time::Duration;

use qi_grpc_gateway::bridge::{
    Robot, RobotConfig,
    hosting::{Declaration, Notice},
    service::ValueFormat,
};
use serde_json::{Value, json};
use support::{
    Gateway, GrpcClient, LibqiClient, LibqiRobot, PATIENCE, Process,
    hosting::{Bus, HOST, Hosted},
    python_command,
};

fn echo() -> Value {
    let method = json!({"name": "echo", "parametersSignature": "(i)", "returnSignature": "i"});
    json!({"name": "Echo", "methods": [method]})
}

async fn can_be_called(robot: &LibqiRobot, hosted: &Hosted<'_>) {
    let libqi = LibqiClient::connect(robot.url()).await;
    let calling = libqi.begin("Echo", "echo", json!([7])).await;
    let call = hosted.call().await;
    hosted.answer(&call, json!({"json": 7})).await;
    assert_eq!(calling.answer().await, Ok(json!(7)));
}

#[tokio::test]
async fn a_service_is_back_with_its_robot() {
    let mut robot = LibqiRobot::start(&[]).await;
    let url = robot.url().to_owned();
    let gateway = Gateway::serve(&url).await;
    let client = GrpcClient::python(gateway.address()).await;
    let hosted = Hosted::declare(&client, echo()).await;
    can_be_called(&robot, &hosted).await;
    for _ in 0..2 {
        robot.process().kill();
        robot = LibqiRobot::start(&["--listen", &url]).await;
        hosted.registered().await;
        can_be_called(&robot, &hosted).await;
    }
}

#[tokio::test]
async fn a_service_that_is_declared_before_its_robot_is_there_waits_for_it() {
    // A port that was free a moment ago.
    let url = LibqiRobot::start(&[]).await.url().to_owned();
    let gateway = Gateway::serve(&url).await;
    let client = GrpcClient::python(gateway.address()).await;
    let talk = client.talk(HOST, json!({ "declare": echo() }));
    let early = talk.message_within(Duration::from_millis(300)).await;
    assert_eq!(early, None);
    let robot = LibqiRobot::start(&["--listen", &url]).await;
    let hosted = Hosted { talk };
    hosted.registered().await;
    can_be_called(&robot, &hosted).await;
}

/// A service that was still on its way to the bus when its host went came up and left again, while
/// its host was back and found that its own name was taken.
#[tokio::test]
async fn a_host_that_comes_back_at_once_has_its_name() {
    let libqi = LibqiRobot::start(&[]).await;
    let robot = Robot::start(RobotConfig::new(libqi.url().parse().unwrap()));
    let mut sessions = robot.sessions();
    sessions.wait_for(Option::is_some).await.unwrap();
    let declaration = Declaration {
        name: "Echo".to_owned(),
        ..Declaration::default()
    };
    let host = || robot.hosting().host(&declaration, ValueFormat::Exact);
    for _ in 0..10 {
        drop(host().await.unwrap());
        let mut going = host().await.unwrap();
        // The directory is asked, and has not answered.
        tokio::task::yield_now().await;
        drop(going);
        going = host().await.unwrap();
        let notice = going.notice().await;
        assert!(
            matches!(notice, Ok(Notice::Registered { .. })),
            "{notice:?}"
        );
    }
}

/// The host that a test kills and starts again.
struct Host(Process);

impl Host {
    /// Starts a host of `Echo` and waits until its service is on the bus.
    async fn start(gateway: &Gateway) -> Self {
        let args = [gateway.address(), "Echo"];
        let process = Process::spawn("host", python_command("grpc_host.py").args(args));
        process.wait_value("registered", PATIENCE).await;
        Self(process)
    }
}

/// Calls `Echo` from a session of its own: libqi lets who looks a service up share the fate of all in the
/// session who are looking it up already, and gives up look-ups that it loses after a minute.
async fn is_answered(robot: &LibqiRobot) {
    let libqi = LibqiClient::connect(robot.url()).await;
    let answer = libqi.call("Echo", "echo", json!([7])).await;
    assert_eq!(answer, Ok(json!(7)));
}

#[tokio::test]
async fn no_caller_hangs_while_a_host_is_killed_and_started_again() {
    const CALLS: u32 = 10_000;
    let bus = Bus::new().await;
    let mut host = Host::start(&bus.gateway).await;
    let burst = bus.libqi.start_burst(("Echo", "echo"), CALLS, 32);
    for _ in 0..5 {
        // Some calls are answered in between, for the burst takes some seconds.
        is_answered(&bus.robot).await;
        host.0.kill();
        host = Host::start(&bus.gateway).await;
    }
    let outcomes = burst.outcomes(PATIENCE * 4).await.expect("a caller hangs");
    assert_eq!(outcomes.values().sum::<u32>(), CALLS, "{outcomes:#?}");
    assert!(outcomes["right"] > 100, "{outcomes:#?}");
    for text in outcomes.keys() {
        assert!(!text.starts_with("wrong"), "{outcomes:#?}");
        assert!(!text.to_lowercase().contains("timeout"), "{outcomes:#?}");
    }
    println!("{outcomes:#?}");
    is_answered(&bus.robot).await;
}
