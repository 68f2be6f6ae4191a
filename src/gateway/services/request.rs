//! What requests to the static API have in common: the deadline, the status.

use std::future::Future;

use http::HeaderMap;
use tokio::time::Instant;
use tonic::{Request, Response, Status};

use crate::gateway::{deadline::deadline, status::GatewayError};

/// A request, and whom it is about.
pub(super) struct Asked<T> {
    pub(super) message: T,
    pub(super) deadline: Option<Instant>,
}

impl<T> Asked<T> {
    pub(super) fn new(request: Request<T>) -> Self {
        let (metadata, _, message) = request.into_parts();
        let headers: HeaderMap = metadata.into_headers();
        Self {
            message,
            deadline: deadline(&headers),
        }
    }
}

/// Waits for an answer until the deadline; an error becomes the status of a request about a member
/// of an object.
pub(super) async fn answer<T>(
    deadline: Option<Instant>,
    (object, member): (&str, &str),
    answering: impl Future<Output = Result<T, GatewayError>>,
) -> Result<Response<T>, Status> {
    let answered = match deadline {
        Some(deadline) => tokio::time::timeout_at(deadline, answering)
            .await
            .unwrap_or(Err(GatewayError::Deadline)),
        None => answering.await,
    };
    answered
        .map(Response::new)
        .map_err(|error| error.status_of(object, member))
}
