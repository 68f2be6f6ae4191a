//! Objects in the values of hosted members.
//!
//! Values of the bus and of the host meet as bytes, in which an object is an address. Between the
//! two an object stands as its place in a list, which nobody else reads.

use std::{convert::Infallible, sync::Arc};

use crate::{
    bridge::{
        arguments::named,
        objects::{MAX_OBJECTS_PER_MESSAGE, ObjectTable, new_id},
    },
    qi::{
        host::HostedObject,
        session::RemoteObject,
        value::{
            ObjectEncoding, ObjectReference, Value,
            codec::{EncodeContext, encode_object},
        },
        wire::{Limits, ObjectId, ServiceId, Writer},
    },
    transcode::{ObjectName, ObjectSink, ObjectSource, UnknownObject},
};

/// How objects are written in between.
pub(super) const ENCODING: ObjectEncoding = ObjectEncoding {
    meta_object_cache: false,
    object_uid: false,
};

/// The objects that the bus passes to a host: it gets an id for each, with a lease.
#[derive(Debug)]
pub(super) struct ToHost {
    objects: Vec<RemoteObject>,
    named: Vec<(String, RemoteObject)>,
}

/// Why objects in a value are not named to a host.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub(super) enum NotGiven {
    /// There are too many.
    #[error("more than {MAX_OBJECTS_PER_MESSAGE} objects at once")]
    TooMany,
    /// Whoever passed one has gone meanwhile. Objects of ours come from their holders, which
    /// forward to them.
    #[error("an object that cannot be reached any more")]
    Gone,
}

impl ToHost {
    /// Takes the objects out of a value, and leaves their places.
    pub(super) fn take(value: &mut Value) -> Result<Self, NotGiven> {
        let mut objects = Vec::new();
        value.visit_objects(&mut |found| {
            match found {
                Value::Object(reference) if reference.is_null() => {}
                found => {
                    let object = RemoteObject::from_value(found).ok_or(NotGiven::Gone)?;
                    if objects.len() == MAX_OBJECTS_PER_MESSAGE {
                        return Err(NotGiven::TooMany);
                    }
                    objects.push(object);
                    *found = Value::Object(Box::new(stand_in(objects.len())));
                }
            }
            Ok(())
        })?;
        Ok(Self {
            objects,
            named: Vec::new(),
        })
    }

    /// The host learns the ids: the objects are held for it from now on.
    pub(super) fn keep(self, table: &ObjectTable) {
        for (id, object) in self.named {
            table.insert(id, object);
        }
    }
}

impl ObjectSink for ToHost {
    fn adopt(&mut self, stand_in: ObjectReference) -> String {
        let Some(object) = place(&stand_in).and_then(|place| self.objects.get(place)) else {
            return String::new();
        };
        let id = new_id();
        self.named.push((id.clone(), object.clone()));
        id
    }
}

/// The objects that a host passes to the bus: those that it was given, and hosted services.
#[derive(Debug)]
pub(super) struct FromHost<'a> {
    table: &'a Arc<ObjectTable>,
    objects: Vec<HostedObject>,
    too_many: bool,
}

impl<'a> FromHost<'a> {
    pub(super) const fn new(table: &'a Arc<ObjectTable>) -> Self {
        Self {
            table,
            objects: Vec::new(),
            too_many: false,
        }
    }

    /// Whether there were more than [`MAX_OBJECTS_PER_MESSAGE`]; the source can only say that one
    /// is unknown.
    pub(super) const fn too_many(&self) -> bool {
        self.too_many
    }

    /// Puts them in their places. Those that forward to what the host was given keep that in use
    /// as long as anyone holds them.
    pub(super) fn put(self, mut value: Value) -> Value {
        let put = value.visit_objects::<Infallible>(&mut |found| {
            if let Value::Object(reference) = found {
                let object = place(reference).and_then(|place| self.objects.get(place));
                *found = object.map_or_else(
                    || Value::Object(Box::new(stand_in(0))),
                    |object| Value::from(object.clone()),
                );
            }
            Ok(())
        });
        match put {
            Ok(()) => value,
            Err(never) => match never {},
        }
    }
}

impl ObjectSource for FromHost<'_> {
    fn write(&mut self, name: ObjectName<'_>, out: &mut Writer) -> Result<(), UnknownObject> {
        let place = match name {
            ObjectName::Null => 0,
            _ if self.objects.len() == MAX_OBJECTS_PER_MESSAGE => {
                self.too_many = true;
                return Err(UnknownObject);
            }
            name => {
                let object = named(self.table, name).ok_or(UnknownObject)?;
                self.objects.push(object);
                self.objects.len()
            }
        };
        let mut context = EncodeContext::new(ENCODING, Limits::default());
        encode_object(&stand_in(place), &mut context, out).map_err(|_| UnknownObject)
    }
}

/// The object at a place, counted from 1; 0 is the null object.
fn stand_in(place: usize) -> ObjectReference {
    ObjectReference {
        object: ObjectId(u32::try_from(place).unwrap_or(0)),
        ..ObjectReference::null(ServiceId::SERVER)
    }
}

/// The place in a list; none for the null object.
fn place(stand_in: &ObjectReference) -> Option<usize> {
    usize::try_from(stand_in.object.0).ok()?.checked_sub(1)
}
