//! Streams of numbers from the robot's `Clock`, read by a client in Rust: many, and fast ones.

use http::uri::PathAndQuery;
use qi_grpc_gateway::proto::v1::{EventInfo, SubscribeOptions};
use tonic::{
    Request, Status, Streaming,
    client::Grpc,
    transport::{Channel, Endpoint},
};
use tonic_prost::ProstCodec;

use super::PATIENCE;

/// The signal `Clock.tick`.
pub(crate) const TICK: &str = "/qi.clock.v1.Clock/SubscribeTick";

/// The property `Clock.count`.
pub(crate) const COUNT: &str = "/qi.clock.v1.Clock/WatchCountProperty";

/// A number from the robot.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Tick {
    #[prost(int32, tag = "1")]
    pub(crate) value: i32,
    #[prost(message, optional, tag = "1000")]
    info: Option<EventInfo>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct SubscribeRequest {
    #[prost(message, optional, tag = "1")]
    options: Option<SubscribeOptions>,
}

impl Tick {
    pub(crate) fn info(&self) -> &EventInfo {
        self.info.as_ref().expect("an event without its info")
    }
}

/// One stream.
pub(crate) struct Ticks(Streaming<Tick>);

impl Ticks {
    /// Subscribes; returns once the gateway has.
    pub(crate) async fn open(channel: &Channel, path: &'static str) -> Self {
        Self::open_with(channel, path, SubscribeOptions::default()).await
    }

    /// The same with options.
    pub(crate) async fn open_with(
        channel: &Channel,
        path: &'static str,
        options: SubscribeOptions,
    ) -> Self {
        Self::ask(channel, path, options).await.unwrap()
    }

    /// The same where the service may not be there yet.
    pub(crate) async fn try_open(channel: &Channel, path: &'static str) -> Result<Self, Status> {
        Self::ask(channel, path, SubscribeOptions::default()).await
    }

    async fn ask(
        channel: &Channel,
        path: &'static str,
        options: SubscribeOptions,
    ) -> Result<Self, Status> {
        let mut client = Grpc::new(channel.clone());
        let ready = client.ready().await;
        ready.map_err(|error| Status::unavailable(error.to_string()))?;
        let request = Request::new(SubscribeRequest {
            options: Some(options),
        });
        let path = PathAndQuery::from_static(path);
        let answer = client.server_streaming(request, path, ProstCodec::default());
        Ok(Self(answer.await?.into_inner()))
    }

    /// The next event.
    pub(crate) async fn next(&mut self) -> Tick {
        let tick = self.try_next().await.unwrap();
        tick.expect("the stream ended")
    }

    /// The next event; none at the end.
    pub(crate) async fn try_next(&mut self) -> Result<Option<Tick>, Status> {
        let next = tokio::time::timeout(PATIENCE, self.0.message()).await;
        next.expect("no event in time")
    }
}

/// Room for every event of a test, however slow the machine.
pub(crate) fn roomy() -> SubscribeOptions {
    SubscribeOptions {
        queue_size: 16_384,
        ..SubscribeOptions::default()
    }
}

/// A connection of its own whose streams may be sent that many bytes that nobody has read.
pub(crate) async fn narrow_channel(grpc_url: &str, window_bytes: u32) -> Channel {
    let endpoint = Endpoint::from_shared(grpc_url.to_owned()).unwrap();
    let endpoint = endpoint.initial_stream_window_size(window_bytes);
    endpoint.connect().await.unwrap()
}
