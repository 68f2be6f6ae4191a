//! Properties and signals, as the one who hosts them has them.

use std::{fmt, sync::Arc};

use parking_lot::Mutex;

use super::{ValueError, arguments::check_arguments, subscribers::Subscribers};
use crate::qi::{
    value::{Signature, Type, Value, convert::convert},
    wire::ActionId,
};

/// Emits a signal of a hosted object.
#[derive(Clone, Debug)]
pub struct SignalHandle {
    pub(super) uid: ActionId,
    pub(super) signature: Signature,
    pub(super) subscribers: Arc<Subscribers>,
}

impl SignalHandle {
    /// Sends an event to everyone who registered with the signal. Never waits: a peer that does
    /// not keep up loses the event. The values of a signal declared `m` are dynamics.
    ///
    /// # Errors
    ///
    /// [`ValueError`], when the values are not what the signal was declared with; then nothing is
    /// sent.
    pub fn emit(&self, values: Vec<Value>) -> Result<(), ValueError> {
        self.subscribers.emit(self.uid, &self.signature, values)
    }

    /// Its number.
    #[must_use]
    pub const fn uid(&self) -> ActionId {
        self.uid
    }
}

/// Holds the value of a property of a hosted object. A new value is emitted as its signal, even if
/// it is the old one (section 12.4).
#[derive(Clone, Debug)]
pub struct PropertyHandle(pub(super) Arc<Property>);

pub(super) struct Property {
    pub(super) uid: ActionId,
    pub(super) name: String,
    pub(super) signature: Signature,
    /// The signature of its signal, the tuple of it alone.
    pub(super) changes: Signature,
    pub(super) on_set: Option<OnSet>,
    value: Mutex<Value>,
    subscribers: Arc<Subscribers>,
}

/// Is told what others set a property to.
pub(super) type OnSet = Box<dyn Fn(&Value) + Send + Sync>;

impl PropertyHandle {
    /// The value.
    #[must_use]
    pub fn value(&self) -> Value {
        self.0.value()
    }

    /// Changes the value.
    ///
    /// # Errors
    ///
    /// [`ValueError`], when it is not what the property was declared as; then nothing changes.
    pub fn set(&self, value: Value) -> Result<(), ValueError> {
        self.0.store(value)
    }

    /// Its number, that of its signal too.
    #[must_use]
    pub fn uid(&self) -> ActionId {
        self.0.uid
    }
}

impl Property {
    /// # Errors
    ///
    /// [`ValueError`], when the value is not of the type.
    pub(super) fn new(
        uid: ActionId,
        name: &str,
        signature: Signature,
        value: Value,
        on_set: Option<OnSet>,
        subscribers: Arc<Subscribers>,
    ) -> Result<Self, ValueError> {
        let changes = Signature::from(Type::tuple(vec![signature.ty().clone()]));
        check_arguments(vec![value.clone()], &changes)?;
        Ok(Self {
            uid,
            name: name.to_owned(),
            signature,
            changes,
            on_set,
            value: Mutex::new(value),
            subscribers,
        })
    }

    pub(super) fn value(&self) -> Value {
        self.value.lock().clone()
    }

    /// Sets the property for a peer, which has a value of another type perhaps.
    pub(super) fn set_from(&self, value: &Value, from: &Type) -> Result<(), ValueError> {
        let value = convert(value, from, self.signature.ty())?;
        self.store(value.clone())?;
        if let Some(on_set) = &self.on_set {
            on_set(&value);
        }
        Ok(())
    }

    /// The lock is held while emitting, so that the last event tells the value.
    fn store(&self, value: Value) -> Result<(), ValueError> {
        let mut stored = self.value.lock();
        self.subscribers
            .emit(self.uid, &self.changes, vec![value.clone()])?;
        *stored = value;
        Ok(())
    }
}

impl fmt::Debug for Property {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Property")
            .field("uid", &self.uid)
            .field("name", &self.name)
            .field("signature", &self.signature)
            .finish_non_exhaustive()
    }
}
