//! Objects passed as values (sections 8 and 13).

use std::{any::Any, fmt, sync::Arc};

use super::{MetaObject, Value};
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
    /// The null object, as it is sent to a member of `service`.
    #[must_use]
    pub fn null(service: ServiceId) -> Self {
        Self {
            meta: Arc::default(),
            service,
            object: ObjectId::NONE,
            uid: None,
        }
    }

    /// Whether this is no object.
    #[must_use]
    pub fn is_null(&self) -> bool {
        self.object == ObjectId::NONE
    }
}

/// What can be an object of this process: one that it hosts, or one that it holds of another.
pub trait AsObject: Any + fmt::Debug + Send + Sync {
    /// What the object says about itself.
    fn meta(&self) -> &Arc<MetaObject>;

    /// Its identity, the same whenever it is asked.
    fn uid(&self) -> ObjectUid;
}

/// An object of this process as a value. It has no address: it gets one on each connection that it
/// is sent through. Two are equal if they have one identity.
#[derive(Clone)]
pub struct LiveObject(Arc<dyn AsObject>);

impl LiveObject {
    /// An object as a value.
    #[must_use]
    pub fn new(object: Arc<dyn AsObject>) -> Self {
        Self(object)
    }

    /// What the object says about itself.
    #[must_use]
    pub fn meta(&self) -> &Arc<MetaObject> {
        self.0.meta()
    }

    /// Its identity.
    #[must_use]
    pub fn uid(&self) -> ObjectUid {
        self.0.uid()
    }

    /// The object itself, if it is a `T`.
    #[must_use]
    pub fn downcast<T: AsObject>(&self) -> Option<Arc<T>> {
        let object: Arc<dyn Any + Send + Sync> = Arc::clone(&self.0) as _;
        object.downcast().ok()
    }
}

impl PartialEq for LiveObject {
    fn eq(&self, other: &Self) -> bool {
        self.uid() == other.uid()
    }
}

impl Eq for LiveObject {}

impl fmt::Debug for LiveObject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl From<LiveObject> for Value {
    fn from(object: LiveObject) -> Self {
        Self::Live(object)
    }
}

impl Value {
    /// The object of this process that the value is. Looks through dynamics.
    #[must_use]
    pub fn as_live(&self) -> Option<&LiveObject> {
        match self.unwrapped() {
            Self::Live(object) => Some(object),
            _ => None,
        }
    }

    /// Shows every object in the value to `visit`, which may put another in its place:
    /// [`Value::Object`], the null object included, and [`Value::Live`].
    ///
    /// # Errors
    ///
    /// The first of `visit`, which is called no more then.
    pub fn visit_objects<E>(
        &mut self,
        visit: &mut dyn FnMut(&mut Self) -> Result<(), E>,
    ) -> Result<(), E> {
        match self {
            Self::Object(_) | Self::Live(_) => visit(self),
            Self::Dynamic(dynamic) => dynamic.value.visit_objects(visit),
            Self::List(items) | Self::Tuple(items) => {
                items.iter_mut().try_for_each(|it| it.visit_objects(visit))
            }
            Self::Map(entries) => entries.iter_mut().try_for_each(|(key, value)| {
                key.visit_objects(visit)?;
                value.visit_objects(visit)
            }),
            Self::Optional(Some(value)) => value.visit_objects(visit),
            _ => Ok(()),
        }
    }

    /// Whether there is an object in the value, be it the null object.
    #[must_use]
    pub fn holds_objects(&self) -> bool {
        match self {
            Self::Object(_) | Self::Live(_) => true,
            Self::Dynamic(dynamic) => dynamic.value.holds_objects(),
            Self::List(items) | Self::Tuple(items) => items.iter().any(Self::holds_objects),
            Self::Map(entries) => entries
                .iter()
                .any(|(key, value)| key.holds_objects() || value.holds_objects()),
            Self::Optional(Some(value)) => value.holds_objects(),
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::qi::value::{
        Dynamic, Type,
        codec::{EncodeContext, EncodeError, encode},
    };
    use crate::qi::wire::Writer;

    #[derive(Debug)]
    struct Thing(Arc<MetaObject>, u8);

    impl AsObject for Thing {
        fn meta(&self) -> &Arc<MetaObject> {
            &self.0
        }

        fn uid(&self) -> ObjectUid {
            ObjectUid([self.1; 20])
        }
    }

    fn thing(uid: u8) -> Value {
        LiveObject::new(Arc::new(Thing(Arc::default(), uid))).into()
    }

    #[test]
    fn objects_are_found_wherever_they_are() {
        let inside = Dynamic::new("o".parse().unwrap(), thing(1));
        let mut value = Value::Tuple(vec![
            Value::List(vec![thing(2), thing(3)]),
            Value::Map(vec![(Value::Bool(true), thing(4))]),
            Value::Optional(Some(Box::new(Value::Dynamic(Box::new(inside))))),
            Value::Object(Box::new(ObjectReference::null(ServiceId(2)))),
        ]);
        assert!(value.holds_objects());
        let mut found = Vec::new();
        let visited = value.visit_objects::<()>(&mut |it| {
            found.push(it.as_live().map_or(0, |live| live.uid().0[0]));
            *it = Value::Void;
            Ok(())
        });
        assert_eq!(visited, Ok(()));
        assert_eq!(found, [2, 3, 4, 1, 0]);
        assert!(!value.holds_objects());
    }

    #[test]
    fn identity_makes_equal() {
        assert_eq!(thing(1), thing(1));
        assert_ne!(thing(1), thing(2));
        let live = thing(1);
        assert_eq!(live.as_live().unwrap().downcast::<Thing>().unwrap().1, 1);
    }

    #[test]
    fn what_has_no_address_is_not_sent() {
        let mut writer = Writer::new();
        let mut context = EncodeContext::default();
        let error = encode(&thing(1), &Type::Object, &mut context, &mut writer).unwrap_err();
        assert_eq!(error, EncodeError::NoAddress);
        assert!(writer.finish().is_empty());
    }
}
