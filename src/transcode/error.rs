//! What can be wrong on the way, split by blame, and in which field.

use std::fmt;

use super::wire::Malformed;
use crate::qi::{
    value::{SignatureError, Type, codec::DecodeError},
    wire::ReadError,
};

/// Where in a message, in the names of protobuf: `names[2].value`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FieldPath(String);

/// Why a message of a client is not sent to the robot.
#[derive(Clone, PartialEq, Debug, thiserror::Error)]
pub enum RequestError {
    /// The bytes are no protobuf message of the method's type.
    #[error("{path}: {problem}")]
    Malformed {
        /// The field; empty where it is the message itself.
        path: FieldPath,
        /// What is wrong.
        problem: Malformed,
    },
    /// A value that the robot does not take there.
    #[error("{path}: takes {taken}, not {given}")]
    Argument {
        /// The field.
        path: FieldPath,
        /// What the client gave.
        given: Given,
        /// What the robot takes.
        taken: Taken,
    },
    /// A `Value` with a signature that is none.
    #[error("{path}: {problem}")]
    Signature {
        /// The field.
        path: FieldPath,
        /// What is wrong with it.
        problem: SignatureError,
    },
    /// A struct given as a JSON object without one of its members.
    #[error("{path}: the member {name} is missing")]
    MissingMember {
        /// The field.
        path: FieldPath,
        /// The member.
        name: String,
    },
    /// The name of a struct or member that a signature cannot hold.
    #[error("{path}: {name:?} is no name of a struct or member")]
    Name {
        /// The field.
        path: FieldPath,
        /// The name.
        name: String,
    },
    /// The robot itself cannot describe the type, `X`: nothing can be sent as one.
    #[error("{path}: the robot does not say what it takes, so nothing can be sent")]
    NoEncoding {
        /// The field.
        path: FieldPath,
    },
    /// The id of an object that the gateway does not hold, or no longer.
    #[error("{path}: there is no object {id:?}")]
    UnknownObject {
        /// The field.
        path: FieldPath,
        /// The id.
        id: String,
    },
    /// The name of a service that nobody hosts here.
    #[error("{path}: no client hosts a service {name:?}")]
    UnknownService {
        /// The field.
        path: FieldPath,
        /// The name.
        name: String,
    },
    /// The message is larger on the robot's side than a payload may be.
    #[error("{path}: the arguments are over the limit of {limit} bytes")]
    TooLarge {
        /// The field at which the limit was reached.
        path: FieldPath,
        /// The limit, in bytes.
        limit: usize,
    },
}

/// What a client gave where the robot takes something else.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Given {
    /// A signed number.
    Int(i64),
    /// An unsigned number.
    UInt(u64),
    /// A floating point number.
    Double(f64),
    /// So many members.
    Members(usize),
    /// A value of this kind.
    Kind(&'static str),
}

/// What the robot takes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Taken {
    /// A value of this type.
    Type(Type),
    /// So many members.
    Members(usize),
}

/// Why a message of the robot cannot be passed on: it is not what the robot declared.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ResponseError {
    /// The payload ends inside of a value.
    #[error("{path}: {problem}")]
    Read {
        /// The field.
        path: FieldPath,
        /// What is wrong.
        problem: ReadError,
    },
    /// A boolean that is neither 0 nor 1. libqi refuses it too (protocol text, section 7).
    #[error("{path}: the byte {byte:#04x} is no boolean")]
    Bool {
        /// The field.
        path: FieldPath,
        /// The byte.
        byte: u8,
    },
    /// A dynamic with a signature that is none.
    #[error("{path}: {problem}")]
    Signature {
        /// The field.
        path: FieldPath,
        /// What is wrong with it.
        problem: SignatureError,
    },
    /// A dynamic of another type than was declared.
    #[error("the robot declared {declared} and sent {sent}")]
    Undeclared {
        /// The signature that was declared.
        declared: String,
        /// The signature that was sent; empty for the empty dynamic.
        sent: String,
    },
    /// A value of type `X`, which has no encoding.
    #[error("{path}: the robot does not say what it sends")]
    NoEncoding {
        /// The field.
        path: FieldPath,
    },
    /// An object that is none.
    #[error("{path}: {problem}")]
    Object {
        /// The field.
        path: FieldPath,
        /// What is wrong with it.
        problem: DecodeError,
    },
    /// Values nest deeper than is accepted.
    #[error("{path}: values nest deeper than {limit}")]
    TooDeep {
        /// The field.
        path: FieldPath,
        /// The limit.
        limit: u16,
    },
    /// More values that take no byte than is accepted.
    #[error("{path}: more than {limit} values take no byte")]
    TooManyEmpty {
        /// The field.
        path: FieldPath,
        /// The limit.
        limit: u32,
    },
    /// The message is larger on the client's side than is accepted.
    #[error("{path}: the message is over the limit of {limit} bytes")]
    TooLarge {
        /// The field at which the limit was reached.
        path: FieldPath,
        /// The limit, in bytes.
        limit: usize,
    },
}

impl FieldPath {
    pub(super) const EMPTY: Self = Self(String::new());

    /// The path as a text; empty for the message itself.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Puts the field around in front.
    fn prepend(&mut self, field: &str) {
        if !self.0.is_empty() && !self.0.starts_with('[') {
            self.0.insert(0, '.');
        }
        self.0.insert_str(0, field);
    }
}

impl fmt::Display for FieldPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_empty() {
            "message"
        } else {
            &self.0
        })
    }
}

/// An error that learns its path on the way out, so that none is kept on the way in.
pub(super) trait Located: Sized {
    fn path_mut(&mut self) -> Option<&mut FieldPath>;

    fn within(mut self, field: &str) -> Self {
        if let Some(path) = self.path_mut() {
            path.prepend(field);
        }
        self
    }

    fn at(self, index: usize) -> Self {
        self.within(&format!("[{index}]"))
    }
}

impl Located for RequestError {
    fn path_mut(&mut self) -> Option<&mut FieldPath> {
        Some(match self {
            Self::Malformed { path, .. }
            | Self::Argument { path, .. }
            | Self::Signature { path, .. }
            | Self::MissingMember { path, .. }
            | Self::Name { path, .. }
            | Self::NoEncoding { path }
            | Self::UnknownObject { path, .. }
            | Self::UnknownService { path, .. }
            | Self::TooLarge { path, .. } => path,
        })
    }
}

impl RequestError {
    /// The same error of a message that is the field `field` of another.
    #[must_use]
    pub fn inside(self, field: &str) -> Self {
        self.within(field)
    }

    /// The field that is to blame.
    #[must_use]
    pub const fn field_path(&self) -> &FieldPath {
        match self {
            Self::Malformed { path, .. }
            | Self::Argument { path, .. }
            | Self::Signature { path, .. }
            | Self::MissingMember { path, .. }
            | Self::Name { path, .. }
            | Self::NoEncoding { path }
            | Self::UnknownObject { path, .. }
            | Self::UnknownService { path, .. }
            | Self::TooLarge { path, .. } => path,
        }
    }

    pub(super) fn argument(given: Given, taken: &Type) -> Self {
        Self::Argument {
            path: FieldPath::EMPTY,
            given,
            taken: Taken::Type(taken.clone()),
        }
    }
}

impl From<Malformed> for RequestError {
    fn from(problem: Malformed) -> Self {
        Self::Malformed {
            path: FieldPath::EMPTY,
            problem,
        }
    }
}

impl From<SignatureError> for RequestError {
    fn from(problem: SignatureError) -> Self {
        Self::Signature {
            path: FieldPath::EMPTY,
            problem,
        }
    }
}

impl Located for ResponseError {
    fn path_mut(&mut self) -> Option<&mut FieldPath> {
        match self {
            Self::Read { path, .. }
            | Self::Bool { path, .. }
            | Self::Signature { path, .. }
            | Self::NoEncoding { path }
            | Self::Object { path, .. }
            | Self::TooDeep { path, .. }
            | Self::TooManyEmpty { path, .. }
            | Self::TooLarge { path, .. } => Some(path),
            Self::Undeclared { .. } => None,
        }
    }
}

impl ResponseError {
    /// The field in which it was found; none where it is the type as a whole.
    #[must_use]
    pub const fn field_path(&self) -> Option<&FieldPath> {
        match self {
            Self::Read { path, .. }
            | Self::Bool { path, .. }
            | Self::Signature { path, .. }
            | Self::NoEncoding { path }
            | Self::Object { path, .. }
            | Self::TooDeep { path, .. }
            | Self::TooManyEmpty { path, .. }
            | Self::TooLarge { path, .. } => Some(path),
            Self::Undeclared { .. } => None,
        }
    }
}

impl From<ReadError> for ResponseError {
    fn from(problem: ReadError) -> Self {
        Self::Read {
            path: FieldPath::EMPTY,
            problem,
        }
    }
}

impl From<DecodeError> for ResponseError {
    fn from(problem: DecodeError) -> Self {
        Self::Object {
            path: FieldPath::EMPTY,
            problem,
        }
    }
}

impl From<SignatureError> for ResponseError {
    fn from(problem: SignatureError) -> Self {
        Self::Signature {
            path: FieldPath::EMPTY,
            problem,
        }
    }
}

impl fmt::Display for Given {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Int(number) => number.fmt(f),
            Self::UInt(number) => number.fmt(f),
            Self::Double(number) => write!(f, "{number:?}"),
            Self::Members(count) => count.fmt(f),
            Self::Kind(kind) => f.write_str(kind),
        }
    }
}

impl fmt::Display for Taken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let range = match self {
            Self::Members(1) => return f.write_str("1 member"),
            Self::Members(count) => return write!(f, "{count} members"),
            Self::Type(Type::Int8) => "an integer from -128 to 127",
            Self::Type(Type::UInt8) => "an integer from 0 to 255",
            Self::Type(Type::Int16) => "an integer from -32768 to 32767",
            Self::Type(Type::UInt16) => "an integer from 0 to 65535",
            Self::Type(Type::Int32) => "an integer from -2^31 to 2^31-1",
            Self::Type(Type::UInt32) => "an integer from 0 to 2^32-1",
            Self::Type(Type::Int64) => "an integer from -2^63 to 2^63-1",
            Self::Type(Type::UInt64) => "an integer from 0 to 2^64-1",
            Self::Type(ty) => return write!(f, "the qi type {ty}"),
        };
        f.write_str(range)
    }
}
