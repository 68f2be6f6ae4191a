//! Shapes as descriptors.

use super::{
    FieldShape, MessageShape, Scalar, Shape,
    descriptor::{
        DescriptorProto, FieldDescriptorProto, FieldLabel, FieldOptions, FieldOrigin, FieldType,
        MessageOptions, OneofDescriptorProto,
    },
    names,
};

/// The full names of the static messages that generated files refer to.
pub(super) const VALUE: &str = "qi.gateway.v1.Value";
pub(super) const OBJECT: &str = "qi.gateway.v1.ObjectRef";
pub(super) const OPTIONS: &str = "qi.gateway.v1.SubscribeOptions";
pub(super) const INFO: &str = "qi.gateway.v1.EventInfo";

/// The descriptor of a message and those inside of it.
pub(super) fn message(shape: &MessageShape) -> DescriptorProto {
    let mut message = DescriptorProto {
        name: Some(shape.name.clone()),
        ..DescriptorProto::default()
    };
    for field in &shape.fields {
        self::field(&mut message, shape, field);
    }
    message
}

/// A field that refers to a message and has no origin.
pub(super) fn static_field(name: &str, number: i32, message: &str) -> FieldDescriptorProto {
    FieldDescriptorProto {
        name: Some(name.to_owned()),
        number: Some(number),
        label: Some(FieldLabel::Optional.into()),
        r#type: Some(FieldType::Message.into()),
        type_name: Some(format!(".{message}")),
        json_name: Some(names::json_name(name)),
        ..FieldDescriptorProto::default()
    }
}

fn field(message: &mut DescriptorProto, parent: &MessageShape, shape: &FieldShape) {
    let mut field = FieldDescriptorProto {
        name: Some(shape.name.clone()),
        number: i32::try_from(shape.number).ok(),
        label: Some(FieldLabel::Optional.into()),
        json_name: Some(names::json_name(&shape.name)),
        options: Some(FieldOptions {
            field: Some(FieldOrigin {
                name: shape.qi_name.clone().unwrap_or_default(),
                signature: shape.signature.to_string(),
            }),
        }),
        ..FieldDescriptorProto::default()
    };
    match &shape.shape {
        Shape::Repeated(element) => {
            field.label = Some(FieldLabel::Repeated.into());
            set_type(&mut field, message, parent, element);
        }
        Shape::Map(key, value) => {
            field.label = Some(FieldLabel::Repeated.into());
            map_entry(&mut field, message, parent, *key, value);
        }
        Shape::Optional(value) => {
            set_type(&mut field, message, parent, value);
            field.proto3_optional = Some(true);
            field.oneof_index = i32::try_from(message.oneof_decl.len()).ok();
            message.oneof_decl.push(OneofDescriptorProto {
                name: Some(format!("_{}", shape.name)),
            });
        }
        element => set_type(&mut field, message, parent, element),
    }
    message.field.push(field);
}

/// Sets the type of a field, and puts the message of that type into `message` if it belongs there.
fn set_type(
    field: &mut FieldDescriptorProto,
    message: &mut DescriptorProto,
    parent: &MessageShape,
    element: &Shape,
) {
    let full_name = match element {
        Shape::Scalar(scalar) => {
            field.r#type = Some(field_type(*scalar).into());
            return;
        }
        Shape::Object => OBJECT,
        Shape::Message(shape) => {
            let inside = shape.full_name.strip_prefix(&parent.full_name);
            if inside.is_some_and(|rest| rest.starts_with('.')) {
                message.nested_type.push(self::message(shape));
            }
            &shape.full_name
        }
        Shape::Value | Shape::Unknown => VALUE,
        Shape::Repeated(_) | Shape::Map(..) | Shape::Optional(_) => {
            debug_assert!(false, "no element by the contract of Shape: {element:?}");
            VALUE
        }
    };
    field.r#type = Some(FieldType::Message.into());
    field.type_name = Some(format!(".{full_name}"));
}

/// A map field is a repeated field of messages that protoc names after it (`MapEntryName` in
/// parser.cc).
fn map_entry(
    field: &mut FieldDescriptorProto,
    message: &mut DescriptorProto,
    parent: &MessageShape,
    key: Scalar,
    value: &Shape,
) {
    let name = format!("{}Entry", names::camel_field(field.name()));
    let part = |name: &str, number| FieldDescriptorProto {
        name: Some(name.to_owned()),
        number: Some(number),
        label: Some(FieldLabel::Optional.into()),
        json_name: Some(name.to_owned()),
        ..FieldDescriptorProto::default()
    };
    let mut key_field = part("key", 1);
    key_field.r#type = Some(field_type(key).into());
    let mut value_field = part("value", 2);
    set_type(&mut value_field, message, parent, value);
    field.r#type = Some(FieldType::Message.into());
    field.type_name = Some(format!(".{}.{name}", parent.full_name));
    message.nested_type.push(DescriptorProto {
        name: Some(name),
        field: vec![key_field, value_field],
        options: Some(MessageOptions {
            map_entry: Some(true),
        }),
        ..DescriptorProto::default()
    });
}

const fn field_type(scalar: Scalar) -> FieldType {
    match scalar {
        Scalar::Bool => FieldType::Bool,
        Scalar::Int8 | Scalar::Int16 | Scalar::Int32 => FieldType::Int32,
        Scalar::UInt8 | Scalar::UInt16 | Scalar::UInt32 => FieldType::Uint32,
        Scalar::Int64 => FieldType::Int64,
        Scalar::UInt64 => FieldType::Uint64,
        Scalar::Float => FieldType::Float,
        Scalar::Double => FieldType::Double,
        Scalar::String => FieldType::String,
        Scalar::Raw => FieldType::Bytes,
    }
}
