//! The `json` arm: a `google.protobuf.Value`.

use std::borrow::Cow;

use super::encoder::{Encoder, deeper, no_encoding};
use crate::{
    qi::value::{TupleType, Type},
    transcode::{
        RequestError,
        error::{FieldPath, Given, Located as _},
        wire::{self, Fields},
    },
};

/// What a `google.protobuf.Value` holds.
enum Json<'a> {
    Null,
    Number(f64),
    Text(&'a str),
    Bool(bool),
    /// A `google.protobuf.Struct`.
    Object(Cow<'a, [u8]>),
    /// A `google.protobuf.ListValue`.
    Array(Cow<'a, [u8]>),
}

impl<'a> Json<'a> {
    fn read(value: &'a [u8]) -> Result<Self, RequestError> {
        let mut json = Self::Null;
        let mut fields = Fields::new(value);
        while let Some((number, content)) = fields.next()? {
            json = match number {
                1 => {
                    content.varint()?;
                    Self::Null
                }
                2 => Self::Number(f64::from_le_bytes(content.fixed64()?)),
                3 => Self::Text(content.text()?),
                4 => Self::Bool(content.varint()? != 0),
                5 => {
                    let mut merged = match json {
                        Self::Object(object) => Some(object),
                        _ => None,
                    };
                    wire::merge(&mut merged, content.bytes()?);
                    Self::Object(merged.unwrap_or_default())
                }
                6 => {
                    let mut merged = match json {
                        Self::Array(array) => Some(array),
                        _ => None,
                    };
                    wire::merge(&mut merged, content.bytes()?);
                    Self::Array(merged.unwrap_or_default())
                }
                _ => json,
            };
        }
        Ok(json)
    }

    fn given(&self) -> Given {
        Given::Kind(match self {
            Self::Null => "null",
            Self::Number(number) => {
                let whole = whole(*number).and_then(|number| number.try_into().ok());
                return whole.map_or(Given::Double(*number), Given::Int);
            }
            Self::Text(_) => "a string",
            Self::Bool(_) => "a boolean",
            Self::Object(_) => "a JSON object",
            Self::Array(_) => "an array",
        })
    }
}

impl Encoder<'_> {
    /// JSON as a dynamic.
    pub(super) fn json(&mut self, value: &[u8], depth: u32) -> Result<(), RequestError> {
        let depth = deeper(depth)?;
        match Json::read(value)? {
            Json::Null => self.sized(b"v"),
            Json::Bool(truth) => {
                self.sized(b"b")?;
                self.out.u8(truth.into());
                Ok(())
            }
            Json::Number(number) => {
                match whole(number).and_then(|number| i64::try_from(number).ok()) {
                    Some(number) => {
                        self.sized(b"l")?;
                        self.out.i64(number);
                    }
                    None => {
                        self.sized(b"d")?;
                        self.out.f64(number);
                    }
                }
                Ok(())
            }
            Json::Text(text) => {
                self.sized(b"s")?;
                self.sized(text.as_bytes())
            }
            Json::Array(array) => {
                self.sized(b"[m]")?;
                self.json_list(&array, &Type::Dynamic, depth)
            }
            Json::Object(object) => {
                self.sized(b"{sm}")?;
                self.json_map(&object, &Type::String, &Type::Dynamic, depth)
            }
        }
    }

    /// JSON as a value of a type.
    pub(super) fn json_as(
        &mut self,
        value: &[u8],
        ty: &Type,
        depth: u32,
    ) -> Result<(), RequestError> {
        if *ty == Type::Dynamic {
            return self.json(value, depth);
        }
        let depth = deeper(depth)?;
        let json = Json::read(value)?;
        match (ty, &json) {
            (Type::Unknown, _) => return Err(no_encoding()),
            (Type::Void | Type::None, Json::Null) => {}
            (Type::Optional(_), Json::Null) => self.out.u8(0),
            (Type::Optional(element), _) => {
                self.out.u8(1);
                self.json_as(value, element, depth)?;
            }
            (Type::Bool, Json::Bool(truth)) => self.out.u8((*truth).into()),
            (Type::Float, Json::Number(number)) if self.float(*number) => {}
            (Type::Double, Json::Number(number)) => self.out.f64(*number),
            (_, Json::Number(number))
                if whole(*number).is_some_and(|number| self.number(number, ty)) => {}
            (Type::String, Json::Text(text)) => self.sized(text.as_bytes())?,
            (Type::List(element) | Type::VarArgs(element), Json::Array(array)) => {
                self.json_list(array, element, depth)?;
            }
            (Type::Tuple(tuple), Json::Array(array)) => {
                self.json_tuple(array, &tuple.elements, depth)?;
            }
            (Type::Tuple(tuple), Json::Object(object)) if tuple.annotation.is_some() => {
                self.json_struct(object, tuple, depth)?;
            }
            (Type::Map(entry), Json::Object(object))
                if matches!(entry.0, Type::String | Type::Dynamic) =>
            {
                self.json_map(object, &entry.0, &entry.1, depth)?;
            }
            (Type::KwArgs(element), Json::Object(object)) => {
                self.json_map(object, &Type::String, element, depth)?;
            }
            _ => return Err(RequestError::argument(json.given(), ty)),
        }
        Ok(())
    }

    fn json_list(&mut self, array: &[u8], element: &Type, depth: u32) -> Result<(), RequestError> {
        let depth = deeper(depth)?;
        let at = self.out.reserve_u32();
        let mut count = 0_u32;
        let mut fields = Fields::new(array);
        while let Some(item) = wire::next_of(&mut fields, 1)? {
            self.json_as(item, element, depth)
                .and_then(|()| self.check_size())
                .map_err(|error| error.at(count as usize))?;
            count = count.saturating_add(1);
        }
        self.out.set_u32(at, count);
        Ok(())
    }

    fn json_tuple(&mut self, array: &[u8], types: &[Type], depth: u32) -> Result<(), RequestError> {
        let depth = deeper(depth)?;
        let mut types_left = types.iter();
        let mut count = 0;
        let mut fields = Fields::new(array);
        while let Some(item) = wire::next_of(&mut fields, 1)? {
            if let Some(ty) = types_left.next() {
                self.json_as(item, ty, depth)
                    .and_then(|()| self.check_size())
                    .map_err(|error| error.at(count))?;
            }
            count += 1;
        }
        self.members(count, types.len())
    }

    fn json_map(
        &mut self,
        object: &[u8],
        key: &Type,
        value: &Type,
        depth: u32,
    ) -> Result<(), RequestError> {
        let depth = deeper(deeper(depth)?)?;
        let members = Members::read(object)?;
        self.size(members.sorted.len())?;
        for (name, entry) in &members.sorted {
            if *key == Type::Dynamic {
                self.sized(b"s")?;
            }
            self.sized(name.as_bytes())?;
            self.json_member(name, entry, value, depth)?;
        }
        Ok(())
    }

    /// A JSON object as a struct: by the names of the members, which must all be there, while
    /// others are ignored, as libqi does (section 16).
    fn json_struct(
        &mut self,
        object: &[u8],
        tuple: &TupleType,
        depth: u32,
    ) -> Result<(), RequestError> {
        let depth = deeper(deeper(depth)?)?;
        let members = Members::read(object)?;
        let names = tuple.annotation.iter().flat_map(|names| &names.fields);
        for (ty, name) in tuple.elements.iter().zip(names) {
            let entry = members
                .find(name)
                .ok_or_else(|| RequestError::MissingMember {
                    path: FieldPath::EMPTY,
                    name: name.clone(),
                })?;
            self.json_member(name, entry, ty, depth)?;
        }
        Ok(())
    }

    fn json_member(
        &mut self,
        name: &str,
        entry: &[u8],
        ty: &Type,
        depth: u32,
    ) -> Result<(), RequestError> {
        wire::merged(entry, 2)
            .map_err(RequestError::from)
            .and_then(|value| self.json_as(&value.unwrap_or_default(), ty, depth))
            .and_then(|()| self.check_size())
            .map_err(|error| error.within(name))
    }
}

/// The members of a `google.protobuf.Struct`, sorted by name, the last of equal names.
struct Members<'a> {
    sorted: Vec<(&'a str, &'a [u8])>,
}

impl<'a> Members<'a> {
    fn read(object: &'a [u8]) -> Result<Self, RequestError> {
        let mut members = Vec::new();
        let mut fields = Fields::new(object);
        while let Some(entry) = wire::next_of(&mut fields, 1)? {
            let mut name = "";
            let mut parts = Fields::new(entry);
            while let Some((number, content)) = parts.next()? {
                if number == 1 {
                    name = content.text()?;
                }
            }
            members.push((name, entry));
        }
        // Stable, so that reversed the last of equal names comes first and is the one kept.
        members.reverse();
        members.sort_by_key(|&(name, _)| name);
        members.dedup_by_key(|&mut (name, _)| name);
        Ok(Self { sorted: members })
    }

    fn find(&self, name: &str) -> Option<&'a [u8]> {
        let at = self
            .sorted
            .binary_search_by_key(&name, |&(name, _)| name)
            .ok()?;
        self.sorted.get(at).map(|&(_, entry)| entry)
    }
}

/// The integer that a number is, if it is one.
fn whole(number: f64) -> Option<i128> {
    // Within 2^64 every whole number of `f64` is one of `i128`.
    (number.fract() == 0.0 && number.abs() <= 18_446_744_073_709_551_616.0)
        .then_some(number as i128)
}
