//! The peers of the other tests work by themselves, without the gateway: what fails here is the
//! machine or the pinned versions, not the gateway.
#![allow(clippy::unwrap_used, reason = "tests may panic")]

mod support;

use serde_json::json;
use support::{
    GrpcClient, LibqiClient, LibqiRobot, LibqiService, PATIENCE, Process, buf, buf_curl, grpcurl,
};
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic_health::ServingStatus;

const CHECK: &str = "grpc.health.v1.Health/Check";
const WATCH: &str = "grpc.health.v1.Health/Watch";

#[tokio::test]
async fn a_libqi_client_calls_a_libqi_robot() {
    let robot = LibqiRobot::start(&[]).await;
    let client = LibqiClient::connect(robot.url()).await;
    assert_eq!(
        client.services().await,
        [
            "ServiceDirectory",
            "Typed",
            "Plain",
            "Slow",
            "Bells",
            "Clock"
        ]
    );

    let path = json!([{"x": 1.5, "y": -2.0}, {"x": 0.0, "y": 4.0}]);
    let echoed = client.call("Typed", "echoPath", json!([path])).await;
    assert_eq!(echoed, Ok(path));
    let difference = client.call("Typed", "subtract", json!([7, 9])).await;
    assert_eq!(difference, Ok(json!(-2)));
    let reversed = client
        .run_async("Plain", "reverse", json!([[1, "two", 3.5]]))
        .await;
    assert_eq!(reversed, Ok(json!([3.5, "two", 1])));
    let failed = client.call("Typed", "fail", json!(["out of order"])).await;
    assert!(failed.unwrap_err().contains("out of order"));

    let events = client.subscribe("Typed", "onPair").await;
    let emitted = client
        .call("Typed", "emit", json!(["onPair", ["front", 0.5]]))
        .await;
    assert_eq!(emitted, Ok(json!(null)));
    assert_eq!(events.next().await, json!(["front", 0.5]));

    assert_eq!(client.property("Typed", "level").await, Ok(json!(7)));
    client
        .set_property("Typed", "level", json!(8))
        .await
        .unwrap();
    assert_eq!(client.property("Typed", "level").await, Ok(json!(8)));
}

#[tokio::test]
async fn a_service_in_a_process_of_its_own_comes_and_goes() {
    let robot = LibqiRobot::start(&[]).await;
    let service = LibqiService::register(robot.url(), "Extra").await;
    let client = LibqiClient::connect(robot.url()).await;
    assert_eq!(client.call("Extra", "ping", json!([5])).await, Ok(json!(5)));
    service.kill();
    client.call("Extra", "ping", json!([6])).await.unwrap_err();
}

#[tokio::test]
async fn grpcurl_and_buf_call_through_reflection() {
    let server = Server::start().await;
    let services = grpcurl(&["-plaintext", &server.address, "list"])
        .await
        .success();
    assert!(services.contains("grpc.health.v1.Health"), "{services}");
    let call = ["-plaintext", &server.address, CHECK];
    let answer = grpcurl(&call).await.success();
    assert!(answer.contains("SERVING"), "{answer}");
    let url = format!("http://{}/{CHECK}", server.address);
    let answer = buf_curl(&url, "{}").await.success();
    assert!(answer.contains("SERVING"), "{answer}");
    buf(&["--version"]).await.success();
}

/// What the tests of the demo rely on: comments reach grpcurl through reflection.
#[tokio::test]
async fn grpcurl_describes_with_comments() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("api.binpb");
    let build = [
        "build",
        "--as-file-descriptor-set",
        "--output",
        file.to_str().unwrap(),
    ];
    buf(&build).await.success();
    let server = Server::describing(&std::fs::read(file).unwrap()).await;
    let describe = [
        "-plaintext",
        &server.address,
        "describe",
        "qi.gateway.v1.EventInfo",
    ];
    let described = grpcurl(&describe).await.success();
    assert!(
        described.contains("// What a stream tells of each event"),
        "{described}"
    );
    assert!(described.contains("uint64 sequence = 1;"), "{described}");
}

#[tokio::test]
async fn grpc_clients_call_through_reflection() {
    let server = Server::start().await;
    let python = GrpcClient::python(&server.address).await;
    let node = GrpcClient::node(&server.address).await;
    for client in [python, node] {
        let services = client.services().await;
        assert!(services.contains(&"grpc.health.v1.Health".to_owned()));

        let answer = client.unary(CHECK, json!({})).await.ok();
        assert_eq!(answer, json!({"status": "SERVING"}));
        let missing = client.unary(CHECK, json!({"service": "none"})).await;
        assert_eq!(missing.code, "NOT_FOUND");

        let watch = client.stream(WATCH, json!({})).await;
        assert_eq!(watch.message().await, json!({"status": "SERVING"}));
        server.set(ServingStatus::NotServing).await;
        assert_eq!(watch.message().await, json!({"status": "NOT_SERVING"}));
        watch.cancel().await;
        server.set(ServingStatus::Serving).await;
    }
}

#[tokio::test]
#[should_panic(expected = "ended without the expected line")]
async fn a_program_that_ends_too_early_fails_its_test_at_once() {
    let process = Process::spawn("true", &mut std::process::Command::new("true"));
    process.wait_line(|_| true, PATIENCE).await;
}

/// A server with the health and reflection services.
struct Server {
    address: String,
    health: tonic_health::server::HealthReporter,
    task: tokio::task::JoinHandle<()>,
}

impl Server {
    async fn start() -> Self {
        Self::describing(tonic_health::pb::FILE_DESCRIPTOR_SET).await
    }

    /// A server whose reflection service knows these descriptors.
    async fn describing(descriptors: &[u8]) -> Self {
        let (health, health_service) = tonic_health::server::health_reporter();
        let described = || {
            tonic_reflection::server::Builder::configure()
                .register_encoded_file_descriptor_set(descriptors)
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let serving = tonic::transport::Server::builder()
            .add_service(health_service)
            .add_service(described().build_v1().unwrap())
            .add_service(described().build_v1alpha().unwrap())
            .serve_with_incoming(TcpListenerStream::new(listener));
        let task = tokio::spawn(async { serving.await.unwrap() });
        Self {
            address,
            health,
            task,
        }
    }

    async fn set(&self, status: ServingStatus) {
        self.health.set_service_status("", status).await;
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}
