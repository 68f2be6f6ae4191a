//! One value in its three forms: as libqi's client in Python takes and gives it, as proto3 JSON of a
//! generated field, and as a decoded protobuf message.
//!
//! libqi's form is the common one: what both sides answer is compared in it. A number that JSON lacks
//! stands there as `{"float": "NaN"}`, by its name in proto3 JSON. What stands for a dynamic argument
//! may be `{"exact": VALUE, "plain": SEEN}`: the `qi.gateway.v1.Value` to send, and how libqi's client
//! shows it.

use prost_reflect::{
    DynamicMessage, FieldDescriptor, Kind, MapKey, MessageDescriptor, ReflectMessage as _,
    Value as Field,
};
use qi_grpc_gateway::qi::value::Type;
use serde_json::{Map, Value, json};

/// Stands for every text that is not UTF-8, which neither side gives as it is.
const NOT_UTF8: &str = "\u{fffd}";

/// How the text begins that libqi's client in Python gives for it: as Python writes bytes.
const PYTHON_BYTES: [&str; 2] = ["b'", "b\""];

/// A value of a type, in libqi's form. The same every time, and never what is left out on the wire.
pub(crate) fn sample(ty: &Type) -> Value {
    match ty {
        Type::Bool => json!(true),
        Type::Int8 | Type::Int16 | Type::Int32 | Type::Int64 => json!(-7),
        Type::UInt8 | Type::UInt16 | Type::UInt32 | Type::UInt64 => json!(7),
        Type::Float => json!(0.25),
        Type::Double => json!(0.125),
        Type::String => json!("gr\u{fc}\u{df} dich"),
        Type::Raw => json!({"base64": base64(&[0, 255, 16, 128])}),
        Type::Dynamic => json!(["text", -5, 0.5, true, {"key": [1, "two"]}]),
        Type::List(element) | Type::VarArgs(element) => json!([sample(element), sample(element)]),
        Type::Map(entry) => json!({"map": [[sample(&entry.0), sample(&entry.1)]]}),
        Type::Tuple(tuple) => tuple.elements.iter().map(sample).collect(),
        Type::Optional(value) => sample(value),
        Type::Void | Type::None | Type::Unknown | Type::Object | Type::KwArgs(_) => Value::Null,
    }
}

/// A message whose fields, by number, are the members of a tuple, as proto3 JSON.
pub(crate) fn members_to_proto(
    types: &[Type],
    message: &MessageDescriptor,
    values: &[Value],
) -> Value {
    let mut fields = Map::new();
    for (number, (ty, value)) in (1..).zip(types.iter().zip(values)) {
        let field = message.get_field(number).unwrap();
        insert_member(&mut fields, ty, &field, value);
    }
    Value::Object(fields)
}

/// Adds a field to a message; an absent optional is not there.
fn insert_member(
    fields: &mut Map<String, Value>,
    ty: &Type,
    field: &FieldDescriptor,
    value: &Value,
) {
    let value = match ty {
        Type::Optional(_) if value.is_null() => return,
        Type::Optional(inner) => element_to_proto(inner, field, value),
        _ => field_to_proto(ty, field, value),
    };
    fields.insert(field.json_name().to_owned(), value);
}

fn field_to_proto(ty: &Type, field: &FieldDescriptor, value: &Value) -> Value {
    match ty {
        Type::List(element) | Type::VarArgs(element) => {
            let elements = value.as_array().unwrap().iter();
            elements
                .map(|value| element_to_proto(element, field, value))
                .collect()
        }
        Type::Map(entry) => {
            let kind = field.kind();
            let (key, held) = (&entry.0, &entry.1);
            let message = kind.as_message().unwrap();
            let fields = [message.get_field(1).unwrap(), message.get_field(2).unwrap()];
            let entries = pairs(value).into_iter();
            if field.is_map() {
                let entries = entries.map(|(k, v)| {
                    let key = key_text(&field_to_proto(key, &fields[0], &k));
                    (key, element_to_proto(held, &fields[1], &v))
                });
                return Value::Object(entries.collect());
            }
            let types = [key.clone(), held.clone()];
            entries
                .map(|(k, v)| members_to_proto(&types, message, &[k, v]))
                .collect()
        }
        Type::Tuple(tuple) => {
            let kind = field.kind();
            let message = kind.as_message().unwrap();
            members_to_proto(&tuple.elements, message, value.as_array().unwrap())
        }
        Type::Dynamic | Type::Unknown => match value.get("exact") {
            Some(exact) => exact.clone(),
            None => json!({ "json": value }),
        },
        Type::Object => json!({"id": value["id"].as_str().unwrap_or_default()}),
        Type::Float | Type::Double if value.is_object() => value["float"].clone(),
        Type::Raw => value["base64"].clone(),
        _ => value.clone(),
    }
}

/// An element of a list or a map: what cannot stand there by itself has a message around it.
fn element_to_proto(ty: &Type, field: &FieldDescriptor, value: &Value) -> Value {
    match wrapped(ty, field) {
        Some(inner) => {
            let mut message = Map::new();
            insert_member(&mut message, ty, &inner, value);
            Value::Object(message)
        }
        None => field_to_proto(ty, field, value),
    }
}

fn wrapped(ty: &Type, field: &FieldDescriptor) -> Option<FieldDescriptor> {
    matches!(ty, Type::List(_) | Type::Map(_) | Type::Optional(_))
        .then(|| field.kind().as_message().unwrap().get_field(1).unwrap())
}

/// The field `value` of a response, in libqi's form.
pub(crate) fn response_from_proto(ty: &Type, descriptor: MessageDescriptor, json: &Value) -> Value {
    let message = DynamicMessage::deserialize(descriptor, json)
        .unwrap_or_else(|error| panic!("{json}: {error}"));
    response_from_message(ty, &message)
}

/// The same of a decoded response.
pub(crate) fn response_from_message(ty: &Type, message: &DynamicMessage) -> Value {
    if *ty == Type::Void {
        assert_eq!(message.descriptor().fields().len(), 0);
        return Value::Null;
    }
    member_from_proto(ty, message, 1)
}

/// The field of a message with that number.
fn member_from_proto(ty: &Type, message: &DynamicMessage, number: u32) -> Value {
    let field = message.descriptor().get_field(number).unwrap();
    match ty {
        Type::Optional(_) if !message.has_field(&field) => Value::Null,
        Type::Optional(inner) => element_from_proto(inner, &message.get_field(&field)),
        _ => field_from_proto(ty, &message.get_field(&field)),
    }
}

fn field_from_proto(ty: &Type, value: &Field) -> Value {
    match ty {
        Type::List(element) | Type::VarArgs(element) => {
            let elements = value.as_list().unwrap().iter();
            elements
                .map(|value| element_from_proto(element, value))
                .collect()
        }
        Type::Map(entry) => {
            let (key, held) = (&entry.0, &entry.1);
            let entries = match value {
                Field::Map(map) => map
                    .iter()
                    .map(|(k, v)| (map_key(k), element_from_proto(held, v)))
                    .collect(),
                Field::List(list) => list
                    .iter()
                    .map(|entry| {
                        let entry = entry.as_message().unwrap();
                        let key = member_from_proto(key, entry, 1);
                        (key, member_from_proto(held, entry, 2))
                    })
                    .collect(),
                other => panic!("{other:?}"),
            };
            map(entries)
        }
        Type::Tuple(tuple) => {
            let message = value.as_message().unwrap();
            let numbered = (1..).zip(&tuple.elements);
            numbered
                .map(|(number, ty)| member_from_proto(ty, message, number))
                .collect()
        }
        Type::Dynamic => dynamic(value.as_message().unwrap()),
        Type::Object => object(value.as_message().unwrap()),
        _ => scalar(value),
    }
}

fn element_from_proto(ty: &Type, value: &Field) -> Value {
    match ty {
        Type::List(_) | Type::Map(_) | Type::Optional(_) => {
            member_from_proto(ty, value.as_message().unwrap(), 1)
        }
        _ => field_from_proto(ty, value),
    }
}

/// A `qi.gateway.v1.Value`.
fn dynamic(value: &DynamicMessage) -> Value {
    let descriptor = value.descriptor();
    let kind = descriptor.oneofs().next().unwrap();
    let Some(field) = kind.fields().find(|field| value.has_field(field)) else {
        return Value::Null;
    };
    let held = value.get_field(&field);
    let message = || held.as_message().unwrap();
    let items = |name: &str| {
        let field = message().get_field_by_name(name).unwrap().into_owned();
        field.as_list().unwrap().to_vec()
    };
    let member = |of: &Field, name: &str| {
        let of = of.as_message().unwrap();
        dynamic(of.get_field_by_name(name).unwrap().as_message().unwrap())
    };
    match field.name() {
        "void_value" => Value::Null,
        "list_value" => {
            let items = items("items");
            items
                .iter()
                .map(|item| dynamic(item.as_message().unwrap()))
                .collect()
        }
        "map_value" => {
            let entries = items("entries");
            map(entries
                .iter()
                .map(|it| (member(it, "key"), member(it, "value")))
                .collect())
        }
        "tuple_value" => items("fields")
            .iter()
            .map(|it| member(it, "value"))
            .collect(),
        "object_value" => object(message()),
        "optional_value" => member(&held, "value"),
        _ => scalar(&held),
    }
}

fn object(reference: &DynamicMessage) -> Value {
    let id = reference.get_field_by_name("id").unwrap();
    match id.as_str().unwrap() {
        "" => Value::Null,
        _ => json!({"object": true}),
    }
}

fn scalar(value: &Field) -> Value {
    match value {
        Field::Bool(value) => json!(value),
        Field::I32(value) => json!(value),
        Field::I64(value) => json!(value),
        Field::U32(value) => json!(value),
        Field::U64(value) => json!(value),
        Field::F32(value) => float(f64::from(*value)),
        Field::F64(value) => float(*value),
        Field::String(value) if value.contains(char::REPLACEMENT_CHARACTER) => json!(NOT_UTF8),
        Field::String(value) => json!(value),
        Field::Bytes(value) => json!({"base64": base64(value)}),
        other => panic!("{other:?}"),
    }
}

/// A number, which JSON may lack.
pub(crate) fn float(value: f64) -> Value {
    match value {
        _ if value.is_finite() => json!(value),
        f64::INFINITY => json!({"float": "Infinity"}),
        f64::NEG_INFINITY => json!({"float": "-Infinity"}),
        _ => json!({"float": "NaN"}),
    }
}

fn map_key(key: &MapKey) -> Value {
    scalar(&Field::from(key.clone()))
}

fn key_text(key: &Value) -> String {
    key.as_str().map_or_else(|| key.to_string(), str::to_owned)
}

/// What libqi's client gave for a value of a type: maps in one form, structs by position, and
/// objects without their Python class.
pub(crate) fn libqi_form(ty: &Type, value: &Value) -> Value {
    match (ty, value) {
        (Type::List(element) | Type::VarArgs(element), Value::Array(items)) => {
            items.iter().map(|item| libqi_form(element, item)).collect()
        }
        (Type::Map(entry), Value::Object(_)) => {
            let entries = pairs(value).into_iter();
            map(entries
                .map(|(k, v)| (libqi_form(&entry.0, &k), libqi_form(&entry.1, &v)))
                .collect())
        }
        (Type::Tuple(tuple), Value::Array(items)) => {
            let members = tuple.elements.iter().zip(items);
            members.map(|(ty, item)| libqi_form(ty, item)).collect()
        }
        (Type::Tuple(tuple), Value::Object(fields)) => {
            let names = &tuple.annotation.as_ref().unwrap().fields;
            assert_eq!(fields.len(), names.len(), "{value}");
            let members = tuple.elements.iter().zip(names);
            members
                .map(|(ty, name)| libqi_form(ty, &fields[name]))
                .collect()
        }
        (Type::Optional(inner), _) if !value.is_null() => libqi_form(inner, value),
        (Type::Object, Value::Object(_)) => json!({"object": true}),
        (Type::String, Value::String(text))
            if PYTHON_BYTES.iter().any(|it| text.starts_with(it)) =>
        {
            json!(NOT_UTF8)
        }
        (Type::Dynamic, _) => libqi_dynamic(value),
        _ => value.clone(),
    }
}

fn libqi_dynamic(value: &Value) -> Value {
    match value {
        Value::Array(items) => items.iter().map(libqi_dynamic).collect(),
        Value::Object(fields)
            if fields.len() == 1
                && ["base64", "float"]
                    .iter()
                    .any(|it| fields.contains_key(*it)) =>
        {
            value.clone()
        }
        Value::Object(fields) if fields.len() == 1 && fields.contains_key("object") => {
            json!({"object": true})
        }
        Value::Object(_) => {
            let entries = pairs(value).into_iter();
            map(entries
                .map(|(k, v)| (libqi_dynamic(&k), libqi_dynamic(&v)))
                .collect())
        }
        _ => value.clone(),
    }
}

/// The entries of a map in libqi's form.
fn pairs(value: &Value) -> Vec<(Value, Value)> {
    let fields = value.as_object().unwrap();
    match fields.get("map") {
        Some(Value::Array(entries)) if fields.len() == 1 => entries
            .iter()
            .map(|entry| (entry[0].clone(), entry[1].clone()))
            .collect(),
        _ => fields.iter().map(|(k, v)| (json!(k), v.clone())).collect(),
    }
}

/// A map in libqi's form, its entries in one order.
pub(crate) fn map(mut entries: Vec<(Value, Value)>) -> Value {
    entries.sort_by_cached_key(|(key, _)| key.to_string());
    json!({"map": entries.into_iter().map(|(k, v)| json!([k, v])).collect::<Vec<_>>()})
}

/// Standard base64 with padding, as Python and proto3 JSON write it.
pub(crate) fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let mut group = [0; 3];
        group[..chunk.len()].copy_from_slice(chunk);
        let bits = u32::from_be_bytes([0, group[0], group[1], group[2]]);
        for place in 0..4 {
            let digit = (bits >> (18 - 6 * place)) & 63;
            text.push(if place > chunk.len() {
                '='
            } else {
                ALPHABET[digit as usize].into()
            });
        }
    }
    text
}

/// The bytes that [`base64`] wrote.
pub(crate) fn from_base64(text: &str) -> Vec<u8> {
    const DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let value = |digit: &u8| DIGITS.iter().position(|it| it == digit).unwrap();
    let digits: Vec<usize> = text
        .trim_end_matches('=')
        .as_bytes()
        .iter()
        .map(value)
        .collect();
    let mut bytes = Vec::new();
    for group in digits.chunks(4) {
        let bits = group.iter().fold(0, |bits, digit| bits << 6 | digit) << (6 * (4 - group.len()));
        bytes.extend_from_slice(&u32::try_from(bits).unwrap().to_be_bytes()[1..group.len()]);
    }
    bytes
}
