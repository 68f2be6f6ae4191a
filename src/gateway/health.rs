//! `grpc.health.v1`: the whole server, and each generated service.

use futures_util::stream::{self, BoxStream};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status};
use tonic_health::pb::{
    HealthCheckRequest, HealthCheckResponse,
    health_check_response::ServingStatus,
    health_server::{Health, HealthServer},
};

use super::{reflection::STATIC_SERVICES, status::GatewayError};
use crate::bridge::{BridgeError, dynamic::TargetError, events::End, supervisor::State};

/// The gRPC service. From `stop` on nothing is served any more, and its streams end.
pub(crate) fn server(
    robot: watch::Receiver<State>,
    stop: CancellationToken,
) -> HealthServer<Serving> {
    HealthServer::new(Serving { robot, stop })
}

/// Tells of each service whether it can be called; the whole server serves while the robot is there.
#[derive(Clone, Debug)]
pub(crate) struct Serving {
    robot: watch::Receiver<State>,
    stop: CancellationToken,
}

#[tonic::async_trait]
impl Health for Serving {
    async fn check(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<HealthCheckResponse>, Status> {
        let name = request.into_inner().service;
        match self.clone().status(&name) {
            ServingStatus::ServiceUnknown => Err(unknown(name)),
            status => Ok(Response::new(response(status))),
        }
    }

    type WatchStream = BoxStream<'static, Result<HealthCheckResponse, Status>>;

    async fn watch(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let watched = Watched {
            serving: self.clone(),
            name: request.into_inner().service,
            told: None,
        };
        let statuses = stream::unfold(Some(watched), async |watched| {
            let mut watched = watched?;
            match watched.next().await {
                Ok(status) => Some((Ok(response(status)), Some(watched))),
                Err(end) => {
                    let error = GatewayError::Ended(end);
                    Some((Err(error.status_of(&watched.name, "")), None))
                }
            }
        });
        Ok(Response::new(Box::pin(statuses)))
    }
}

impl Serving {
    /// The status of a service now. A change after it wakes who waits for the robot.
    fn status(&mut self, name: &str) -> ServingStatus {
        match is_serving(&self.robot.borrow_and_update(), name) {
            None => ServingStatus::ServiceUnknown,
            Some(true) if !self.stop.is_cancelled() => ServingStatus::Serving,
            Some(_) => ServingStatus::NotServing,
        }
    }
}

/// One client's view of a service. One that is not known may come.
struct Watched {
    serving: Serving,
    name: String,
    /// What the client knows; nothing at the beginning.
    told: Option<ServingStatus>,
}

impl Watched {
    /// The next status, of which the last is that nothing is served.
    async fn next(&mut self) -> Result<ServingStatus, End> {
        loop {
            // Looked at first: what is told after it is the last.
            let stopped = self.serving.stop.is_cancelled();
            let now = self.serving.status(&self.name);
            if self.told.replace(now) != Some(now) {
                return Ok(now);
            }
            if stopped {
                return Err(End::Shutdown);
            }
            tokio::select! {
                () = self.serving.stop.cancelled() => {}
                changed = self.serving.robot.changed() => {
                    // It is given up, and nobody knows any more.
                    changed.map_err(|_| End::Shutdown)?;
                }
            }
        }
    }
}

/// Whether a service can be called; none if there is no such service. The gateway's own are there
/// whether the robot is or not.
fn is_serving(state: &State, name: &str) -> Option<bool> {
    if name.is_empty() {
        return Some(state.connected);
    }
    if name.starts_with("qi.") && STATIC_SERVICES.contains(&name) {
        return Some(true);
    }
    let mut services = state.catalogue.services();
    let service = services.find(|service| service.schema().full_name == name)?;
    Some(service.is_available())
}

const fn response(status: ServingStatus) -> HealthCheckResponse {
    HealthCheckResponse {
        status: status as i32,
    }
}

fn unknown(name: String) -> Status {
    let error = TargetError::UnknownService { name: name.clone() };
    GatewayError::from(BridgeError::from(error)).status_of(&name, "")
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use futures_util::StreamExt as _;
    use tonic::Code;

    use super::*;
    use crate::bridge::{Catalogue, sample};

    const SAMPLE: &str = "qi.sample.v1.Sample";

    fn asked(service: &str) -> Request<HealthCheckRequest> {
        let service = service.to_owned();
        Request::new(HealthCheckRequest { service })
    }

    fn serving() -> (watch::Sender<State>, Serving) {
        let (state, robot) = watch::channel(State::default());
        let stop = CancellationToken::new();
        (state, Serving { robot, stop })
    }

    /// A client that watched a service before the robot had it was refused, against the protocol.
    #[tokio::test]
    async fn a_service_that_is_not_known_may_come() {
        let (state, serving) = serving();
        let refused = serving.check(asked(SAMPLE)).await.unwrap_err();
        assert_eq!(refused.code(), Code::NotFound);
        let mut watched = serving.watch(asked(SAMPLE)).await.unwrap().into_inner();
        let mut next = async || watched.next().await.unwrap().unwrap().status();
        assert_eq!(next().await, ServingStatus::ServiceUnknown);
        let service = sample::route().service;
        assert_eq!(service.schema().full_name, SAMPLE);
        state.send_modify(|state| state.catalogue = Arc::new(Catalogue::new([service])));
        assert_eq!(next().await, ServingStatus::NotServing);
        let check = serving.check(asked(SAMPLE)).await.unwrap().into_inner();
        assert_eq!(check.status(), ServingStatus::NotServing);
    }

    #[tokio::test]
    async fn who_watches_learns_that_the_server_ends() {
        let (state, serving) = serving();
        state.send_modify(|state| state.connected = true);
        let mut watched = serving.watch(asked("")).await.unwrap().into_inner();
        let first = watched.next().await.unwrap().unwrap();
        assert_eq!(first.status(), ServingStatus::Serving);
        serving.stop.cancel();
        let last = watched.next().await.unwrap().unwrap();
        assert_eq!(last.status(), ServingStatus::NotServing);
        let end = watched.next().await.unwrap().unwrap_err();
        assert_eq!(end.code(), Code::Unavailable);
        assert!(watched.next().await.is_none());
    }
}
