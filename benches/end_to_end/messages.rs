//! The messages of the generated API, as a client's generated code has them.

use bytes::Bytes;
use qi_grpc_gateway::proto::v1::{EventInfo, SubscribeOptions};

/// Of the calls `echo(s) -> s`.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct EchoRequest {
    #[prost(string, tag = "1")]
    pub(crate) arg1: String,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct EchoResponse {
    #[prost(string, tag = "1")]
    pub(crate) value: String,
}

/// Of the calls `angles(s[f]f) -> [f]`.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct AnglesRequest {
    #[prost(string, tag = "1")]
    pub(crate) arg1: String,
    #[prost(float, repeated, tag = "2")]
    pub(crate) arg2: Vec<f32>,
    #[prost(float, tag = "3")]
    pub(crate) arg3: f32,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct AnglesResponse {
    #[prost(float, repeated, tag = "1")]
    pub(crate) value: Vec<f32>,
}

/// Of every signal.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct SubscribeRequest {
    #[prost(message, optional, tag = "1")]
    pub(crate) options: Option<SubscribeOptions>,
}

/// Of the signal `tick(l)`.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct TickResponse {
    #[prost(int64, tag = "1")]
    pub(crate) value: i64,
    #[prost(message, optional, tag = "1000")]
    pub(crate) info: Option<EventInfo>,
}

/// Of the signal `frame(r)`.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct FrameResponse {
    #[prost(bytes = "bytes", tag = "1")]
    pub(crate) value: Bytes,
    #[prost(message, optional, tag = "1000")]
    pub(crate) info: Option<EventInfo>,
}

pub(crate) const ECHO_PATH: &str = "/qi.bench.v1.Bench/Echo";
pub(crate) const ANGLES_PATH: &str = "/qi.bench.v1.Bench/Angles";
pub(crate) const TICK_PATH: &str = "/qi.bench.v1.Bench/SubscribeTick";

pub(crate) const FRAME_PATH: &str = "/qi.bench.v1.Bench/SubscribeFrame";

pub(crate) const TEXT: &str = "Hello, I am a robot. What can I do for you?";

/// The joints of a NAO.
pub(crate) fn angles() -> Vec<f32> {
    (0..26_u8).map(|n| f32::from(n) / 8.0 - 1.5).collect()
}
