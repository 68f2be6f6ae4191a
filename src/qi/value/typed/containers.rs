//! Lists, maps and values that may be missing.

use std::{
    collections::{BTreeMap, HashMap},
    hash::{BuildHasher, Hash},
};

use super::{FromQi, FromQiError, IntoQi, QiType, mismatch};
use crate::qi::value::{Type, Value};

impl<T: QiType> QiType for Vec<T> {
    fn ty() -> Type {
        Type::list(T::ty())
    }
}

impl<T: IntoQi> IntoQi for Vec<T> {
    fn into_qi(self) -> Value {
        Value::List(self.into_iter().map(T::into_qi).collect())
    }
}

impl<T: FromQi> FromQi for Vec<T> {
    fn from_qi(value: Value) -> Result<Self, FromQiError> {
        match value {
            Value::List(items) => items.into_iter().map(T::from_qi).collect(),
            other => Err(mismatch::<Self>(&other)),
        }
    }
}

impl<T: QiType> QiType for Option<T> {
    fn ty() -> Type {
        Type::Optional(Box::new(T::ty()))
    }
}

impl<T: IntoQi> IntoQi for Option<T> {
    fn into_qi(self) -> Value {
        Value::Optional(self.map(|value| Box::new(value.into_qi())))
    }
}

impl<T: FromQi> FromQi for Option<T> {
    fn from_qi(value: Value) -> Result<Self, FromQiError> {
        match value {
            Value::Optional(value) => value.map(|value| T::from_qi(*value)).transpose(),
            other => Err(mismatch::<Self>(&other)),
        }
    }
}

impl<K: QiType, V: QiType> QiType for BTreeMap<K, V> {
    fn ty() -> Type {
        Type::map(K::ty(), V::ty())
    }
}

impl<K: IntoQi, V: IntoQi> IntoQi for BTreeMap<K, V> {
    fn into_qi(self) -> Value {
        entries_into_qi(self)
    }
}

impl<K: FromQi + Ord, V: FromQi> FromQi for BTreeMap<K, V> {
    fn from_qi(value: Value) -> Result<Self, FromQiError> {
        entries_from_qi(value)
    }
}

impl<K: QiType, V: QiType, S> QiType for HashMap<K, V, S> {
    fn ty() -> Type {
        Type::map(K::ty(), V::ty())
    }
}

impl<K: IntoQi, V: IntoQi, S> IntoQi for HashMap<K, V, S> {
    fn into_qi(self) -> Value {
        entries_into_qi(self)
    }
}

impl<K, V, S> FromQi for HashMap<K, V, S>
where
    K: FromQi + Eq + Hash,
    V: FromQi,
    S: BuildHasher + Default,
{
    fn from_qi(value: Value) -> Result<Self, FromQiError> {
        entries_from_qi(value)
    }
}

fn entries_into_qi<K: IntoQi, V: IntoQi>(map: impl IntoIterator<Item = (K, V)>) -> Value {
    let entries = map.into_iter();
    let entries = entries.map(|(key, value)| (key.into_qi(), value.into_qi()));
    Value::Map(entries.collect())
}

fn entries_from_qi<M, K, V>(value: Value) -> Result<M, FromQiError>
where
    M: QiType + FromIterator<(K, V)>,
    K: FromQi,
    V: FromQi,
{
    let Value::Map(entries) = value else {
        return Err(mismatch::<M>(&value));
    };
    let entries = entries.into_iter();
    let entries = entries.map(|(key, value)| Ok((K::from_qi(key)?, V::from_qi(value)?)));
    entries.collect()
}
