//! Turns a value of one type into one of another, as libqi does (protocol text, section 16).

mod number;

#[cfg(test)]
mod tests;

use std::{cell::Cell, collections::BTreeSet};

use super::{Annotation, Dynamic, Signature, TupleType, Type, Value};
use crate::qi::wire::Limits;
use number::{is_number, number};

/// Why a value cannot become one of another type.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ConvertError {
    /// No value of the one type can become one of the other.
    #[error("{from} cannot become {to}")]
    Refused {
        /// What there is.
        from: &'static str,
        /// What is wanted.
        to: &'static str,
    },
    /// The number does not fit.
    #[error("the number does not fit into {to}")]
    OutOfRange {
        /// What is wanted.
        to: &'static str,
    },
    /// A list or tuple has another length than the tuple that it should become.
    #[error("{expected} elements expected, found {found}")]
    Length {
        /// How many elements are wanted.
        expected: usize,
        /// How many there are.
        found: usize,
    },
    /// Two structs whose fields have other names.
    #[error("the fields are named otherwise")]
    FieldNames,
    /// A map that should become a struct lacks a field.
    #[error("the field {name} is missing")]
    MissingField {
        /// The field's name.
        name: String,
    },
    /// The value is not of the type that it is said to be.
    #[error("{expected} expected, found {found}")]
    Mismatch {
        /// What the type says.
        expected: &'static str,
        /// What the value is.
        found: &'static str,
    },
    /// Too many values became dynamic, or of too long a type.
    #[error("the signatures of what becomes dynamic have more than {limit} bytes together")]
    TooLarge {
        /// The limit, that of [`Limits::values`] by default.
        limit: u32,
    },
}

/// Converts a value of type `from` into one of type `to`.
///
/// Where both types are equal, the value is passed on without a look at it; encoding it finds out
/// whether it is of that type.
///
/// Deviates from libqi in what is accidental there: NaN becomes no integer and no boolean, and a
/// finite `d` becomes no infinite `f`, which libqi could not send anyway.
///
/// # Errors
///
/// [`ConvertError`].
pub fn convert(value: &Value, from: &Type, to: &Type) -> Result<Value, ConvertError> {
    convert_within(&Budget::new(), value, from, to)
}

/// How many bytes the signatures of what becomes dynamic may still have. A value of a byte, of a
/// peer, may be of a type of thousands, and each takes its own. Not more than a message
/// brings: there, too, the characters of signatures count as values.
struct Budget(Cell<u32>);

impl Budget {
    fn new() -> Self {
        Self(Cell::new(Limits::default().values))
    }

    /// A value as a dynamic.
    fn wrap(&self, value: &Value, ty: &Type) -> Result<Value, ConvertError> {
        let signature = Signature::from(ty.clone());
        let bytes = u32::try_from(signature.as_str().len()).unwrap_or(u32::MAX);
        let left = self.0.get().checked_sub(bytes);
        self.0.set(left.ok_or(ConvertError::TooLarge {
            limit: Limits::default().values,
        })?);
        Ok(Value::Dynamic(Box::new(Dynamic::new(
            signature,
            value.clone(),
        ))))
    }
}

fn convert_within(
    budget: &Budget,
    value: &Value,
    from: &Type,
    to: &Type,
) -> Result<Value, ConvertError> {
    if from == to {
        return Ok(value.clone());
    }
    match (from, to) {
        (Type::Dynamic, _) => unwrap(budget, value, to),
        (_, Type::Dynamic) => budget.wrap(value, from),
        (Type::Void | Type::None, Type::Void | Type::None) => Ok(Value::Void),
        (Type::Void | Type::None, Type::Optional(_)) => Ok(Value::Optional(None)),
        (Type::Optional(from), Type::Optional(to)) => optional(budget, value, from, to),
        (Type::Optional(_), _) => Err(refused(from, to)),
        (_, Type::Optional(content)) => {
            let content = convert_within(budget, value, from, content)?;
            Ok(Value::Optional(Some(Box::new(content))))
        }
        (Type::String, Type::Raw) => match value {
            Value::String(bytes) => Ok(Value::Raw(bytes.clone())),
            _ => Err(mismatch(from, value)),
        },
        (Type::List(element) | Type::VarArgs(element), _) => match value {
            Value::List(items) => from_list(budget, items, element, from, to),
            _ => Err(mismatch(from, value)),
        },
        (Type::Tuple(tuple), _) => match value {
            Value::Tuple(items) => from_tuple(budget, items, tuple, from, to),
            _ => Err(mismatch(from, value)),
        },
        _ => match (entry(from), value) {
            (Some((key, content)), Value::Map(entries)) => {
                from_map(budget, entries, (key, content), from, to)
            }
            (Some(_), _) => Err(mismatch(from, value)),
            (None, _) => number(value, from, to),
        },
    }
}

fn unwrap(budget: &Budget, value: &Value, to: &Type) -> Result<Value, ConvertError> {
    let Value::Dynamic(dynamic) = value else {
        return Err(mismatch(&Type::Dynamic, value));
    };
    convert_within(budget, &dynamic.value, held(dynamic), to)
}

/// The type of what a dynamic holds. An empty one is to be taken as void (section 7).
fn held(dynamic: &Dynamic) -> &Type {
    dynamic
        .signature
        .as_ref()
        .map_or(&Type::Void, Signature::ty)
}

fn optional(budget: &Budget, value: &Value, from: &Type, to: &Type) -> Result<Value, ConvertError> {
    match value {
        Value::Optional(None) if may_convert(from, to) => Ok(Value::Optional(None)),
        Value::Optional(None) => Err(refused(from, to)),
        Value::Optional(Some(content)) => {
            let content = convert_within(budget, content, from, to)?;
            Ok(Value::Optional(Some(Box::new(content))))
        }
        _ => Err(mismatch(&Type::Optional(Box::new(from.clone())), value)),
    }
}

/// Whether some value of the one type can become one of the other. libqi asks this of an optional
/// that is empty, though not of a list.
#[must_use]
pub fn may_convert(from: &Type, to: &Type) -> bool {
    match (from, to) {
        (Type::Dynamic, _) | (_, Type::Dynamic) => true,
        (Type::Void | Type::None, Type::Void | Type::None | Type::Optional(_)) => true,
        (Type::Optional(from), Type::Optional(to)) => may_convert(from, to),
        (Type::Optional(_), _) => false,
        (_, Type::Optional(to)) => may_convert(from, to),
        (Type::String, Type::String | Type::Raw) => true,
        (Type::List(_) | Type::VarArgs(_), to) => {
            let sequence = matches!(to, Type::List(_) | Type::VarArgs(_) | Type::Tuple(_));
            sequence || entry(to).is_some()
        }
        (Type::Tuple(from), Type::Tuple(to)) => {
            let mut elements = from.elements.iter().zip(&to.elements);
            from.elements.len() == to.elements.len()
                && same_names(from, to)
                && elements.all(|(from, to)| may_convert(from, to))
        }
        (Type::Tuple(from), to) => from.annotation.is_some() && entry(to).is_some(),
        (from, Type::Tuple(to)) => to.annotation.is_some() && entry(from).is_some(),
        _ => from == to || is_number(from) && is_number(to) || both_maps(from, to),
    }
}

fn both_maps(from: &Type, to: &Type) -> bool {
    entry(from).is_some() && entry(to).is_some()
}

fn from_list(
    budget: &Budget,
    items: &[Value],
    element: &Type,
    from: &Type,
    to: &Type,
) -> Result<Value, ConvertError> {
    if let Some((key, content)) = entry(to) {
        let pairs = items
            .iter()
            .map(|item| pair(budget, item, element, key, content));
        return Ok(Value::Map(pairs.collect::<Result<_, _>>()?));
    }
    match to {
        Type::List(wanted) | Type::VarArgs(wanted) => {
            let items = items
                .iter()
                .map(|item| convert_within(budget, item, element, wanted));
            Ok(Value::List(items.collect::<Result<_, _>>()?))
        }
        Type::Tuple(tuple) => {
            same_length(items.len(), tuple.elements.len())?;
            let items = items.iter().zip(&tuple.elements);
            let items = items.map(|(item, wanted)| convert_within(budget, item, element, wanted));
            Ok(Value::Tuple(items.collect::<Result<_, _>>()?))
        }
        _ => Err(refused(from, to)),
    }
}

/// An entry of a map, from a tuple or list of two.
fn pair(
    budget: &Budget,
    item: &Value,
    from: &Type,
    key: &Type,
    content: &Type,
) -> Result<(Value, Value), ConvertError> {
    let (items, types) = match (from, item) {
        (Type::Dynamic, Value::Dynamic(dynamic)) => {
            return pair(budget, &dynamic.value, held(dynamic), key, content);
        }
        (Type::Tuple(tuple), Value::Tuple(items)) => match tuple.elements.as_slice() {
            [key, content] => (items, [key, content]),
            elements => return Err(not_a_pair(elements.len())),
        },
        (Type::List(element) | Type::VarArgs(element), Value::List(items)) => {
            (items, [&**element, &**element])
        }
        (Type::Dynamic | Type::Tuple(_) | Type::List(_) | Type::VarArgs(_), other) => {
            return Err(mismatch(from, other));
        }
        _ => return Err(refused(from, &Type::tuple(Vec::new()))),
    };
    let [name, item] = items.as_slice() else {
        return Err(not_a_pair(items.len()));
    };
    let [name_type, item_type] = types;
    Ok((
        convert_within(budget, name, name_type, key)?,
        convert_within(budget, item, item_type, content)?,
    ))
}

const fn not_a_pair(found: usize) -> ConvertError {
    ConvertError::Length { expected: 2, found }
}

fn from_tuple(
    budget: &Budget,
    items: &[Value],
    tuple: &TupleType,
    from: &Type,
    to: &Type,
) -> Result<Value, ConvertError> {
    match (to, &tuple.annotation) {
        (Type::Tuple(wanted), _) => by_position(budget, items, tuple, wanted),
        (Type::Map(entry), Some(names)) if entry.0 == Type::String => {
            by_name(budget, items, tuple, names, &entry.1)
        }
        (Type::KwArgs(content), Some(names)) => by_name(budget, items, tuple, names, content),
        _ => Err(refused(from, to)),
    }
}

/// Fields are matched by position, even where their names say otherwise: libqi does not reorder
/// them, but refuses other names.
fn by_position(
    budget: &Budget,
    items: &[Value],
    from: &TupleType,
    to: &TupleType,
) -> Result<Value, ConvertError> {
    same_length(items.len(), from.elements.len())?;
    same_length(items.len(), to.elements.len())?;
    if !same_names(from, to) {
        return Err(ConvertError::FieldNames);
    }
    let types = from.elements.iter().zip(&to.elements);
    let items = items.iter().zip(types);
    let items = items.map(|(item, (from, to))| convert_within(budget, item, from, to));
    Ok(Value::Tuple(items.collect::<Result<_, _>>()?))
}

/// Whether the fields have the same names, in any order; true also where one side has none.
fn same_names(from: &TupleType, to: &TupleType) -> bool {
    fn sorted(names: &Annotation) -> BTreeSet<&str> {
        names.fields.iter().map(String::as_str).collect()
    }
    match (&from.annotation, &to.annotation) {
        (Some(found), Some(wanted)) => {
            found.fields == wanted.fields || sorted(found) == sorted(wanted)
        }
        _ => true,
    }
}

/// A map from the names of a struct, sorted as libqi's maps are.
fn by_name(
    budget: &Budget,
    items: &[Value],
    from: &TupleType,
    names: &Annotation,
    content: &Type,
) -> Result<Value, ConvertError> {
    same_length(items.len(), from.elements.len())?;
    let mut fields: Vec<_> = names.fields.iter().zip(&from.elements).zip(items).collect();
    fields.sort_by_key(|((name, _), _)| *name);
    let entries = fields.into_iter().map(|((name, from), item)| {
        Ok((
            Value::text(name),
            convert_within(budget, item, from, content)?,
        ))
    });
    Ok(Value::Map(entries.collect::<Result<_, _>>()?))
}

fn from_map(
    budget: &Budget,
    entries: &[(Value, Value)],
    (key, content): (&Type, &Type),
    from: &Type,
    to: &Type,
) -> Result<Value, ConvertError> {
    if let Some((wanted_key, wanted)) = entry(to) {
        let entries = entries.iter().map(|(name, item)| {
            Ok((
                convert_within(budget, name, key, wanted_key)?,
                convert_within(budget, item, content, wanted)?,
            ))
        });
        return Ok(Value::Map(entries.collect::<Result<_, _>>()?));
    }
    let Type::Tuple(tuple) = to else {
        return Err(refused(from, to));
    };
    let Some(names) = &tuple.annotation else {
        return Err(refused(from, to));
    };
    let field = |(name, wanted): (&String, &Type)| {
        let is_named =
            |key: &Value| matches!(key.unwrapped(), Value::String(bytes) if bytes == name);
        // Of two with one key the last stands, as in libqi's maps.
        match entries.iter().rfind(|(key, _)| is_named(key)) {
            Some((_, item)) => convert_within(budget, item, content, wanted),
            None => Err(ConvertError::MissingField { name: name.clone() }),
        }
    };
    let fields = names.fields.iter().zip(&tuple.elements).map(field);
    Ok(Value::Tuple(fields.collect::<Result<_, _>>()?))
}

/// The types of key and value of a map.
fn entry(ty: &Type) -> Option<(&Type, &Type)> {
    match ty {
        Type::Map(entry) => Some((&entry.0, &entry.1)),
        Type::KwArgs(content) => Some((&Type::String, content)),
        _ => None,
    }
}

const fn refused(from: &Type, to: &Type) -> ConvertError {
    ConvertError::Refused {
        from: from.kind_name(),
        to: to.kind_name(),
    }
}

const fn mismatch(expected: &Type, found: &Value) -> ConvertError {
    ConvertError::Mismatch {
        expected: expected.kind_name(),
        found: found.kind_name(),
    }
}

const fn same_length(found: usize, expected: usize) -> Result<(), ConvertError> {
    if found == expected {
        Ok(())
    } else {
        Err(ConvertError::Length { expected, found })
    }
}
