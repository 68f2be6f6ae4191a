//! The gateway in a process of its own, whose costs are its alone.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    process::{Child, Command, Stdio},
    time::Duration,
};

use http::uri::PathAndQuery;
use qi_grpc_gateway::proto::v1::SubscribeOptions;
use tokio::time::{sleep, timeout};
use tonic::{
    Request, Status, Streaming,
    client::Grpc,
    transport::{Channel, Endpoint},
};
use tonic_prost::ProstCodec;

use super::{cpu, messages::SubscribeRequest, robot::Robot};

/// How long the gateway may take to know the robot.
const PATIENCE: Duration = Duration::from_secs(20);

/// The running gateway.
pub(crate) struct Gateway {
    child: Child,
    url: String,
}

impl Gateway {
    /// Starts it in front of the robot.
    pub(crate) fn start(robot: &Robot) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_qi-grpc-gateway"))
            .args(["serve", "--listen", "127.0.0.1:0", "--qi-url"])
            .arg(robot.directory().to_string())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the gateway");
        let mut line = String::new();
        let stdout = child.stdout.take().expect("a pipe");
        BufReader::new(stdout).read_line(&mut line).expect("a line");
        let url = line.split_whitespace().nth(1).expect("a URL").to_owned();
        Self { child, url }
    }

    /// A connection of its own, whose streams may be sent that many bytes that nobody has read.
    pub(crate) async fn connect(&self, window_bytes: Option<u32>) -> Channel {
        let endpoint = Endpoint::from_shared(self.url.clone()).expect("a URL");
        let endpoint = endpoint.initial_stream_window_size(window_bytes);
        endpoint.connect().await.expect("a server")
    }

    /// What the gateway spent.
    pub(crate) fn cpu(&self) -> Duration {
        cpu::spent_by(&self.child.id().to_string())
    }

    /// Its memory in MiB that is resident now, and the most that ever was.
    pub(crate) fn memory(&self) -> (f64, f64) {
        let path = format!("/proc/{}/status", self.child.id());
        let status = fs::read_to_string(path).expect("Linux");
        let number = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            let number = line.and_then(|line| line.split_whitespace().next());
            number.and_then(|number| number.parse::<f64>().ok())
        };
        let [now, peak] = ["VmRSS:", "VmHWM:"].map(|name| number(name).expect("a number") / 1024.0);
        (now, peak)
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        // An error means that it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Opens a stream, once the gateway knows the robot.
pub(crate) async fn subscribe<T>(
    channel: &Channel,
    path: &'static str,
    queue_size: u32,
) -> Streaming<T>
where
    T: prost::Message + Default + Send + 'static,
{
    let opening = async {
        loop {
            match open(channel, path, queue_size).await {
                Ok(stream) => return stream,
                Err(_) => sleep(Duration::from_millis(20)).await,
            }
        }
    };
    timeout(PATIENCE, opening)
        .await
        .expect("the robot's service")
}

async fn open<T>(
    channel: &Channel,
    path: &'static str,
    queue_size: u32,
) -> Result<Streaming<T>, Status>
where
    T: prost::Message + Default + Send + 'static,
{
    let mut client = Grpc::new(channel.clone());
    client.ready().await.expect("a connection");
    let options = SubscribeOptions {
        queue_size,
        ..SubscribeOptions::default()
    };
    let request = Request::new(SubscribeRequest {
        options: Some(options),
    });
    let path = PathAndQuery::from_static(path);
    let answer = client.server_streaming(request, path, ProstCodec::default());
    Ok(answer.await?.into_inner())
}
