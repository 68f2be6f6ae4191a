//! Why a service is not hosted, or not any more.

use std::time::Duration;

use crate::{
    qi::{
        host::{BuildError, HostError, RegisterError, ValueError},
        value::{Signature, SignatureError, codec::DecodeError},
    },
    transcode::RequestError,
};

/// Why a service is not hosted, or not any more.
#[derive(Debug, thiserror::Error)]
pub enum HostingError {
    /// What the client declared is no service.
    #[error("{field}: {problem}")]
    Declaration {
        /// The field path.
        field: String,
        /// What is wrong with it.
        problem: Box<Problem>,
    },
    /// A value of the client is not what it declared.
    #[error("{0}")]
    Value(RequestError),
    /// A value that the client gave cannot be sent, although it is of its type.
    #[error("{field}: {source}")]
    NotSendable {
        /// The field path.
        field: String,
        /// What is wrong with it.
        source: ValueError,
    },
    /// A value of the client is over a limit of what can be decoded.
    #[error("{field}: {source}")]
    Undecodable {
        /// The field path.
        field: String,
        /// The limit.
        source: DecodeError,
    },
    /// A value of the client holds too many objects.
    #[error("{field}: more than {limit} objects at once")]
    TooManyObjects {
        /// The field path.
        field: String,
        /// The limit.
        limit: usize,
    },
    /// A member that the client did not declare.
    #[error("{field}: {name:?} was not declared")]
    UnknownMember {
        /// The field path.
        field: &'static str,
        /// The member.
        name: String,
    },
    /// A request that is not what may come.
    #[error("{field}: {expected}")]
    Request {
        /// The field path.
        field: &'static str,
        /// What may come.
        expected: &'static str,
    },
    /// A client that has not declared its service.
    #[error("no service was declared within {patience:?}")]
    NotDeclared {
        /// How long it had.
        patience: Duration,
    },
    /// A host that does not read what it is told.
    #[error("the host has read nothing for {patience:?}")]
    NotRead {
        /// How long it had.
        patience: Duration,
    },
    /// There are as many hosted services as there may be.
    #[error("{limit} services are hosted already")]
    TooManyServices {
        /// The limit.
        limit: usize,
    },
    /// Another service has the name.
    #[error("the bus has a service {name} already")]
    NameTaken {
        /// The name.
        name: String,
    },
    /// The generated API of another service would move for it.
    #[error("{name} would take the package {package} of {other}")]
    PackageTaken {
        /// The name.
        name: String,
        /// The service that is there.
        other: String,
        /// The package of its API.
        package: String,
    },
    /// The robot's directory does not take the service.
    #[error("the service is not registered: {0}")]
    Register(#[source] RegisterError),
    /// Nobody could reach what is hosted.
    #[error(transparent)]
    Listen(#[from] HostError),
    /// The gateway shuts down.
    #[error("the gateway shuts down")]
    Shutdown,
}

/// What is wrong with a field of a declaration.
#[derive(Debug, thiserror::Error)]
pub enum Problem {
    /// The name is empty, or holds what no name can.
    #[error("{name:?} is no name")]
    Name {
        /// The name.
        name: String,
    },
    /// The text is no signature.
    #[error(transparent)]
    Signature(#[from] SignatureError),
    /// What a member takes is neither a tuple nor `m`.
    #[error("{signature} is neither a tuple such as ({signature}) nor m")]
    NotArguments {
        /// The signature.
        signature: Signature,
    },
    /// The member cannot be hosted beside the others.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// The time is out of range.
    #[error("a time of more than nothing and at most {longest:?} is taken")]
    Time {
        /// The longest time.
        longest: Duration,
    },
    /// The number is over what the gateway allows.
    #[error("{given} was given, at most {limit} is taken")]
    TooLarge {
        /// What the client gave.
        given: usize,
        /// The limit.
        limit: usize,
    },
}

impl HostingError {
    pub(super) fn declaration(field: impl Into<String>, problem: impl Into<Problem>) -> Self {
        Self::Declaration {
            field: field.into(),
            problem: Box::new(problem.into()),
        }
    }
}

impl From<RegisterError> for HostingError {
    fn from(error: RegisterError) -> Self {
        match error {
            RegisterError::NameTaken { name, .. } => Self::NameTaken { name },
            error => Self::Register(error),
        }
    }
}
