//! Picks the handler of a path: the live catalogue first, the static services behind it.

use std::{
    convert::Infallible,
    future::{Future, ready},
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll},
};

use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header};
use tokio::{
    sync::watch,
    time::{Instant, timeout_at},
};
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
        if let Some(refused) = refusal(&request) {
            return Box::pin(ready(Ok(refused)));
        }
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
        Box::pin(handle(incoming))
    }
}

/// What is awaited here is pinned once and not moved any more: a future that is moved takes its
/// room twice, and the whole is allocated for every call.
async fn handle(incoming: Incoming) -> Result<Response<Body>, Infallible> {
    let route = incoming.route.clone();
    let deadline = incoming.deadline;
    let mut answer = pin!(answer(incoming));
    let answered = match deadline {
        Some(deadline) => timeout_at(deadline, answer.as_mut())
            .await
            .unwrap_or(Err(GatewayError::Deadline)),
        None => answer.await,
    };
    Ok(answered.unwrap_or_else(|error| error.status(&route).into_http()))
}

async fn answer(incoming: Incoming) -> Result<Response<Body>, GatewayError> {
    match incoming.route.method.schema().kind {
        MethodKind::Call | MethodKind::GetProperty | MethodKind::SetProperty => {
            unary::handle(incoming).await
        }
        MethodKind::Subscribe | MethodKind::WatchProperty => streaming::handle(incoming).await,
    }
}

/// What a request gets that is none of gRPC: an answer of HTTP alone, as gRPC's HTTP/2 protocol
/// wants it.
fn refusal(request: &Request<Body>) -> Option<Response<Body>> {
    let content_type = request.headers().get(header::CONTENT_TYPE);
    let status = if request.method() != Method::POST {
        StatusCode::METHOD_NOT_ALLOWED
    } else if !content_type.is_some_and(is_grpc) {
        StatusCode::UNSUPPORTED_MEDIA_TYPE
    } else {
        return None;
    };
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    Some(response)
}

/// `application/grpc`, perhaps with `+proto` or a parameter; but not `application/grpc-web`.
fn is_grpc(content_type: &HeaderValue) -> bool {
    content_type
        .as_bytes()
        .strip_prefix(b"application/grpc")
        .is_some_and(|rest| matches!(rest.first(), None | Some(b'+' | b';')))
}

/// What the request metadata `qi-value-format` asks for.
pub(crate) fn value_format(headers: &HeaderMap) -> ValueFormat {
    match headers.get("qi-value-format") {
        Some(format) if format == "json" => ValueFormat::Json,
        _ => ValueFormat::Exact,
    }
}
