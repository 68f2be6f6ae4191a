//! Properties and signals, as the one who hosts them has them.

use std::{
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

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
    on_set: Option<OnSet>,
    /// Held while another one sets it and its owner is told, so that the owner is told in the order
    /// of the values. Not for the owner, who may set it when told.
    telling: Mutex<()>,
    value: Mutex<Value>,
    subscribers: Arc<Subscribers>,
}

/// Is told what others set a property to.
pub(super) type OnSet = Box<dyn Fn(&Value) + Send + Sync>;

/// Why a peer gets an error when it sets a property.
#[derive(Debug, thiserror::Error)]
pub(super) enum SetError {
    /// The value is not what the property was declared as; nothing changed.
    #[error(transparent)]
    Value(#[from] ValueError),
    /// The value is in force, but its owner panicked when it was told.
    #[error("the owner of the property panicked")]
    Panicked,
}

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
            telling: Mutex::default(),
            value: Mutex::new(value),
            subscribers,
        })
    }

    pub(super) fn value(&self) -> Value {
        self.value.lock().clone()
    }

    /// Sets the property for a peer, which has a value of another type perhaps.
    pub(super) fn set_from(&self, value: &Value, from: &Type) -> Result<(), SetError> {
        let value = convert(value, from, self.signature.ty()).map_err(ValueError::from)?;
        let _telling = self.telling.lock();
        self.store(value.clone())?;
        if let Some(on_set) = &self.on_set {
            let told = catch_unwind(AssertUnwindSafe(|| on_set(&value)));
            told.map_err(|_| SetError::Panicked)?;
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

#[cfg(test)]
mod tests {
    use std::{
        sync::{OnceLock, mpsc},
        thread,
    };

    use super::*;
    use crate::qi::host::ObjectBuilder;

    fn level(on_set: impl Fn(&Value) + Send + Sync + 'static) -> PropertyHandle {
        let mut object = ObjectBuilder::new();
        let level = object.property_with("level", "i", Value::Int32(0), on_set);
        level.unwrap()
    }

    fn set(level: &PropertyHandle, value: i32) {
        let value = Value::Int32(value);
        level.0.set_from(&value, &Type::Int32).unwrap();
    }

    /// Two peers set a property, and its owner was told the older value last.
    #[test]
    fn the_owner_is_told_in_the_order_of_the_values() {
        let log = Arc::new(Mutex::new(Vec::new()));
        let (telling, told) = mpsc::sync_channel(1);
        let seen = Arc::clone(&log);
        let level = level(move |value| {
            if *value == Value::Int32(1) {
                telling.send(()).unwrap();
                // Long enough for the other thread to overtake.
                (0..1000).for_each(|_| thread::yield_now());
            }
            seen.lock().push(value.clone());
        });
        thread::scope(|scope| {
            scope.spawn(|| set(&level, 1));
            told.recv().unwrap();
            set(&level, 2);
        });
        assert_eq!(*log.lock(), [Value::Int32(1), Value::Int32(2)]);
        assert_eq!(level.value(), Value::Int32(2));
    }

    #[test]
    fn the_owner_may_correct_what_it_is_told() {
        let handle = Arc::new(OnceLock::<PropertyHandle>::new());
        let known = Arc::clone(&handle);
        let level = level(move |value| {
            let highest = value.to_i64().unwrap().min(10);
            let highest = Value::Int32(i32::try_from(highest).unwrap());
            known.get().unwrap().set(highest).unwrap();
        });
        handle.set(level.clone()).unwrap();
        set(&level, 13);
        assert_eq!(level.value(), Value::Int32(10));
    }
}
