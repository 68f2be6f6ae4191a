//! `qi.gateway.v1.Value` where nothing tells its type but itself: as a dynamic.

use super::{
    encoder::{Encoder, deeper},
    value::{Arm, Parts},
};
use crate::{
    qi::value::{SignatureError, Type},
    transcode::{
        MESSAGE_DEPTH, RequestError,
        error::{FieldPath, Located as _},
        wire::{self, Fields},
    },
};

impl Encoder<'_> {
    /// `repeated Value args`: a dynamic that holds a tuple of dynamics, as libqi's clients send
    /// it.
    pub(super) fn any_arguments(
        &mut self,
        message: &[u8],
        number: u32,
    ) -> Result<(), RequestError> {
        let mut fields = Fields::new(message);
        let mut count = 0;
        while wire::next_of(&mut fields, number)?.is_some() {
            count += 1;
        }
        self.dynamic_tuple_signature(count)?;
        let mut fields = Fields::new(message);
        let mut index = 0;
        while let Some(argument) = wire::next_of(&mut fields, number)? {
            self.dynamic(argument, MESSAGE_DEPTH - 1)
                .and_then(|()| self.check_size())
                .map_err(|error| error.at(index))?;
            index += 1;
        }
        Ok(())
    }

    /// The signature `(mm..)`.
    fn dynamic_tuple_signature(&mut self, members: usize) -> Result<(), RequestError> {
        self.size(members.saturating_add(2))?;
        self.out.u8(b'(');
        for _ in 0..members {
            self.out.u8(b'm');
        }
        self.out.u8(b')');
        Ok(())
    }

    /// The dynamic that a `Value` stands for.
    pub(super) fn dynamic(&mut self, value: &[u8], depth: u32) -> Result<(), RequestError> {
        let depth = deeper(depth)?;
        let Parts { arm, signature } = Parts::read(value)?;
        self.natural(&arm, signature, depth)
    }

    /// A dynamic of the signature, or where there is none, of the type that the arm stands for.
    fn natural(&mut self, arm: &Arm<'_>, signature: &str, depth: u32) -> Result<(), RequestError> {
        let rest = self
            .wrappers(signature)
            .map_err(|error| error.within("signature"))?;
        if rest.is_empty() {
            return self
                .untyped(arm, depth)
                .map_err(|error| error.within(arm.field()));
        }
        let ty = Type::parse(rest, &self.limits)
            .map_err(|error| RequestError::from(error).within("signature"))?;
        self.sized(rest.as_bytes())?;
        self.arm_as(arm, &ty, depth)
    }

    /// Writes the dynamics around a value, an `m` each, and gives the signature of the value.
    fn wrappers<'a>(&mut self, signature: &'a str) -> Result<&'a str, RequestError> {
        let mut rest = signature;
        let limit = self.limits.dynamic_depth;
        let mut depth = limit;
        while rest.starts_with('m') {
            depth = depth
                .checked_sub(1)
                .ok_or(SignatureError::TooDeep { limit })?;
            let end = 1 + annotation_bytes(&rest[1..]);
            let (wrapper, inner) = rest.split_at(end);
            self.sized(wrapper.as_bytes())?;
            rest = inner;
        }
        Ok(rest)
    }

    /// A dynamic of the type that the arm stands for. Errors do not name the arm.
    pub(super) fn untyped(&mut self, arm: &Arm<'_>, depth: u32) -> Result<(), RequestError> {
        match arm {
            Arm::Void => self.sized(b"v"),
            Arm::Bool(truth) => {
                self.sized(b"b")?;
                self.out.u8((*truth).into());
                Ok(())
            }
            Arm::Int(number) => {
                self.sized(b"l")?;
                self.out.i64(*number);
                Ok(())
            }
            Arm::UInt(number) => {
                self.sized(b"L")?;
                self.out.u64(*number);
                Ok(())
            }
            Arm::Float(bytes) => {
                self.sized(b"f")?;
                self.out.raw(bytes);
                Ok(())
            }
            Arm::Double(bytes) => {
                self.sized(b"d")?;
                self.out.raw(bytes);
                Ok(())
            }
            Arm::Text(text) => {
                self.sized(b"s")?;
                self.sized(text.as_bytes())
            }
            Arm::Raw(bytes) => {
                self.sized(b"r")?;
                self.sized(bytes)
            }
            Arm::List(list) => {
                self.sized(b"[m]")?;
                self.list(list, &Type::Dynamic, depth)
            }
            Arm::Map(map) => {
                self.sized(b"{mm}")?;
                self.entries(map, &Type::Dynamic, &Type::Dynamic, depth)
            }
            Arm::Tuple(tuple) => self.untyped_tuple(tuple, depth),
            Arm::Object(reference) => {
                self.sized(b"o")?;
                self.object(reference)
            }
            Arm::Optional(optional) => {
                self.sized(b"+m")?;
                self.optional(optional, &Type::Dynamic, depth)
            }
            Arm::Json(json) => self.json(json, depth),
        }
    }

    /// A `TupleValue`: `(m...)`, with names if it has any.
    fn untyped_tuple(&mut self, tuple: &[u8], depth: u32) -> Result<(), RequestError> {
        let depth = deeper(deeper(depth)?)?;
        let mut name = "";
        let mut names = Vec::new();
        let mut fields = Fields::new(tuple);
        while let Some((number, content)) = fields.next()? {
            match number {
                1 => name = content.text()?,
                2 => names.push(member_name(content.bytes()?)?),
                _ => {}
            }
        }
        self.tuple_signature(name, &names)?;
        let mut fields = Fields::new(tuple);
        let mut index = 0;
        while let Some(field) = wire::next_of(&mut fields, 2)? {
            self.member(field, 2, "value", &Type::Dynamic, depth)
                .and_then(|()| self.check_size())
                .map_err(|error| error.at(index).within("fields"))?;
            index += 1;
        }
        Ok(())
    }

    fn tuple_signature(&mut self, name: &str, names: &[&str]) -> Result<(), RequestError> {
        if name.is_empty() && names.iter().all(|name| name.is_empty()) {
            return self.dynamic_tuple_signature(names.len());
        }
        for text in [name].into_iter().chain(names.iter().copied()) {
            if !is_name(text) {
                return Err(RequestError::Name {
                    path: FieldPath::EMPTY,
                    name: text.to_owned(),
                });
            }
        }
        let fields: String = names.iter().flat_map(|name| [",", *name]).collect();
        let annotation = format!("<{name}{fields}>");
        self.size(
            names
                .len()
                .saturating_add(2)
                .saturating_add(annotation.len()),
        )?;
        self.out.u8(b'(');
        for _ in names {
            self.out.u8(b'm');
        }
        self.out.u8(b')');
        self.out.raw(annotation.as_bytes());
        Ok(())
    }
}

/// The name in a `TupleValue.Field`.
fn member_name(field: &[u8]) -> Result<&str, RequestError> {
    let mut name = "";
    let mut fields = Fields::new(field);
    while let Some((number, content)) = fields.next()? {
        if number == 1 {
            name = content.text()?;
        }
    }
    Ok(name)
}

/// Whether a signature can hold the name: no comma, and no bracket, for libqi counts them inside
/// of annotations too (section 6).
fn is_name(name: &str) -> bool {
    !name.contains([',', '<', '>', '(', ')', '[', ']', '{', '}'])
}

/// How many bytes the annotation takes that the text begins with, if it does.
fn annotation_bytes(text: &str) -> usize {
    if !text.starts_with('<') {
        return 0;
    }
    let mut open = 0_usize;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'<' => open += 1,
            b'>' => open -= 1,
            _ => {}
        }
        if open == 0 {
            return at + 1;
        }
    }
    text.len()
}
