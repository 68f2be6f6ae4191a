//! Generated methods with one answer: calls, and properties read and written.

use http::Response;
use tonic::body::Body;

use super::{
    message::{finish_message, message_buffer, read_message, unary_response},
    router::Incoming,
    status::GatewayError,
};
use crate::schema::MethodKind;

/// How much room an answer gets at first, in bytes: most are smaller.
const ANSWER_ROOM_BYTES: usize = 128;

pub(crate) async fn handle(incoming: Incoming) -> Result<Response<Body>, GatewayError> {
    let Incoming {
        route,
        headers,
        body,
        format,
        max_request_bytes,
        ..
    } = incoming;
    let message = read_message(&headers, body, max_request_bytes).await?;
    let (service, method) = (&route.service, &route.method);
    let mut answer = message_buffer(ANSWER_ROOM_BYTES);
    match method.schema().kind {
        MethodKind::SetProperty => service.write_property(method, &message).await?,
        MethodKind::GetProperty => service.read_property(method, format, &mut answer).await?,
        MethodKind::Call | MethodKind::Subscribe | MethodKind::WatchProperty => {
            service.call(method, &message, format, &mut answer).await?;
        }
    }
    Ok(unary_response(finish_message(answer)))
}
