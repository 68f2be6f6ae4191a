//! Calls to `Sample` as a well-behaved gRPC client makes them, and how large the gateway is.

use http::uri::PathAndQuery;
use tokio::time::timeout;
use tonic::{Code, Request, Status, Streaming, client::Grpc, transport::Channel};
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_prost::ProstCodec;
use tonic_reflection::pb::v1::{
    ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
    server_reflection_request::MessageRequest, server_reflection_response::MessageResponse,
};
use tonic_types::StatusExt as _;

use crate::support::{Gateway, PATIENCE};

/// The generated service.
pub(crate) const SAMPLE: &str = "qi.sample.v1.Sample";

/// Any message whose first field is a string: requests and responses of `Sample`.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Text {
    #[prost(string, tag = "1")]
    pub(crate) text: String,
}

/// A gateway with a client.
pub(crate) struct Served {
    pub(crate) gateway: Gateway,
    channel: Channel,
    /// How much memory it took before anything happened, in KiB.
    peak_at_start: u64,
}

impl Served {
    pub(crate) async fn new(qi_url: &str) -> Self {
        let gateway = Gateway::serve(qi_url).await;
        let channel = gateway.channel().await;
        let peak_at_start = peak_kib(&gateway);
        Self {
            gateway,
            channel,
            peak_at_start,
        }
    }

    /// `Sample.say`, an echo.
    pub(crate) async fn say(&self, text: &str) -> Result<String, Status> {
        let request = Request::new(Text { text: text.into() });
        let mut grpc = self.ready().await;
        let path = PathAndQuery::try_from(format!("/{SAMPLE}/Say")).unwrap();
        let codec = ProstCodec::<Text, Text>::default();
        let said = timeout(PATIENCE, grpc.unary(request, path, codec)).await;
        Ok(said.expect("no answer")?.into_inner().text)
    }

    /// A stream of a signal of `Sample`, such as `SubscribeHeard`.
    pub(crate) async fn subscribe(&self, rpc: &str) -> Result<Streaming<Text>, Status> {
        let mut grpc = self.ready().await;
        let path = PathAndQuery::try_from(format!("/{SAMPLE}/{rpc}")).unwrap();
        // The options in the first field are left out.
        let request = Request::new(());
        let codec = ProstCodec::<(), Text>::default();
        let stream = grpc.server_streaming(request, path, codec).await?;
        Ok(stream.into_inner())
    }

    async fn ready(&self) -> Grpc<Channel> {
        let mut grpc = Grpc::new(self.channel.clone());
        grpc.ready().await.unwrap();
        grpc
    }

    /// The gateway answers health and reflection.
    pub(crate) async fn lives(&self) -> ServingStatus {
        let mut client = ServerReflectionClient::new(self.channel.clone());
        let request = ServerReflectionRequest {
            host: String::new(),
            message_request: Some(MessageRequest::ListServices(String::new())),
        };
        let answers = client
            .server_reflection_info(tokio_stream::once(request))
            .await;
        let answer = answers.unwrap().into_inner().message().await.unwrap();
        let answer = answer.unwrap().message_response.unwrap();
        assert!(matches!(answer, MessageResponse::ListServicesResponse(_)));
        self.gateway.health("").await.unwrap()
    }

    /// The gateway serves `Sample`, and never took much memory.
    pub(crate) async fn serves(&self, case: &str) {
        // Health may still tell of the robot before: nothing was sent then.
        let said = loop {
            self.gateway.wait_serving(SAMPLE).await;
            match self.say("hello").await {
                Err(status) if status.code() == Code::Unavailable => {}
                said => break said,
            }
        };
        assert_eq!(said.unwrap(), "hello", "{case}");
        self.stays_small(case);
    }

    /// The gateway never took much memory.
    pub(crate) fn stays_small(&self, case: &str) {
        let grown = peak_kib(&self.gateway) - self.peak_at_start;
        assert!(grown < MAX_GROWTH_KIB, "{case}: grown by {grown} KiB");
    }
}

/// The reason in a status.
pub(crate) fn reason(status: &Status) -> String {
    let details = status.get_error_details();
    details
        .error_info()
        .map(|info| info.reason.clone())
        .unwrap_or_default()
}

/// What a bad peer may cost at most: a few messages of the largest size.
const MAX_GROWTH_KIB: u64 = 200 * 1024;

/// The most memory that the gateway has had so far, in KiB.
fn peak_kib(gateway: &Gateway) -> u64 {
    let path = format!("/proc/{}/status", gateway.process().id());
    let status = std::fs::read_to_string(path).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let number = line.unwrap().split_whitespace().next().unwrap();
    number.parse().unwrap()
}
