//! Numbers and booleans.

use super::{ConvertError, refused};
use crate::qi::value::{Type, Value};

/// Whether a type is one of numbers, or boolean.
pub(super) fn is_number(ty: &Type) -> bool {
    *ty == Type::Bool || ty.fixed_bytes().is_some()
}

/// Every number of the protocol, exactly.
#[derive(Clone, Copy)]
enum Number {
    Integer(i128),
    Real(f64),
}

/// How far from 0 and 1 libqi takes a floating point number for a boolean.
const BOOL_TOLERANCE: f64 = 0.01;

/// Converts a number into another.
///
/// # Errors
///
/// [`ConvertError::OutOfRange`], [`ConvertError::Refused`].
pub(super) fn number(value: &Value, from: &Type, to: &Type) -> Result<Value, ConvertError> {
    let number = match (from, value) {
        (Type::Bool, Value::Bool(b)) => Number::Integer((*b).into()),
        (Type::Int8, Value::Int8(n)) => Number::Integer((*n).into()),
        (Type::UInt8, Value::UInt8(n)) => Number::Integer((*n).into()),
        (Type::Int16, Value::Int16(n)) => Number::Integer((*n).into()),
        (Type::UInt16, Value::UInt16(n)) => Number::Integer((*n).into()),
        (Type::Int32, Value::Int32(n)) => Number::Integer((*n).into()),
        (Type::UInt32, Value::UInt32(n)) => Number::Integer((*n).into()),
        (Type::Int64, Value::Int64(n)) => Number::Integer((*n).into()),
        (Type::UInt64, Value::UInt64(n)) => Number::Integer((*n).into()),
        (Type::Float, Value::Float(n)) => Number::Real((*n).into()),
        (Type::Double, Value::Double(n)) => Number::Real(*n),
        _ => return Err(refused(from, to)),
    };
    let out_of_range = ConvertError::OutOfRange { to: to.kind_name() };
    let converted = match to {
        Type::Bool => number.truth().map(Value::Bool),
        Type::Int8 => number.signed().map(Value::Int8),
        Type::UInt8 => number.unsigned().map(Value::UInt8),
        Type::Int16 => number.signed().map(Value::Int16),
        Type::UInt16 => number.unsigned().map(Value::UInt16),
        Type::Int32 => number.signed().map(Value::Int32),
        Type::UInt32 => number.unsigned().map(Value::UInt32),
        Type::Int64 => number.signed().map(Value::Int64),
        Type::UInt64 => number.unsigned().map(Value::UInt64),
        Type::Float => number.float().map(Value::Float),
        Type::Double => Some(Value::Double(number.double())),
        _ => return Err(refused(from, to)),
    };
    converted.ok_or(out_of_range)
}

impl Number {
    fn truth(self) -> Option<bool> {
        match self {
            Self::Integer(0) => Some(false),
            Self::Integer(1) => Some(true),
            Self::Real(n) if n.abs() <= BOOL_TOLERANCE => Some(false),
            Self::Real(n) if (n - 1.0).abs() <= BOOL_TOLERANCE => Some(true),
            _ => None,
        }
    }

    fn signed<T: TryFrom<i128>>(self) -> Option<T> {
        match self {
            Self::Integer(n) => n.try_into().ok(),
            Self::Real(n) if n.is_nan() => None,
            // Toward zero; what is beyond 128 bits stops at their ends, which fit nowhere.
            Self::Real(n) => (n as i128).try_into().ok(),
        }
    }

    fn unsigned<T: TryFrom<i128>>(self) -> Option<T> {
        match self {
            Self::Real(n) if n < 0.0 => None,
            other => other.signed(),
        }
    }

    fn float(self) -> Option<f32> {
        match self {
            Self::Integer(n) => Some(n as f32),
            Self::Real(n) => {
                let rounded = n as f32;
                (rounded.is_finite() || !n.is_finite()).then_some(rounded)
            }
        }
    }

    const fn double(self) -> f64 {
        match self {
            Self::Integer(n) => n as f64,
            Self::Real(n) => n,
        }
    }
}
