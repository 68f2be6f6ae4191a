//! The pass that turns types into shapes. The table is that of [`crate::transcode`].

use std::{collections::HashMap, sync::Arc};

use super::{
    FieldShape, MessageShape, Scalar, Shape,
    claims::{Claims, struct_name},
    names,
};
use crate::qi::value::{Signature, TupleType, Type};

/// Makes shapes, each struct once.
#[derive(Debug)]
pub(super) struct Types<'a> {
    package: &'a str,
    names: &'a HashMap<&'a TupleType, String>,
    built: HashMap<&'a TupleType, Arc<MessageShape>>,
    /// The structs with their signatures, in the order in which they were met.
    pub(super) structs: Vec<(Arc<MessageShape>, Signature)>,
}

/// A field to be: the name in protobuf, the robot's, the type.
pub(super) struct Field<'a> {
    pub(super) name: String,
    pub(super) qi_name: Option<&'a str>,
    pub(super) ty: &'a Type,
}

/// The field whose type is looked at: types that need a message of their own put it there.
#[derive(Clone, Copy)]
struct Place<'p> {
    message: &'p str,
    field: &'p str,
}

impl<'a> Types<'a> {
    pub(super) fn new(package: &'a str, claims: &'a Claims<'a>) -> Self {
        Self {
            package,
            names: &claims.structs,
            built: HashMap::new(),
            structs: Vec::new(),
        }
    }

    /// A message at top level.
    pub(super) fn message(
        &mut self,
        name: &str,
        fields: impl IntoIterator<Item = Field<'a>>,
    ) -> Arc<MessageShape> {
        let full_name = format!("{}.{name}", self.package);
        self.message_at(name, full_name, fields)
    }

    /// The message of arguments that are declared as bare `m`.
    pub(super) fn any_arguments(&self, name: &str) -> Arc<MessageShape> {
        Arc::new(MessageShape {
            name: name.to_owned(),
            full_name: format!("{}.{name}", self.package),
            fields: vec![FieldShape {
                name: "args".to_owned(),
                number: 1,
                shape: Shape::Repeated(Box::new(Shape::Value)),
                qi_name: None,
                signature: Signature::from(Type::VarArgs(Box::new(Type::Dynamic))),
            }],
        })
    }

    fn message_at(
        &mut self,
        name: &str,
        full_name: String,
        fields: impl IntoIterator<Item = Field<'a>>,
    ) -> Arc<MessageShape> {
        let fields = (1..)
            .zip(fields)
            .map(|(number, field)| FieldShape {
                shape: self.field(
                    field.ty,
                    Place {
                        message: &full_name,
                        field: &field.name,
                    },
                ),
                name: field.name,
                number,
                qi_name: field.qi_name.map(Into::into),
                signature: Signature::from(field.ty.clone()),
            })
            .collect();
        Arc::new(MessageShape {
            name: name.to_owned(),
            full_name,
            fields,
        })
    }

    /// What may stand as the type of a field.
    fn field(&mut self, ty: &'a Type, place: Place<'_>) -> Shape {
        match ty {
            Type::List(element) | Type::VarArgs(element) => {
                Shape::Repeated(Box::new(self.element(element, place)))
            }
            Type::Map(entry) => self.map(&entry.0, &entry.1, place),
            Type::KwArgs(value) => Shape::Map(Scalar::String, Box::new(self.element(value, place))),
            Type::Optional(value) => Shape::Optional(Box::new(self.element(value, place))),
            _ => self.element(ty, place),
        }
    }

    /// What may stand within a repeated, map or optional field.
    fn element(&mut self, ty: &'a Type, place: Place<'_>) -> Shape {
        if let Some(scalar) = scalar(ty) {
            return Shape::Scalar(scalar);
        }
        match ty {
            Type::Dynamic => Shape::Value,
            Type::Unknown => Shape::Unknown,
            Type::Object => Shape::Object,
            Type::Tuple(tuple) => self.tuple(tuple, place),
            Type::List(_) | Type::VarArgs(_) => self.nested("List", place, [plain("items", ty)]),
            Type::Map(_) | Type::KwArgs(_) => self.nested("Map", place, [plain("items", ty)]),
            Type::Optional(_) => self.nested("Optional", place, [plain("value", ty)]),
            _ => self.nested("Void", place, []),
        }
    }

    fn map(&mut self, key: &'a Type, value: &'a Type, place: Place<'_>) -> Shape {
        match scalar(key) {
            // https://protobuf.dev/programming-guides/proto3/#maps
            Some(key) if !matches!(key, Scalar::Float | Scalar::Double | Scalar::Raw) => {
                Shape::Map(key, Box::new(self.element(value, place)))
            }
            _ => {
                let fields = [plain("key", key), plain("value", value)];
                Shape::Repeated(Box::new(self.nested("Entry", place, fields)))
            }
        }
    }

    fn tuple(&mut self, tuple: &'a TupleType, place: Place<'_>) -> Shape {
        if struct_name(tuple).is_none() {
            return self.nested("Tuple", place, members(tuple));
        }
        if let Some(message) = self.built.get(tuple) {
            return Shape::Message(Arc::clone(message));
        }
        let name = self.names.get(tuple).map_or("", String::as_str);
        let message = self.message(name, members(tuple));
        self.built.insert(tuple, Arc::clone(&message));
        let signature = Signature::from(Type::Tuple(tuple.clone()));
        self.structs.push((Arc::clone(&message), signature));
        Shape::Message(message)
    }

    /// A message inside of that of the field. Named after the field, which is unique there, with a
    /// kind that ends no other kind; and unlike those around it, as Java allows no other.
    fn nested(
        &mut self,
        kind: &str,
        place: Place<'_>,
        fields: impl IntoIterator<Item = Field<'a>>,
    ) -> Shape {
        let wanted = format!("{}{kind}", names::camel_field(place.field));
        let mut name = wanted.clone();
        let mut number = 2;
        while place.message.split('.').any(|outer| outer == name) {
            name = format!("{wanted}{number}");
            number += 1;
        }
        let full_name = format!("{}.{name}", place.message);
        Shape::Message(self.message_at(&name, full_name, fields))
    }
}

fn plain<'a>(name: &str, ty: &'a Type) -> Field<'a> {
    Field {
        name: name.to_owned(),
        qi_name: None,
        ty,
    }
}

/// The fields of a tuple or struct.
fn members(tuple: &TupleType) -> Vec<Field<'_>> {
    let annotated = tuple.annotation.as_ref().map(|it| it.fields.as_slice());
    let qi_name = |at: usize| annotated.and_then(|names| Some(names.get(at)?.as_str()));
    let names = names::fields((0..tuple.elements.len()).map(qi_name), "item");
    let fields = tuple.elements.iter().zip(names).enumerate();
    fields
        .map(|(at, (ty, name))| Field {
            name,
            qi_name: qi_name(at),
            ty,
        })
        .collect()
}

const fn scalar(ty: &Type) -> Option<Scalar> {
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
