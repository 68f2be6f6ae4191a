//! The `json` arm: a `google.protobuf.Value`, on request.

use super::decoder::{Decoder, text};
use crate::{
    qi::{
        value::{TupleType, Type},
        wire::{ReadError, Reader},
    },
    transcode::{
        ResponseError,
        wire::{self, Length},
    },
};

/// Why a value is not written as JSON.
enum NotJson {
    /// It has no JSON form.
    NoForm,
    /// It is not what was declared.
    Error(ResponseError),
}

impl<E: Into<ResponseError>> From<E> for NotJson {
    fn from(error: E) -> Self {
        Self::Error(error.into())
    }
}

type Written = Result<(), NotJson>;

impl Decoder<'_, '_, '_> {
    /// The content of the `Value` that a value stands for, if it has a JSON form; else nothing is
    /// read nor written.
    pub(super) fn json_arm(&mut self, ty: &Type) -> Result<bool, ResponseError> {
        let reader = self.reader.clone();
        let budgets = self.budgets;
        let start = self.out.len();
        let guess = self.reader.left();
        match self.json_nested(JSON, guess, |decoder| decoder.json_value(ty)) {
            Ok(()) => Ok(true),
            Err(NotJson::NoForm) => {
                self.reader = reader;
                self.budgets = budgets;
                self.out.truncate(start);
                Ok(false)
            }
            Err(NotJson::Error(error)) => Err(error),
        }
    }

    fn json_dynamic(&mut self) -> Written {
        let limits = self.context.limits;
        self.enter_dynamic()?;
        let ty = match text(self.reader.sized("a signature")?)? {
            "" => Type::Void,
            signature => Type::parse(signature, &limits)?,
        };
        self.json_value(&ty)?;
        self.budgets.dynamics_left += 1;
        Ok(())
    }

    /// The content of a `google.protobuf.Value` whose type the container around tells.
    fn json_member(&mut self, ty: &Type) -> Written {
        let start = self.reader.offset();
        self.json_value(ty)?;
        Ok(self.charge_empty(start)?)
    }

    /// The content of a `google.protobuf.Value`.
    fn json_value(&mut self, ty: &Type) -> Written {
        self.enter_value()?;
        self.json_content(ty)?;
        self.budgets.depth_left += 1;
        Ok(())
    }

    fn json_content(&mut self, ty: &Type) -> Written {
        match ty {
            Type::Void | Type::None => self.json_null(),
            Type::Bool => {
                let truth = self.truth()?;
                wire::put_varint_field(self.out, 4, truth.into());
            }
            Type::Int8 => return self.json_number(|reader| Ok(f64::from(reader.i8()?))),
            Type::UInt8 => return self.json_number(|reader| Ok(f64::from(reader.u8()?))),
            Type::Int16 => return self.json_number(|reader| Ok(f64::from(reader.i16()?))),
            Type::UInt16 => return self.json_number(|reader| Ok(f64::from(reader.u16()?))),
            Type::Int32 => return self.json_number(|reader| Ok(f64::from(reader.i32()?))),
            Type::UInt32 => return self.json_number(|reader| Ok(f64::from(reader.u32()?))),
            Type::Int64 => {
                let number = self.reader.i64()?;
                self.json_large(number.unsigned_abs(), number as f64)?;
            }
            Type::UInt64 => {
                let number = self.reader.u64()?;
                self.json_large(number, number as f64)?;
            }
            Type::Float => return self.json_number(|reader| Ok(f64::from(reader.f32()?))),
            Type::Double => return self.json_number(|reader| reader.f64()),
            Type::String => {
                return self.json_text(3);
            }
            Type::Dynamic => return self.json_dynamic(),
            Type::List(element) | Type::VarArgs(element) => return self.json_list(element),
            Type::Map(entry) => return self.json_map(&entry.0, &entry.1),
            Type::KwArgs(value) => return self.json_map(&Type::String, value),
            Type::Tuple(tuple) => return self.json_tuple(tuple),
            Type::Optional(element) => match self.truth()? {
                true => return self.json_value(element),
                false => self.json_null(),
            },
            Type::Raw | Type::Object | Type::Unknown => return Err(NotJson::NoForm),
        }
        Ok(())
    }

    fn json_null(&mut self) {
        wire::put_varint_field(self.out, 1, 0);
    }

    fn json_number(
        &mut self,
        read: impl FnOnce(&mut Reader<'_>) -> Result<f64, ReadError>,
    ) -> Written {
        let number = read(&mut self.reader)?;
        if !number.is_finite() {
            return Err(NotJson::NoForm);
        }
        wire::put_tag(self.out, 2, wire::FIXED64);
        self.out.extend_from_slice(&number.to_le_bytes());
        Ok(())
    }

    /// An integer that `f64` may not hold.
    fn json_large(&mut self, magnitude: u64, number: f64) -> Written {
        if magnitude > 1 << 53 {
            return Err(NotJson::NoForm);
        }
        self.json_number(|_| Ok(number))
    }

    fn json_text(&mut self, number: u32) -> Written {
        let bytes = self.reader.sized("a string")?;
        if std::str::from_utf8(bytes).is_err() {
            return Err(NotJson::NoForm);
        }
        wire::put_bytes_field(self.out, number, bytes);
        Ok(())
    }

    fn json_list(&mut self, element: &Type) -> Written {
        let count = self.count("a list", || element.min_bytes())?;
        self.json_nested(6, self.reader.left(), |decoder| {
            (0..count).try_for_each(|index| {
                let guess = decoder.reader.left() / (count - index);
                decoder.json_nested(1, guess, |decoder| decoder.json_member(element))
            })
        })
    }

    fn json_map(&mut self, key: &Type, value: &Type) -> Written {
        let count = self.count("a map", || key.min_bytes() + value.min_bytes())?;
        self.json_nested(5, self.reader.left(), |decoder| {
            (0..count).try_for_each(|index| {
                let guess = decoder.reader.left() / (count - index);
                decoder.json_nested(1, guess, |decoder| {
                    decoder.json_key(key)?;
                    decoder.json_nested(2, guess, |decoder| decoder.json_member(value))
                })
            })
        })
    }

    /// The key of a member: a string, within dynamics or not.
    fn json_key(&mut self, ty: &Type) -> Written {
        let outside = self.budgets.dynamics_left;
        let mut is_text = *ty == Type::String;
        if !is_text && *ty != Type::Dynamic {
            return Err(NotJson::NoForm);
        }
        while !is_text {
            self.enter_dynamic()?;
            is_text = match self.reader.sized("a signature")? {
                b"s" => true,
                b"m" => false,
                _ => return Err(NotJson::NoForm),
            };
        }
        self.budgets.dynamics_left = outside;
        self.json_text(1)
    }

    /// A struct as an object, a tuple as an array.
    fn json_tuple(&mut self, tuple: &TupleType) -> Written {
        let guess = self.reader.left();
        let Some(annotation) = &tuple.annotation else {
            return self.json_nested(6, guess, |decoder| {
                tuple.elements.iter().try_for_each(|ty| {
                    decoder.json_nested(1, guess, |decoder| decoder.json_member(ty))
                })
            });
        };
        self.json_nested(5, guess, |decoder| {
            let mut members = tuple.elements.iter().zip(&annotation.fields);
            members.try_for_each(|(ty, name)| {
                decoder.json_nested(1, guess, |decoder| {
                    wire::put_bytes_field(decoder.out, 1, name.as_bytes());
                    decoder.json_nested(2, guess, |decoder| decoder.json_member(ty))
                })
            })
        })
    }

    fn json_nested(
        &mut self,
        number: u32,
        guess: usize,
        body: impl FnOnce(&mut Self) -> Written,
    ) -> Written {
        wire::put_tag(self.out, number, wire::BYTES);
        let length = Length::begin(self.out, guess);
        body(self)?;
        length.end(self.out);
        self.check_size()?;
        Ok(())
    }
}

/// The number of `Value.json`.
const JSON: u32 = 14;
