//! The protobuf form of qi types: what descriptors are written from and transcoding plans are
//! compiled from.
//!
//! The mapping is the table of [`crate::transcode`]. A shape mirrors the qi encoding: a message is
//! its fields one after the other, so a wrapper with one field adds nothing to the qi bytes.

use std::sync::Arc;

use crate::qi::value::Signature;

/// The protobuf form of one qi type.
#[derive(Clone, PartialEq, Debug)]
pub enum Shape {
    /// A singular field without presence.
    Scalar(Scalar),
    /// `m`: a `qi.gateway.v1.Value`.
    Value,
    /// `X`: a `qi.gateway.v1.Value` that can be neither sent nor received.
    Unknown,
    /// `o`: a `qi.gateway.v1.ObjectRef`.
    Object,
    /// `(T...)`, `v` inside of another type, and the wrappers of what protobuf cannot nest.
    Message(Arc<MessageShape>),
    /// `[T]`, `#T`, and maps with keys or values that protobuf refuses (of entry messages): a
    /// repeated field. The element is a scalar, value, object or message.
    Repeated(Box<Self>),
    /// `{KV}`, `~T`: a map field. The value is a scalar, value, object or message.
    Map(Scalar, Box<Self>),
    /// `+T`: a singular field with presence. The inner shape is a scalar, value, object or message.
    Optional(Box<Self>),
}

/// The types whose protobuf form is a scalar.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Scalar {
    /// `b`: bool
    Bool,
    /// `c`: int32, checked
    Int8,
    /// `C`: uint32, checked
    UInt8,
    /// `w`: int32, checked
    Int16,
    /// `W`: uint32, checked
    UInt16,
    /// `i`: int32
    Int32,
    /// `I`: uint32
    UInt32,
    /// `l`: int64
    Int64,
    /// `L`: uint64
    UInt64,
    /// `f`: float
    Float,
    /// `d`: double
    Double,
    /// `s`: string
    String,
    /// `r`: bytes
    Raw,
}

/// A message type.
#[derive(Clone, PartialEq, Debug)]
pub struct MessageShape {
    /// The name within its parent (the file, for a request, response or struct at top level).
    pub name: String,
    /// The full name: package, parents and name, separated by dots, without a leading one.
    pub full_name: String,
    /// The fields, in the order of the qi encoding.
    pub fields: Vec<FieldShape>,
}

/// A field of a message.
#[derive(Clone, PartialEq, Debug)]
pub struct FieldShape {
    /// The name in protobuf.
    pub name: String,
    /// The number in protobuf.
    pub number: u32,
    /// The type.
    pub shape: Shape,
    /// The name that the robot gives to it, if any.
    pub qi_name: Option<String>,
    /// The qi type.
    pub signature: Signature,
}

/// How the arguments of a method or signal, or the value of a property, stand in a qi payload.
#[derive(Clone, PartialEq, Debug)]
pub enum Payload {
    /// The fields of the message, one after the other. For a return value or property the message
    /// has one field `value`, or none for `v`.
    Fields(Arc<MessageShape>),
    /// Declared as bare `m`: one dynamic that holds the tuple of all arguments; the message has
    /// one field `repeated Value args = 1`.
    AnyArguments(Arc<MessageShape>),
}

impl Payload {
    /// The message.
    #[must_use]
    pub const fn message(&self) -> &Arc<MessageShape> {
        match self {
            Self::Fields(message) | Self::AnyArguments(message) => message,
        }
    }
}
