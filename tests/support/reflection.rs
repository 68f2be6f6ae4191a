//! All that a server's reflection tells: its services and every file behind them.

use std::collections::BTreeSet;

use prost::Message as _;
use prost_reflect::{DescriptorPool, MethodDescriptor, ServiceDescriptor, Value};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Streaming, transport::Channel};
use tonic_reflection::pb::v1::{
    ServerReflectionRequest, ServerReflectionResponse,
    server_reflection_client::ServerReflectionClient, server_reflection_request::MessageRequest,
    server_reflection_response::MessageResponse,
};

/// What a server says about itself.
pub(crate) struct Reflected {
    /// The services, in the order in which they are listed.
    pub(crate) listed: Vec<String>,
    /// The files that define them, with all that they import.
    pub(crate) pool: DescriptorPool,
}

/// What the custom options of a generated method say of its origin.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Origin {
    /// The number of a `qi.gateway.v1.MethodKind`.
    pub(crate) kind: i32,
    /// The name of the qi member.
    pub(crate) name: String,
    /// The signature of the parameters, the signal or the property.
    pub(crate) signature: String,
    /// The signature of what a call returns.
    pub(crate) return_signature: String,
}

impl Reflected {
    /// Asks for everything, through reflection v1.
    pub(crate) async fn read(channel: Channel) -> Self {
        let mut questions = Questions::start(channel).await;
        let listing = questions
            .ask(MessageRequest::ListServices(String::new()))
            .await;
        let MessageResponse::ListServicesResponse(listing) = listing else {
            panic!("{listing:?}");
        };
        let listed: Vec<_> = listing.service.into_iter().map(|it| it.name).collect();
        let mut pool = DescriptorPool::new();
        let mut seen = BTreeSet::new();
        for service in &listed {
            let symbol = MessageRequest::FileContainingSymbol(service.clone());
            for file in questions.files(symbol).await {
                questions.add(&mut pool, &mut seen, file).await;
            }
        }
        Self { listed, pool }
    }

    /// The generated services: those whose options name a service on the robot's bus.
    pub(crate) fn generated(&self) -> Vec<(String, ServiceDescriptor)> {
        let option = self
            .pool
            .get_extension_by_name("qi.gateway.v1.service")
            .unwrap();
        let services = self.listed.iter().filter_map(|name| {
            let service = self.pool.get_service_by_name(name).unwrap();
            let options = service.options();
            let origin = options.get_extension(&option);
            let name = text(&origin, "name");
            (!name.is_empty()).then_some((name, service))
        });
        services.collect()
    }

    /// Where a generated method comes from.
    pub(crate) fn origin(&self, method: &MethodDescriptor) -> Origin {
        let option = self
            .pool
            .get_extension_by_name("qi.gateway.v1.method")
            .unwrap();
        let options = method.options();
        let origin = options.get_extension(&option);
        let kind = origin
            .as_message()
            .unwrap()
            .get_field_by_name("kind")
            .unwrap();
        Origin {
            kind: kind.as_enum_number().unwrap(),
            name: text(&origin, "name"),
            signature: text(&origin, "signature"),
            return_signature: text(&origin, "return_signature"),
        }
    }
}

/// A reflection stream, one question at a time.
struct Questions {
    requests: mpsc::Sender<ServerReflectionRequest>,
    answers: Streaming<ServerReflectionResponse>,
}

impl Questions {
    async fn start(channel: Channel) -> Self {
        let (requests, stream) = mpsc::channel(1);
        let mut client = ServerReflectionClient::new(channel).max_decoding_message_size(usize::MAX);
        let asked = client.server_reflection_info(ReceiverStream::new(stream));
        Self {
            requests,
            answers: asked.await.unwrap().into_inner(),
        }
    }

    async fn ask(&mut self, question: MessageRequest) -> MessageResponse {
        let request = ServerReflectionRequest {
            host: String::new(),
            message_request: Some(question),
        };
        self.requests.send(request).await.unwrap();
        let answer = self.answers.message().await.unwrap().unwrap();
        answer.message_response.unwrap()
    }

    async fn files(&mut self, question: MessageRequest) -> Vec<Vec<u8>> {
        match self.ask(question).await {
            MessageResponse::FileDescriptorResponse(files) => files.file_descriptor_proto,
            other => panic!("{other:?}"),
        }
    }

    /// Adds a file after those that it imports. The bytes are taken as they came: decoding them
    /// first would lose the custom options.
    async fn add(&mut self, pool: &mut DescriptorPool, seen: &mut BTreeSet<String>, file: Vec<u8>) {
        let head = prost_types::FileDescriptorProto::decode(&file[..]).unwrap();
        if !seen.insert(head.name().to_owned()) {
            return;
        }
        for name in head.dependency {
            if seen.contains(&name) {
                continue;
            }
            for file in self.files(MessageRequest::FileByFilename(name)).await {
                Box::pin(self.add(pool, seen, file)).await;
            }
        }
        pool.decode_file_descriptor_proto(&file[..])
            .unwrap_or_else(|error| panic!("{:?}: {error}", head.name));
    }
}

fn text(origin: &Value, field: &str) -> String {
    let message = origin.as_message().unwrap();
    message
        .get_field_by_name(field)
        .unwrap()
        .as_str()
        .unwrap()
        .to_owned()
}
