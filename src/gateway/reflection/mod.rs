//! `grpc.reflection` over the live catalogue and the static API.
//!
//! Each question is answered from the services known at that moment, so a client that keeps its
//! stream open sees services come. Both versions of the protocol are the same but for their name.

mod answers;

use std::pin::Pin;

use tokio::sync::watch;
use tokio_stream::{Stream, StreamExt as _};
use tonic::{Request, Response, Status, Streaming};

pub(crate) use self::answers::STATIC_SERVICES;
use self::answers::{Answer, Answers, Question};
use crate::{bridge::supervisor::State, schema::FilesError};

/// The state of both reflection services.
#[derive(Clone, Debug)]
pub(crate) struct Reflection {
    answers: Answers,
}

impl Reflection {
    /// # Errors
    ///
    /// A descriptor set that was compiled into the program does not decode.
    pub(crate) fn new(robot: watch::Receiver<State>) -> Result<Self, FilesError> {
        Ok(Self {
            answers: Answers::new(robot)?,
        })
    }
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
                    Pin<Box<dyn Stream<Item = Result<ServerReflectionResponse, Status>> + Send>>;

                async fn server_reflection_info(
                    &self,
                    requests: Request<Streaming<ServerReflectionRequest>>,
                ) -> Result<Response<Self::ServerReflectionInfoStream>, Status> {
                    let answers = self.answers.clone();
                    let responses = requests
                        .into_inner()
                        .map(move |request| request.map(|request| respond(&answers, request)));
                    Ok(Response::new(Box::pin(responses)))
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
