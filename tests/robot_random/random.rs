//! Random types, and random values of a type, in libqi's form.

use qi_grpc_gateway::qi::value::{Annotation, TupleType, Type};
use rand::{Rng as _, SeedableRng as _, rngs::StdRng, seq::IndexedRandom as _};
use serde_json::{Value, json};

use crate::support::forms::{base64, float, map};

/// Makes types and values, the same for the same seed.
pub(crate) struct Random(StdRng);

/// Where a value goes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum To {
    /// To the robot. A dynamic may hold any type.
    Robot,
    /// To the client, made by Python. A dynamic holds what Python makes of its own types.
    Client,
}

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(StdRng::seed_from_u64(seed))
    }

    /// A random type, of all kinds that have an encoding and a form in Python.
    pub(crate) fn ty(&mut self, depth: u32) -> Type {
        let kinds = if depth == 0 { 15 } else { 21 };
        match self.0.random_range(0..kinds) {
            kind @ 0..14 => SCALARS[kind].clone(),
            14 => Type::Dynamic,
            15 | 16 => Type::list(self.ty(depth - 1)),
            17 => Type::map(self.key(), self.ty(depth - 1)),
            18 => Type::Optional(Box::new(self.present(depth - 1))),
            19 => self.tuple(depth, None),
            _ => self.tuple(depth, Some("Pose")),
        }
    }

    /// A type of which Python's `None` is no value: an optional of it could not be told apart.
    fn present(&mut self, depth: u32) -> Type {
        loop {
            let ty = self.ty(depth);
            if !matches!(ty, Type::Optional(_) | Type::Dynamic | Type::Object) {
                return ty;
            }
        }
    }

    fn key(&mut self) -> Type {
        KEYS.choose(&mut self.0).unwrap().clone()
    }

    /// A tuple or struct. libqi knows types by their layout alone, and one that was once named shows
    /// as a struct for ever: so each tuple begins with a `w`, and no struct does.
    fn tuple(&mut self, depth: u32, name: Option<&str>) -> Type {
        let len = self.0.random_range(1..4);
        let mut elements: Vec<_> = (0..len).map(|_| self.ty(depth - 1)).collect();
        let Some(name) = name else {
            elements[0] = Type::Int16;
            return Type::tuple(elements);
        };
        if elements[0] == Type::Int16 {
            elements[0] = Type::Int32;
        }
        let fields = (0..elements.len()).map(|at| format!("member{at}"));
        Type::Tuple(TupleType {
            annotation: Some(Annotation {
                name: name.to_owned(),
                fields: fields.collect(),
            }),
            elements,
        })
    }

    /// A random value of a type.
    pub(crate) fn value(&mut self, ty: &Type, to: To) -> Value {
        self.value_within(ty, to, 4)
    }

    fn value_within(&mut self, ty: &Type, to: To, depth: u32) -> Value {
        let inner = depth.saturating_sub(1);
        match ty {
            Type::Void => Value::Null,
            Type::Bool => json!(self.0.random::<bool>()),
            Type::Float => self.float(to),
            Type::Double => self.double(),
            Type::String => json!(self.text()),
            Type::Raw => json!({"base64": base64(self.text().as_bytes())}),
            Type::List(element) => (0..self.len(inner))
                .map(|_| self.value_within(element, to, inner))
                .collect(),
            Type::Map(entry) => {
                let entries = (0..self.len(inner)).map(|_| {
                    (
                        self.map_key(&entry.0, to),
                        self.value_within(&entry.1, to, inner),
                    )
                });
                distinct(entries.collect())
            }
            Type::Tuple(tuple) => tuple
                .elements
                .iter()
                .map(|ty| self.value_within(ty, to, inner))
                .collect(),
            Type::Optional(_) if self.0.random_ratio(1, 3) => Value::Null,
            Type::Optional(value) => self.value_within(value, to, inner),
            Type::Dynamic if to == To::Client => self.of_python(inner),
            Type::Dynamic => {
                let ty = unnamed(self.ty(inner.min(2)));
                let value = self.value_within(&ty, to, inner);
                let mut exact = exact(&ty, &value);
                exact["signature"] = json!(ty.to_string());
                json!({"exact": exact, "plain": plain(&ty, &value)})
            }
            // An argument can only be the null object.
            Type::Object if to == To::Robot => json!({"id": ""}),
            Type::Object => json!({"object": self.text()}),
            _ => self.integer(ty),
        }
    }

    /// How many elements. Most containers are small, some empty, few large.
    fn len(&mut self, depth: u32) -> usize {
        match self.0.random_range(0..20) {
            0 if depth > 1 => 40,
            _ if depth == 0 => self.0.random_range(0..2),
            small => small % 4,
        }
    }

    fn map_key(&mut self, ty: &Type, to: To) -> Value {
        loop {
            let key = self.value_within(ty, to, 0);
            // What is not a number equals nothing, itself included.
            if !key.is_object() {
                return key;
            }
        }
    }

    fn integer(&mut self, ty: &Type) -> Value {
        let (low, high): (i128, i128) = match ty {
            Type::Int8 => (i8::MIN.into(), i8::MAX.into()),
            Type::UInt8 => (0, u8::MAX.into()),
            Type::Int16 => (i16::MIN.into(), i16::MAX.into()),
            Type::UInt16 => (0, u16::MAX.into()),
            Type::Int32 => (i32::MIN.into(), i32::MAX.into()),
            Type::UInt32 => (0, u32::MAX.into()),
            Type::Int64 => (i64::MIN.into(), i64::MAX.into()),
            // Python's binding refuses what is above in a dynamic, and wraps it elsewhere.
            Type::UInt64 => (0, i64::MAX.into()),
            other => panic!("no values of {other}"),
        };
        let number = match self.0.random_range(0..4) {
            0 => low,
            1 => high,
            2 => self.0.random_range(low.max(-3)..4),
            _ => self.0.random_range(low..=high),
        };
        json!(i64::try_from(number).unwrap())
    }

    fn float(&mut self, to: To) -> Value {
        let edges = [
            0.0,
            f32::MAX,
            f32::MIN,
            f32::MIN_POSITIVE,
            f32::from_bits(1),
            f32::INFINITY,
            f32::NEG_INFINITY,
            f32::NAN,
        ];
        let number = match self.0.random_range(0..3) {
            0 => *edges.choose(&mut self.0).unwrap(),
            1 => f32::from_bits(self.0.random()),
            _ => self.0.random_range(-8..9) as f32 / 4.0,
        };
        // From Python's float, libqi refuses to make one that is infinite.
        let number = if number.is_infinite() && to == To::Client {
            1.5
        } else {
            number
        };
        // prost-reflect leaves out -0, as if it were 0.
        float(f64::from(number) + 0.0)
    }

    fn double(&mut self) -> Value {
        let edges = [
            0.1,
            f64::MAX,
            f64::MIN,
            f64::MIN_POSITIVE,
            f64::from_bits(1),
            f64::INFINITY,
            f64::NEG_INFINITY,
            f64::NAN,
        ];
        let number = match self.0.random_range(0..3) {
            0 => *edges.choose(&mut self.0).unwrap(),
            1 => f64::from_bits(self.0.random()),
            _ => f64::from(self.0.random_range(-8..9)) / 4.0,
        };
        float(number + 0.0)
    }

    fn text(&mut self) -> String {
        let len = match self.0.random_range(0..12) {
            0 => 300,
            small => small - 1,
        };
        (0..len)
            .map(|_| *LETTERS.choose(&mut self.0).unwrap())
            .collect()
    }

    /// What Python makes a dynamic value of.
    fn of_python(&mut self, depth: u32) -> Value {
        let kinds = if depth == 0 { 6 } else { 8 };
        match self.0.random_range(0..kinds) {
            0 => Value::Null,
            6 => (0..self.len(depth))
                .map(|_| self.of_python(depth - 1))
                .collect(),
            7 => {
                let key = self.key();
                let entries = (0..self.len(depth))
                    .map(|_| (self.map_key(&key, To::Client), self.of_python(depth - 1)));
                distinct(entries.collect())
            }
            kind => {
                let kinds = [
                    Type::Bool,
                    Type::Int64,
                    Type::Double,
                    Type::String,
                    Type::Raw,
                ];
                self.value_within(&kinds[kind - 1], To::Client, 0)
            }
        }
    }
}

/// A type with tuples instead of structs: which of both a dynamic shows is told above.
fn unnamed(ty: Type) -> Type {
    match ty {
        Type::List(element) => Type::list(unnamed(*element)),
        Type::Map(entry) => Type::map(entry.0, unnamed(entry.1)),
        Type::Optional(inner) => Type::Optional(Box::new(unnamed(*inner))),
        Type::Tuple(tuple) => {
            let mut elements: Vec<_> = tuple.elements.into_iter().map(unnamed).collect();
            elements[0] = Type::Int16;
            Type::tuple(elements)
        }
        other => other,
    }
}

/// How Python shows a value that it was given or made, in libqi's form.
pub(crate) fn plain(ty: &Type, value: &Value) -> Value {
    match ty {
        Type::List(element) => {
            let items = value.as_array().unwrap().iter();
            items.map(|item| plain(element, item)).collect()
        }
        Type::Map(entry) => {
            let entries = value["map"].as_array().unwrap().iter();
            map(entries
                .map(|it| (plain(&entry.0, &it[0]), plain(&entry.1, &it[1])))
                .collect())
        }
        Type::Tuple(tuple) => {
            let values = value.as_array().unwrap();
            let members = tuple.elements.iter().zip(values);
            members.map(|(ty, value)| plain(ty, value)).collect()
        }
        Type::Optional(inner) if !value.is_null() => plain(inner, value),
        Type::Dynamic => value.get("plain").unwrap_or(value).clone(),
        Type::Object => json!({"object": true}),
        _ => value.clone(),
    }
}

/// The `qi.gateway.v1.Value` of a value whose type is told elsewhere, as proto3 JSON.
fn exact(ty: &Type, value: &Value) -> Value {
    match ty {
        Type::Void => json!({"voidValue": {}}),
        Type::Bool => json!({"boolValue": value}),
        Type::Float => json!({"floatValue": value.get("float").unwrap_or(value)}),
        Type::Double => json!({"doubleValue": value.get("float").unwrap_or(value)}),
        Type::String => json!({"stringValue": value}),
        Type::Raw => json!({"rawValue": value["base64"]}),
        Type::List(element) => {
            let items = value.as_array().unwrap().iter();
            let items: Value = items.map(|item| exact(element, item)).collect();
            json!({"listValue": {"items": items}})
        }
        Type::Map(entry) => {
            let entries = value["map"].as_array().unwrap().iter().map(
                |it| json!({"key": exact(&entry.0, &it[0]), "value": exact(&entry.1, &it[1])}),
            );
            json!({"mapValue": {"entries": entries.collect::<Value>()}})
        }
        Type::Tuple(tuple) => {
            let members = tuple.elements.iter().zip(value.as_array().unwrap());
            let fields = members.map(|(ty, value)| json!({"value": exact(ty, value)}));
            json!({"tupleValue": {"fields": fields.collect::<Value>()}})
        }
        Type::Optional(_) if value.is_null() => json!({"optionalValue": {}}),
        Type::Optional(inner) => json!({"optionalValue": {"value": exact(inner, value)}}),
        Type::Dynamic => value["exact"].clone(),
        Type::Object => json!({"objectValue": value}),
        Type::UInt8 | Type::UInt16 | Type::UInt32 | Type::UInt64 => json!({"uintValue": value}),
        _ => json!({"intValue": value}),
    }
}

/// A map without what has a key that was there before.
fn distinct(entries: Vec<(Value, Value)>) -> Value {
    let mut kept: Vec<(Value, Value)> = Vec::new();
    for entry in entries {
        if kept.iter().all(|(key, _)| *key != entry.0) {
            kept.push(entry);
        }
    }
    map(kept)
}

const SCALARS: [Type; 14] = [
    Type::Bool,
    Type::Int8,
    Type::UInt8,
    Type::Int16,
    Type::UInt16,
    Type::Int32,
    Type::UInt32,
    Type::Int64,
    Type::UInt64,
    Type::Float,
    Type::Double,
    Type::String,
    Type::Raw,
    Type::Object,
];

const KEYS: [Type; 9] = [
    Type::Bool,
    Type::Int8,
    Type::UInt16,
    Type::Int32,
    Type::UInt32,
    Type::Int64,
    Type::UInt64,
    Type::Double,
    Type::String,
];

const LETTERS: [char; 8] = ['a', 'Z', '\u{e9}', '\u{4e16}', '\u{1f916}', '\0', '"', '\n'];
