//! `qi.gateway.v1.Value`.

use super::decoder::{Decoder, Zero, no_encoding, text};
use crate::{
    qi::{
        value::{TupleType, Type},
        wire::ReadError,
    },
    schema::Scalar,
    transcode::{ResponseError, error::Located as _, wire},
};

impl Decoder<'_, '_, '_> {
    /// The content of the `Value` that a dynamic stands for.
    pub(super) fn dynamic(&mut self) -> Result<(), ResponseError> {
        self.json_or(&Type::Dynamic, Self::exact)
    }

    /// The content of the `Value` that a value of a type stands for, where nothing else tells the
    /// type.
    pub(super) fn self_told(&mut self, ty: &Type, signature: &str) -> Result<(), ResponseError> {
        match ty {
            Type::Dynamic => self.dynamic(),
            other => self.json_or(other, |decoder| decoder.typed(other, signature)),
        }
    }

    /// A value as JSON, if that is wanted and it has such a form.
    fn json_or(
        &mut self,
        ty: &Type,
        exact: impl FnOnce(&mut Self) -> Result<(), ResponseError>,
    ) -> Result<(), ResponseError> {
        if self.json && self.json_arm(ty)? {
            return Ok(());
        }
        // Once a value has no JSON form, what is inside of it is not tried: every dynamic would be
        // read again, and those within again.
        let json = std::mem::replace(&mut self.json, false);
        let read = exact(self);
        self.json = json;
        read
    }

    fn exact(&mut self) -> Result<(), ResponseError> {
        let limits = self.context.limits;
        let outside = self.budgets.dynamics_left;
        let mut wrappers = String::new();
        loop {
            self.enter_dynamic()?;
            let signature = match text(self.reader.sized("a signature")?)? {
                // The empty dynamic: void (section 7).
                "" => "v",
                other => other,
            };
            let ty = Type::parse(signature, &limits)?;
            if ty == Type::Dynamic {
                wrappers.push_str(signature);
                continue;
            }
            if wrappers.is_empty() {
                self.typed(&ty, signature)?;
            } else {
                wrappers.push_str(signature);
                self.typed(&ty, &wrappers)?;
            }
            self.budgets.dynamics_left = outside;
            return Ok(());
        }
    }

    /// The content of the `Value` of a type, and its signature where the arm does not tell it.
    fn typed(&mut self, ty: &Type, signature: &str) -> Result<(), ResponseError> {
        let arm = self.value(ty)?;
        if arm == StringArm::Raw || !is_natural(signature) {
            wire::put_bytes_field(self.out, SIGNATURE, signature.as_bytes());
        }
        Ok(())
    }

    /// The content of a `Value` whose type the container around tells.
    fn member(&mut self, ty: &Type) -> Result<(), ResponseError> {
        if *ty == Type::Dynamic {
            return self.dynamic();
        }
        let start = self.reader.offset();
        self.value(ty)?;
        self.charge_empty(start)
    }

    /// The arm of a value. One that takes no byte is paid for by the signature that tells its type,
    /// unless a container tells it for many.
    fn value(&mut self, ty: &Type) -> Result<StringArm, ResponseError> {
        self.enter_value()?;
        let arm = self.arm(ty)?;
        self.budgets.depth_left += 1;
        Ok(arm)
    }

    fn arm(&mut self, ty: &Type) -> Result<StringArm, ResponseError> {
        match ty {
            Type::Void | Type::None => wire::put_bytes_field(self.out, 1, &[]),
            Type::Unknown => return Err(no_encoding()),
            Type::Bool => self.integer_arm(2, Scalar::Bool)?,
            Type::Int8 => self.integer_arm(3, Scalar::Int8)?,
            Type::Int16 => self.integer_arm(3, Scalar::Int16)?,
            Type::Int32 => self.integer_arm(3, Scalar::Int32)?,
            Type::Int64 => self.integer_arm(3, Scalar::Int64)?,
            Type::UInt8 => self.integer_arm(4, Scalar::UInt8)?,
            Type::UInt16 => self.integer_arm(4, Scalar::UInt16)?,
            Type::UInt32 => self.integer_arm(4, Scalar::UInt32)?,
            Type::UInt64 => self.integer_arm(4, Scalar::UInt64)?,
            Type::Float => self.scalar(Scalar::Float, 5, Zero::Written)?,
            Type::Double => self.scalar(Scalar::Double, 6, Zero::Written)?,
            Type::String => return self.string_arm(),
            Type::Raw => self.scalar(Scalar::Raw, 8, Zero::Written)?,
            // A dynamic here is a member: `member` reads it.
            Type::Dynamic => self.dynamic()?,
            Type::Object => self.nested(12, 0, Self::object)?,
            Type::List(element) | Type::VarArgs(element) => self.list_arm(element)?,
            Type::Map(entry) => self.map_arm(&entry.0, &entry.1)?,
            Type::KwArgs(value) => self.map_arm(&Type::String, value)?,
            Type::Tuple(tuple) => self.tuple_arm(tuple)?,
            Type::Optional(element) => self.optional_arm(element)?,
        }
        Ok(StringArm::Text)
    }

    fn integer_arm(&mut self, number: u32, scalar: Scalar) -> Result<(), ResponseError> {
        self.scalar(scalar, number, Zero::Written)
    }

    fn string_arm(&mut self) -> Result<StringArm, ResponseError> {
        let bytes = self.reader.sized("a string")?;
        if std::str::from_utf8(bytes).is_ok() {
            wire::put_bytes_field(self.out, 7, bytes);
            return Ok(StringArm::Text);
        }
        wire::put_bytes_field(self.out, 8, bytes);
        Ok(StringArm::Raw)
    }

    /// Reads a count and refuses one that cannot be.
    ///
    /// The least size of an element is worked out for containers that have some only: it costs as
    /// much as reading one, and a payload of empty lists must not pay for a type of many members.
    pub(super) fn count(
        &mut self,
        what: &'static str,
        min_bytes: impl FnOnce() -> usize,
    ) -> Result<usize, ReadError> {
        let mut ahead = self.reader.clone();
        if ahead.u32()? == 0 {
            self.reader = ahead;
            return Ok(0);
        }
        self.reader.count(min_bytes(), what)
    }

    fn list_arm(&mut self, element: &Type) -> Result<(), ResponseError> {
        let count = self.count("a list", || element.min_bytes())?;
        self.nested(9, self.reader.left(), |decoder| {
            (0..count).try_for_each(|index| {
                let guess = decoder.reader.left() / (count - index);
                decoder
                    .nested(1, guess, |decoder| decoder.member(element))
                    .and_then(|()| decoder.check_size())
                    .map_err(|error| error.at(index))
            })
        })
    }

    fn map_arm(&mut self, key: &Type, value: &Type) -> Result<(), ResponseError> {
        let count = self.count("a map", || key.min_bytes() + value.min_bytes())?;
        self.nested(10, self.reader.left(), |decoder| {
            (0..count).try_for_each(|index| {
                let guess = decoder.reader.left() / (count - index);
                decoder
                    .nested(1, guess, |decoder| {
                        decoder.nested(1, 0, |decoder| decoder.member(key))?;
                        decoder.nested(2, guess, |decoder| decoder.member(value))
                    })
                    .and_then(|()| decoder.check_size())
                    .map_err(|error| error.at(index))
            })
        })
    }

    fn tuple_arm(&mut self, tuple: &TupleType) -> Result<(), ResponseError> {
        let guess = self.reader.left();
        self.nested(11, guess, |decoder| {
            let annotation = tuple.annotation.as_ref();
            if let Some(annotation) = annotation
                && !annotation.name.is_empty()
            {
                wire::put_bytes_field(decoder.out, 1, annotation.name.as_bytes());
            }
            for (index, ty) in tuple.elements.iter().enumerate() {
                let name = annotation
                    .and_then(|annotation| annotation.fields.get(index))
                    .filter(|name| !name.is_empty());
                let guess = decoder.reader.left();
                decoder
                    .nested(2, guess, |decoder| {
                        if let Some(name) = name {
                            wire::put_bytes_field(decoder.out, 1, name.as_bytes());
                        }
                        decoder.nested(2, guess, |decoder| decoder.member(ty))
                    })
                    .and_then(|()| decoder.check_size())
                    .map_err(|error| error.at(index))?;
            }
            Ok(())
        })
    }

    fn optional_arm(&mut self, element: &Type) -> Result<(), ResponseError> {
        let present = self.truth()?;
        let guess = self.reader.left();
        self.nested(13, guess, |decoder| {
            if present {
                decoder.nested(1, guess, |decoder| decoder.member(element))?;
            }
            Ok(())
        })
    }
}

/// What arm the value has, if it is a string.
#[derive(Clone, Copy, PartialEq, Eq)]
enum StringArm {
    /// `string_value`, or the value is no string.
    Text,
    /// `raw_value`, for it is not UTF-8.
    Raw,
}

/// Whether the arm alone tells the signature.
fn is_natural(signature: &str) -> bool {
    match signature {
        "v" | "b" | "l" | "L" | "f" | "d" | "s" | "r" | "o" | "[m]" | "{mm}" | "+m" => true,
        other => other
            .strip_prefix('(')
            .and_then(|rest| rest.strip_suffix(')'))
            .is_some_and(|members| members.bytes().all(|letter| letter == b'm')),
    }
}

/// The number of `Value.signature`.
const SIGNATURE: u32 = 15;
