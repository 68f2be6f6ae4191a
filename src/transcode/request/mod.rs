//! Protobuf to qi.
//!
//! Protobuf fields come in any order and more than once, qi values stand in order. So every
//! message is read twice: the first pass notes in a slot for each field where it was found, the
//! second writes the fields in qi order. The slots live on the stack; nothing else is kept.

mod json;
mod natural;
mod scalar;
mod value;

use std::borrow::Cow;

use smallvec::{SmallVec, smallvec};

use self::scalar::Key;
use super::{
    MESSAGE_DEPTH, Malformed, RequestError,
    error::{FieldPath, Located as _},
    object::ObjectSource,
    plan::{Element, FieldPlan, Form, MessagePlan, PayloadPlan},
    wire::{self, Fields, Wire},
};
use crate::{
    qi::{
        value::Type,
        wire::{Limits, Writer},
    },
    schema::{Payload, Scalar},
};

/// Turns messages of one type into the arguments of a call, the value of a property, or whatever
/// else is sent to the robot.
#[derive(Debug)]
pub struct RequestPlan {
    payload: PayloadPlan,
}

/// What a request is written with.
pub struct RequestContext<'a> {
    /// Knows the objects that the client names.
    pub objects: &'a mut dyn ObjectSource,
    /// The size of the payload, and of the signatures in `Value`s.
    pub limits: Limits,
}

impl std::fmt::Debug for RequestContext<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RequestContext")
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

impl RequestPlan {
    /// Compiles the plan of a message type.
    #[must_use]
    pub fn compile(payload: &Payload) -> Self {
        Self {
            payload: PayloadPlan::compile(payload),
        }
    }

    /// Appends the qi bytes of `message` to `out`. After an error `out` is as long as before.
    ///
    /// # Errors
    ///
    /// [`RequestError`]; each names the field to blame.
    pub fn to_qi(
        &self,
        message: &[u8],
        context: &mut RequestContext<'_>,
        out: &mut Writer,
    ) -> Result<(), RequestError> {
        Encoder::run(context, out, |encoder| match &self.payload {
            PayloadPlan::Fields(plan) => encoder.message(plan, message, MESSAGE_DEPTH),
            PayloadPlan::AnyArguments { name, number } => encoder
                .any_arguments(message, *number)
                .map_err(|error| error.within(name)),
        })
    }

    /// The same as a dynamic that holds the one value of the message, of its declared type: what
    /// `setProperty` takes. A value declared `m` is a dynamic anyway, a message without fields gives
    /// a void dynamic, one with several a tuple.
    ///
    /// # Errors
    ///
    /// [`RequestError`]; each names the field to blame.
    pub fn to_dynamic(
        &self,
        message: &[u8],
        context: &mut RequestContext<'_>,
        out: &mut Writer,
    ) -> Result<(), RequestError> {
        let start = out.len();
        if let Some(signature) = self.dynamic_signature() {
            out.sized(signature.as_bytes())
                .map_err(|_| RequestError::TooLarge {
                    path: FieldPath::EMPTY,
                    limit: context.limits.payload_bytes as usize,
                })?;
        }
        self.to_qi(message, context, out)
            .inspect_err(|_| out.truncate(start))
    }

    /// The signature to put in front of the payload, none where it has one.
    fn dynamic_signature(&self) -> Option<Cow<'_, str>> {
        let PayloadPlan::Fields(plan) = &self.payload else {
            return None;
        };
        match &*plan.fields {
            [] => Some("v".into()),
            [field] if *field.signature.ty() == Type::Dynamic => None,
            [field] => Some(field.signature.as_str().into()),
            fields => {
                let members = fields.iter().map(|field| field.signature.as_str());
                Some(format!("({})", members.collect::<String>()).into())
            }
        }
    }
}

/// Appends the dynamic (`m`) that the bytes of one `qi.gateway.v1.Value` stand for.
///
/// # Errors
///
/// [`RequestError`]. After one, `out` is as long as before.
pub fn value_to_dynamic(
    value: &[u8],
    context: &mut RequestContext<'_>,
    out: &mut Writer,
) -> Result<(), RequestError> {
    value_to_typed(value, &Type::Dynamic, context, out)
}

/// Appends the bytes of one `qi.gateway.v1.Value` as a value of the type.
///
/// # Errors
///
/// [`RequestError`]. After one, `out` is as long as before.
pub fn value_to_typed(
    value: &[u8],
    ty: &Type,
    context: &mut RequestContext<'_>,
    out: &mut Writer,
) -> Result<(), RequestError> {
    Encoder::run(context, out, |encoder| {
        encoder.value_as(value, ty, MESSAGE_DEPTH)
    })
}

/// One run of a plan.
struct Encoder<'a> {
    objects: &'a mut dyn ObjectSource,
    limits: Limits,
    /// How long `out` may become.
    limit: usize,
    out: &'a mut Writer,
}

/// Where a field was found in its message.
#[derive(Clone, Copy, Default)]
struct Slot<'a> {
    /// How often.
    seen: usize,
    /// Where its first occurrence begins and its last one ends.
    start: usize,
    end: usize,
    /// The content of the last one.
    last: Option<Wire<'a>>,
}

impl<'a> Encoder<'a> {
    fn run(
        context: &'a mut RequestContext<'_>,
        out: &'a mut Writer,
        body: impl FnOnce(&mut Self) -> Result<(), RequestError>,
    ) -> Result<(), RequestError> {
        let start = out.len();
        let mut encoder = Self {
            limit: start.saturating_add(context.limits.payload_bytes as usize),
            objects: &mut *context.objects,
            limits: context.limits,
            out,
        };
        let written = body(&mut encoder).and_then(|()| encoder.check_size());
        if written.is_err() {
            encoder.out.truncate(start);
        }
        written
    }

    /// Writes the members of a message; `depth` is how many messages may nest in one another from
    /// here on.
    fn message(
        &mut self,
        plan: &MessagePlan,
        message: &[u8],
        depth: u32,
    ) -> Result<(), RequestError> {
        let depth = deeper(depth)?;
        let mut slots: SmallVec<[Slot<'_>; 8]> = smallvec![Slot::default(); plan.fields.len()];
        let mut fields = Fields::new(message);
        loop {
            let start = fields.offset();
            let Some((number, content)) = fields.next()? else {
                break;
            };
            if let Some(slot) = plan.index(number).and_then(|at| slots.get_mut(at)) {
                if slot.seen == 0 {
                    slot.start = start;
                }
                slot.seen += 1;
                slot.end = fields.offset();
                slot.last = Some(content);
            }
        }
        for (field, slot) in plan.fields.iter().zip(&slots) {
            self.field(field, slot, message, depth)
                .map_err(|error| error.within(&field.name))?;
        }
        Ok(())
    }

    fn field(
        &mut self,
        field: &FieldPlan,
        slot: &Slot<'_>,
        message: &[u8],
        depth: u32,
    ) -> Result<(), RequestError> {
        // Where the occurrences of the field are, others perhaps between them.
        let found = message.get(slot.start..slot.end).unwrap_or_default();
        match &field.form {
            Form::Single(element) => self.single(element, field.number, slot, found, depth),
            Form::Optional(_) if slot.seen == 0 => {
                self.out.u8(0);
                Ok(())
            }
            Form::Optional(element) => {
                self.out.u8(1);
                self.single(element, field.number, slot, found, depth)
            }
            Form::Repeated(Element::Scalar(scalar), _) => {
                self.repeated_scalar(*scalar, field.number, found)
            }
            Form::Repeated(element, _) => self.repeated(element, field.number, found, depth),
            Form::Map(key, element, _) => self.map(*key, element, field.number, found, depth),
        }
    }

    fn single(
        &mut self,
        element: &Element,
        number: u32,
        slot: &Slot<'_>,
        found: &[u8],
        depth: u32,
    ) -> Result<(), RequestError> {
        match slot.last {
            None => self.default(element, depth),
            Some(content) if slot.seen == 1 || matches!(element, Element::Scalar(_)) => {
                self.element(element, content, depth)
            }
            Some(_) => {
                let merged = wire::merged(found, number)?.unwrap_or_default();
                self.element(element, Wire::Bytes(&merged), depth)
            }
        }
    }

    fn element(
        &mut self,
        element: &Element,
        content: Wire<'_>,
        depth: u32,
    ) -> Result<(), RequestError> {
        match element {
            Element::Scalar(scalar) => self.scalar(*scalar, content),
            Element::Value => self.dynamic(content.bytes()?, depth),
            Element::Unknown => Err(no_encoding()),
            Element::Object => self.object(content.bytes()?),
            Element::Message(plan) => self.message(plan, content.bytes()?, depth),
        }
    }

    /// What a field that is missing stands for.
    fn default(&mut self, element: &Element, depth: u32) -> Result<(), RequestError> {
        match element {
            Element::Scalar(scalar) => {
                self.default_scalar(*scalar);
                Ok(())
            }
            // The other defaults are those of the empty message.
            other => self.element(other, Wire::Bytes(&[]), depth),
        }
    }

    fn repeated(
        &mut self,
        element: &Element,
        number: u32,
        found: &[u8],
        depth: u32,
    ) -> Result<(), RequestError> {
        let at = self.out.reserve_u32();
        let mut fields = Fields::new(found);
        let mut count = 0_u32;
        while let Some(content) = wire::next_of(&mut fields, number)? {
            self.element(element, Wire::Bytes(content), depth)
                .and_then(|()| self.check_size())
                .map_err(|error| error.at(count as usize))?;
            count = count.saturating_add(1);
        }
        self.out.set_u32(at, count);
        Ok(())
    }

    fn map(
        &mut self,
        scalar: Scalar,
        element: &Element,
        number: u32,
        found: &[u8],
        depth: u32,
    ) -> Result<(), RequestError> {
        let depth = deeper(depth)?;
        let mut entries: SmallVec<[(Key<'_>, usize, &[u8]); 8]> = SmallVec::new();
        let mut fields = Fields::new(found);
        while let Some(entry) = wire::next_of(&mut fields, number)? {
            let index = entries.len();
            let key = entry_key(scalar, entry).map_err(|error| error.within("key").at(index))?;
            entries.push((key, index, entry));
        }
        // The last of equal keys wins (protobuf). libqi sorts by key as well (section 7).
        entries.sort_unstable_by_key(|&(key, index, _)| (key, index));
        let at = self.out.reserve_u32();
        let mut count = 0;
        for (which, &(key, index, entry)) in entries.iter().enumerate() {
            if entries.get(which + 1).is_some_and(|next| next.0 == key) {
                continue;
            }
            count += 1;
            self.key(scalar, key)
                .and_then(|()| self.map_value(element, entry, depth))
                .and_then(|()| self.check_size())
                .map_err(|error| error.at(index))?;
        }
        self.out.set_u32(at, count);
        Ok(())
    }

    fn map_value(
        &mut self,
        element: &Element,
        entry: &[u8],
        depth: u32,
    ) -> Result<(), RequestError> {
        let written = match element {
            Element::Scalar(scalar) => {
                let mut last = None;
                let mut fields = Fields::new(entry);
                while let Some((number, content)) = fields.next()? {
                    if number == 2 {
                        last = Some(content);
                    }
                }
                match last {
                    Some(content) => self.scalar(*scalar, content),
                    None => {
                        self.default_scalar(*scalar);
                        Ok(())
                    }
                }
            }
            other => {
                let merged = wire::merged(entry, 2)?.unwrap_or(Cow::Borrowed(&[]));
                self.element(other, Wire::Bytes(&merged), depth)
            }
        };
        written.map_err(|error| error.within("value"))
    }

    /// An `ObjectRef`.
    fn object(&mut self, reference: &[u8]) -> Result<(), RequestError> {
        let mut fields = Fields::new(reference);
        let mut id = "";
        while let Some((number, content)) = fields.next()? {
            if number == 1 {
                id = content.text().map_err(RequestError::from)?;
            }
        }
        let start = self.out.len();
        self.objects.write(id, self.out).map_err(|_| {
            self.out.truncate(start);
            RequestError::UnknownObject {
                path: FieldPath::EMPTY,
                id: id.to_owned(),
            }
        })
    }

    /// A byte count and the bytes.
    fn sized(&mut self, bytes: &[u8]) -> Result<(), RequestError> {
        self.size(bytes.len())?;
        self.out.raw(bytes);
        Ok(())
    }

    /// A byte or element count.
    fn size(&mut self, size: usize) -> Result<(), RequestError> {
        self.out.size(size).map_err(|_| self.too_large())
    }

    /// Whether the payload is still within its limit. Defaults take bytes in qi and none in
    /// protobuf, so a small message can stand for a large payload.
    fn check_size(&self) -> Result<(), RequestError> {
        if self.out.len() > self.limit {
            return Err(self.too_large());
        }
        Ok(())
    }

    fn too_large(&self) -> RequestError {
        RequestError::TooLarge {
            path: FieldPath::EMPTY,
            limit: self.limits.payload_bytes as usize,
        }
    }
}

/// The key of a map entry: its last occurrence, or its default.
fn entry_key(scalar: Scalar, entry: &[u8]) -> Result<Key<'_>, RequestError> {
    let mut fields = Fields::new(entry);
    let mut last = None;
    while let Some((number, content)) = fields.next()? {
        if number == 1 {
            last = Some(content);
        }
    }
    Key::read(scalar, last)
}

/// One message further down.
fn deeper(depth: u32) -> Result<u32, RequestError> {
    let limit = MESSAGE_DEPTH;
    Ok(depth.checked_sub(1).ok_or(Malformed::TooDeep { limit })?)
}

fn no_encoding() -> RequestError {
    RequestError::NoEncoding {
        path: FieldPath::EMPTY,
    }
}
