//! `qi.gateway.v1.HostingService`.

use std::{pin::Pin, time::Duration};

use prost::Message as _;
use tokio::time::Instant;
use tokio_stream::Stream;
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};
use tonic::{Request, Response, Status, Streaming};

use super::request::{Asked, answer};
use crate::{
    bridge::hosting::{
        CallId, Declaration, DeclaredMethod, DeclaredProperty, DeclaredSignal, HostedService,
        Hosting, HostingError, Notice, Outcome, Voice,
    },
    gateway::{router::value_format, status::GatewayError},
    proto::v1::{
        self, HostRequest, HostResponse,
        host_request::{self, Request as Said, result},
        host_response::{self, Response as Told},
        hosting_service_server::{HostingService, HostingServiceServer},
    },
};

/// The gRPC service. Its streams end with `stop`.
pub(crate) fn server(
    hosting: Hosting,
    max_request_bytes: usize,
    stop: CancellationToken,
) -> HostingServiceServer<Hosts> {
    HostingServiceServer::new(Hosts { hosting, stop }).max_decoding_message_size(max_request_bytes)
}

/// The services that clients host.
#[derive(Debug)]
pub(crate) struct Hosts {
    hosting: Hosting,
    stop: CancellationToken,
}

/// What a host is told, then a status.
type Responses = Pin<Box<dyn Stream<Item = Result<HostResponse, Status>> + Send>>;

#[tonic::async_trait]
impl HostingService for Hosts {
    type HostStream = Responses;

    async fn host(
        &self,
        request: Request<Streaming<HostRequest>>,
    ) -> Result<Response<Self::HostStream>, Status> {
        let format = value_format(request.metadata().as_ref());
        let Asked {
            message: mut requests,
            deadline,
        } = Asked::new(request);
        let declared = answer(deadline, ("", ""), declaration(&mut requests));
        let declaration = declared.await?.into_inner();
        let hosting = async {
            let service = self.hosting.host(&declaration, format).await?;
            let hearing = hear(requests, service.voice());
            Ok(Conversation {
                name: declaration.name.clone(),
                service,
                // Ends when it is dropped, at the latest with the stream.
                hearing: AbortOnDropHandle::new(tokio::spawn(hearing)),
                stop: self.stop.clone(),
                deadline,
            }
            .stream())
        };
        answer(deadline, (&declaration.name, ""), hosting).await
    }
}

/// The two directions of a stream. Dropped when the client goes, and the service with it.
struct Conversation {
    name: String,
    service: HostedService,
    hearing: AbortOnDropHandle<Result<(), GatewayError>>,
    stop: CancellationToken,
    deadline: Option<Instant>,
}

impl Conversation {
    fn stream(self) -> Responses {
        Box::pin(futures_util::stream::unfold(
            Some(self),
            |talking| async move {
                let mut talking = talking?;
                match talking.next().await {
                    Ok(Some(response)) => Some((Ok(response), Some(talking))),
                    // The service stops answering now; the directory is told meanwhile.
                    Ok(None) => None,
                    Err(error) => Some((Err(error.status_of(&talking.name, "")), None)),
                }
            },
        ))
    }

    /// What the host is told next; nothing more once it has said all.
    async fn next(&mut self) -> Result<Option<HostResponse>, GatewayError> {
        let deadline = self.deadline;
        let timed_out = async {
            match deadline {
                Some(at) => tokio::time::sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        tokio::pin!(timed_out);
        loop {
            let notice = tokio::select! {
                biased;
                () = self.stop.cancelled() => return Err(HostingError::Shutdown.into()),
                () = &mut timed_out => return Err(GatewayError::Deadline),
                // It is never aborted while this waits; a panic was reported where it happened.
                heard = &mut self.hearing => return heard.unwrap_or(Ok(())).map(|()| None),
                notice = self.service.notice() => notice?,
            };
            if let Some(response) = self.response(notice) {
                return Ok(Some(HostResponse {
                    response: Some(response),
                }));
            }
        }
    }

    /// A notice as a message; none where it nests too deep for one.
    fn response(&self, notice: Notice) -> Option<Told> {
        Some(match notice {
            Notice::Registered { id } => {
                Told::Registered(host_response::Registered { service_id: id.0 })
            }
            Notice::Call {
                id,
                method,
                parameters_signature,
                args,
            } => match host_response::Call::decode(&*args) {
                Ok(call) => Told::Call(host_response::Call {
                    call_id: id.0,
                    method,
                    parameters_signature,
                    ..call
                }),
                Err(error) => {
                    let text = format!("the arguments cannot be told to the host: {error}");
                    self.service.voice().answer(id, Outcome::Failed(text));
                    return None;
                }
            },
            Notice::Cancel { id } => Told::Cancel(host_response::Cancel { call_id: id.0 }),
            Notice::Property { name, value } => match v1::Value::decode(&*value) {
                Ok(value) => Told::SetProperty(host_response::SetProperty {
                    name,
                    value: Some(value),
                }),
                Err(error) => {
                    tracing::warn!(property = name, %error, "a value is not told to the host");
                    return None;
                }
            },
        })
    }
}

/// The first request.
async fn declaration(requests: &mut Streaming<HostRequest>) -> Result<Declaration, GatewayError> {
    let first = next(requests).await?.and_then(|first| first.request);
    match first {
        Some(Said::Declare(declare)) => Ok(parse(declare)),
        Some(Said::Result(_) | Said::Emit(_) | Said::Property(_)) | None => {
            Err(HostingError::Request {
                field: "declare",
                expected: "the first request must declare the service",
            }
            .into())
        }
    }
}

/// Does what the host says until it has said all.
async fn hear(mut requests: Streaming<HostRequest>, voice: Voice) -> Result<(), GatewayError> {
    while let Some(said) = next(&mut requests).await? {
        take(said, &voice)?;
    }
    Ok(())
}

async fn next(requests: &mut Streaming<HostRequest>) -> Result<Option<HostRequest>, GatewayError> {
    requests
        .message()
        .await
        .map_err(GatewayError::RequestStream)
}

fn take(said: HostRequest, voice: &Voice) -> Result<(), HostingError> {
    match said.request {
        Some(Said::Result(result)) => {
            voice.answer(CallId(result.call_id), outcome(result.outcome));
            Ok(())
        }
        Some(Said::Emit(host_request::Emit { signal, args })) => {
            let args: Vec<_> = args.iter().map(v1::Value::encode_to_vec).collect();
            voice.emit(&signal, &args)
        }
        Some(Said::Property(host_request::PropertyValue { name, value })) => {
            voice.set_property(&name, &encoded(value))
        }
        Some(Said::Declare(_)) => Err(HostingError::Request {
            field: "declare",
            expected: "the service was declared already; each has a stream of its own",
        }),
        None => Err(HostingError::Request {
            field: "request",
            expected: "one of result, emit and property must be set",
        }),
    }
}

fn outcome(outcome: Option<result::Outcome>) -> Outcome {
    match outcome {
        Some(result::Outcome::Value(value)) => Outcome::Returned(value.encode_to_vec()),
        Some(result::Outcome::Error(text)) => Outcome::Failed(text),
        Some(result::Outcome::Canceled(())) => Outcome::Canceled,
        None => Outcome::Returned(Vec::new()),
    }
}

fn encoded(value: Option<v1::Value>) -> Vec<u8> {
    value.unwrap_or_default().encode_to_vec()
}

fn parse(declare: host_request::Declare) -> Declaration {
    let answer_timeout = declare.answer_timeout.map(|timeout| {
        // What is negative is as wrong as nothing, and is refused with it.
        Duration::try_from(timeout).unwrap_or_default()
    });
    let max_calls = usize::try_from(declare.max_calls).unwrap_or(usize::MAX);
    Declaration {
        name: declare.name,
        description: declare.description,
        multi_threaded: declare.multi_threaded,
        methods: declare.methods.into_iter().map(method).collect(),
        signals: declare.signals.into_iter().map(signal).collect(),
        properties: declare.properties.into_iter().map(property).collect(),
        answer_timeout,
        max_calls: (max_calls > 0).then_some(max_calls),
    }
}

fn method(method: host_request::Method) -> DeclaredMethod {
    let parameters = method.parameters.into_iter();
    DeclaredMethod {
        name: method.name,
        parameters_signature: method.parameters_signature,
        return_signature: method.return_signature,
        description: method.description,
        parameters: parameters
            .map(|parameter| (parameter.name, parameter.description))
            .collect(),
        return_description: method.return_description,
    }
}

fn signal(signal: host_request::Signal) -> DeclaredSignal {
    DeclaredSignal {
        name: signal.name,
        signature: signal.signature,
    }
}

fn property(property: host_request::Property) -> DeclaredProperty {
    DeclaredProperty {
        name: property.name,
        signature: property.signature,
        value: encoded(property.value),
    }
}
