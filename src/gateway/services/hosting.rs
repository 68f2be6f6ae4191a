//! `qi.gateway.v1.HostingService`.

use std::{convert::Infallible, future::Future, pin::Pin, time::Duration};

use prost::Message as _;
use tokio::{
    sync::mpsc::{self, error::SendTimeoutError},
    task::coop::consume_budget,
    time::{Instant, timeout},
};
use tokio_stream::Stream;
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};
use tonic::{Request, Response, Status, Streaming};

use super::request::{Asked, answer};
use crate::{
    bridge::hosting::{
        CallId, Declaration, DeclaredMethod, DeclaredProperty, DeclaredSignal, HostedService,
        Hosting, HostingError, Notice, Outcome, Voice,
    },
    gateway::{duration::duration, router::value_format, status::GatewayError},
    proto::v1::{
        self, HostRequest, HostResponse,
        host_request::{self, Request as Said, result},
        host_response::{self, Response as Told},
        hosting_service_server::{HostingService, HostingServiceServer},
    },
};

/// The gRPC service. From `stop` on its streams end as soon as their calls are answered.
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

/// How long a client that opened a stream may take to declare its service. It opens the stream to
/// say just that; on a slow network this takes a second.
const DECLARATION_PATIENCE: Duration = Duration::from_secs(30);

/// How long a host may leave unread what it is told, or as long as its answers may take if that is
/// longer: a host that is busy with a call need not read. One whose connection is gone is found out
/// about as soon.
const READING_PATIENCE: Duration = Duration::from_secs(60);

/// How long the last answers are ahead of the end of their service, when the gateway shuts down.
/// Callers hear of the two on different connections, and those of libqi give up a call whose service
/// is gone. A robot's network takes some milliseconds.
const HEAD_START: Duration = Duration::from_millis(200);

/// How many messages wait for the transport to take them. Others wait at the service, where calls
/// that end make room again.
const TOLD_AHEAD: usize = 1;

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
        let declared = in_time(&self.stop, declaration(&mut requests));
        let declared = answer(deadline, ("", ""), declared);
        let declaration = declared.await?.into_inner();
        let hosting = async {
            let conversation = Conversation {
                service: self.hosting.host(&declaration, format).await?,
                requests,
                stop: self.stop.clone(),
                deadline,
            };
            Ok(conversation.start(&declaration.name))
        };
        answer(deadline, (&declaration.name, ""), hosting).await
    }
}

/// Waits for a declaration as long as a client may take, and no longer than the gateway serves.
async fn in_time(
    stop: &CancellationToken,
    declaring: impl Future<Output = Result<Declaration, GatewayError>>,
) -> Result<Declaration, GatewayError> {
    let patience = DECLARATION_PATIENCE;
    tokio::select! {
        biased;
        () = stop.cancelled() => Err(HostingError::Shutdown.into()),
        declared = timeout(patience, declaring) => {
            declared.unwrap_or(Err(HostingError::NotDeclared { patience }.into()))
        }
    }
}

/// The two directions of a stream, and the service between them.
struct Conversation {
    service: HostedService,
    requests: Streaming<HostRequest>,
    stop: CancellationToken,
    deadline: Option<Instant>,
}

impl Conversation {
    /// Goes on whether the client reads or not: who calls the service must not depend on that.
    fn start(self, name: &str) -> Responses {
        let (told, telling) = mpsc::channel(TOLD_AHEAD);
        // Ends when it is dropped, at the latest with the stream.
        let talking = AbortOnDropHandle::new(tokio::spawn(self.run(told)));
        responses(name.to_owned(), telling, talking)
    }

    /// Ends with what the client, the time or the gateway says; the service is gone then.
    async fn run(self, told: mpsc::Sender<HostResponse>) -> Result<(), GatewayError> {
        let Self {
            mut service,
            requests,
            stop,
            deadline,
        } = self;
        let voice = service.voice();
        let timed_out = async {
            match deadline {
                Some(at) => tokio::time::sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        let retired = async {
            stop.cancelled().await;
            voice.retire().await;
            tokio::time::sleep(HEAD_START).await;
        };
        // In no order: a client that talks without pause is told its calls all the same.
        tokio::select! {
            heard = hear(requests, &voice) => heard,
            () = timed_out => Err(GatewayError::Deadline),
            () = retired => Err(HostingError::Shutdown.into()),
            ended = tell(&mut service, told) => ended.map(|never| match never {}),
        }
    }
}

/// What a conversation tells, then how it ended.
fn responses(
    name: String,
    telling: mpsc::Receiver<HostResponse>,
    talking: AbortOnDropHandle<Result<(), GatewayError>>,
) -> Responses {
    let talk = Some((name, telling, talking));
    Box::pin(futures_util::stream::unfold(talk, |talk| async move {
        let (name, mut telling, talking) = talk?;
        if let Some(response) = telling.recv().await {
            return Some((Ok(response), Some((name, telling, talking))));
        }
        let error = match talking.await {
            Ok(Ok(())) => return None,
            Ok(Err(error)) => error,
            // It is aborted with the stream only, so that it has panicked, which was reported.
            Err(_) => GatewayError::Fault,
        };
        Some((Err(error.status_of(&name, "")), None))
    }))
}

/// Tells the host what there is to tell, until the service is not on the bus any more.
async fn tell(
    service: &mut HostedService,
    told: mpsc::Sender<HostResponse>,
) -> Result<Infallible, GatewayError> {
    let voice = service.voice();
    let patience = READING_PATIENCE.max(service.answer_timeout());
    loop {
        if let Some(response) = response(&voice, service.notice().await?) {
            let response = Some(response);
            send(&told, HostResponse { response }, patience).await?;
        }
    }
}

async fn send(
    told: &mpsc::Sender<HostResponse>,
    response: HostResponse,
    patience: Duration,
) -> Result<(), HostingError> {
    match told.send_timeout(response, patience).await {
        Err(SendTimeoutError::Timeout(_)) => Err(HostingError::NotRead { patience }),
        // Where the stream is gone, all this ends with it.
        Ok(()) | Err(SendTimeoutError::Closed(_)) => Ok(()),
    }
}

/// A notice as a message; none where it nests too deep for one.
fn response(voice: &Voice, notice: Notice) -> Option<Told> {
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
                voice.answer(id, Outcome::Failed(text));
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
async fn hear(mut requests: Streaming<HostRequest>, voice: &Voice) -> Result<(), GatewayError> {
    while let Some(said) = next(&mut requests).await? {
        take(said, voice)?;
        // What comes without pause is read without one.
        consume_budget().await;
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
    // What is no time is as wrong as no time at all, and is refused with it.
    let timeout = |given| duration(given).unwrap_or_default();
    let answer_timeout = declare.answer_timeout.map(timeout);
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

#[cfg(test)]
mod tests {
    use tokio_stream::StreamExt as _;
    use tonic::Code;

    use super::*;

    /// A stream whose task panicked ended with OK, as if the client had said all.
    #[tokio::test]
    async fn a_fault_of_the_gateway_is_no_success() {
        let (told, telling) = mpsc::channel(TOLD_AHEAD);
        let talking = tokio::spawn(async move {
            told.send(HostResponse::default()).await.unwrap();
            panic!("on purpose");
        });
        let mut responses = responses("Echo".into(), telling, AbortOnDropHandle::new(talking));
        assert!(responses.next().await.unwrap().is_ok());
        let status = responses.next().await.unwrap().unwrap_err();
        assert_eq!(status.code(), Code::Internal);
        assert!(responses.next().await.is_none());
    }

    /// A client that opened a stream and said nothing kept it, and the shutdown waited for it.
    #[tokio::test(start_paused = true)]
    async fn a_declaration_is_waited_for_neither_for_ever_nor_beyond_the_end() {
        let stop = CancellationToken::new();
        let silent = in_time(&stop, std::future::pending()).await;
        let late = GatewayError::Hosting(HostingError::NotDeclared {
            patience: DECLARATION_PATIENCE,
        });
        assert_eq!(silent.unwrap_err().to_string(), late.to_string());
        let (stopped, ()) = tokio::join!(in_time(&stop, std::future::pending()), async {
            stop.cancel();
        });
        let shutdown = GatewayError::Hosting(HostingError::Shutdown);
        assert_eq!(stopped.unwrap_err().to_string(), shutdown.to_string());
    }

    /// The service of a client that read nothing any more stayed on the bus, and each of its
    /// callers waited for an answer until the time for it was over.
    #[tokio::test(start_paused = true)]
    async fn a_host_that_does_not_read_is_given_up() {
        let (told, telling) = mpsc::channel(TOLD_AHEAD);
        let send = || send(&told, HostResponse::default(), READING_PATIENCE);
        assert!(send().await.is_ok());
        let refused = send().await;
        assert!(matches!(refused, Err(HostingError::NotRead { .. })));
        drop(telling);
        assert!(send().await.is_ok(), "it is not the reader's fault");
    }
}
