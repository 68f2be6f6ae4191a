//! One run of a plan over a message.

use std::borrow::Cow;

use smallvec::{SmallVec, smallvec};

use super::{RequestContext, scalar::Key};
use crate::{
    qi::wire::{Limits, Writer},
    schema::Scalar,
    transcode::{
        MESSAGE_DEPTH, Malformed, RequestError,
        error::{FieldPath, Located as _},
        object::{ObjectName, ObjectSource},
        plan::{Element, FieldPlan, Form, MessagePlan},
        wire::{self, Fields, Wire},
    },
};

/// One run of a plan.
pub(super) struct Encoder<'a> {
    pub(super) objects: &'a mut dyn ObjectSource,
    pub(super) limits: Limits,
    /// How long `out` may become.
    pub(super) limit: usize,
    pub(super) out: &'a mut Writer,
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
    pub(super) fn run(
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
    pub(super) fn message(
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
    pub(super) fn object(&mut self, reference: &[u8]) -> Result<(), RequestError> {
        let mut fields = Fields::new(reference);
        let (mut id, mut service) = ("", "");
        while let Some((number, content)) = fields.next()? {
            match number {
                1 => id = content.text().map_err(RequestError::from)?,
                2 => service = content.text().map_err(RequestError::from)?,
                _ => {}
            }
        }
        let name = match (id, service) {
            ("", "") => ObjectName::Null,
            ("", name) => ObjectName::Service(name),
            (id, _) => ObjectName::Id(id),
        };
        let start = self.out.len();
        self.objects.write(name, self.out).map_err(|_| {
            self.out.truncate(start);
            let path = FieldPath::EMPTY;
            match name {
                ObjectName::Service(name) => RequestError::UnknownService {
                    path,
                    name: name.to_owned(),
                },
                ObjectName::Null | ObjectName::Id(_) => RequestError::UnknownObject {
                    path,
                    id: id.to_owned(),
                },
            }
        })
    }

    /// A byte count and the bytes.
    pub(super) fn sized(&mut self, bytes: &[u8]) -> Result<(), RequestError> {
        self.size(bytes.len())?;
        self.out.raw(bytes);
        Ok(())
    }

    /// A byte or element count.
    pub(super) fn size(&mut self, size: usize) -> Result<(), RequestError> {
        self.out.size(size).map_err(|_| self.too_large())
    }

    /// Whether the payload is still within its limit. Defaults take bytes in qi and none in
    /// protobuf, so a small message can stand for a large payload.
    pub(super) fn check_size(&self) -> Result<(), RequestError> {
        if self.out.len() > self.limit {
            return Err(self.too_large());
        }
        Ok(())
    }

    pub(super) fn too_large(&self) -> RequestError {
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
pub(super) fn deeper(depth: u32) -> Result<u32, RequestError> {
    let limit = MESSAGE_DEPTH;
    Ok(depth.checked_sub(1).ok_or(Malformed::TooDeep { limit })?)
}

pub(super) fn no_encoding() -> RequestError {
    RequestError::NoEncoding {
        path: FieldPath::EMPTY,
    }
}
