//! `qi.gateway.v1.DynamicService`.
//!
//! Its answers and events are passed on as the bytes that the bridge made of them, as those of
//! generated methods are: tonic's generated server would parse each event for each stream, and write
//! it into a buffer of its own.

use std::{
    convert::Infallible,
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{Request, Response};
use prost::Message;
use tokio::time::{Instant, timeout_at};
use tonic::{Status, body::Body, server::NamedService};
use tower::Service;

use crate::{
    bridge::{
        BridgeError, Dynamic,
        dynamic::{Place, Target, TargetError, Through, ValueStream},
        events::{EventQueue, Policy},
        service::ValueFormat,
    },
    gateway::{
        deadline::deadline,
        message::{finish_message, message_buffer, read_message, unary_response},
        router::value_format,
        status::GatewayError,
        streaming::{Events, events_response, policy_of},
    },
    proto::v1::{self, target},
};

/// The gRPC service.
pub(crate) const fn server(dynamic: Dynamic, max_request_bytes: usize) -> DynamicServer {
    DynamicServer {
        dynamic,
        max_request_bytes,
    }
}

/// Calls by name.
#[derive(Clone, Debug)]
pub(crate) struct DynamicServer {
    dynamic: Dynamic,
    max_request_bytes: usize,
}

impl NamedService for DynamicServer {
    const NAME: &'static str = "qi.gateway.v1.DynamicService";
}

impl Service<Request<Body>> for DynamicServer {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let server = self.clone();
        Box::pin(async move {
            let answered = server.answer(request).await;
            Ok(answered.unwrap_or_else(Status::into_http))
        })
    }
}

/// The methods of the service.
#[derive(Clone, Copy)]
enum Rpc {
    Call,
    Subscribe,
    GetProperty,
    SetProperty,
    WatchProperty,
}

impl Rpc {
    fn of(path: &str) -> Option<Self> {
        match path.rsplit('/').next()? {
            "Call" => Some(Self::Call),
            "Subscribe" => Some(Self::Subscribe),
            "GetProperty" => Some(Self::GetProperty),
            "SetProperty" => Some(Self::SetProperty),
            "WatchProperty" => Some(Self::WatchProperty),
            _ => None,
        }
    }
}

/// What a request asks for beside its message.
#[derive(Clone, Copy)]
struct Wanted {
    format: ValueFormat,
    deadline: Option<Instant>,
}

/// The number of the field `value` of the answers with one.
const VALUE_FIELD: u32 = 1;

impl DynamicServer {
    async fn answer(&self, request: Request<Body>) -> Result<Response<Body>, Status> {
        let (parts, body) = request.into_parts();
        let rpc = Rpc::of(parts.uri.path());
        let rpc = rpc.ok_or_else(|| GatewayError::UnknownRpc.status_of("", ""))?;
        let wanted = Wanted {
            format: value_format(&parts.headers),
            // Counted from here, before anything is awaited.
            deadline: deadline(&parts.headers),
        };
        let reading = read_message(&parts.headers, body, self.max_request_bytes);
        let reading = async { reading.await.map_err(GatewayError::from) };
        let read = within(wanted.deadline, reading).await;
        let message = read.map_err(|error| error.status_of("", ""))?;
        match rpc {
            Rpc::Call => self.call_method(message, wanted).await,
            Rpc::Subscribe => self.subscribe(message, wanted).await,
            Rpc::GetProperty => self.read_property(message, wanted).await,
            Rpc::SetProperty => self.write_property(message, wanted).await,
            Rpc::WatchProperty => self.watch_property(message, wanted).await,
        }
    }

    async fn call_method(&self, message: Bytes, wanted: Wanted) -> Result<Response<Body>, Status> {
        let v1::CallRequest {
            target,
            method,
            args,
        } = parse(message)?;
        let (target, name) = parse_target(target);
        let calling = async {
            let (target, args) = (target?, encoded(&args));
            let called = self.dynamic.call(&target, &method, &args, wanted.format);
            Ok(value_response(&called.await?))
        };
        let called = within(wanted.deadline, calling).await;
        called.map_err(|error| error.status_of(&name, &method))
    }

    async fn read_property(
        &self,
        message: Bytes,
        wanted: Wanted,
    ) -> Result<Response<Body>, Status> {
        let v1::GetPropertyRequest { target, property } = parse(message)?;
        let (target, name) = parse_target(target);
        let reading = async {
            let target = target?;
            let read = self
                .dynamic
                .read_property(&target, &property, wanted.format);
            Ok(value_response(&read.await?))
        };
        let read = within(wanted.deadline, reading).await;
        read.map_err(|error| error.status_of(&name, &property))
    }

    async fn write_property(
        &self,
        message: Bytes,
        wanted: Wanted,
    ) -> Result<Response<Body>, Status> {
        let v1::SetPropertyRequest {
            target,
            property,
            value,
        } = parse(message)?;
        let (target, name) = parse_target(target);
        let writing = async {
            let value = value.unwrap_or_default().encode_to_vec();
            let target = target?;
            let written = self.dynamic.write_property(&target, &property, &value);
            written.await?;
            Ok(unary_response(finish_message(message_buffer(0))))
        };
        let written = within(wanted.deadline, writing).await;
        written.map_err(|error| error.status_of(&name, &property))
    }

    async fn subscribe(&self, message: Bytes, wanted: Wanted) -> Result<Response<Body>, Status> {
        let v1::SubscribeRequest {
            target,
            signal,
            options,
        } = parse(message)?;
        let (target, object) = parse_target(target);
        let subscribing = async {
            let policy = policy(options, wanted.format)?;
            let subscribed = self.dynamic.subscribe(target?, &signal, policy);
            Ok(subscribed.await?)
        };
        stream(wanted.deadline, subscribing, (object, signal.clone())).await
    }

    async fn watch_property(
        &self,
        message: Bytes,
        wanted: Wanted,
    ) -> Result<Response<Body>, Status> {
        let v1::WatchPropertyRequest {
            target,
            property,
            options,
        } = parse(message)?;
        let (target, object) = parse_target(target);
        let watching = async {
            let policy = policy(options, wanted.format)?;
            let watched = self.dynamic.watch_property(target?, &property, policy);
            Ok(watched.await?)
        };
        stream(wanted.deadline, watching, (object, property.clone())).await
    }
}

/// Parses a request. One that is malformed is about nobody.
fn parse<T: Message + Default>(message: Bytes) -> Result<T, Status> {
    let parsed = T::decode(message).map_err(GatewayError::MalformedRequest);
    parsed.map_err(|error| error.status_of("", ""))
}

/// The target, and how it is called in a status.
fn parse_target(target: Option<v1::Target>) -> (Result<Target, GatewayError>, String) {
    let v1::Target { target, through } = target.unwrap_or_default();
    let (place, name) = match target {
        Some(target::Target::Service(name)) => (Place::Service(name.clone()), name),
        Some(target::Target::ObjectId(id)) => (Place::Object(id.clone()), id),
        None => {
            let missing = BridgeError::from(TargetError::Missing);
            return (Err(missing.into()), String::new());
        }
    };
    let through = through.map(|through| Through {
        method: through.method,
        args: encoded(&through.args),
    });
    (Ok(Target { place, through }), name)
}

fn encoded(values: &[v1::Value]) -> Vec<Vec<u8>> {
    values.iter().map(v1::Value::encode_to_vec).collect()
}

fn policy(
    options: Option<v1::SubscribeOptions>,
    format: ValueFormat,
) -> Result<Policy, GatewayError> {
    Ok(Policy {
        format,
        ..policy_of(options.unwrap_or_default())?
    })
}

/// Waits for an answer until the deadline.
async fn within<T>(
    deadline: Option<Instant>,
    answering: impl Future<Output = Result<T, GatewayError>>,
) -> Result<T, GatewayError> {
    match deadline {
        Some(deadline) => timeout_at(deadline, answering)
            .await
            .unwrap_or(Err(GatewayError::Deadline)),
        None => answering.await,
    }
}

/// An answer with one `Value`, of which this is the content.
fn value_response(content: &[u8]) -> Response<Body> {
    let mut message = message_buffer(VALUE_ROOM_BYTES + content.len());
    prost::encoding::encode_key(
        VALUE_FIELD,
        prost::encoding::WireType::LengthDelimited,
        &mut message,
    );
    prost::encoding::encode_varint(content.len() as u64, &mut message);
    message.extend_from_slice(content);
    unary_response(finish_message(message))
}

/// What stands in front of the content of a `Value` in an answer takes at most that many bytes.
const VALUE_ROOM_BYTES: usize = 6;

/// The events of a stream that begins, and what they are of.
async fn stream(
    deadline: Option<Instant>,
    beginning: impl Future<Output = Result<ValueStream, GatewayError>>,
    (object, member): (String, String),
) -> Result<Response<Body>, Status> {
    match within(deadline, beginning).await {
        Ok(values) => {
            let events = Named {
                values,
                object,
                member,
            };
            Ok(events_response(events, deadline))
        }
        Err(error) => Err(error.status_of(&object, &member)),
    }
}

/// The events of a member by its name.
struct Named {
    values: ValueStream,
    object: String,
    member: String,
}

impl Events for Named {
    fn queue(&self) -> &EventQueue {
        self.values.queue()
    }

    fn status(&self, error: &GatewayError) -> Status {
        error.status_of(&self.object, &self.member)
    }
}

#[cfg(test)]
mod tests {
    use tonic::Code;

    use super::*;
    use crate::bridge::{Robot, RobotConfig};

    /// The whole request was awaited before anybody looked what it was for.
    #[tokio::test]
    async fn what_is_no_method_is_refused_before_its_request_is_read() {
        let robot = Robot::start(RobotConfig::new("tcp://127.0.0.1:1".parse().unwrap()));
        let endless = futures_util::stream::pending::<Result<http_body::Frame<Bytes>, Status>>();
        let request = Request::builder()
            .uri("/qi.gateway.v1.DynamicService/Nope")
            .body(Body::new(http_body_util::StreamBody::new(endless)))
            .unwrap();
        let server = server(robot.dynamic().clone(), 1024);
        let refused = server.answer(request).await.unwrap_err();
        assert_eq!(refused.code(), Code::Unimplemented);
        assert!(!refused.message().is_empty());
    }
}
