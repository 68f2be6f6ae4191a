//! `qi.gateway.v1.DirectoryService`.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use bytes::Bytes;
use futures_util::stream::{self, BoxStream};
use prost::Message as _;
use tokio::sync::watch;
use tonic::{Request, Response, Status};

use super::{
    object::description,
    request::{Asked, answer},
};
use crate::{
    bridge::{BridgeError, Dynamic, Service, events::End, supervisor::State},
    gateway::status::GatewayError,
    proto::{
        FILE_DESCRIPTOR_SET, STATIC_FILES,
        v1::{
            self,
            directory_service_server::{DirectoryService, DirectoryServiceServer},
            get_schema_response::File,
            get_service_response::GeneratedMethod,
            watch_services_response::{Event, Snapshot},
        },
    },
    schema::{MethodKind, ProtoFile, descriptor::FileDescriptorSet, text::proto_text},
};

/// The gRPC service.
pub(crate) fn server(
    robot: watch::Receiver<State>,
    dynamic: Dynamic,
) -> DirectoryServiceServer<Directory> {
    DirectoryServiceServer::new(Directory { robot, dynamic })
}

/// The services of the robot.
#[derive(Debug)]
pub(crate) struct Directory {
    robot: watch::Receiver<State>,
    dynamic: Dynamic,
}

#[tonic::async_trait]
impl DirectoryService for Directory {
    async fn list_services(
        &self,
        _: Request<v1::ListServicesRequest>,
    ) -> Result<Response<v1::ListServicesResponse>, Status> {
        let state = self.robot.borrow();
        let services = state.catalogue.services().map(|it| info(it)).collect();
        Ok(Response::new(v1::ListServicesResponse { services }))
    }

    async fn get_service(
        &self,
        request: Request<v1::GetServiceRequest>,
    ) -> Result<Response<v1::GetServiceResponse>, Status> {
        let asked = Asked::new(request);
        let name = asked.message.name;
        let found = async {
            let service = self.dynamic.service(&name).map_err(BridgeError::from)?;
            let generated = service.methods().iter().map(|method| GeneratedMethod {
                path: method.schema().path.clone(),
                kind: kind(method.schema().kind).into(),
                uid: method.schema().uid.0,
            });
            Ok(v1::GetServiceResponse {
                service: Some(info(&service)),
                object: Some(description(service.meta().as_ref().clone())),
                generated: generated.collect(),
            })
        };
        answer(asked.deadline, (&name, ""), found).await
    }

    type WatchServicesStream = BoxStream<'static, Result<v1::WatchServicesResponse, Status>>;

    async fn watch_services(
        &self,
        _: Request<v1::WatchServicesRequest>,
    ) -> Result<Response<Self::WatchServicesStream>, Status> {
        let watched = Watched {
            robot: self.robot.clone(),
            known: None,
            waiting: VecDeque::new(),
            ended: false,
        };
        let events = stream::unfold(watched, async |mut watched| {
            let event = watched.next().await?;
            Some((event, watched))
        });
        Ok(Response::new(Box::pin(events)))
    }

    async fn get_schema(
        &self,
        request: Request<v1::GetSchemaRequest>,
    ) -> Result<Response<v1::GetSchemaResponse>, Status> {
        let asked = Asked::new(request);
        let names = asked.message.services;
        let made = async {
            let services: Result<Vec<_>, BridgeError> = if names.is_empty() {
                let state = self.robot.borrow();
                Ok(state.catalogue.services().cloned().collect())
            } else {
                let found = names.iter().map(|name| Ok(self.dynamic.service(name)?));
                found.collect()
            };
            schema(&services?)
        };
        answer(asked.deadline, ("", ""), made).await
    }
}

/// One client's view of the services.
struct Watched {
    robot: watch::Receiver<State>,
    /// What it was told: each service, and its schema. None at the beginning.
    known: Option<BTreeMap<String, (v1::ServiceInfo, Bytes)>>,
    waiting: VecDeque<Event>,
    ended: bool,
}

impl Watched {
    async fn next(&mut self) -> Option<Result<v1::WatchServicesResponse, Status>> {
        while self.waiting.is_empty() {
            if self.ended {
                return None;
            }
            if self.known.is_some() && self.robot.changed().await.is_err() {
                self.ended = true;
                let shutdown = GatewayError::Ended(End::Shutdown);
                return Some(Err(shutdown.status_of("", "")));
            }
            self.compare();
        }
        let event = self.waiting.pop_front();
        Some(Ok(v1::WatchServicesResponse { event }))
    }

    fn compare(&mut self) {
        let now: BTreeMap<_, _> = {
            let state = self.robot.borrow_and_update();
            let services = state.catalogue.services();
            let told = services.map(|it| {
                (
                    it.name().to_owned(),
                    (info(it), it.schema().descriptor.clone()),
                )
            });
            told.collect()
        };
        match &self.known {
            None => {
                let services = now.values().map(|(info, _)| info.clone()).collect();
                self.waiting
                    .push_back(Event::Snapshot(Snapshot { services }));
            }
            Some(before) => {
                for (name, (info, _)) in before {
                    if !now.contains_key(name) {
                        self.waiting.push_back(Event::Removed(info.clone()));
                    }
                }
                for (name, told) in &now {
                    match before.get(name) {
                        None => self.waiting.push_back(Event::Added(told.0.clone())),
                        Some(known) if known != told => {
                            self.waiting.push_back(Event::Changed(told.0.clone()));
                        }
                        Some(_) => {}
                    }
                }
            }
        }
        self.known = Some(now);
    }
}

fn info(service: &Service) -> v1::ServiceInfo {
    let registered = service.registered();
    let at = registered.as_deref();
    v1::ServiceInfo {
        name: service.name().to_owned(),
        service_id: at.map_or(0, |it| it.service_id.0),
        grpc_service: service.schema().full_name.clone(),
        machine_id: at.map_or_else(String::new, |it| it.machine_id.clone()),
        process_id: at.map_or(0, |it| it.process_id),
        endpoints: at.map_or_else(Vec::new, |it| it.endpoints.clone()),
        available: service.is_available(),
    }
}

const fn kind(kind: MethodKind) -> v1::MethodKind {
    match kind {
        MethodKind::Call => v1::MethodKind::Call,
        MethodKind::Subscribe => v1::MethodKind::Subscribe,
        MethodKind::GetProperty => v1::MethodKind::GetProperty,
        MethodKind::SetProperty => v1::MethodKind::SetProperty,
        MethodKind::WatchProperty => v1::MethodKind::WatchProperty,
    }
}

fn schema(services: &[Arc<Service>]) -> Result<v1::GetSchemaResponse, GatewayError> {
    // The compiler put each file behind what it imports.
    let statics = ProtoFile::split(FILE_DESCRIPTOR_SET).map_err(GatewayError::Schema)?;
    let mut set = FileDescriptorSet {
        file: statics.into_iter().map(|file| file.descriptor).collect(),
    };
    let mut files: Vec<_> = STATIC_FILES
        .iter()
        .map(|(name, content)| File {
            name: (*name).to_owned(),
            content: (*content).to_owned(),
        })
        .collect();
    let mut sorted: BTreeMap<&str, &Arc<Service>> = BTreeMap::new();
    for service in services {
        sorted.insert(service.name(), service);
    }
    for service in sorted.into_values() {
        let schema = service.schema();
        let content = proto_text(&schema.descriptor).map_err(GatewayError::SchemaText)?;
        set.file.push(schema.descriptor.clone());
        files.push(File {
            name: schema.file_name.clone(),
            content,
        });
    }
    Ok(v1::GetSchemaResponse {
        file_descriptor_set: set.encode_to_vec().into(),
        files,
    })
}
