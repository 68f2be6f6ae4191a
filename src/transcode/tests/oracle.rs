//! What a value must become, by way of trees: prost-reflect for generated messages, prost for
//! `qi.gateway.v1.Value`.
//!
//! Names nothing that only the library sees: `tests/robot_transcode.rs` includes this file as well.

use prost::Message as _;
use prost_reflect::{DescriptorPool, DynamicMessage, MapKey, Value as Reflected};

use crate::{
    proto::v1::{
        self, ListValue, MapValue, OptionalValue, TupleValue, map_value, tuple_value, value::Kind,
    },
    qi::value::{Dynamic, ObjectReference, Type, Value},
    schema::{MessageShape, Shape},
};

/// The message that holds a tuple of values.
pub(super) fn message(
    pool: &DescriptorPool,
    shape: &MessageShape,
    value: &Value,
) -> DynamicMessage {
    let descriptor = pool
        .get_message_by_name(&shape.full_name)
        .expect("described");
    let mut message = DynamicMessage::new(descriptor);
    let members: &[Value] = match value {
        Value::Tuple(members) => members,
        Value::Void => &[],
        // What protobuf cannot nest has a message of its own around it.
        Value::List(_) | Value::Map(_) | Value::Optional(_) => std::slice::from_ref(value),
        other => unreachable!("{other:?} is no message"),
    };
    assert_eq!(members.len(), shape.fields.len());
    for (field, member) in shape.fields.iter().zip(members) {
        if let Some(reflected) = reflected(pool, &field.shape, member) {
            message.set_field_by_number(field.number, reflected);
        }
    }
    message
}

fn reflected(pool: &DescriptorPool, shape: &Shape, value: &Value) -> Option<Reflected> {
    let some = |shape: &Shape, value: &Value| reflected(pool, shape, value).expect("no optional");
    Some(match (shape, value) {
        (Shape::Value, Value::Dynamic(dynamic)) => {
            let descriptor = pool
                .get_message_by_name("qi.gateway.v1.Value")
                .expect("static");
            let bytes = value_message(dynamic).encode_to_vec();
            Reflected::Message(DynamicMessage::decode(descriptor, &*bytes).expect("a message"))
        }
        (Shape::Object, Value::Object(object)) => {
            let descriptor = pool
                .get_message_by_name("qi.gateway.v1.ObjectRef")
                .expect("static");
            let mut message = DynamicMessage::new(descriptor);
            message.set_field_by_name("id", Reflected::String(object_id(object)));
            Reflected::Message(message)
        }
        (Shape::Optional(_), Value::Optional(None)) => return None,
        (Shape::Optional(inner), Value::Optional(Some(value))) => some(inner, value),
        (Shape::Repeated(inner), Value::List(items)) => {
            Reflected::List(items.iter().map(|item| some(inner, item)).collect())
        }
        (Shape::Repeated(inner), Value::Map(entries)) => {
            let entry = |(key, value): &(Value, Value)| {
                some(inner, &Value::Tuple(vec![key.clone(), value.clone()]))
            };
            Reflected::List(entries.iter().map(entry).collect())
        }
        (Shape::Map(_, inner), Value::Map(entries)) => {
            let entry = |(key, value): &(Value, Value)| (map_key(key), some(inner, value));
            Reflected::Map(entries.iter().map(entry).collect())
        }
        (Shape::Message(shape), value) => Reflected::Message(message(pool, shape, value)),
        (Shape::Scalar(_), value) => scalar(value),
        (shape, value) => unreachable!("{value:?} as {shape:?}"),
    })
}

/// The id of an object, from which it can be told again.
pub(super) fn object_id(object: &ObjectReference) -> String {
    if object.is_null() {
        String::new()
    } else {
        format!("{}.{}", object.service.0, object.object.0)
    }
}

fn scalar(value: &Value) -> Reflected {
    match value {
        Value::Bool(truth) => Reflected::Bool(*truth),
        Value::Int8(number) => Reflected::I32((*number).into()),
        Value::Int16(number) => Reflected::I32((*number).into()),
        Value::Int32(number) => Reflected::I32(*number),
        Value::UInt8(number) => Reflected::U32((*number).into()),
        Value::UInt16(number) => Reflected::U32((*number).into()),
        Value::UInt32(number) => Reflected::U32(*number),
        Value::Int64(number) => Reflected::I64(*number),
        Value::UInt64(number) => Reflected::U64(*number),
        Value::Float(number) => Reflected::F32(*number),
        Value::Double(number) => Reflected::F64(*number),
        Value::String(text) => Reflected::String(String::from_utf8(text.to_vec()).expect("text")),
        Value::Raw(bytes) => Reflected::Bytes(bytes.clone()),
        other => unreachable!("{other:?} is no scalar"),
    }
}

fn map_key(value: &Value) -> MapKey {
    match scalar(value) {
        Reflected::Bool(truth) => MapKey::Bool(truth),
        Reflected::I32(number) => MapKey::I32(number),
        Reflected::I64(number) => MapKey::I64(number),
        Reflected::U32(number) => MapKey::U32(number),
        Reflected::U64(number) => MapKey::U64(number),
        Reflected::String(text) => MapKey::String(text),
        other => unreachable!("{other:?} is no key"),
    }
}

/// The `Value` that a dynamic stands for.
pub(super) fn value_message(dynamic: &Dynamic) -> v1::Value {
    let mut text = String::new();
    let mut inner = dynamic;
    while let Value::Dynamic(next) = &inner.value {
        text += "m";
        inner = next;
    }
    let signature = inner.signature.as_ref().expect("not generated empty");
    let kind = kind(signature.ty(), &inner.value);
    let type_text = match (&kind, signature.ty()) {
        (Kind::VoidValue(()), Type::Void) => "v".to_owned(),
        (Kind::BoolValue(_), Type::Bool) => "b".to_owned(),
        (Kind::IntValue(_), Type::Int64) => "l".to_owned(),
        (Kind::UintValue(_), Type::UInt64) => "L".to_owned(),
        (Kind::FloatValue(_), Type::Float) => "f".to_owned(),
        (Kind::DoubleValue(_), Type::Double) => "d".to_owned(),
        (Kind::StringValue(_), Type::String) => "s".to_owned(),
        (Kind::RawValue(_), Type::Raw) => "r".to_owned(),
        (Kind::ListValue(_), Type::List(_)) => "[m]".to_owned(),
        (Kind::MapValue(_), Type::Map(_)) => "{mm}".to_owned(),
        (Kind::TupleValue(tuple), Type::Tuple(_)) => {
            format!("({})", "m".repeat(tuple.fields.len()))
        }
        (Kind::OptionalValue(_), Type::Optional(_)) => "+m".to_owned(),
        _ => String::new(),
    };
    text += signature.as_str();
    v1::Value {
        kind: Some(kind),
        signature: if text == type_text {
            String::new()
        } else {
            text
        },
    }
}

/// A member of a container whose type is told.
fn member(ty: &Type, value: &Value) -> v1::Value {
    match value {
        Value::Dynamic(dynamic) => value_message(dynamic),
        other => v1::Value {
            kind: Some(kind(ty, other)),
            signature: String::new(),
        },
    }
}

fn kind(ty: &Type, value: &Value) -> Kind {
    match (ty, value) {
        (_, Value::Void) => Kind::VoidValue(()),
        (_, Value::Bool(truth)) => Kind::BoolValue(*truth),
        (_, Value::UInt8(number)) => Kind::UintValue((*number).into()),
        (_, Value::UInt16(number)) => Kind::UintValue((*number).into()),
        (_, Value::UInt32(number)) => Kind::UintValue((*number).into()),
        (_, Value::UInt64(number)) => Kind::UintValue(*number),
        (_, Value::Float(number)) => Kind::FloatValue(*number),
        (_, Value::Double(number)) => Kind::DoubleValue(*number),
        (_, Value::String(text)) => match String::from_utf8(text.to_vec()) {
            Ok(text) => Kind::StringValue(text),
            Err(_) => Kind::RawValue(text.clone()),
        },
        (_, Value::Raw(bytes)) => Kind::RawValue(bytes.clone()),
        (Type::List(ty) | Type::VarArgs(ty), Value::List(items)) => Kind::ListValue(ListValue {
            items: items.iter().map(|item| member(ty, item)).collect(),
        }),
        (Type::Map(types), Value::Map(entries)) => Kind::MapValue(MapValue {
            entries: entries
                .iter()
                .map(|(key, value)| map_value::Entry {
                    key: Some(member(&types.0, key)),
                    value: Some(member(&types.1, value)),
                })
                .collect(),
        }),
        (Type::Tuple(tuple), Value::Tuple(members)) => {
            let annotation = tuple.annotation.as_ref();
            let field = |(index, (ty, value)): (usize, (&Type, &Value))| tuple_value::Field {
                name: annotation.map_or_else(String::new, |names| names.fields[index].clone()),
                value: Some(member(ty, value)),
            };
            let pairs = tuple.elements.iter().zip(members);
            Kind::TupleValue(TupleValue {
                name: annotation.map_or_else(String::new, |names| names.name.clone()),
                fields: pairs.enumerate().map(field).collect(),
            })
        }
        (Type::Optional(ty), Value::Optional(value)) => {
            Kind::OptionalValue(Box::new(OptionalValue {
                value: value.as_ref().map(|value| Box::new(member(ty, value))),
            }))
        }
        (_, integer) => Kind::IntValue(integer.to_i64().expect("an integer")),
    }
}
