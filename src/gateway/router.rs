//! Picks the handler of a path: the live catalogue first, the static services behind it.

use std::{
    convert::Infallible,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use http::{HeaderMap, Request, Response};
use tokio::{sync::watch, time::Instant};
use tonic::{body::Body, service::Routes};
use tower::Service as TowerService;

use super::{deadline::deadline, status::GatewayError, streaming, unary};
use crate::{
    bridge::{Route, service::ValueFormat, supervisor::State},
    schema::MethodKind,
};

/// The service of every connection.
#[derive(Clone)]
pub(crate) struct Router {
    shared: Arc<Shared>,
    robot: watch::Receiver<State>,
    statics: Routes,
}

struct Shared {
    max_request_bytes: usize,
}

/// A request to a generated method.
pub(crate) struct Incoming {
    pub(crate) route: Route,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Body,
    pub(crate) format: ValueFormat,
    pub(crate) deadline: Option<Instant>,
    pub(crate) max_request_bytes: usize,
}

impl Router {
    pub(crate) fn new(
        robot: watch::Receiver<State>,
        statics: Routes,
        max_request_bytes: usize,
    ) -> Self {
        Self {
            shared: Arc::new(Shared { max_request_bytes }),
            robot,
            statics,
        }
    }
}

impl TowerService<Request<Body>> for Router {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        TowerService::<Request<Body>>::poll_ready(&mut self.statics, cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let route = {
            let state = self.robot.borrow();
            state.catalogue.route(request.uri().path()).cloned()
        };
        let Some(route) = route else {
            return Box::pin(self.statics.call(request));
        };
        let (parts, body) = request.into_parts();
        let incoming = Incoming {
            format: value_format(&parts.headers),
            // Counted from here, before anything is awaited.
            deadline: deadline(&parts.headers),
            route,
            headers: parts.headers,
            body,
            max_request_bytes: self.shared.max_request_bytes,
        };
        Box::pin(async move { Ok(handle(incoming).await) })
    }
}

async fn handle(incoming: Incoming) -> Response<Body> {
    let route = incoming.route.clone();
    let deadline = incoming.deadline;
    let answer = async {
        match incoming.route.method.schema().kind {
            MethodKind::Call | MethodKind::GetProperty | MethodKind::SetProperty => {
                unary::handle(incoming).await
            }
            MethodKind::Subscribe | MethodKind::WatchProperty => streaming::handle(incoming).await,
        }
    };
    let answered = match deadline {
        Some(deadline) => tokio::time::timeout_at(deadline, answer)
            .await
            .unwrap_or(Err(GatewayError::Deadline)),
        None => answer.await,
    };
    answered.unwrap_or_else(|error| error.status(&route).into_http())
}

/// What the request metadata `qi-value-format` asks for.
pub(crate) fn value_format(headers: &HeaderMap) -> ValueFormat {
    match headers.get("qi-value-format") {
        Some(format) if format == "json" => ValueFormat::Json,
        _ => ValueFormat::Exact,
    }
}
