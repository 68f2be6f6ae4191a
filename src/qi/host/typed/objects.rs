//! Objects as arguments and results of typed members (protocol text, section 13).

use crate::qi::{
    host::HostedObject,
    session::RemoteObject,
    value::{
        Type, Value,
        typed::{FromQi, FromQiError, IntoQi, QiType},
    },
};

impl QiType for HostedObject {
    fn ty() -> Type {
        Type::Object
    }
}

impl IntoQi for HostedObject {
    fn into_qi(self) -> Value {
        self.into()
    }
}

impl QiType for RemoteObject {
    fn ty() -> Type {
        Type::Object
    }
}

impl IntoQi for RemoteObject {
    /// Whoever gets it calls us, and we call the object.
    fn into_qi(self) -> Value {
        self.into()
    }
}

impl FromQi for RemoteObject {
    fn from_qi(value: Value) -> Result<Self, FromQiError> {
        if let Some(object) = Self::from_value(&value) {
            return Ok(object);
        }
        Err(match value {
            Value::Object(null) if null.is_null() => FromQiError::Invalid {
                reason: "the null object is none".to_owned(),
            },
            other => FromQiError::Mismatch {
                expected: Type::Object.kind_name(),
                found: other.kind_name(),
            },
        })
    }
}
