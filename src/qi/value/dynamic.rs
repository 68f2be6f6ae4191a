//! A value of any type.

use bytes::Bytes;

use super::{LiveObject, ObjectReference, Signature};

/// A value, to be read together with its type.
#[derive(Clone, PartialEq, Debug)]
pub enum Value {
    /// No value: `v`, `_`.
    Void,
    /// `b`
    Bool(bool),
    /// `c`
    Int8(i8),
    /// `C`
    UInt8(u8),
    /// `w`
    Int16(i16),
    /// `W`
    UInt16(u16),
    /// `i`
    Int32(i32),
    /// `I`
    UInt32(u32),
    /// `l`
    Int64(i64),
    /// `L`
    UInt64(u64),
    /// `f`
    Float(f32),
    /// `d`
    Double(f64),
    /// `s`; bytes, since nothing keeps a peer from sending what is no UTF-8.
    String(Bytes),
    /// `r`
    Raw(Bytes),
    /// `[T]`, `#T`
    List(Vec<Self>),
    /// `{KV}`, `~T`; in the order of the wire, duplicates included.
    Map(Vec<(Self, Self)>),
    /// `(T...)`
    Tuple(Vec<Self>),
    /// `+T`
    Optional(Option<Box<Self>>),
    /// `m`
    Dynamic(Box<Dynamic>),
    /// `o`, as it stands in a payload.
    Object(Box<ObjectReference>),
    /// `o`, an object of this process: it gets an address when it is sent.
    Live(LiveObject),
}

/// A value that carries its own signature, `m`.
#[derive(Clone, PartialEq, Debug)]
pub struct Dynamic {
    /// The signature; none is libqi's invalid dynamic, an empty text on the wire, to be taken as
    /// void and never to be sent (section 7).
    pub signature: Option<Signature>,
    /// The value.
    pub value: Value,
}

impl Value {
    /// A text.
    #[must_use]
    pub fn text(text: &str) -> Self {
        Self::String(Bytes::copy_from_slice(text.as_bytes()))
    }

    /// What the value is, for messages; the words of [`super::Type::kind_name`].
    #[must_use]
    pub const fn kind_name(&self) -> &'static str {
        match self {
            Self::Void => "nothing",
            Self::Bool(_) => "a boolean",
            Self::Int8(_) => "a signed 8 bit integer",
            Self::UInt8(_) => "an 8 bit integer",
            Self::Int16(_) => "a signed 16 bit integer",
            Self::UInt16(_) => "a 16 bit integer",
            Self::Int32(_) => "a signed 32 bit integer",
            Self::UInt32(_) => "a 32 bit integer",
            Self::Int64(_) => "a signed 64 bit integer",
            Self::UInt64(_) => "a 64 bit integer",
            Self::Float(_) => "a 32 bit float",
            Self::Double(_) => "a 64 bit float",
            Self::String(_) => "a string",
            Self::Raw(_) => "a raw value",
            Self::List(_) => "a list",
            Self::Map(_) => "a map",
            Self::Tuple(_) => "a tuple",
            Self::Optional(_) => "an optional value",
            Self::Dynamic(_) => "a dynamic value",
            Self::Object(_) | Self::Live(_) => "an object",
        }
    }

    /// The value inside of dynamics, however deep: Python peers wrap what is declared `m` twice
    /// (section 7).
    #[must_use]
    pub fn unwrapped(&self) -> &Self {
        let mut value = self;
        while let Self::Dynamic(dynamic) = value {
            value = &dynamic.value;
        }
        value
    }

    /// The text of a string, with U+FFFD for what is not UTF-8; none for other values. Looks
    /// through dynamics.
    #[must_use]
    pub fn to_text(&self) -> Option<String> {
        match self.unwrapped() {
            Self::String(bytes) => Some(String::from_utf8_lossy(bytes).into_owned()),
            _ => None,
        }
    }

    /// The number of any integer type, if it fits. Looks through dynamics.
    #[must_use]
    pub fn to_i64(&self) -> Option<i64> {
        match *self.unwrapped() {
            Self::Int8(n) => Some(n.into()),
            Self::UInt8(n) => Some(n.into()),
            Self::Int16(n) => Some(n.into()),
            Self::UInt16(n) => Some(n.into()),
            Self::Int32(n) => Some(n.into()),
            Self::UInt32(n) => Some(n.into()),
            Self::Int64(n) => Some(n),
            Self::UInt64(n) => n.try_into().ok(),
            _ => None,
        }
    }
}

impl Dynamic {
    /// A value with its signature.
    #[must_use]
    pub const fn new(signature: Signature, value: Value) -> Self {
        Self {
            signature: Some(signature),
            value,
        }
    }

    /// The empty dynamic.
    #[must_use]
    pub const fn empty() -> Self {
        Self {
            signature: None,
            value: Value::Void,
        }
    }
}
