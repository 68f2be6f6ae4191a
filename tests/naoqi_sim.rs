//! `serve` in front of naoqi-sim, an implementation of qimessaging that has nothing in common with
//! libqi or with this project: a NAO with the protocol of NAOqi 2.1, and a Pepper with today's.
#![allow(clippy::unwrap_used, reason = "tests may panic")]

mod support;

use naoqi::{
    Address, Protocol,
    naoqi_sim::{
        Config, RobotModel, Simulator,
        services::{SERVICE_NAMES, alvideodevice::render},
    },
};
use serde_json::json;
use support::{Gateway, GrpcClient, forms::base64};
use tonic_health::pb::health_check_response::ServingStatus;

const GET_DATA: &str = "qi.al_memory.v1.ALMemory/GetData";
const SAY: &str = "qi.al_text_to_speech.v1.ALTextToSpeech/Say";
const SERVICE_ADDED: &str = "qi.service_directory.v1.ServiceDirectory/SubscribeServiceAdded";
const WHOLE_SERVER: &str = "";

fn nao() -> Config {
    Config::new(RobotModel::Nao)
        .on_loopback()
        .with_version("2.1.4.13")
        .with_protocol(Protocol::Legacy)
}

fn pepper() -> Config {
    Config::new(RobotModel::Pepper)
        .on_loopback()
        .with_protocol(Protocol::Standard)
}

/// A simulated robot, the gateway in front of it, and a client.
struct Simulated {
    robot: Simulator,
    address: Address,
    gateway: Gateway,
    grpc: GrpcClient,
}

impl Simulated {
    async fn start(config: Config) -> Self {
        let robot = Simulator::start(config).await.unwrap();
        let address = robot.address().unwrap();
        let gateway = Gateway::serve(&address.to_string()).await;
        gateway.wait_serving(WHOLE_SERVER).await;
        Self {
            grpc: GrpcClient::python(gateway.address()).await,
            robot,
            address,
            gateway,
        }
    }

    async fn call(&self, method: &str, request: serde_json::Value) -> support::Reply {
        self.grpc.unary(method, request).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_nao_with_the_protocol_of_naoqi_2_1_is_served() {
    serves(nao()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pepper_is_served() {
    serves(pepper()).await;
}

async fn serves(config: Config) {
    let protocol = config.resolved_protocol();
    let simulated = Simulated::start(config).await;
    assert_eq!(simulated.robot.protocol(), protocol);

    let listed = simulated.grpc.services().await;
    for name in SERVICE_NAMES.into_iter().chain(["ServiceDirectory"]) {
        let ending = format!(".v1.{name}");
        assert!(
            listed.iter().any(|it| it.ends_with(&ending)),
            "{name}: {listed:?}"
        );
    }
    speaks(&simulated).await;
    remembers(&simulated).await;
    moves(&simulated).await;
    sees(&simulated).await;
}

async fn speaks(simulated: &Simulated) {
    let said = simulated
        .call(SAY, json!({"arg1": "gr\u{fc}\u{df} dich"}))
        .await;
    assert_eq!(said.ok(), json!({}));
    assert_eq!(simulated.robot.spoken(), ["gr\u{fc}\u{df} dich"]);
}

async fn remembers(simulated: &Simulated) {
    simulated.robot.memory().insert("test/number", 0.5_f32);
    let number = simulated
        .call(GET_DATA, json!({"arg1": "test/number"}))
        .await
        .ok();
    assert_eq!(number["value"], json!({"floatValue": 0.5, "signature": ""}));

    let raised = json!({"arg1": "test/list", "arg2": {"json": [1, "two", 2.5]}});
    let raise = "qi.al_memory.v1.ALMemory/RaiseEvent";
    simulated.call(raise, raised).await.ok();
    let list = simulated
        .call(GET_DATA, json!({"arg1": "test/list"}))
        .await
        .ok();
    let items = &list["value"]["listValue"]["items"];
    assert_eq!(items[0]["intValue"], "1", "{list}");
    assert_eq!(items[1]["stringValue"], "two");
    assert_eq!(items[2]["doubleValue"], 2.5);

    let missing = simulated.call(GET_DATA, json!({"arg1": "test/none"})).await;
    assert_eq!(missing.code, "UNKNOWN", "{missing:#?}");
    assert!(
        missing.message.contains("key not found: test/none"),
        "{missing:#?}"
    );
    assert_eq!(
        missing.detail("google.rpc.ErrorInfo")["reason"],
        "ROBOT_ERROR"
    );
}

async fn moves(simulated: &Simulated) {
    let request = json!({"arg1": {"json": ["HeadYaw", "HeadPitch"]}, "arg2": true});
    let get = "qi.al_motion.v1.ALMotion/GetAngles";
    let angles = simulated.call(get, request).await.ok();
    let body = simulated.robot.body();
    let joints = body
        .resolve(&["HeadYaw".to_owned(), "HeadPitch".to_owned()])
        .unwrap();
    let expected: Vec<f64> = body
        .angles(&joints, true)
        .into_iter()
        .map(f64::from)
        .collect();
    assert_eq!(angles["value"].as_array().unwrap().len(), expected.len());
    for (angle, expected) in angles["value"].as_array().unwrap().iter().zip(expected) {
        assert!(
            (angle.as_f64().unwrap() - expected).abs() < 0.01,
            "{angles}"
        );
    }
}

async fn sees(simulated: &Simulated) {
    let camera = |rpc: &str| format!("qi.al_video_device.v1.ALVideoDevice/{rpc}");
    // The lower resolution of the first camera, in RGB.
    let request = json!({"arg1": "test", "arg2": 0, "arg3": 0, "arg4": 11, "arg5": 10});
    let handle = simulated
        .call(&camera("SubscribeCamera"), request)
        .await
        .ok();
    let request = json!({"arg1": handle["value"]});
    let image = simulated
        .call(&camera("GetImageRemote"), request)
        .await
        .ok();
    let items = &image["value"];
    assert_eq!(items[0]["intValue"], "160", "{image}");
    assert_eq!(items[1]["intValue"], "120");
    let pixels = render(160, 120, 11, 1);
    assert!(items[6]["rawValue"] == base64(&pixels), "other pixels");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_robot_that_restarts_is_found_again() {
    for config in [nao(), pepper()] {
        let Simulated {
            robot,
            address,
            gateway,
            grpc,
        } = Simulated::start(config.clone()).await;
        let stream = grpc.stream(SERVICE_ADDED, json!({})).await;
        let led = robot.services().leds.object();
        robot
            .node()
            .register_service_object("First", led)
            .await
            .unwrap();
        let event = stream.message().await;
        assert_eq!(event["arg2"], "First");
        assert_eq!(event["info"]["gap"], false);

        robot.shutdown().await;
        gateway
            .wait_health(WHOLE_SERVER, ServingStatus::NotServing)
            .await;
        let refused = grpc.unary(SAY, json!({"arg1": "nobody hears"})).await;
        assert_eq!(refused.code, "UNAVAILABLE", "{refused:#?}");

        let robot = Simulator::start(config.listen_on(vec![address]))
            .await
            .unwrap();
        gateway.wait_serving(WHOLE_SERVER).await;
        gateway
            .wait_serving("qi.al_text_to_speech.v1.ALTextToSpeech")
            .await;
        grpc.unary(SAY, json!({"arg1": "hello again"})).await.ok();
        assert_eq!(robot.spoken(), ["hello again"]);
        let led = robot.services().leds.object();
        robot
            .node()
            .register_service_object("Second", led)
            .await
            .unwrap();
        // The robot's own services were there before the stream was registered again, or came after.
        let event = stream.message().await;
        assert_eq!(event["info"]["gap"], true, "{event}");
    }
}
