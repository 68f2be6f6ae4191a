//! Values without parts.

use bytes::Bytes;

use super::{FromQi, FromQiError, IntoQi, QiType, mismatch};
use crate::qi::value::{Dynamic, Type, Value};

macro_rules! scalars {
    ($($rust:ty => $qi:ident),* $(,)?) => {$(
        impl QiType for $rust {
            fn ty() -> Type {
                Type::$qi
            }
        }

        impl IntoQi for $rust {
            fn into_qi(self) -> Value {
                Value::$qi(self)
            }
        }

        impl FromQi for $rust {
            fn from_qi(value: Value) -> Result<Self, FromQiError> {
                match value {
                    Value::$qi(value) => Ok(value),
                    other => Err(mismatch::<Self>(&other)),
                }
            }
        }
    )*};
}

scalars! {
    bool => Bool,
    i8 => Int8,
    u8 => UInt8,
    i16 => Int16,
    u16 => UInt16,
    i32 => Int32,
    u32 => UInt32,
    i64 => Int64,
    u64 => UInt64,
    f32 => Float,
    f64 => Double,
    Bytes => Raw,
}

impl QiType for () {
    fn ty() -> Type {
        Type::Void
    }
}

impl IntoQi for () {
    fn into_qi(self) -> Value {
        Value::Void
    }
}

impl FromQi for () {
    fn from_qi(value: Value) -> Result<Self, FromQiError> {
        match value {
            Value::Void => Ok(()),
            other => Err(mismatch::<Self>(&other)),
        }
    }
}

impl QiType for String {
    fn ty() -> Type {
        Type::String
    }
}

impl IntoQi for String {
    fn into_qi(self) -> Value {
        Value::String(self.into())
    }
}

impl FromQi for String {
    fn from_qi(value: Value) -> Result<Self, FromQiError> {
        match value {
            Value::String(bytes) => Ok(Self::from_utf8_lossy(&bytes).into_owned()),
            other => Err(mismatch::<Self>(&other)),
        }
    }
}

impl QiType for &str {
    fn ty() -> Type {
        Type::String
    }
}

impl IntoQi for &str {
    fn into_qi(self) -> Value {
        Value::text(self)
    }
}

impl QiType for Dynamic {
    fn ty() -> Type {
        Type::Dynamic
    }
}

impl IntoQi for Dynamic {
    fn into_qi(self) -> Value {
        Value::Dynamic(Box::new(self))
    }
}

impl FromQi for Dynamic {
    fn from_qi(value: Value) -> Result<Self, FromQiError> {
        match value {
            Value::Dynamic(dynamic) => Ok(*dynamic),
            other => Err(mismatch::<Self>(&other)),
        }
    }
}
