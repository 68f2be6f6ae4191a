//! The compiled form of a message, common to both directions.

use std::sync::Arc;

use crate::{
    qi::value::{Signature, Type},
    schema::{FieldShape, MessageShape, Payload, Scalar, Shape},
};

/// A payload, ready to be transcoded.
#[derive(Debug)]
pub(super) enum PayloadPlan {
    /// The fields one after the other.
    Fields(MessagePlan),
    /// One dynamic that holds a tuple; the field that repeats the arguments.
    AnyArguments { name: Box<str>, number: u32 },
}

/// A message: its fields in the order of the qi encoding.
#[derive(Debug)]
pub(super) struct MessagePlan {
    pub(super) fields: Box<[FieldPlan]>,
}

/// A field of a message.
#[derive(Debug)]
pub(super) struct FieldPlan {
    pub(super) name: Box<str>,
    pub(super) number: u32,
    pub(super) form: Form,
    /// The type as it was declared.
    pub(super) signature: Signature,
}

/// How a field repeats.
#[derive(Debug)]
pub(super) enum Form {
    /// Once, with a default where it has no presence.
    Single(Element),
    /// Once or not at all.
    Optional(Element),
    /// A list; the fewest bytes that an element takes in qi.
    Repeated(Element, usize),
    /// A map; the fewest bytes that an entry takes in qi.
    Map(Scalar, Element, usize),
}

/// What stands in a field.
#[derive(Debug)]
pub(super) enum Element {
    Scalar(Scalar),
    Value,
    Unknown,
    Object,
    Message(MessagePlan),
}

impl PayloadPlan {
    pub(super) fn compile(payload: &Payload) -> Self {
        match payload {
            Payload::Fields(message) => Self::Fields(MessagePlan::compile(message)),
            Payload::AnyArguments(message) => {
                let field = message.fields.first();
                Self::AnyArguments {
                    name: field.map_or("args", |field| &field.name).into(),
                    number: field.map_or(1, |field| field.number),
                }
            }
        }
    }
}

impl MessagePlan {
    fn compile(message: &Arc<MessageShape>) -> Self {
        Self {
            fields: message.fields.iter().map(FieldPlan::compile).collect(),
        }
    }

    /// The index of a field; none for a number that the robot does not have. Numbers follow one another
    /// from 1.
    pub(super) fn index(&self, number: u32) -> Option<usize> {
        let index = (number as usize).checked_sub(1)?;
        let field = self.fields.get(index)?;
        debug_assert_eq!(field.number, number);
        Some(index)
    }

    fn min_bytes(&self) -> usize {
        self.fields.iter().map(|field| field.form.min_bytes()).sum()
    }
}

impl FieldPlan {
    fn compile(field: &FieldShape) -> Self {
        Self {
            name: field.name.as_str().into(),
            number: field.number,
            form: Form::compile(&field.shape),
            signature: field.signature.clone(),
        }
    }
}

impl Form {
    fn compile(shape: &Shape) -> Self {
        match shape {
            Shape::Repeated(inner) => {
                let element = Element::compile(inner);
                let min_bytes = element.min_bytes();
                Self::Repeated(element, min_bytes)
            }
            Shape::Map(key, inner) => {
                let element = Element::compile(inner);
                let min_bytes = min_bytes(*key) + element.min_bytes();
                Self::Map(*key, element, min_bytes)
            }
            Shape::Optional(inner) => Self::Optional(Element::compile(inner)),
            other => Self::Single(Element::compile(other)),
        }
    }

    fn min_bytes(&self) -> usize {
        match self {
            Self::Single(element) => element.min_bytes(),
            Self::Optional(_) => 1,
            Self::Repeated(..) | Self::Map(..) => 4,
        }
    }
}

impl Element {
    fn compile(shape: &Shape) -> Self {
        match shape {
            Shape::Scalar(scalar) => Self::Scalar(*scalar),
            Shape::Value => Self::Value,
            Shape::Object => Self::Object,
            Shape::Message(message) => Self::Message(MessagePlan::compile(message)),
            Shape::Unknown => Self::Unknown,
            // Shapes do not nest these, for protobuf does not (`Shape`).
            Shape::Repeated(_) | Shape::Map(..) | Shape::Optional(_) => {
                debug_assert!(false, "{shape:?} inside of a field");
                Self::Unknown
            }
        }
    }

    fn min_bytes(&self) -> usize {
        match self {
            Self::Scalar(scalar) => min_bytes(*scalar),
            Self::Value => 4,
            Self::Unknown => 0,
            Self::Object => Type::Object.min_bytes(),
            Self::Message(message) => message.min_bytes(),
        }
    }
}

/// The qi type of a scalar.
pub(super) const fn scalar_type(scalar: Scalar) -> Type {
    match scalar {
        Scalar::Bool => Type::Bool,
        Scalar::Int8 => Type::Int8,
        Scalar::UInt8 => Type::UInt8,
        Scalar::Int16 => Type::Int16,
        Scalar::UInt16 => Type::UInt16,
        Scalar::Int32 => Type::Int32,
        Scalar::UInt32 => Type::UInt32,
        Scalar::Int64 => Type::Int64,
        Scalar::UInt64 => Type::UInt64,
        Scalar::Float => Type::Float,
        Scalar::Double => Type::Double,
        Scalar::String => Type::String,
        Scalar::Raw => Type::Raw,
    }
}

fn min_bytes(scalar: Scalar) -> usize {
    scalar_type(scalar).min_bytes()
}
