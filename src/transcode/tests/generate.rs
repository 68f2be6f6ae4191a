//! Types and values from a source of bytes, so that proptest can make them smaller.
//!
//! Names nothing that only the library sees: `tests/robot_transcode.rs` includes this file as well.

use std::sync::Arc;

use bytes::Bytes;

use crate::qi::{
    value::{Annotation, Dynamic, ObjectReference, Signature, TupleType, Type, Value},
    wire::{ObjectId, ServiceId},
};

/// Choices, taken from bytes; 0 when there are no more.
pub(super) struct Source<'a>(pub(super) &'a [u8]);

impl Source<'_> {
    pub(super) fn byte(&mut self) -> u8 {
        match self.0.split_first() {
            Some((&first, rest)) => {
                self.0 = rest;
                first
            }
            None => 0,
        }
    }

    pub(super) fn below(&mut self, limit: usize) -> usize {
        usize::from(self.byte()) % limit
    }

    pub(super) fn chance(&mut self, of: usize) -> bool {
        self.below(of) == 1
    }

    /// Small numbers and extreme ones.
    fn number(&mut self) -> u64 {
        match self.below(4) {
            0 => u64::from(self.byte()),
            1 => 1 << self.below(64),
            2 => !(1 << self.below(64)),
            _ => (0..8).fold(0, |number, _| number << 8 | u64::from(self.byte())),
        }
    }

    /// Anything but NaN, which is not equal to itself, and -0, which prost-reflect takes for 0.
    fn double(&mut self) -> f64 {
        match self.below(5) {
            0 => 0.0,
            1 | 2 => f64::INFINITY,
            3 => f64::from(self.byte()) / 8.0,
            _ => Some(f64::from_bits(self.number()))
                .filter(|number| !number.is_nan() && (*number as f32) != 0.0)
                .unwrap_or(1.5),
        }
    }

    fn text(&mut self) -> String {
        let len = match self.below(8) {
            7 => 130,
            len => len,
        };
        (0..len)
            .map(|_| ['a', 'é', '世', '\0', '"'][self.below(5)])
            .collect()
    }

    pub(super) fn ty(&mut self, depth: usize, objects: bool) -> Type {
        let kinds = if depth == 0 { 14 } else { 21 };
        match self.below(kinds) {
            0 => Type::Bool,
            1 => Type::Int8,
            2 => Type::UInt8,
            3 => Type::Int16,
            4 => Type::UInt16,
            5 => Type::Int32,
            6 => Type::UInt32,
            7 => Type::Int64,
            8 => Type::UInt64,
            9 => Type::Float,
            10 => Type::Double,
            11 => Type::String,
            12 => Type::Raw,
            13 => Type::Void,
            14 => Type::Dynamic,
            15 => Type::list(self.ty(depth - 1, objects)),
            16 => Type::map(self.ty(depth - 1, objects), self.ty(depth - 1, objects)),
            17 | 18 => Type::Tuple(self.tuple(depth - 1, objects)),
            19 => Type::Optional(Box::new(self.ty(depth - 1, objects))),
            _ => Type::VarArgs(Box::new(self.ty(depth - 1, objects))),
        }
    }

    pub(super) fn tuple(&mut self, depth: usize, objects: bool) -> TupleType {
        let elements: Vec<Type> = (0..self.below(5))
            .map(|_| self.ty(depth, objects))
            .collect();
        let annotation = (!elements.is_empty() && self.chance(3)).then(|| Annotation {
            name: ["", "Point", "ns::P Q"][self.below(3)].into(),
            fields: (0..elements.len()).map(|n| format!("member{n}")).collect(),
        });
        TupleType {
            elements,
            annotation,
        }
    }

    pub(super) fn value(&mut self, ty: &Type, depth: usize) -> Value {
        match ty {
            Type::Void | Type::None => Value::Void,
            Type::Bool => Value::Bool(self.byte() % 2 == 1),
            Type::Int8 => Value::Int8(self.number() as i8),
            Type::UInt8 => Value::UInt8(self.number() as u8),
            Type::Int16 => Value::Int16(self.number() as i16),
            Type::UInt16 => Value::UInt16(self.number() as u16),
            Type::Int32 => Value::Int32(self.number() as i32),
            Type::UInt32 => Value::UInt32(self.number() as u32),
            Type::Int64 => Value::Int64(self.number() as i64),
            Type::UInt64 => Value::UInt64(self.number()),
            Type::Float => Value::Float(self.double() as f32),
            Type::Double => Value::Double(self.double()),
            Type::String => Value::text(&self.text()),
            Type::Raw => Value::Raw((0..self.below(20)).map(|_| self.byte()).collect()),
            Type::List(element) | Type::VarArgs(element) => Value::List(
                (0..self.below(5))
                    .map(|_| self.value(element, depth))
                    .collect(),
            ),
            Type::Map(entry) => self.map(&entry.0, &entry.1, depth),
            Type::KwArgs(value) => self.map(&Type::String, value, depth),
            Type::Tuple(tuple) => Value::Tuple(
                tuple
                    .elements
                    .iter()
                    .map(|ty| self.value(ty, depth))
                    .collect(),
            ),
            Type::Optional(element) => {
                Value::Optional(self.chance(2).then(|| Box::new(self.value(element, depth))))
            }
            Type::Dynamic => Value::Dynamic(Box::new(self.dynamic(depth))),
            Type::Object => Value::Object(Box::new(self.object())),
            Type::Unknown => unreachable!("has no values"),
        }
    }

    /// An object without members, or none.
    fn object(&mut self) -> ObjectReference {
        let object = ObjectId(self.below(4) as u32);
        let service = if object == ObjectId::NONE {
            0
        } else {
            self.byte()
        };
        ObjectReference {
            meta: Arc::default(),
            service: ServiceId(service.into()),
            object,
            uid: None,
        }
    }

    /// A dynamic of a type that is at most so deep.
    pub(super) fn dynamic(&mut self, depth: usize) -> Dynamic {
        let depth = depth.saturating_sub(1);
        let ty = self.ty(depth, false);
        if ty == Type::String && self.chance(3) {
            let text = Bytes::from_static(b"\xff\xfe no text");
            return Dynamic::new(Signature::from(ty), Value::String(text));
        }
        let value = self.value(&ty, depth);
        Dynamic::new(Signature::from(ty), value)
    }

    /// In the order of the keys, each once, where protobuf has such keys.
    fn map(&mut self, key: &Type, value: &Type, depth: usize) -> Value {
        let mut entries: Vec<(Value, Value)> = (0..self.below(5))
            .map(|_| (self.value(key, depth), self.value(value, depth)))
            .collect();
        if let Some((first, _)) = entries.first()
            && sort_key(first).is_some()
        {
            entries.sort_by_key(|(key, _)| sort_key(key));
            entries.dedup_by_key(|(key, _)| sort_key(key));
        }
        Value::Map(entries)
    }
}

fn sort_key(key: &Value) -> Option<(i128, Bytes)> {
    let number = match key {
        Value::Bool(truth) => i128::from(*truth),
        Value::UInt64(number) => i128::from(*number),
        Value::String(text) => return Some((0, text.clone())),
        other => other
            .to_i64()
            .map(i128::from)
            .filter(|_| !matches!(key, Value::Dynamic(_)))?,
    };
    Some((number, Bytes::new()))
}
