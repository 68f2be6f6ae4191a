//! The gateway's own binary.

use std::process::Command;

use tonic::transport::{Channel, Endpoint};
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};

use super::{Finished, PATIENCE, Process};

/// A running gateway.
pub(crate) struct Gateway {
    process: Process,
    grpc_url: String,
    qi_url: Option<String>,
}

impl Gateway {
    /// The gateway in front of the robot at that URL.
    pub(crate) async fn serve(qi_url: &str) -> Self {
        Self::serve_with(qi_url, &[]).await
    }

    /// The gateway in front of a robot, with more arguments.
    pub(crate) async fn serve_with(qi_url: &str, args: &[&str]) -> Self {
        let base = ["serve", "--qi-url", qi_url, "--listen", "127.0.0.1:0"];
        Self::start(&[&base, args].concat()).await
    }

    /// The gateway with its embedded robot.
    pub(crate) async fn demo() -> Self {
        Self::demo_with(&[]).await
    }

    /// The same with more arguments.
    pub(crate) async fn demo_with(more: &[&str]) -> Self {
        let args = [
            "demo",
            "--listen",
            "127.0.0.1:0",
            "--qi-listen",
            "tcp://127.0.0.1:0",
        ];
        let mut gateway = Self::start(&[&args, more].concat()).await;
        gateway.qi_url = Some(gateway.process.wait_value("qi", PATIENCE).await);
        gateway
    }

    async fn start(args: &[&str]) -> Self {
        let process = Process::spawn("gateway", command().args(args));
        let grpc_url = process.wait_value("gRPC", PATIENCE).await;
        Self {
            process,
            grpc_url,
            qi_url: None,
        }
    }

    /// Runs the gateway with arguments that should make it end by itself.
    pub(crate) async fn run(args: &[&str]) -> Finished {
        let process = Process::spawn("gateway", command().args(args));
        process.finish(PATIENCE).await
    }

    /// Where it serves gRPC: `http://127.0.0.1:PORT`.
    pub(crate) fn grpc_url(&self) -> &str {
        &self.grpc_url
    }

    /// Where it serves gRPC: `127.0.0.1:PORT`.
    pub(crate) fn address(&self) -> &str {
        self.grpc_url
            .strip_prefix("http://")
            .unwrap_or_else(|| self.process.fail("its gRPC URL is not http"))
    }

    /// Where the embedded robot listens: `tcp://127.0.0.1:PORT`.
    pub(crate) fn qi_url(&self) -> &str {
        self.qi_url
            .as_deref()
            .unwrap_or_else(|| self.process.fail("has no robot of its own"))
    }

    /// The process itself.
    pub(crate) fn process(&self) -> &Process {
        &self.process
    }

    /// Asks the gateway to shut down, with SIGTERM, and waits for its end.
    pub(crate) async fn shut_down(self) -> Finished {
        self.process.terminate();
        self.end().await
    }

    /// Waits for its end.
    pub(crate) async fn end(self) -> Finished {
        self.process.finish(PATIENCE).await
    }

    /// A channel to it.
    pub(crate) async fn channel(&self) -> Channel {
        let endpoint = Endpoint::from_shared(self.grpc_url.clone()).unwrap();
        match endpoint.connect().await {
            Ok(channel) => channel,
            Err(error) => self.process.fail(format!("refuses connections: {error}")),
        }
    }

    /// What its health service says of a gRPC service now; the empty name is the whole server.
    pub(crate) async fn health(&self, service: &str) -> Result<ServingStatus, tonic::Status> {
        let mut client = HealthClient::new(self.channel().await);
        let answer = client.check(request(service)).await?;
        Ok(answer.into_inner().status())
    }

    /// Waits until its health service says that a gRPC service is served.
    pub(crate) async fn wait_serving(&self, service: &str) {
        self.wait_health(service, ServingStatus::Serving).await;
    }

    /// Waits until its health service says that of a gRPC service.
    pub(crate) async fn wait_health(&self, service: &str, wanted: ServingStatus) {
        let mut last = None;
        let waiting = async {
            let mut client = HealthClient::new(self.channel().await);
            let mut changes = client.watch(request(service)).await?.into_inner();
            while let Some(change) = changes.message().await? {
                last = Some(change.status());
                if last == Some(wanted) {
                    break;
                }
            }
            Ok::<_, tonic::Status>(())
        };
        match tokio::time::timeout(PATIENCE, waiting).await {
            Ok(Ok(())) => {}
            Ok(Err(status)) => self.process.fail(format!("health of {service}: {status}")),
            Err(_) => {
                let why = format!("{service} is {last:?}, not {wanted:?}, after {PATIENCE:?}");
                self.process.fail(why)
            }
        }
    }
}

fn command() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_qi-grpc-gateway"));
    // What the developer has set for a gateway of their own is not for this one.
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("QI_GATEWAY_") {
            command.env_remove(name);
        }
    }
    command
}

fn request(service: &str) -> HealthCheckRequest {
    HealthCheckRequest {
        service: service.to_owned(),
    }
}
