//! Structs.

use std::vec;

use super::{FromQi, FromQiError, QiType};
use crate::qi::value::{Type, Value};

/// Lets a Rust struct stand for a qi struct: [`QiType`], [`IntoQi`](super::IntoQi) and
/// [`FromQi`](super::FromQi).
///
/// Fields are named in the order in which they travel; struct and fields keep their Rust names
/// unless others are given, which in qi are camelCase by custom. The name of `r#type` is `type`.
///
/// ```
/// use qi_grpc_gateway::{qi::value::typed::QiType, qi_struct};
///
/// struct Pose { x: f64, y: f64, is_fixed: bool }
/// qi_struct!(Pose as "Pose2D" { x, y, is_fixed as "isFixed" });
///
/// assert_eq!(Pose::ty().to_string(), "(ddb)<Pose2D,x,y,isFixed>");
/// ```
#[macro_export]
macro_rules! qi_struct {
    ($name:ident { $($fields:tt)* }) => {
        $crate::qi_struct!($name as (stringify!($name)) { $($fields)* });
    };
    ($name:ident as $qi_name:literal { $($fields:tt)* }) => {
        $crate::qi_struct!($name as ($qi_name) { $($fields)* });
    };
    ($name:ident as ($qi_name:expr) { $($field:ident $(as $qi_field:literal)?),+ $(,)? }) => {
        impl $crate::qi::value::typed::QiType for $name {
            fn ty() -> $crate::qi::value::Type {
                $crate::qi::value::Type::Tuple($crate::qi::value::TupleType {
                    elements: ::std::vec![$(
                        $crate::qi::value::typed::field_type(|of: &$name| &of.$field)
                    ),+],
                    annotation: ::std::option::Option::Some($crate::qi::value::Annotation {
                        name: ::std::string::String::from($qi_name),
                        fields: ::std::vec![$(::std::string::String::from(
                            $crate::qi_struct!(@name $field $($qi_field)?)
                        )),+],
                    }),
                })
            }
        }

        impl $crate::qi::value::typed::IntoQi for $name {
            fn into_qi(self) -> $crate::qi::value::Value {
                $crate::qi::value::Value::Tuple(::std::vec![$(
                    $crate::qi::value::typed::IntoQi::into_qi(self.$field)
                ),+])
            }
        }

        impl $crate::qi::value::typed::FromQi for $name {
            fn from_qi(
                value: $crate::qi::value::Value,
            ) -> ::std::result::Result<Self, $crate::qi::value::typed::FromQiError> {
                let count = [$(stringify!($field)),+].len();
                let mut fields = $crate::qi::value::typed::Fields::of(value, count)?;
                // In the order in which they are written.
                ::std::result::Result::Ok(Self { $($field: fields.next()?),+ })
            }
        }
    };
    (@name $field:ident) => {
        stringify!($field).trim_start_matches("r#")
    };
    (@name $field:ident $qi_field:literal) => {
        $qi_field
    };
}

/// The qi type of a field, which the compiler knows from the one who takes it out of its struct;
/// for [`qi_struct!`](crate::qi_struct).
#[must_use]
pub fn field_type<S, T: QiType>(_: fn(&S) -> &T) -> Type {
    T::ty()
}

/// The fields of a struct or tuple, one after the other; for those who implement [`FromQi`]
/// themselves.
#[derive(Debug)]
pub struct Fields(vec::IntoIter<Value>);

impl Fields {
    /// Those of a struct or tuple that has `count`.
    ///
    /// # Errors
    ///
    /// [`FromQiError::Mismatch`], [`FromQiError::Length`].
    pub fn of(value: Value, count: usize) -> Result<Self, FromQiError> {
        match value {
            Value::Tuple(values) => Self::of_values(values, count),
            other => Err(FromQiError::Mismatch {
                expected: Type::tuple(Vec::new()).kind_name(),
                found: other.kind_name(),
            }),
        }
    }

    pub(super) fn of_values(values: Vec<Value>, count: usize) -> Result<Self, FromQiError> {
        match values.len() {
            found if found == count => Ok(Self(values.into_iter())),
            found => Err(FromQiError::Length {
                expected: count,
                found,
            }),
        }
    }

    /// The next field.
    ///
    /// # Errors
    ///
    /// [`FromQiError`].
    #[allow(
        clippy::should_implement_trait,
        reason = "each may be of another type, and one may fail"
    )]
    pub fn next<T: FromQi>(&mut self) -> Result<T, FromQiError> {
        T::from_qi(self.0.next().unwrap_or(Value::Void))
    }
}
