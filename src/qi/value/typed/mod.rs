//! Rust types that stand for qi types, so that nobody has to write a signature.
//!
//! | Rust | qi |
//! | --- | --- |
//! | `bool` | `b` |
//! | `i8` `i16` `i32` `i64` / `u8` `u16` `u32` `u64` | `c` `w` `i` `l` / `C` `W` `I` `L` |
//! | `f32` / `f64` | `f` / `d` |
//! | `String`, `&str` | `s`; bytes that are not UTF-8 come as U+FFFD |
//! | [`Bytes`](bytes::Bytes) | `r` |
//! | `Vec<T>` | `[T]` |
//! | `BTreeMap<K, V>`, `HashMap<K, V>` | `{KV}`; of equal keys the last one counts |
//! | `Option<T>` | `+T` |
//! | tuples of 1 to 8 | `(T...)` |
//! | structs, with [`qi_struct!`](crate::qi_struct) | `(T...)<Name,field,...>` |
//! | [`Dynamic`] | `m` |
//! | `RemoteObject`, to be sent also `HostedObject` | `o`; never the null object |
//! | `()` | `v` |
//!
//! ```
//! use std::collections::BTreeMap;
//! use qi_grpc_gateway::{qi::value::typed::{FromQi, IntoQi, QiType}, qi_struct};
//!
//! #[derive(Clone, PartialEq, Debug)]
//! struct Point { x: f32, y: f32, room_name: String }
//! qi_struct!(Point { x, y, room_name as "roomName" });
//!
//! type Path = BTreeMap<String, Vec<Point>>;
//! assert_eq!(Path::ty().to_string(), "{s[(ffs)<Point,x,y,roomName>]}");
//!
//! let point = Point { x: 1.0, y: -0.5, room_name: "kitchen".to_owned() };
//! assert_eq!(Point::from_qi(point.clone().into_qi())?, point);
//! # Ok::<(), qi_grpc_gateway::qi::value::typed::FromQiError>(())
//! ```

mod arguments;
mod containers;
mod scalars;
mod structs;

#[cfg(test)]
mod tests;

pub use arguments::{Arguments, FromArguments, IntoArguments};
pub use structs::{Fields, field_type};

use super::{ConvertError, Dynamic, Signature, Type, Value, convert};

/// A Rust type that stands for a qi type.
pub trait QiType {
    /// The qi type.
    fn ty() -> Type;
}

/// A Rust value that can be sent.
pub trait IntoQi: QiType {
    /// The value, of the type [`QiType::ty`].
    fn into_qi(self) -> Value;
}

/// A Rust value that can be received.
pub trait FromQi: QiType + Sized {
    /// Takes a value of the type [`QiType::ty`]; nothing is converted.
    ///
    /// # Errors
    ///
    /// [`FromQiError`]; only [`FromQiError::Invalid`], when the value is of the type.
    fn from_qi(value: Value) -> Result<Self, FromQiError>;
}

/// Why a value is none of a Rust type.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum FromQiError {
    /// It is of another qi type.
    #[error("{expected} expected, found {found}")]
    Mismatch {
        /// What the type says.
        expected: &'static str,
        /// What the value is.
        found: &'static str,
    },
    /// There are more or fewer than the type has.
    #[error("{expected} elements expected, found {found}")]
    Length {
        /// How many elements the type has.
        expected: usize,
        /// How many there are.
        found: usize,
    },
    /// It cannot be converted to the qi type.
    #[error(transparent)]
    Convert(#[from] ConvertError),
    /// The type has no such value; for types that do not take every value of their qi type.
    #[error("{reason}")]
    Invalid {
        /// Why not, for whoever sent it.
        reason: String,
    },
}

fn mismatch<T: QiType>(found: &Value) -> FromQiError {
    FromQiError::Mismatch {
        expected: T::ty().kind_name(),
        found: found.kind_name(),
    }
}

impl Dynamic {
    /// A value together with its type.
    ///
    /// ```
    /// use qi_grpc_gateway::qi::value::Dynamic;
    ///
    /// let dynamic = Dynamic::of(vec![1_i32, 2]);
    /// assert_eq!(dynamic.to::<Vec<f64>>(), Ok(vec![1.0, 2.0]));
    /// assert!(dynamic.to::<String>().is_err());
    /// ```
    #[must_use]
    pub fn of<T: IntoQi>(value: T) -> Self {
        Self::new(Signature::from(T::ty()), value.into_qi())
    }

    /// The value as one of a Rust type, converted as libqi does.
    ///
    /// # Errors
    ///
    /// [`FromQiError`].
    pub fn to<T: FromQi>(&self) -> Result<T, FromQiError> {
        let from = self.signature.as_ref().map_or(&Type::Void, Signature::ty);
        T::from_qi(convert(&self.value, from, &T::ty())?)
    }
}
