//! Conversions between what callers have and what members declare (protocol text, section 16).

use super::ValueError;
use crate::qi::value::{Dynamic, Signature, Type, Value};

/// Makes a value of type `from` one of type `to`.
pub(super) fn convert(value: Value, from: &Type, to: &Type) -> Result<Value, ValueError> {
    match (value, to) {
        (Value::Dynamic(dynamic), Type::Dynamic) => Ok(Value::Dynamic(dynamic)),
        (value, Type::Dynamic) => {
            let dynamic = Dynamic::new(from.clone().into(), value);
            Ok(Value::Dynamic(Box::new(dynamic)))
        }
        (Value::Dynamic(dynamic), to) => {
            let from = dynamic.signature.map_or(Type::Void, Signature::into_type);
            convert(dynamic.value, &from, to)
        }
        (value, to) if from.same_layout(to) => Ok(value),
        (_, to) => Err(ValueError::Conversion {
            from: from.to_string(),
            to: to.to_string(),
        }),
    }
}

/// Whether some values of type `from` can be converted to type `to`.
pub(super) fn may_convert(from: &Type, to: &Type) -> bool {
    matches!(from, Type::Dynamic) || matches!(to, Type::Dynamic) || from.same_layout(to)
}
