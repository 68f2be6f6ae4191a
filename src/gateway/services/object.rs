//! `qi.gateway.v1.ObjectService`.

use std::time::Duration;

use tonic::{Request, Response, Status};

use super::request::{Asked, answer};
use crate::{
    bridge::{BridgeError, Dynamic},
    gateway::status::GatewayError,
    proto::v1::{
        self, list_response,
        object_service_server::{ObjectService, ObjectServiceServer},
    },
    qi::value::{MetaMethod, MetaObject},
};

/// The gRPC service.
pub(crate) fn server(dynamic: Dynamic) -> ObjectServiceServer<Objects> {
    ObjectServiceServer::new(Objects { dynamic })
}

/// The objects that methods returned.
#[derive(Debug)]
pub(crate) struct Objects {
    dynamic: Dynamic,
}

#[tonic::async_trait]
impl ObjectService for Objects {
    async fn describe(
        &self,
        request: Request<v1::DescribeRequest>,
    ) -> Result<Response<v1::DescribeResponse>, Status> {
        let asked = Asked::new(request);
        let id = asked.message.object_id;
        let described = async {
            let meta = self.dynamic.describe(&id).map_err(failed)?;
            Ok(v1::DescribeResponse {
                object: Some(description(meta)),
            })
        };
        answer(asked.deadline, (&id, ""), described).await
    }

    async fn extend_lease(
        &self,
        request: Request<v1::ExtendLeaseRequest>,
    ) -> Result<Response<v1::ExtendLeaseResponse>, Status> {
        let asked = Asked::new(request);
        let id = asked.message.object_id;
        let extended = async {
            let lease = self.dynamic.objects().extend(&id).map_err(failed)?;
            Ok(v1::ExtendLeaseResponse {
                lease: Some(duration(lease)),
            })
        };
        answer(asked.deadline, (&id, ""), extended).await
    }

    async fn release(
        &self,
        request: Request<v1::ReleaseRequest>,
    ) -> Result<Response<v1::ReleaseResponse>, Status> {
        let asked = Asked::new(request);
        let id = asked.message.object_id;
        let released = async {
            self.dynamic.objects().release(&id).map_err(failed)?;
            Ok(v1::ReleaseResponse {})
        };
        answer(asked.deadline, (&id, ""), released).await
    }

    async fn list(
        &self,
        _: Request<v1::ListRequest>,
    ) -> Result<Response<v1::ListResponse>, Status> {
        let leases = self.dynamic.objects().leases();
        let objects = leases.into_iter().map(|lease| list_response::Object {
            object_id: lease.id,
            description: lease.description,
            lease: Some(duration(lease.left)),
            uses: u32::try_from(lease.uses).unwrap_or(u32::MAX),
        });
        Ok(Response::new(v1::ListResponse {
            objects: objects.collect(),
        }))
    }
}

fn failed(error: impl Into<BridgeError>) -> GatewayError {
    GatewayError::Bridge(error.into())
}

/// A lease is configured, and far below the 10 000 years that a protobuf duration can hold.
fn duration(duration: Duration) -> prost_types::Duration {
    duration.try_into().unwrap_or_default()
}

pub(super) fn description(meta: MetaObject) -> v1::ObjectDescription {
    let signals = meta.signals.into_values();
    let properties = meta.properties.into_values();
    v1::ObjectDescription {
        description: meta.description,
        methods: meta.methods.into_values().map(method).collect(),
        signals: signals
            .map(|signal| v1::SignalDescription {
                uid: signal.uid.0,
                name: signal.name,
                signature: signal.signature.to_string(),
            })
            .collect(),
        properties: properties
            .map(|property| v1::PropertyDescription {
                uid: property.uid.0,
                name: property.name,
                signature: property.signature.to_string(),
            })
            .collect(),
    }
}

fn method(method: MetaMethod) -> v1::MethodDescription {
    let parameters = method.parameters.into_iter();
    v1::MethodDescription {
        uid: method.uid.0,
        name: method.name,
        parameters_signature: method.parameters_signature.to_string(),
        return_signature: method.return_signature.to_string(),
        description: method.description,
        parameters: parameters
            .map(|parameter| v1::ParameterDescription {
                name: parameter.name,
                description: parameter.description,
            })
            .collect(),
        return_description: method.return_description,
    }
}
