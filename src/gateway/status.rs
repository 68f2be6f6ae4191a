//! The one table from errors to status codes, and the only place that makes a status.
//!
//! | what happened | code | reason | |
//! | --- | --- | --- | --- |
//! | a wrong argument | INVALID_ARGUMENT | | with the field path, in `google.rpc.BadRequest` |
//! | the service is away, nothing was sent | UNAVAILABLE | `SERVICE_UNAVAILABLE` | safe to retry |
//! | sent, then the connection was lost | UNKNOWN | `CONNECTION_LOST` | a retry may act twice |
//! | an error of the robot | UNKNOWN | `ROBOT_ERROR` | with its text |
//! | cancelled at the robot | CANCELLED | `CANCELED_BY_ROBOT` | |
//! | an answer that was not declared | INTERNAL | `UNDECLARED_ANSWER` | |
//! | a dynamic target that is not there | NOT_FOUND | `UNKNOWN_SERVICE`, `UNKNOWN_OBJECT` | nothing was sent |
//! | a member that the target has not | UNIMPLEMENTED | `UNKNOWN_MEMBER` | |
//! | a method that a static service has not | UNIMPLEMENTED | `UNKNOWN_RPC` | |
//! | the object of a stream was released | NOT_FOUND | `OBJECT_RELEASED` | |
//! | a schema that does not decode | INTERNAL | `SCHEMA` | a fault of the gateway |
//! | over a limit | RESOURCE_EXHAUSTED | `LIMIT` | |
//! | a compressed request | UNIMPLEMENTED | `COMPRESSED` | only identity is taken |
//! | the request was not received | CANCELLED | `REQUEST_LOST` | |
//! | a stream whose reader is too slow | RESOURCE_EXHAUSTED | `SLOW_READER` | if it chose FAIL, or hosts |
//! | a stream of a service that changed | UNAVAILABLE | `SERVICE_CHANGED` | subscribe again |
//! | a service to be hosted whose name or package is taken | ALREADY_EXISTS | `NAME_TAKEN` | |
//! | nobody can reach what is hosted | FAILED_PRECONDITION | `CANNOT_LISTEN` | see `--qi-listen` |
//! | the robot does not take a hosted service | UNKNOWN | `ROBOT_ERROR` | |
//! | a stream at shutdown | UNAVAILABLE | `SHUTDOWN` | |
//! | out of time | DEADLINE_EXCEEDED | `DEADLINE` | |
//! | a stream that the gateway failed at | INTERNAL | `FAULT` | its log says more |
//!
//! The text is at most 1024 bytes. Every status but INVALID_ARGUMENT has a `google.rpc.ErrorInfo` with domain `qi.gateway`, the
//! reason, and the qi names of service and method.

use std::{collections::HashMap, sync::Arc};

use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

use super::RequestBodyError;
use crate::{
    bridge::{BridgeError, Route, dynamic::TargetError, events::End, hosting::HostingError},
    qi::{
        host::RegisterError,
        session::{CallError, ExportError, SendError},
        value::{SignatureError, codec::DecodeError},
    },
    schema::FilesError,
    transcode::{RequestError, ResponseError},
};

/// The domain of every `google.rpc.ErrorInfo`.
pub const ERROR_DOMAIN: &str = "qi.gateway";

/// Why a request failed.
#[derive(Debug, thiserror::Error)]
pub enum GatewayError {
    /// The request body holds no request.
    #[error(transparent)]
    RequestBody(#[from] RequestBodyError),
    /// The static service has no such method.
    #[error("the service has no such method")]
    UnknownRpc,
    /// The request of a stream is no message of its type.
    #[error("the request is malformed: {0}")]
    MalformedRequest(#[source] prost::DecodeError),
    /// An option of a stream is out of range.
    #[error("{field}: {given} was given, {expected} is taken")]
    InvalidOption {
        /// The field path.
        field: &'static str,
        /// What the client gave.
        given: String,
        /// What is taken.
        expected: &'static str,
    },
    /// The call failed.
    #[error(transparent)]
    Bridge(#[from] BridgeError),
    /// The subscription failed, for this stream and those that waited with it.
    #[error(transparent)]
    Subscription(#[from] Arc<BridgeError>),
    /// A service is not hosted, or not any more.
    #[error(transparent)]
    Hosting(#[from] HostingError),
    /// The requests of a client that streams them did not all arrive.
    #[error("the request was not received: {}", .0.message())]
    RequestStream(Status),
    /// A stream ended.
    #[error(transparent)]
    Ended(End),
    /// The static API that was compiled into the program does not decode.
    #[error("the static API cannot be given out")]
    Schema(#[source] FilesError),
    /// A generated file does not decode.
    #[error("a generated file cannot be given out")]
    SchemaText(#[source] prost::DecodeError),
    /// The time that the client gave is over.
    #[error("the deadline is over")]
    Deadline,
    /// The gateway panicked.
    #[error("the gateway failed")]
    Fault,
}

/// A row of the table.
struct Row {
    code: Code,
    reason: &'static str,
    /// The field path of a wrong argument.
    field: Option<String>,
}

impl Row {
    const fn new(code: Code, reason: &'static str) -> Self {
        Self {
            code,
            reason,
            field: None,
        }
    }

    const fn argument(field: String) -> Self {
        Self {
            code: Code::InvalidArgument,
            reason: "INVALID_ARGUMENT",
            field: Some(field),
        }
    }
}

impl GatewayError {
    /// The status that a client of `route` gets.
    #[must_use]
    pub fn status(&self, route: &Route) -> Status {
        self.status_of(route.service.name(), &route.method.schema().qi_name)
    }

    /// The status that a client gets who asked for a member of a service, or of an object, by their
    /// names at the robot.
    #[must_use]
    pub fn status_of(&self, service: &str, member: &str) -> Status {
        let row = self.row();
        let mut text = self.to_string();
        if matches!(row.code, Code::Unavailable | Code::Internal) {
            text = format!("{service}: {text}");
        }
        if let Some(source) = std::error::Error::source(self)
            && row.code == Code::Internal
        {
            text = format!("{text}: {source}");
        }
        shorten(&mut text, MAX_TEXT_BYTES);
        let details = match row.field {
            Some(mut field) => {
                shorten(&mut field, MAX_NAME_BYTES);
                ErrorDetails::with_bad_request_violation(field, &text)
            }
            None => {
                let mut names = HashMap::from([
                    ("service".to_owned(), service.to_owned()),
                    ("method".to_owned(), member.to_owned()),
                ]);
                for name in names.values_mut() {
                    shorten(name, MAX_NAME_BYTES);
                }
                ErrorDetails::with_error_info(row.reason, ERROR_DOMAIN, names)
            }
        };
        Status::with_error_details(row.code, text, details)
    }

    /// A stable name of what happened, for metrics.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        self.row().reason
    }

    fn row(&self) -> Row {
        match self {
            Self::RequestBody(error) => body_row(error),
            Self::UnknownRpc => Row::new(Code::Unimplemented, "UNKNOWN_RPC"),
            Self::MalformedRequest(_) => Row::argument(String::new()),
            Self::InvalidOption { field, .. } => Row::argument((*field).to_owned()),
            Self::Bridge(error) => bridge_row(error),
            Self::Subscription(error) => bridge_row(error),
            Self::Hosting(error) => hosting_row(error),
            Self::RequestStream(status) => request_stream_row(status.code()),
            Self::Ended(end) => end_row(*end),
            Self::Schema(_) | Self::SchemaText(_) => Row::new(Code::Internal, "SCHEMA"),
            Self::Deadline => Row::new(Code::DeadlineExceeded, "DEADLINE"),
            Self::Fault => Row::new(Code::Internal, "FAULT"),
        }
    }
}

/// How long the text of a status may be, in bytes. It is sent in trailers, up to three times as
/// long, and once more in the details; clients accept as little as 8 KiB of them and fail the call
/// with a status of their own beyond. Robots send whole tracebacks.
const MAX_TEXT_BYTES: usize = 1024;

/// How long a name in the details may be, in bytes.
const MAX_NAME_BYTES: usize = 256;

/// Cuts a text to at most `limit` bytes and marks where.
fn shorten(text: &mut String, limit: usize) {
    if text.len() > limit {
        let end = limit - ELLIPSIS.len();
        let end = (0..=end).rev().find(|at| text.is_char_boundary(*at));
        text.truncate(end.unwrap_or_default());
        text.push_str(ELLIPSIS);
    }
}

const ELLIPSIS: &str = "…";

fn body_row(error: &RequestBodyError) -> Row {
    match error {
        RequestBodyError::Compressed => Row::new(Code::Unimplemented, "COMPRESSED"),
        RequestBodyError::TooLarge { .. } => Row::new(Code::ResourceExhausted, "LIMIT"),
        RequestBodyError::Truncated | RequestBodyError::TrailingBytes => {
            Row::argument(String::new())
        }
        RequestBodyError::Transport(_) => Row::new(Code::Cancelled, "REQUEST_LOST"),
    }
}

fn bridge_row(error: &BridgeError) -> Row {
    match error {
        BridgeError::Request(RequestError::TooLarge { .. }) => {
            Row::new(Code::ResourceExhausted, "LIMIT")
        }
        BridgeError::Request(error) => Row::argument(error.field_path().to_string()),
        BridgeError::Export(error) => export_row(*error),
        BridgeError::Target(error) => target_row(error),
        BridgeError::Unavailable => Row::new(Code::Unavailable, "SERVICE_UNAVAILABLE"),
        BridgeError::Ended(end) => end_row(*end),
        BridgeError::Call(error) => call_row(error),
        BridgeError::LostAfterThrough => Row::new(Code::Unknown, "CONNECTION_LOST"),
        BridgeError::Response(error) => response_row(error),
    }
}

const fn response_row(error: &ResponseError) -> Row {
    let limit = match error {
        ResponseError::TooDeep { .. }
        | ResponseError::TooManyEmpty { .. }
        | ResponseError::TooLarge { .. } => true,
        ResponseError::Signature { problem, .. } => is_signature_limit(problem),
        ResponseError::Object { problem, .. } => is_limit(problem),
        ResponseError::Read { .. }
        | ResponseError::Bool { .. }
        | ResponseError::Undeclared { .. }
        | ResponseError::NoEncoding { .. } => false,
    };
    match limit {
        true => Row::new(Code::ResourceExhausted, "LIMIT"),
        false => Row::new(Code::Internal, "UNDECLARED_ANSWER"),
    }
}

const fn export_row(error: ExportError) -> Row {
    match error {
        ExportError::TooMany { .. } => Row::new(Code::ResourceExhausted, "LIMIT"),
        ExportError::Closed => Row::new(Code::Unavailable, "SERVICE_UNAVAILABLE"),
        ExportError::NotHosting | ExportError::Unknown => {
            Row::new(Code::Internal, "OBJECT_NOT_PASSED_ON")
        }
    }
}

fn target_row(error: &TargetError) -> Row {
    match error {
        TargetError::Missing => Row::argument("target".to_owned()),
        TargetError::UnknownService { .. } => Row::new(Code::NotFound, "UNKNOWN_SERVICE"),
        TargetError::UnknownObject { .. } => Row::new(Code::NotFound, "UNKNOWN_OBJECT"),
        TargetError::UnknownMember { .. } => Row::new(Code::Unimplemented, "UNKNOWN_MEMBER"),
        TargetError::NoOverload { .. } => Row::argument("args".to_owned()),
        TargetError::NotAnObject { .. } => Row::argument("target.through.method".to_owned()),
    }
}

const fn call_row(error: &CallError) -> Row {
    match error {
        CallError::NotSent(error) => send_row(error),
        CallError::Lost(_) => Row::new(Code::Unknown, "CONNECTION_LOST"),
        CallError::Robot { .. } => Row::new(Code::Unknown, "ROBOT_ERROR"),
        CallError::Canceled => Row::new(Code::Cancelled, "CANCELED_BY_ROBOT"),
        CallError::Malformed { source, .. } if is_limit(source) => {
            Row::new(Code::ResourceExhausted, "LIMIT")
        }
        CallError::Malformed { .. } => Row::new(Code::Internal, "UNDECLARED_ANSWER"),
    }
}

/// Whether a value is as it should be, and only more than is accepted.
const fn is_limit(error: &DecodeError) -> bool {
    match error {
        DecodeError::TooDeep { .. }
        | DecodeError::DynamicsTooDeep { .. }
        | DecodeError::TooManyEmpty { .. }
        | DecodeError::TooManyValues { .. } => true,
        DecodeError::Signature { source, .. } => is_signature_limit(source),
        DecodeError::Read(_)
        | DecodeError::Bool { .. }
        | DecodeError::NoEncoding { .. }
        | DecodeError::UnknownMetaObject { .. } => false,
    }
}

const fn is_signature_limit(error: &SignatureError) -> bool {
    match error {
        SignatureError::TooLong { .. } | SignatureError::TooDeep { .. } => true,
        SignatureError::UnknownType { .. }
        | SignatureError::Incomplete
        | SignatureError::Unbalanced { .. }
        | SignatureError::TrailingBytes { .. }
        | SignatureError::NotText => false,
    }
}

const fn send_row(error: &SendError) -> Row {
    match error {
        SendError::Closed(_) => Row::new(Code::Unavailable, "SERVICE_UNAVAILABLE"),
        SendError::TooManyCalls { .. }
        | SendError::QueueFull { .. }
        | SendError::TooLarge { .. } => Row::new(Code::ResourceExhausted, "LIMIT"),
    }
}

fn hosting_row(error: &HostingError) -> Row {
    match error {
        HostingError::Undecodable { source, .. } if is_limit(source) => {
            Row::new(Code::ResourceExhausted, "LIMIT")
        }
        HostingError::Declaration { field, .. }
        | HostingError::NotSendable { field, .. }
        | HostingError::Undecodable { field, .. } => Row::argument(field.clone()),
        HostingError::Value(RequestError::TooLarge { .. })
        | HostingError::TooManyObjects { .. }
        | HostingError::TooManyServices { .. } => Row::new(Code::ResourceExhausted, "LIMIT"),
        HostingError::Value(error) => Row::argument(error.field_path().to_string()),
        HostingError::UnknownMember { field, .. } | HostingError::Request { field, .. } => {
            Row::argument((*field).to_owned())
        }
        HostingError::NotDeclared { .. } => Row::new(Code::DeadlineExceeded, "DEADLINE"),
        HostingError::NotRead { .. } => Row::new(Code::ResourceExhausted, "SLOW_READER"),
        HostingError::NameTaken { .. } | HostingError::PackageTaken { .. } => {
            Row::new(Code::AlreadyExists, "NAME_TAKEN")
        }
        HostingError::Register(RegisterError::Over) | HostingError::Shutdown => {
            Row::new(Code::Unavailable, "SHUTDOWN")
        }
        HostingError::Register(_) => Row::new(Code::Unknown, "ROBOT_ERROR"),
        HostingError::Listen(_) => Row::new(Code::FailedPrecondition, "CANNOT_LISTEN"),
    }
}

/// What tonic says of a stream of requests that it cannot read on: too large a message, one that
/// does not decode, or a client that is gone.
fn request_stream_row(code: Code) -> Row {
    match code {
        Code::OutOfRange | Code::ResourceExhausted => Row::new(Code::ResourceExhausted, "LIMIT"),
        Code::Internal => Row::argument(String::new()),
        _ => Row::new(Code::Cancelled, "REQUEST_LOST"),
    }
}

const fn end_row(end: End) -> Row {
    match end {
        End::Overflow => Row::new(Code::ResourceExhausted, "SLOW_READER"),
        End::Disconnected => Row::new(Code::Unavailable, "SERVICE_UNAVAILABLE"),
        End::Changed => Row::new(Code::Unavailable, "SERVICE_CHANGED"),
        End::Released => Row::new(Code::NotFound, "OBJECT_RELEASED"),
        End::Refused => Row::new(Code::Unknown, "ROBOT_ERROR"),
        End::Shutdown => Row::new(Code::Unavailable, "SHUTDOWN"),
    }
}

#[cfg(test)]
mod tests;
