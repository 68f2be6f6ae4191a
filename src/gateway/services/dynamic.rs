//! `qi.gateway.v1.DynamicService`.

use prost::Message as _;
use tonic::{Request, Response, Status};

use super::{
    request::{Asked, answer},
    stream::{Messages, Responses},
};
use crate::{
    bridge::{
        BridgeError, Dynamic,
        dynamic::{Place, Target, TargetError, Through},
        events::{Delivery, Policy},
    },
    gateway::{
        status::GatewayError,
        streaming::{info, policy_of},
    },
    proto::v1::{
        self,
        dynamic_service_server::{DynamicService, DynamicServiceServer},
        target,
    },
};

/// The gRPC service.
pub(crate) fn server(dynamic: Dynamic, max_request_bytes: usize) -> DynamicServiceServer<Calls> {
    DynamicServiceServer::new(Calls { dynamic }).max_decoding_message_size(max_request_bytes)
}

/// Calls by name.
#[derive(Debug)]
pub(crate) struct Calls {
    dynamic: Dynamic,
}

/// The target, and how it is called in a status.
fn parse(target: Option<v1::Target>) -> (Result<Target, GatewayError>, String) {
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

fn decoded(content: &[u8]) -> Result<Option<v1::Value>, GatewayError> {
    let value = v1::Value::decode(content).map_err(GatewayError::TooDeep)?;
    Ok(Some(value))
}

#[tonic::async_trait]
impl DynamicService for Calls {
    async fn call(
        &self,
        request: Request<v1::CallRequest>,
    ) -> Result<Response<v1::CallResponse>, Status> {
        let asked = Asked::new(request);
        let v1::CallRequest {
            target,
            method,
            args,
        } = asked.message;
        let (target, name) = parse(target);
        let calling = async {
            let args = encoded(&args);
            let target = target?;
            let called = self.dynamic.call(&target, &method, &args, asked.format);
            let value = decoded(&called.await?)?;
            Ok(v1::CallResponse { value })
        };
        answer(asked.deadline, (&name, &method), calling).await
    }

    type SubscribeStream = Responses<v1::SubscribeResponse>;

    async fn subscribe(
        &self,
        request: Request<v1::SubscribeRequest>,
    ) -> Result<Response<Self::SubscribeStream>, Status> {
        let asked = Asked::new(request);
        let v1::SubscribeRequest {
            target,
            signal,
            options,
        } = asked.message;
        let (target, name) = parse(target);
        let subscribing = async {
            let policy = Policy {
                format: asked.format,
                ..policy_of(options.unwrap_or_default())?
            };
            let subscribed = self.dynamic.subscribe(target?, &signal, policy);
            let values = subscribed.await?;
            let names = (name.clone(), signal.clone());
            Ok(Messages::stream(values, asked.deadline, event, names))
        };
        answer(asked.deadline, (&name, &signal), subscribing).await
    }

    async fn get_property(
        &self,
        request: Request<v1::GetPropertyRequest>,
    ) -> Result<Response<v1::GetPropertyResponse>, Status> {
        let asked = Asked::new(request);
        let v1::GetPropertyRequest { target, property } = asked.message;
        let (target, name) = parse(target);
        let reading = async {
            let target = target?;
            let read = self.dynamic.read_property(&target, &property, asked.format);
            let value = decoded(&read.await?)?;
            Ok(v1::GetPropertyResponse { value })
        };
        answer(asked.deadline, (&name, &property), reading).await
    }

    async fn set_property(
        &self,
        request: Request<v1::SetPropertyRequest>,
    ) -> Result<Response<v1::SetPropertyResponse>, Status> {
        let asked = Asked::new(request);
        let v1::SetPropertyRequest {
            target,
            property,
            value,
        } = asked.message;
        let (target, name) = parse(target);
        let writing = async {
            let value = value.unwrap_or_default().encode_to_vec();
            let target = target?;
            let written = self.dynamic.write_property(&target, &property, &value);
            written.await?;
            Ok(v1::SetPropertyResponse {})
        };
        answer(asked.deadline, (&name, &property), writing).await
    }

    type WatchPropertyStream = Responses<v1::WatchPropertyResponse>;

    async fn watch_property(
        &self,
        request: Request<v1::WatchPropertyRequest>,
    ) -> Result<Response<Self::WatchPropertyStream>, Status> {
        let asked = Asked::new(request);
        let v1::WatchPropertyRequest {
            target,
            property,
            options,
        } = asked.message;
        let (target, name) = parse(target);
        let watching = async {
            let policy = Policy {
                format: asked.format,
                ..policy_of(options.unwrap_or_default())?
            };
            let watched = self.dynamic.watch_property(target?, &property, policy);
            let values = watched.await?;
            let names = (name.clone(), property.clone());
            Ok(Messages::stream(values, asked.deadline, change, names))
        };
        answer(asked.deadline, (&name, &property), watching).await
    }
}

fn event(delivery: &Delivery) -> Result<v1::SubscribeResponse, GatewayError> {
    let mut message =
        v1::SubscribeResponse::decode(delivery.body.clone()).map_err(GatewayError::TooDeep)?;
    message.info = Some(info(delivery));
    Ok(message)
}

fn change(delivery: &Delivery) -> Result<v1::WatchPropertyResponse, GatewayError> {
    let mut message =
        v1::WatchPropertyResponse::decode(delivery.body.clone()).map_err(GatewayError::TooDeep)?;
    message.info = Some(info(delivery));
    Ok(message)
}
