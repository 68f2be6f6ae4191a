//! Shapes of types after the table of the mapping, and descriptors of shapes for prost-reflect.

use std::sync::Arc;

use prost::Message as _;
use prost_reflect::DescriptorPool;
use prost_types::{
    DescriptorProto, FieldDescriptorProto, FileDescriptorProto, MessageOptions,
    OneofDescriptorProto,
    field_descriptor_proto::{Label, Type as Kind},
};

use crate::{
    qi::value::{Signature, Type},
    schema::{FieldShape, MessageShape, Payload, Scalar, Shape},
};

/// Builds shapes, each message with a name of its own.
#[derive(Default)]
pub(super) struct Shapes {
    messages: usize,
}

impl Shapes {
    /// The payload of a method with these parameters.
    pub(super) fn payload(&mut self, ty: &Type) -> Payload {
        match ty {
            Type::Tuple(tuple) => {
                let types: Vec<&Type> = tuple.elements.iter().collect();
                Payload::Fields(self.message("Request", &types))
            }
            other => {
                assert_eq!(*other, Type::Dynamic, "parameters");
                let mut message = (*self.message("Request", &[other])).clone();
                message.fields[0].name = "args".into();
                message.fields[0].shape = Shape::Repeated(Box::new(Shape::Value));
                Payload::AnyArguments(Arc::new(message))
            }
        }
    }

    fn message(&mut self, prefix: &str, types: &[&Type]) -> Arc<MessageShape> {
        self.messages += 1;
        let name = format!("{prefix}{}", self.messages);
        let fields = types.iter().zip(1..).map(|(ty, number)| FieldShape {
            name: format!("f{number}"),
            number,
            shape: self.shape(ty),
            qi_name: None,
            signature: Signature::from((*ty).clone()),
        });
        let fields = fields.collect();
        Arc::new(MessageShape {
            full_name: format!("test.{name}"),
            name,
            fields,
        })
    }

    fn shape(&mut self, ty: &Type) -> Shape {
        if let Some(scalar) = scalar(ty) {
            return Shape::Scalar(scalar);
        }
        match ty {
            Type::Dynamic => Shape::Value,
            Type::Object => Shape::Object,
            Type::Unknown => Shape::Unknown,
            Type::Void | Type::None => Shape::Message(self.message("Empty", &[])),
            Type::Tuple(tuple) => {
                let types: Vec<&Type> = tuple.elements.iter().collect();
                Shape::Message(self.message("Struct", &types))
            }
            Type::List(element) | Type::VarArgs(element) => {
                Shape::Repeated(Box::new(self.nested(element)))
            }
            Type::Optional(element) => Shape::Optional(Box::new(self.nested(element))),
            Type::KwArgs(value) => Shape::Map(Scalar::String, Box::new(self.nested(value))),
            Type::Map(entry) => match scalar(&entry.0) {
                Some(key) if !matches!(key, Scalar::Float | Scalar::Double | Scalar::Raw) => {
                    Shape::Map(key, Box::new(self.nested(&entry.1)))
                }
                _ => {
                    let entry = self.message("Entry", &[&entry.0, &entry.1]);
                    Shape::Repeated(Box::new(Shape::Message(entry)))
                }
            },
            other => unreachable!("{other} is a scalar"),
        }
    }

    fn nested(&mut self, ty: &Type) -> Shape {
        match self.shape(ty) {
            Shape::Repeated(_) | Shape::Map(..) | Shape::Optional(_) => {
                Shape::Message(self.message("Wrapper", &[ty]))
            }
            single => single,
        }
    }
}

fn scalar(ty: &Type) -> Option<Scalar> {
    Some(match ty {
        Type::Bool => Scalar::Bool,
        Type::Int8 => Scalar::Int8,
        Type::UInt8 => Scalar::UInt8,
        Type::Int16 => Scalar::Int16,
        Type::UInt16 => Scalar::UInt16,
        Type::Int32 => Scalar::Int32,
        Type::UInt32 => Scalar::UInt32,
        Type::Int64 => Scalar::Int64,
        Type::UInt64 => Scalar::UInt64,
        Type::Float => Scalar::Float,
        Type::Double => Scalar::Double,
        Type::String => Scalar::String,
        Type::Raw => Scalar::Raw,
        _ => return None,
    })
}

/// The static API and a file `test.proto` with the message and all that it needs.
pub(super) fn pool(message: &MessageShape) -> DescriptorPool {
    let mut file = FileDescriptorProto {
        name: Some("test.proto".into()),
        package: Some("test".into()),
        syntax: Some("proto3".into()),
        dependency: vec!["qi/gateway/v1/value.proto".into()],
        ..FileDescriptorProto::default()
    };
    describe(message, &mut file);
    let mut pool = DescriptorPool::decode(crate::proto::FILE_DESCRIPTOR_SET).expect("static API");
    pool.decode_file_descriptor_proto(file.encode_to_vec().as_slice())
        .expect("shapes give valid descriptors");
    pool
}

fn describe(message: &MessageShape, file: &mut FileDescriptorProto) {
    let mut proto = DescriptorProto {
        name: Some(message.name.clone()),
        ..DescriptorProto::default()
    };
    for field in &message.fields {
        let mut described = FieldDescriptorProto {
            name: Some(field.name.clone()),
            number: i32::try_from(field.number).ok(),
            ..FieldDescriptorProto::default()
        };
        described.set_label(Label::Optional);
        match &field.shape {
            Shape::Repeated(inner) => {
                described.set_label(Label::Repeated);
                set_type(&mut described, inner, file);
            }
            Shape::Map(key, value) => {
                described.set_label(Label::Repeated);
                let entry = map_entry(&field.name, *key, value, file);
                described.set_type(Kind::Message);
                described.type_name = Some(format!(".{}.{}", message.full_name, entry.name()));
                proto.nested_type.push(entry);
            }
            Shape::Optional(inner) => {
                set_type(&mut described, inner, file);
                described.proto3_optional = Some(true);
                described.oneof_index = i32::try_from(proto.oneof_decl.len()).ok();
                proto.oneof_decl.push(OneofDescriptorProto {
                    name: Some(format!("_{}", field.name)),
                    ..OneofDescriptorProto::default()
                });
            }
            single => set_type(&mut described, single, file),
        }
        proto.field.push(described);
    }
    file.message_type.push(proto);
}

fn map_entry(
    name: &str,
    key: Scalar,
    value: &Shape,
    file: &mut FileDescriptorProto,
) -> DescriptorProto {
    let part = |name: &str, number, shape: &Shape, file: &mut FileDescriptorProto| {
        let mut field = FieldDescriptorProto {
            name: Some(name.into()),
            number: Some(number),
            ..FieldDescriptorProto::default()
        };
        field.set_label(Label::Optional);
        set_type(&mut field, shape, file);
        field
    };
    DescriptorProto {
        name: Some(format!("{}Entry", name.to_uppercase())),
        field: vec![
            part("key", 1, &Shape::Scalar(key), file),
            part("value", 2, value, file),
        ],
        options: Some(MessageOptions {
            map_entry: Some(true),
            ..MessageOptions::default()
        }),
        ..DescriptorProto::default()
    }
}

fn set_type(field: &mut FieldDescriptorProto, shape: &Shape, file: &mut FileDescriptorProto) {
    let kind = match shape {
        Shape::Scalar(scalar) => match scalar {
            Scalar::Bool => Kind::Bool,
            Scalar::Int8 | Scalar::Int16 | Scalar::Int32 => Kind::Int32,
            Scalar::UInt8 | Scalar::UInt16 | Scalar::UInt32 => Kind::Uint32,
            Scalar::Int64 => Kind::Int64,
            Scalar::UInt64 => Kind::Uint64,
            Scalar::Float => Kind::Float,
            Scalar::Double => Kind::Double,
            Scalar::String => Kind::String,
            Scalar::Raw => Kind::Bytes,
        },
        Shape::Value | Shape::Unknown => {
            field.type_name = Some(".qi.gateway.v1.Value".into());
            Kind::Message
        }
        Shape::Object => {
            field.type_name = Some(".qi.gateway.v1.ObjectRef".into());
            Kind::Message
        }
        Shape::Message(message) => {
            describe(message, file);
            field.type_name = Some(format!(".{}", message.full_name));
            Kind::Message
        }
        Shape::Repeated(_) | Shape::Map(..) | Shape::Optional(_) => unreachable!("not nested"),
    };
    field.set_type(kind);
}
