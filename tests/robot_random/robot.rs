//! A robot on the real libqi whose methods answer what the test says, the gateway in front of it, and
//! a client of that which sends what prost-reflect encodes.

use std::{path::Path, time::Duration};

use prost::Message as _;
use prost_reflect::{DynamicMessage, MethodDescriptor, prost::bytes::BufMut as _};
use qi_grpc_gateway::qi::value::{Signature, Type};
use serde_json::{Value, json};
use tonic::{
    Status,
    client::Grpc,
    codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder},
    transport::Channel,
};

use crate::support::{
    Gateway, JsonPeer, PATIENCE,
    forms::{float, libqi_form, members_to_proto, response_from_message},
    nao::robots_dir,
    python_command,
    reflection::{Origin, Reflected},
};

/// The number of `qi.gateway.v1.METHOD_KIND_CALL`.
const CALL: i32 = 1;

/// The robot with the gateway in front.
pub(crate) struct Scripted {
    robot: JsonPeer,
    _gateway: Gateway,
    channel: Channel,
    /// The methods, service by service.
    pub(crate) services: Vec<Vec<Rpc>>,
}

/// A method to call.
#[derive(Clone)]
pub(crate) struct Rpc {
    pub(crate) service: String,
    pub(crate) origin: Origin,
    pub(crate) parameters: Vec<Type>,
    pub(crate) returns: Type,
    descriptor: MethodDescriptor,
}

/// What came of a call.
pub(crate) struct Outcome {
    /// What Python was given, in libqi's form; none if it was not called.
    pub(crate) given: Option<Value>,
    /// The answer in libqi's form.
    pub(crate) answer: Result<Value, Status>,
}

impl Scripted {
    /// Hosts the services of a file in the form of the robot's own.
    pub(crate) async fn start(dataset: &Path) -> Self {
        let mut command = python_command("scripted.py");
        command.arg(robots_dir()).arg(dataset);
        let robot = JsonPeer::start("scripted robot", &mut command).await;
        let url = robot.process().wait_value("ready", PATIENCE).await;
        let gateway = Gateway::serve(&url).await;
        gateway.wait_serving("").await;
        let channel = gateway.channel().await;
        let reflected = Reflected::read(channel.clone()).await;
        let services = reflected.generated().into_iter().map(|(service, it)| {
            let calls = it.methods().filter_map(|descriptor| {
                let origin = reflected.origin(&descriptor);
                (origin.kind == CALL).then(|| Rpc {
                    service: service.clone(),
                    parameters: parameters(&origin.signature),
                    returns: ty(&origin.return_signature),
                    origin,
                    descriptor,
                })
            });
            calls.collect()
        });
        Self {
            robot,
            services: services.collect(),
            _gateway: gateway,
            channel,
        }
    }

    /// Calls a method with arguments and lets the robot answer that, or fail.
    pub(crate) async fn call(&self, rpc: &Rpc, args: &[Value], answer: Option<&Value>) -> Outcome {
        let mut command = json!({
            "service": rpc.service, "method": rpc.origin.name, "signature": rpc.origin.signature,
            "returns": rpc.origin.return_signature,
        });
        if let Some(answer) = answer {
            command["answer"] = answer.clone();
        }
        let told = self.robot.send(command);
        let answered = self.send(rpc, args).await;
        // It tells before it answers, so it has told by now unless it was not called or has failed.
        let patience = match &answered {
            Ok(_) => PATIENCE,
            Err(_) => Duration::from_secs(5),
        };
        let told = told.next_within(patience).await;
        let seen = |args: Value| {
            let args = exact_floats(args);
            let seen = args.as_array().unwrap().iter().zip(&rpc.parameters);
            seen.map(|(arg, ty)| libqi_form(ty, arg)).collect()
        };
        Outcome {
            given: told.map(|mut told| seen(told["args"].take())),
            answer: answered.map(|message| response_from_message(&rpc.returns, &message)),
        }
    }

    /// Calls a method that this robot does not script.
    pub(crate) async fn send(&self, rpc: &Rpc, args: &[Value]) -> Result<DynamicMessage, Status> {
        let input = rpc.descriptor.input();
        let request = members_to_proto(&rpc.parameters, &input, args);
        let request = DynamicMessage::deserialize(input, &request)
            .unwrap_or_else(|error| panic!("{rpc}: {request}: {error}"));
        let mut grpc = Grpc::new(self.channel.clone());
        grpc.ready().await.unwrap();
        let path = format!(
            "/{}/{}",
            rpc.descriptor.parent_service().full_name(),
            rpc.descriptor.name()
        );
        let codec = Reflecting(rpc.descriptor.clone());
        let response = grpc.unary(tonic::Request::new(request), path.parse().unwrap(), codec);
        Ok(response.await?.into_inner())
    }
}

impl Rpc {
    /// The names of service and method.
    pub(crate) fn name(&self) -> String {
        format!("{}.{}", self.service, self.origin.name)
    }

    /// Whether libqi cannot send what the method returns.
    pub(crate) fn returns_unknown(&self) -> bool {
        holds_unknown(&self.returns)
    }

    /// Whether there is no encoding of what the method takes.
    pub(crate) fn takes_unknown(&self) -> bool {
        self.parameters.iter().any(holds_unknown)
    }
}

impl std::fmt::Display for Rpc {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Origin {
            signature,
            return_signature,
            ..
        } = &self.origin;
        write!(f, "{}::{signature} -> {return_signature}", self.name())
    }
}

fn ty(signature: &str) -> Type {
    signature.parse::<Signature>().unwrap().ty().clone()
}

fn parameters(signature: &str) -> Vec<Type> {
    match ty(signature) {
        Type::Tuple(tuple) => tuple.elements,
        other => panic!("{other:?}"),
    }
}

fn holds_unknown(ty: &Type) -> bool {
    match ty {
        Type::Unknown => true,
        Type::List(element) => holds_unknown(element),
        Type::Tuple(tuple) => tuple.elements.iter().any(holds_unknown),
        _ => false,
    }
}

/// Floats as numbers again, read as exactly as Python wrote them.
fn exact_floats(value: Value) -> Value {
    match value {
        Value::Array(items) => items.into_iter().map(exact_floats).collect(),
        Value::Object(fields) if fields.len() == 1 && fields.contains_key("float") => {
            float(fields["float"].as_str().unwrap().parse().unwrap())
        }
        Value::Object(fields) => {
            let fields = fields.into_iter().map(|(key, it)| (key, exact_floats(it)));
            Value::Object(fields.collect())
        }
        other => other,
    }
}

/// Encodes and decodes by descriptors.
#[derive(Clone)]
struct Reflecting(MethodDescriptor);

impl Codec for Reflecting {
    type Encode = DynamicMessage;
    type Decode = DynamicMessage;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        self.clone()
    }

    fn decoder(&mut self) -> Self {
        self.clone()
    }
}

impl Encoder for Reflecting {
    type Item = DynamicMessage;
    type Error = Status;

    fn encode(&mut self, message: DynamicMessage, out: &mut EncodeBuf<'_>) -> Result<(), Status> {
        out.put_slice(&message.encode_to_vec());
        Ok(())
    }
}

impl Decoder for Reflecting {
    type Item = DynamicMessage;
    type Error = Status;

    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<DynamicMessage>, Status> {
        let message = DynamicMessage::decode(self.0.output(), from);
        message
            .map(Some)
            .map_err(|error| Status::internal(error.to_string()))
    }
}
