//! `qi.gateway.v1.Value` where a type is told, and its parts.

use std::borrow::Cow;

use super::encoder::{Encoder, deeper, no_encoding};
use crate::{
    qi::value::Type,
    transcode::{
        RequestError,
        error::{FieldPath, Given, Located as _, Taken},
        wire::{self, Fields},
    },
};

/// What a `Value` holds. The content of a message is all its occurrences, one after the other.
pub(super) enum Arm<'a> {
    Void,
    Bool(bool),
    Int(i64),
    UInt(u64),
    Float([u8; 4]),
    Double([u8; 8]),
    Text(&'a str),
    Raw(&'a [u8]),
    List(Cow<'a, [u8]>),
    Map(Cow<'a, [u8]>),
    Tuple(Cow<'a, [u8]>),
    Object(Cow<'a, [u8]>),
    Optional(Cow<'a, [u8]>),
    Json(Cow<'a, [u8]>),
}

/// The arm and the signature of a `Value`.
pub(super) struct Parts<'a> {
    pub(super) arm: Arm<'a>,
    /// Empty where there is none.
    pub(super) signature: &'a str,
}

impl<'a> Parts<'a> {
    pub(super) fn read(value: &'a [u8]) -> Result<Self, RequestError> {
        let mut arm = Arm::Void;
        // The number of a message arm and its occurrences. Another arm between them empties it.
        let mut message: Option<(u32, Option<Cow<'a, [u8]>>)> = None;
        let mut signature = "";
        let mut fields = Fields::new(value);
        while let Some((number, content)) = fields.next()? {
            match number {
                1 => {
                    content.bytes()?;
                    arm = Arm::Void;
                }
                2 => arm = Arm::Bool(content.varint()? != 0),
                3 => arm = Arm::Int(content.varint()? as i64),
                4 => arm = Arm::UInt(content.varint()?),
                5 => arm = Arm::Float(content.fixed32()?),
                6 => arm = Arm::Double(content.fixed64()?),
                7 => arm = Arm::Text(content.text()?),
                8 => arm = Arm::Raw(content.bytes()?),
                9..=14 => {
                    let bytes = content.bytes()?;
                    match &mut message {
                        Some((same, merged)) if *same == number => wire::merge(merged, bytes),
                        _ => message = Some((number, Some(Cow::Borrowed(bytes)))),
                    }
                    continue;
                }
                15 => {
                    signature = content.text()?;
                    continue;
                }
                _ => continue,
            }
            message = None;
        }
        if let Some((number, Some(content))) = message {
            arm = match number {
                9 => Arm::List(content),
                10 => Arm::Map(content),
                11 => Arm::Tuple(content),
                12 => Arm::Object(content),
                13 => Arm::Optional(content),
                _ => Arm::Json(content),
            };
        }
        Ok(Self { arm, signature })
    }
}

impl Arm<'_> {
    /// What stands there, for an error.
    fn given(&self) -> Given {
        Given::Kind(match self {
            Self::Int(number) => return Given::Int(*number),
            Self::UInt(number) => return Given::UInt(*number),
            Self::Float(bytes) => return Given::Double(f32::from_le_bytes(*bytes).into()),
            Self::Double(bytes) => return Given::Double(f64::from_le_bytes(*bytes)),
            Self::Void => "no value",
            Self::Bool(_) => "a boolean",
            Self::Text(_) => "a string",
            Self::Raw(_) => "raw bytes",
            Self::List(_) => "a list",
            Self::Map(_) => "a map",
            Self::Tuple(_) => "a tuple",
            Self::Object(_) => "an object",
            Self::Optional(_) => "an optional",
            Self::Json(_) => "JSON",
        })
    }

    /// The name of the field in `Value`, for the path of an error.
    pub(super) const fn field(&self) -> &'static str {
        match self {
            Self::Void => "void_value",
            Self::Bool(_) => "bool_value",
            Self::Int(_) => "int_value",
            Self::UInt(_) => "uint_value",
            Self::Float(_) => "float_value",
            Self::Double(_) => "double_value",
            Self::Text(_) => "string_value",
            Self::Raw(_) => "raw_value",
            Self::List(_) => "list_value",
            Self::Map(_) => "map_value",
            Self::Tuple(_) => "tuple_value",
            Self::Object(_) => "object_value",
            Self::Optional(_) => "optional_value",
            Self::Json(_) => "json",
        }
    }
}

impl Encoder<'_> {
    /// A `Value` where the container around tells its type.
    pub(super) fn value_as(
        &mut self,
        value: &[u8],
        ty: &Type,
        depth: u32,
    ) -> Result<(), RequestError> {
        if *ty == Type::Dynamic {
            return self.dynamic(value, depth);
        }
        let depth = deeper(depth)?;
        let parts = Parts::read(value)?;
        self.arm_as(&parts.arm, ty, depth)
    }

    pub(super) fn arm_as(
        &mut self,
        arm: &Arm<'_>,
        ty: &Type,
        depth: u32,
    ) -> Result<(), RequestError> {
        self.arm_of_type(arm, ty, depth)
            .map_err(|error| error.within(arm.field()))
    }

    fn arm_of_type(&mut self, arm: &Arm<'_>, ty: &Type, depth: u32) -> Result<(), RequestError> {
        let refuse = || RequestError::argument(arm.given(), ty);
        match (ty, arm) {
            (Type::Unknown, _) => return Err(no_encoding()),
            (_, Arm::Json(json)) => return self.json_as(json, ty, depth),
            (Type::Void | Type::None, Arm::Void) => {}
            (Type::Bool, Arm::Bool(truth)) => self.out.u8((*truth).into()),
            (Type::String | Type::Raw, Arm::Text(text)) => self.sized(text.as_bytes())?,
            (Type::String | Type::Raw, Arm::Raw(bytes)) => self.sized(bytes)?,
            (Type::Float, Arm::Float(bytes)) => self.out.raw(bytes),
            (Type::Double, Arm::Double(bytes)) => self.out.raw(bytes),
            (Type::Float, Arm::Double(bytes)) if self.float(f64::from_le_bytes(*bytes)) => {}
            (Type::Double, Arm::Float(bytes)) => self.out.f64(f32::from_le_bytes(*bytes).into()),
            (_, Arm::Int(number)) if self.number((*number).into(), ty) => {}
            (_, Arm::UInt(number)) if self.number((*number).into(), ty) => {}
            (Type::Object, Arm::Object(reference)) => self.object(reference)?,
            (Type::List(element) | Type::VarArgs(element), Arm::List(list)) => {
                self.list(list, element, depth)?;
            }
            (Type::Map(entry), Arm::Map(map)) => self.entries(map, &entry.0, &entry.1, depth)?,
            (Type::KwArgs(value), Arm::Map(map)) => {
                self.entries(map, &Type::String, value, depth)?;
            }
            (Type::Tuple(tuple), Arm::Tuple(members)) => {
                self.tuple(members, &tuple.elements, depth)?;
            }
            (Type::Optional(_), Arm::Void) => self.out.u8(0),
            (Type::Optional(element), Arm::Optional(optional)) => {
                self.optional(optional, element, depth)?;
            }
            // A value where one may be missing.
            (Type::Optional(element), other) => {
                self.out.u8(1);
                if **element == Type::Dynamic {
                    self.untyped(other, depth)?;
                } else {
                    let depth = deeper(depth)?;
                    self.arm_of_type(other, element, depth)?;
                }
            }
            _ => return Err(refuse()),
        }
        Ok(())
    }

    /// Writes an integer as a number of the type; false if it is none or does not fit.
    pub(super) fn number(&mut self, number: i128, ty: &Type) -> bool {
        let out = &mut *self.out;
        match ty {
            Type::Int8 => number.try_into().map(|number| out.i8(number)).is_ok(),
            Type::UInt8 => number.try_into().map(|number| out.u8(number)).is_ok(),
            Type::Int16 => number.try_into().map(|number| out.i16(number)).is_ok(),
            Type::UInt16 => number.try_into().map(|number| out.u16(number)).is_ok(),
            Type::Int32 => number.try_into().map(|number| out.i32(number)).is_ok(),
            Type::UInt32 => number.try_into().map(|number| out.u32(number)).is_ok(),
            Type::Int64 => number.try_into().map(|number| out.i64(number)).is_ok(),
            Type::UInt64 => number.try_into().map(|number| out.u64(number)).is_ok(),
            Type::Float => {
                out.f32(number as f32);
                true
            }
            Type::Double => {
                out.f64(number as f64);
                true
            }
            _ => false,
        }
    }

    /// Writes a number as `f`; false if it is finite and would become infinite.
    pub(super) fn float(&mut self, number: f64) -> bool {
        let rounded = number as f32;
        let fits = rounded.is_finite() || !number.is_finite();
        if fits {
            self.out.f32(rounded);
        }
        fits
    }

    /// A `ListValue`.
    pub(super) fn list(
        &mut self,
        list: &[u8],
        element: &Type,
        depth: u32,
    ) -> Result<(), RequestError> {
        let depth = deeper(depth)?;
        let at = self.out.reserve_u32();
        let mut count = 0_u32;
        let mut fields = Fields::new(list);
        while let Some(item) = wire::next_of(&mut fields, 1)? {
            self.value_as(item, element, depth)
                .and_then(|()| self.check_size())
                .map_err(|error| error.at(count as usize).within("items"))?;
            count = count.saturating_add(1);
        }
        self.out.set_u32(at, count);
        Ok(())
    }

    /// A `MapValue`, in the order in which it comes, equal keys included.
    pub(super) fn entries(
        &mut self,
        map: &[u8],
        key: &Type,
        value: &Type,
        depth: u32,
    ) -> Result<(), RequestError> {
        let depth = deeper(deeper(depth)?)?;
        let at = self.out.reserve_u32();
        let mut count = 0_u32;
        let mut fields = Fields::new(map);
        while let Some(entry) = wire::next_of(&mut fields, 1)? {
            self.member(entry, 1, "key", key, depth)
                .and_then(|()| self.member(entry, 2, "value", value, depth))
                .and_then(|()| self.check_size())
                .map_err(|error| error.at(count as usize).within("entries"))?;
            count = count.saturating_add(1);
        }
        self.out.set_u32(at, count);
        Ok(())
    }

    /// A `TupleValue`, by position.
    fn tuple(&mut self, tuple: &[u8], types: &[Type], depth: u32) -> Result<(), RequestError> {
        let depth = deeper(deeper(depth)?)?;
        let mut types_left = types.iter();
        let mut count = 0;
        let mut fields = Fields::new(tuple);
        while let Some(field) = wire::next_of(&mut fields, 2)? {
            if let Some(ty) = types_left.next() {
                self.member(field, 2, "value", ty, depth)
                    .and_then(|()| self.check_size())
                    .map_err(|error| error.at(count).within("fields"))?;
            }
            count += 1;
        }
        self.members(count, types.len())
    }

    /// Whether a tuple has as many members as it must have.
    pub(super) fn members(&self, given: usize, taken: usize) -> Result<(), RequestError> {
        if given == taken {
            return Ok(());
        }
        Err(RequestError::Argument {
            path: FieldPath::EMPTY,
            given: Given::Members(given),
            taken: Taken::Members(taken),
        })
    }

    /// An `OptionalValue`.
    pub(super) fn optional(
        &mut self,
        optional: &[u8],
        element: &Type,
        depth: u32,
    ) -> Result<(), RequestError> {
        let depth = deeper(depth)?;
        match wire::merged(optional, 1)? {
            None => {
                self.out.u8(0);
                Ok(())
            }
            Some(value) => {
                self.out.u8(1);
                self.value_as(&value, element, depth)
                    .map_err(|error| error.within("value"))
            }
        }
    }

    /// A singular `Value` of a message; missing, it is void.
    pub(super) fn member(
        &mut self,
        message: &[u8],
        number: u32,
        name: &str,
        ty: &Type,
        depth: u32,
    ) -> Result<(), RequestError> {
        wire::merged(message, number)
            .map_err(RequestError::from)
            .and_then(|value| self.value_as(&value.unwrap_or_default(), ty, depth))
            .map_err(|error| error.within(name))
    }
}
