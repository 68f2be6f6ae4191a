//! Objects passed as values (sections 8 and 13).

use std::sync::Arc;

use super::MetaObject;
use crate::qi::wire::{ObjectId, ServiceId};

/// An object as it stands in a payload. Service and object id are an address on the connection
/// that the value came through, and on no other.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ObjectReference {
    /// What the object says about itself.
    pub meta: Arc<MetaObject>,
    /// The service that it is reached through.
    pub service: ServiceId,
    /// Its number; [`ObjectId::NONE`] is the null object, whatever the rest.
    pub object: ObjectId,
    /// Its identity, where the connection shares `ObjectPtrUID`.
    pub uid: Option<ObjectUid>,
}

/// The opaque identity of an object: the same for each of its references.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct ObjectUid(pub [u8; 20]);

/// How objects are encoded on a connection: the capabilities that both sides have.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct ObjectEncoding {
    /// A meta object is sent once, later ones by number (`MetaObjectCache`).
    pub meta_object_cache: bool,
    /// A reference ends with the object's identity (`ObjectPtrUID`).
    pub object_uid: bool,
}

impl ObjectReference {
    /// Whether this is no object.
    #[must_use]
    pub fn is_null(&self) -> bool {
        self.object == ObjectId::NONE
    }
}
