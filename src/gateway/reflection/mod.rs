//! `grpc.reflection` over the live catalogue and the static API.
//!
//! Each question is answered from the services known at that moment, so a client that keeps its
//! stream open sees services come. Both versions of the protocol are the same but for their name.

mod answers;

use futures_util::stream::{BoxStream, unfold};
use tokio::sync::watch;
use tokio_stream::{Stream, StreamExt as _};
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status, Streaming};

pub(crate) use self::answers::STATIC_SERVICES;
use self::answers::{Answer, Answers, Question};
use super::status::GatewayError;
use crate::{
    bridge::{events::End, supervisor::State},
    schema::FilesError,
};

/// The state of both reflection services.
#[derive(Clone, Debug)]
pub(crate) struct Reflection {
    answers: Answers,
    stop: CancellationToken,
}

impl Reflection {
    /// Its streams end with `stop`: they are open for as long as a tool runs.
    ///
    /// # Errors
    ///
    /// A descriptor set that was compiled into the program does not decode.
    pub(crate) fn new(
        robot: watch::Receiver<State>,
        stop: CancellationToken,
    ) -> Result<Self, FilesError> {
        Ok(Self {
            answers: Answers::new(robot)?,
            stop,
        })
    }
}

/// A stream that ends at the latest with `stop`.
fn until<T: Send + 'static>(
    stop: CancellationToken,
    responses: impl Stream<Item = Result<T, Status>> + Send + Unpin + 'static,
) -> BoxStream<'static, Result<T, Status>> {
    let responses = Some((stop, responses));
    Box::pin(unfold(responses, async |responses| {
        let (stop, mut responses) = responses?;
        tokio::select! {
            biased;
            () = stop.cancelled() => {
                let shutdown = GatewayError::Ended(End::Shutdown).status_of("", "");
                Some((Err(shutdown), None))
            }
            response = responses.next() => Some((response?, Some((stop, responses)))),
        }
    }))
}

macro_rules! version {
    ($version:ident) => {
        pub(crate) mod $version {
            use tonic_reflection::pb::$version::{
                ErrorResponse, ExtensionNumberResponse, FileDescriptorResponse,
                ListServiceResponse, ServerReflectionRequest, ServerReflectionResponse,
                ServiceResponse,
                server_reflection_request::MessageRequest,
                server_reflection_response::MessageResponse,
                server_reflection_server::{ServerReflection, ServerReflectionServer},
            };

            use super::*;

            /// The gRPC service.
            pub(crate) fn server(reflection: Reflection) -> ServerReflectionServer<Reflection> {
                ServerReflectionServer::new(reflection)
            }

            #[tonic::async_trait]
            impl ServerReflection for Reflection {
                type ServerReflectionInfoStream =
                    BoxStream<'static, Result<ServerReflectionResponse, Status>>;

                async fn server_reflection_info(
                    &self,
                    requests: Request<Streaming<ServerReflectionRequest>>,
                ) -> Result<Response<Self::ServerReflectionInfoStream>, Status> {
                    let answers = self.answers.clone();
                    let responses = requests
                        .into_inner()
                        .map(move |request| request.map(|request| respond(&answers, request)));
                    Ok(Response::new(until(self.stop.clone(), responses)))
                }
            }

            fn respond(
                answers: &Answers,
                request: ServerReflectionRequest,
            ) -> ServerReflectionResponse {
                let answer = answers.answer(&match &request.message_request {
                    Some(MessageRequest::FileByFilename(name)) => Question::File(name),
                    Some(MessageRequest::FileContainingSymbol(symbol)) => Question::Symbol(symbol),
                    Some(MessageRequest::FileContainingExtension(extension)) => {
                        Question::Extension(&extension.containing_type, extension.extension_number)
                    }
                    Some(MessageRequest::AllExtensionNumbersOfType(name)) => {
                        Question::ExtensionsOf(name)
                    }
                    Some(MessageRequest::ListServices(_)) => Question::Services,
                    None => Question::None,
                });
                let response = match answer {
                    Answer::File(file) => {
                        MessageResponse::FileDescriptorResponse(FileDescriptorResponse {
                            file_descriptor_proto: vec![file.to_vec()],
                        })
                    }
                    Answer::Extensions(base_type_name, extension_number) => {
                        MessageResponse::AllExtensionNumbersResponse(ExtensionNumberResponse {
                            base_type_name,
                            extension_number,
                        })
                    }
                    Answer::Services(names) => {
                        MessageResponse::ListServicesResponse(ListServiceResponse {
                            service: names
                                .into_iter()
                                .map(|name| ServiceResponse { name })
                                .collect(),
                        })
                    }
                    Answer::Error(code, error_message) => {
                        MessageResponse::ErrorResponse(ErrorResponse {
                            error_code: code as i32,
                            error_message,
                        })
                    }
                };
                ServerReflectionResponse {
                    valid_host: request.host.clone(),
                    original_request: Some(request),
                    message_response: Some(response),
                }
            }
        }
    };
}

version!(v1);
version!(v1alpha);
