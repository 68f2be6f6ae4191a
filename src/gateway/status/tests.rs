//! A row for every error.

use std::{io, time::Duration};

use super::*;
use crate::{
    bridge::{hosting::Problem, sample},
    qi::{
        host::{HostError, ValueError},
        session::CloseReason,
        value::{Signature, codec::DecodeError},
        wire::{Limits, ReadError, Reader},
    },
    schema::MemberKind,
};

fn call(error: CallError) -> GatewayError {
    GatewayError::Bridge(error.into())
}

fn unsent(error: SendError) -> GatewayError {
    call(error.into())
}

fn truncated() -> ReadError {
    Reader::new(&[]).u8().unwrap_err()
}

fn bad_argument() -> RequestError {
    Signature::parse("(", &Limits::default())
        .unwrap_err()
        .into()
}

fn bad_answer() -> ResponseError {
    truncated().into()
}

fn large_argument() -> RequestError {
    RequestError::TooLarge {
        path: bad_argument().field_path().clone(),
        limit: 1,
    }
}

fn large_answer() -> ResponseError {
    ResponseError::TooLarge {
        path: bad_argument().field_path().clone(),
        limit: 1,
    }
}

fn deep_answer() -> ResponseError {
    ResponseError::Object {
        path: bad_argument().field_path().clone(),
        problem: DecodeError::Signature {
            offset: 0,
            source: SignatureError::TooDeep { limit: 1 },
        },
    }
}

fn malformed() -> prost::DecodeError {
    <u32 as prost::Message>::decode(&b"\x08"[..]).unwrap_err()
}

const INVALID: (Code, &str) = (Code::InvalidArgument, "INVALID_ARGUMENT");
const AWAY: (Code, &str) = (Code::Unavailable, "SERVICE_UNAVAILABLE");
const LIMIT: (Code, &str) = (Code::ResourceExhausted, "LIMIT");
const NOT_PASSED_ON: (Code, &str) = (Code::Internal, "OBJECT_NOT_PASSED_ON");
const LOST: (Code, &str) = (Code::Unknown, "CONNECTION_LOST");
const ROBOT: (Code, &str) = (Code::Unknown, "ROBOT_ERROR");
const UNDECLARED: (Code, &str) = (Code::Internal, "UNDECLARED_ANSWER");

fn table() -> Vec<(GatewayError, (Code, &'static str))> {
    let body = GatewayError::RequestBody;
    let lost = Status::cancelled("the client is gone");
    let reset: CloseReason = io::Error::from(io::ErrorKind::ConnectionReset).into();
    let target = |error: TargetError| GatewayError::Bridge(error.into());
    let export = |error: ExportError| GatewayError::Bridge(error.into());
    let name = String::from("nope");
    vec![
        (target(TargetError::Missing), INVALID),
        (export(ExportError::TooMany { limit: 1 }), LIMIT),
        (export(ExportError::Closed), AWAY),
        (export(ExportError::NotHosting), NOT_PASSED_ON),
        (export(ExportError::Unknown), NOT_PASSED_ON),
        (
            target(TargetError::UnknownService { name: name.clone() }),
            (Code::NotFound, "UNKNOWN_SERVICE"),
        ),
        (
            target(TargetError::UnknownObject { id: name.clone() }),
            (Code::NotFound, "UNKNOWN_OBJECT"),
        ),
        (
            target(TargetError::UnknownMember {
                object: "Sample".into(),
                kind: MemberKind::Method,
                name: name.clone(),
            }),
            (Code::Unimplemented, "UNKNOWN_MEMBER"),
        ),
        (
            target(TargetError::NoOverload {
                arguments: "(s)".into(),
                candidates: vec!["say::(i)".into()],
            }),
            INVALID,
        ),
        (target(TargetError::NotAnObject { method: name }), INVALID),
        (
            GatewayError::Ended(End::Released),
            (Code::NotFound, "OBJECT_RELEASED"),
        ),
        (
            GatewayError::Bridge(End::Released.into()),
            (Code::NotFound, "OBJECT_RELEASED"),
        ),
        (GatewayError::Bridge(BridgeError::LostAfterThrough), LOST),
        (
            GatewayError::Schema(FilesError::Set(malformed())),
            (Code::Internal, "SCHEMA"),
        ),
        (
            GatewayError::SchemaText(malformed()),
            (Code::Internal, "SCHEMA"),
        ),
        (
            body(RequestBodyError::Compressed),
            (Code::Unimplemented, "COMPRESSED"),
        ),
        (
            body(RequestBodyError::TooLarge { size: 2, limit: 1 }),
            LIMIT,
        ),
        (body(RequestBodyError::Truncated), INVALID),
        (body(RequestBodyError::TrailingBytes), INVALID),
        (
            body(RequestBodyError::Transport(lost)),
            (Code::Cancelled, "REQUEST_LOST"),
        ),
        (
            GatewayError::UnknownRpc,
            (Code::Unimplemented, "UNKNOWN_RPC"),
        ),
        (GatewayError::MalformedRequest(malformed()), INVALID),
        (
            GatewayError::InvalidOption {
                field: "options",
                given: "1".into(),
                expected: "2",
            },
            INVALID,
        ),
        (GatewayError::Bridge(bad_argument().into()), INVALID),
        (GatewayError::Bridge(large_argument().into()), LIMIT),
        (GatewayError::Bridge(BridgeError::Unavailable), AWAY),
        (GatewayError::Bridge(bad_answer().into()), UNDECLARED),
        (GatewayError::Bridge(large_answer().into()), LIMIT),
        (GatewayError::Bridge(deep_answer().into()), LIMIT),
        (unsent(SendError::Closed(CloseReason::Peer)), AWAY),
        (unsent(SendError::TooManyCalls { limit: 1 }), LIMIT),
        (
            unsent(SendError::QueueFull {
                queued: 2,
                limit: 1,
            }),
            LIMIT,
        ),
        (unsent(SendError::TooLarge { size: 2, limit: 1 }), LIMIT),
        (call(CallError::Lost(reset)), LOST),
        (call(CallError::Robot { text: "no".into() }), ROBOT),
        (
            call(CallError::Canceled),
            (Code::Cancelled, "CANCELED_BY_ROBOT"),
        ),
        (
            call(CallError::Malformed {
                expected: "value",
                source: DecodeError::from(truncated()),
            }),
            UNDECLARED,
        ),
        (
            call(CallError::Malformed {
                expected: "value",
                source: DecodeError::TooDeep { limit: 1 },
            }),
            LIMIT,
        ),
        (
            GatewayError::Subscription(Arc::new(BridgeError::Unavailable)),
            AWAY,
        ),
        (
            GatewayError::Ended(End::Overflow),
            (Code::ResourceExhausted, "SLOW_READER"),
        ),
        (GatewayError::Ended(End::Disconnected), AWAY),
        (
            GatewayError::Ended(End::Changed),
            (Code::Unavailable, "SERVICE_CHANGED"),
        ),
        (GatewayError::Ended(End::Refused), ROBOT),
        (
            GatewayError::Ended(End::Shutdown),
            (Code::Unavailable, "SHUTDOWN"),
        ),
        (GatewayError::Deadline, (Code::DeadlineExceeded, "DEADLINE")),
        (GatewayError::Fault, (Code::Internal, "FAULT")),
    ]
    .into_iter()
    .chain(hosting_table())
    .collect()
}

fn hosting_table() -> Vec<(GatewayError, (Code, &'static str))> {
    let hosting = GatewayError::Hosting;
    let requests = |code| GatewayError::RequestStream(Status::new(code, "no"));
    let field = || String::from("declare.name");
    let name = || String::from("foo");
    let shutdown = (Code::Unavailable, "SHUTDOWN");
    vec![
        (
            hosting(HostingError::Declaration {
                field: field(),
                problem: Box::new(Problem::Name { name: name() }),
            }),
            INVALID,
        ),
        (hosting(HostingError::Value(bad_argument())), INVALID),
        (hosting(HostingError::Value(large_argument())), LIMIT),
        (
            hosting(HostingError::NotSendable {
                field: field(),
                source: ValueError::Object,
            }),
            INVALID,
        ),
        (
            hosting(HostingError::Undecodable {
                field: field(),
                source: DecodeError::from(truncated()),
            }),
            INVALID,
        ),
        (
            hosting(HostingError::Undecodable {
                field: field(),
                source: DecodeError::TooManyValues { limit: 1 },
            }),
            LIMIT,
        ),
        (
            hosting(HostingError::TooManyObjects {
                field: field(),
                limit: 1,
            }),
            LIMIT,
        ),
        (
            hosting(HostingError::UnknownMember {
                field: "emit.signal",
                name: name(),
            }),
            INVALID,
        ),
        (
            hosting(HostingError::Request {
                field: "declare",
                expected: "once",
            }),
            INVALID,
        ),
        (
            hosting(HostingError::NotDeclared {
                patience: Duration::from_secs(1),
            }),
            (Code::DeadlineExceeded, "DEADLINE"),
        ),
        (
            hosting(HostingError::NotRead {
                patience: Duration::from_secs(1),
            }),
            (Code::ResourceExhausted, "SLOW_READER"),
        ),
        (hosting(HostingError::TooManyServices { limit: 1 }), LIMIT),
        (
            hosting(HostingError::NameTaken { name: name() }),
            (Code::AlreadyExists, "NAME_TAKEN"),
        ),
        (
            hosting(HostingError::PackageTaken {
                name: name(),
                other: name(),
                package: name(),
            }),
            (Code::AlreadyExists, "NAME_TAKEN"),
        ),
        (
            hosting(RegisterError::Directory(CallError::Canceled).into()),
            ROBOT,
        ),
        (hosting(RegisterError::Over.into()), shutdown),
        (hosting(HostingError::Shutdown), shutdown),
        (
            hosting(HostingError::Listen(HostError::Url { url: name() })),
            (Code::FailedPrecondition, "CANNOT_LISTEN"),
        ),
        (requests(Code::OutOfRange), LIMIT),
        (requests(Code::Internal), INVALID),
        (requests(Code::Cancelled), (Code::Cancelled, "REQUEST_LOST")),
    ]
}

#[test]
fn every_error_has_its_code_and_reason() {
    let route = sample::route();
    for (error, (code, reason)) in table() {
        let status = error.status(&route);
        assert_eq!(status.code(), code, "{error}");
        assert_eq!(error.reason(), reason, "{error}");
        assert!(!status.message().is_empty(), "{error:?}");
        let details = status.get_error_details();
        if code == Code::InvalidArgument {
            let violations = &details.bad_request().unwrap().field_violations;
            assert_eq!(violations[0].description, status.message());
        } else {
            let info = details.error_info().unwrap();
            assert_eq!((&*info.domain, &*info.reason), (ERROR_DOMAIN, reason));
            assert_eq!(info.metadata["service"], "Sample");
            assert_eq!(info.metadata["method"], "say");
        }
    }
}

#[test]
fn texts_say_whose_fault_it_is() {
    let route = sample::route();
    let text = |error: GatewayError| error.status(&route).message().to_owned();
    assert_eq!(
        text(GatewayError::Bridge(BridgeError::Unavailable)),
        "Sample: the service is not available"
    );
    let answer = text(GatewayError::Bridge(bad_answer().into()));
    assert!(
        answer.starts_with("Sample: the answer is not what the robot declared: message: "),
        "{answer}"
    );
    assert_eq!(text(call(CallError::Robot { text: "no".into() })), "no");
}

/// A NAOqi module's Python traceback, percent-encoded in trailers, was more than a Java client
/// accepts, which then saw an INTERNAL error of its own making.
#[test]
fn a_long_text_of_the_robot_fits_into_trailers() {
    let route = sample::route();
    let long = "é".repeat(10_000);
    let status = call(CallError::Robot { text: long }).status(&route);
    assert!(status.message().len() <= MAX_TEXT_BYTES);
    assert!(status.message().ends_with("é…"));
}
