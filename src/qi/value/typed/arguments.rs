//! Tuples: as values, and as the arguments of methods and signals.

use super::{Fields, FromQi, FromQiError, IntoQi, QiType, mismatch};
use crate::qi::value::{Type, Value};

/// The arguments of a method or signal: a tuple of up to 8 Rust types that stand for qi types, `()`
/// for none. One argument is `(T,)`.
pub trait Arguments {
    /// The types, in order.
    fn types() -> Vec<Type>;
}

/// Arguments that can be sent.
pub trait IntoArguments: Arguments {
    /// Values of the types [`Arguments::types`].
    fn into_values(self) -> Vec<Value>;
}

/// Arguments that can be received.
pub trait FromArguments: Arguments + Sized {
    /// Takes values of the types [`Arguments::types`].
    ///
    /// # Errors
    ///
    /// [`FromQiError`], as [`FromQi::from_qi`].
    fn from_values(values: Vec<Value>) -> Result<Self, FromQiError>;
}

impl Arguments for () {
    fn types() -> Vec<Type> {
        Vec::new()
    }
}

impl IntoArguments for () {
    fn into_values(self) -> Vec<Value> {
        Vec::new()
    }
}

impl FromArguments for () {
    fn from_values(values: Vec<Value>) -> Result<Self, FromQiError> {
        Fields::of_values(values, 0).map(drop)
    }
}

macro_rules! tuples {
    ($($count:literal: $($T:ident)+;)*) => {$(
        impl<$($T: QiType),+> QiType for ($($T,)+) {
            fn ty() -> Type {
                Type::tuple(vec![$($T::ty()),+])
            }
        }

        impl<$($T: IntoQi),+> IntoQi for ($($T,)+) {
            fn into_qi(self) -> Value {
                Value::Tuple(self.into_values())
            }
        }

        impl<$($T: FromQi),+> FromQi for ($($T,)+) {
            fn from_qi(value: Value) -> Result<Self, FromQiError> {
                match value {
                    Value::Tuple(values) => Self::from_values(values),
                    other => Err(mismatch::<Self>(&other)),
                }
            }
        }

        impl<$($T: QiType),+> Arguments for ($($T,)+) {
            fn types() -> Vec<Type> {
                vec![$($T::ty()),+]
            }
        }

        impl<$($T: IntoQi),+> IntoArguments for ($($T,)+) {
            #[allow(non_snake_case, reason = "each value is named like its type")]
            fn into_values(self) -> Vec<Value> {
                let ($($T,)+) = self;
                vec![$($T.into_qi()),+]
            }
        }

        impl<$($T: FromQi),+> FromArguments for ($($T,)+) {
            fn from_values(values: Vec<Value>) -> Result<Self, FromQiError> {
                let mut fields = Fields::of_values(values, $count)?;
                Ok(($(fields.next::<$T>()?,)+))
            }
        }
    )*};
}

tuples! {
    1: A;
    2: A B;
    3: A B C;
    4: A B C D;
    5: A B C D E;
    6: A B C D E F;
    7: A B C D E F G;
    8: A B C D E F G H;
}
