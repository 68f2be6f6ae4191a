//! Signals of Rust types.

use std::{fmt, marker::PhantomData};

use crate::qi::{
    host::{BuildError, ObjectBuilder, SignalHandle, ValueError},
    value::{
        Type,
        typed::{Arguments, IntoArguments},
    },
};

/// Emits a signal of a hosted object with the arguments `A`, a tuple. Cloning gives the same signal.
pub struct TypedSignal<A> {
    handle: SignalHandle,
    arguments: PhantomData<fn(A)>,
}

impl ObjectBuilder {
    /// Adds a signal that emits the arguments `A`, a tuple: `(i32,)`, or `()` for none.
    ///
    /// # Errors
    ///
    /// [`BuildError::Duplicate`].
    pub fn typed_signal<A: Arguments>(&mut self, name: &str) -> Result<TypedSignal<A>, BuildError> {
        let signature = Type::tuple(A::types()).to_string();
        Ok(TypedSignal {
            handle: self.signal(name, &signature)?,
            arguments: PhantomData,
        })
    }
}

impl<A> TypedSignal<A> {
    /// Sends an event to everyone who registered with the signal. Never waits: a peer that does
    /// not keep up loses the event.
    ///
    /// # Errors
    ///
    /// [`ValueError`], for arguments that no message can hold; then nothing is sent.
    pub fn emit(&self, arguments: A) -> Result<(), ValueError>
    where
        A: IntoArguments,
    {
        self.handle.emit(arguments.into_values())
    }

    /// The signal without its types.
    #[must_use]
    pub const fn handle(&self) -> &SignalHandle {
        &self.handle
    }
}

impl<A> Clone for TypedSignal<A> {
    fn clone(&self) -> Self {
        Self {
            handle: self.handle.clone(),
            arguments: PhantomData,
        }
    }
}

impl<A> fmt::Debug for TypedSignal<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("TypedSignal").field(&self.handle).finish()
    }
}
