//! The protocol's numbers, each a type of its own (protocol text, section 5).

use std::fmt;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Default)]
        pub struct $name(pub u32);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

id! {
    /// Numbers the messages of one sender; an answer carries the id of its call.
    MessageId
}
id! {
    /// A service of the bus: 0 is the connection itself, 1 the service directory.
    ServiceId
}
id! {
    /// An object within a service (or, passed as a value, within a connection): 1 is the
    /// service's main object, 0 none.
    ObjectId
}
id! {
    /// A method, signal or property of an object, numbered by its meta object.
    ActionId
}

impl ServiceId {
    /// The connection itself, where authentication takes place.
    pub const SERVER: Self = Self(0);
    /// The service directory.
    pub const DIRECTORY: Self = Self(1);
}

impl ObjectId {
    /// No object: the null object, and the object of [`ServiceId::SERVER`].
    pub const NONE: Self = Self(0);
    /// The main object of a service.
    pub const MAIN: Self = Self(1);
    /// Where a caller's counter of the objects that it passes as arguments starts
    /// (protocol text, section 13).
    pub const FIRST_OF_CALLER: Self = Self(1 << 31);
    /// Where a host's counter of the objects that it returns starts (section 13).
    pub const FIRST_OF_HOST: Self = Self(3);
}

impl ActionId {
    /// `registerEvent (IIL) -> L` of every object.
    pub const REGISTER_EVENT: Self = Self(0);
    /// `unregisterEvent (IIL) -> v` of every object.
    pub const UNREGISTER_EVENT: Self = Self(1);
    /// `metaObject (I) -> MetaObject` of every object.
    pub const META_OBJECT: Self = Self(2);
    /// `terminate (I) -> v` of every object.
    pub const TERMINATE: Self = Self(3);
    /// `property (m) -> m` of every object.
    pub const PROPERTY: Self = Self(5);
    /// `setProperty (mm) -> v` of every object.
    pub const SET_PROPERTY: Self = Self(6);
    /// `properties () -> [s]` of every object.
    pub const PROPERTIES: Self = Self(7);
    /// `registerEventWithSignature (IILs) -> L` of every object.
    pub const REGISTER_EVENT_WITH_SIGNATURE: Self = Self(8);
    /// `authenticate ({sm}) -> {sm}` of service 0.
    pub const AUTHENTICATE: Self = Self(8);
    /// The first number of an object's own members; those below manage the object.
    pub const FIRST_OWN: Self = Self(100);
}

/// Where a message goes: service, object and action.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Address {
    /// The service.
    pub service: ServiceId,
    /// The object within the service.
    pub object: ObjectId,
    /// The member of the object.
    pub action: ActionId,
}

impl Address {
    /// The address of a member of an object.
    #[must_use]
    pub const fn new(service: ServiceId, object: ObjectId, action: ActionId) -> Self {
        Self {
            service,
            object,
            action,
        }
    }

    /// `0.0.8`, where every connection begins.
    pub const AUTHENTICATE: Self =
        Self::new(ServiceId::SERVER, ObjectId::NONE, ActionId::AUTHENTICATE);
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.service, self.object, self.action)
    }
}
