//! Values to bytes.

use super::{EncodeContext, EncodeError, encode_object};
use crate::qi::{
    value::{Dynamic, Type, Value},
    wire::Writer,
};

/// Appends a value to a payload, as `ty` wants it. Nothing is converted.
///
/// An empty dynamic is written as it is read; whether the peer survives it is for the caller to
/// know (section 7). An infinite `f` is written too.
///
/// # Errors
///
/// [`EncodeError`]; then the payload, and the cache of meta objects, are as they were.
pub fn encode(
    value: &Value,
    ty: &Type,
    context: &mut EncodeContext<'_>,
    writer: &mut Writer,
) -> Result<(), EncodeError> {
    all_or_nothing(context, writer, |context, writer| {
        write(value, ty, context, writer, 0)
    })
}

/// Appends a dynamic value, with its signature.
///
/// # Errors
///
/// [`EncodeError`]; then the payload, and the cache of meta objects, are as they were.
pub fn encode_dynamic(
    dynamic: &Dynamic,
    context: &mut EncodeContext<'_>,
    writer: &mut Writer,
) -> Result<(), EncodeError> {
    all_or_nothing(context, writer, |context, writer| {
        write_dynamic(dynamic, context, writer, 0)
    })
}

fn all_or_nothing(
    context: &mut EncodeContext<'_>,
    writer: &mut Writer,
    write: impl FnOnce(&mut EncodeContext<'_>, &mut Writer) -> Result<(), EncodeError>,
) -> Result<(), EncodeError> {
    let start = writer.len();
    let sent = context.cache.as_ref().map_or(0, |cache| cache.len());
    write(context, writer).inspect_err(|_| {
        writer.truncate(start);
        if let Some(cache) = &mut context.cache {
            cache.truncate(sent);
        }
    })
}

fn write(
    value: &Value,
    ty: &Type,
    context: &mut EncodeContext<'_>,
    writer: &mut Writer,
    depth: u16,
) -> Result<(), EncodeError> {
    let limit = context.limits.value_depth;
    if depth >= limit {
        return Err(EncodeError::TooDeep { limit });
    }
    let depth = depth + 1;
    match (ty, value) {
        (Type::Void | Type::None, Value::Void) => {}
        (Type::Bool, Value::Bool(b)) => writer.u8((*b).into()),
        (Type::Int8, Value::Int8(n)) => writer.i8(*n),
        (Type::UInt8, Value::UInt8(n)) => writer.u8(*n),
        (Type::Int16, Value::Int16(n)) => writer.i16(*n),
        (Type::UInt16, Value::UInt16(n)) => writer.u16(*n),
        (Type::Int32, Value::Int32(n)) => writer.i32(*n),
        (Type::UInt32, Value::UInt32(n)) => writer.u32(*n),
        (Type::Int64, Value::Int64(n)) => writer.i64(*n),
        (Type::UInt64, Value::UInt64(n)) => writer.u64(*n),
        (Type::Float, Value::Float(n)) => writer.f32(*n),
        (Type::Double, Value::Double(n)) => writer.f64(*n),
        (Type::String, Value::String(bytes)) | (Type::Raw, Value::Raw(bytes)) => {
            writer.sized(bytes)?;
        }
        (Type::Dynamic, Value::Dynamic(dynamic)) => {
            write_dynamic(dynamic, context, writer, depth)?;
        }
        (Type::Object, Value::Object(object)) => encode_object(object, context, writer)?,
        (Type::Object, Value::Live(_)) => return Err(EncodeError::NoAddress),
        (Type::List(element) | Type::VarArgs(element), Value::List(items)) => {
            writer.size(items.len())?;
            for item in items {
                write(item, element, context, writer, depth)?;
            }
        }
        (Type::Map(entry), Value::Map(entries)) => {
            write_map(entries, &entry.0, &entry.1, context, writer, depth)?;
        }
        (Type::KwArgs(element), Value::Map(entries)) => {
            write_map(entries, &Type::String, element, context, writer, depth)?;
        }
        (Type::Tuple(tuple), Value::Tuple(items)) => {
            write_tuple(items, &tuple.elements, context, writer, depth)?;
        }
        (Type::Optional(_), Value::Optional(None)) => writer.u8(0),
        (Type::Optional(content), Value::Optional(Some(value))) => {
            writer.u8(1);
            write(value, content, context, writer, depth)?;
        }
        (Type::Unknown, _) => return Err(EncodeError::NoEncoding),
        (expected, found) => {
            return Err(EncodeError::Mismatch {
                expected: expected.kind_name(),
                found: found.kind_name(),
            });
        }
    }
    Ok(())
}

fn write_map(
    entries: &[(Value, Value)],
    key_type: &Type,
    value_type: &Type,
    context: &mut EncodeContext<'_>,
    writer: &mut Writer,
    depth: u16,
) -> Result<(), EncodeError> {
    writer.size(entries.len())?;
    for (key, value) in entries {
        write(key, key_type, context, writer, depth)?;
        write(value, value_type, context, writer, depth)?;
    }
    Ok(())
}

fn write_tuple(
    items: &[Value],
    types: &[Type],
    context: &mut EncodeContext<'_>,
    writer: &mut Writer,
    depth: u16,
) -> Result<(), EncodeError> {
    if items.len() != types.len() {
        return Err(EncodeError::TupleLength {
            expected: types.len(),
            found: items.len(),
        });
    }
    for (item, ty) in items.iter().zip(types) {
        write(item, ty, context, writer, depth)?;
    }
    Ok(())
}

fn write_dynamic(
    dynamic: &Dynamic,
    context: &mut EncodeContext<'_>,
    writer: &mut Writer,
    depth: u16,
) -> Result<(), EncodeError> {
    match (&dynamic.signature, &dynamic.value) {
        (Some(signature), value) => {
            writer.sized(signature.as_str().as_bytes())?;
            write(value, signature.ty(), context, writer, depth)
        }
        (None, Value::Void) => Ok(writer.size(0)?),
        (None, other) => Err(EncodeError::Mismatch {
            expected: Type::Void.kind_name(),
            found: other.kind_name(),
        }),
    }
}
