//! Where the objects in messages come from and go to.
//!
//! An object on the robot is an address that holds on one connection only, with a life time of its
//! own; a client knows it by an id. Which is which is not for transcoding to know.

use crate::qi::{value::ObjectReference, wire::Writer};

/// How a client names an object in a request: an `ObjectRef`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ObjectName<'a> {
    /// No object.
    Null,
    /// The id that the client knows it by.
    Id(&'a str),
    /// The name of a service that a client hosts.
    Service(&'a str),
}

/// There is no object of that name.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("there is no such object")]
pub struct UnknownObject;

/// Gives the objects that clients name in requests.
pub trait ObjectSource {
    /// Writes the object of a name as it is encoded on the robot's connection (section 8).
    ///
    /// The null object is an empty meta object, the service of the call and object id 0. A source
    /// that cannot write it refuses it as any other.
    ///
    /// # Errors
    ///
    /// [`UnknownObject`].
    fn write(&mut self, name: ObjectName<'_>, out: &mut Writer) -> Result<(), UnknownObject>;
}

/// Takes the objects that the robot sends.
pub trait ObjectSink {
    /// Keeps an object and gives the id that the client shall know it by. Not called for the null
    /// object, whose id is empty.
    fn adopt(&mut self, object: ObjectReference) -> String;
}

/// Has no objects.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct NoObjects;

impl ObjectSource for NoObjects {
    fn write(&mut self, _: ObjectName<'_>, _: &mut Writer) -> Result<(), UnknownObject> {
        Err(UnknownObject)
    }
}
