//! Properties of Rust types.

use std::{fmt, marker::PhantomData};

use crate::qi::{
    host::{BuildError, ObjectBuilder, PropertyHandle, ValueError},
    value::typed::{FromQi, FromQiError, IntoQi},
};

/// Holds the value of a property of a hosted object, a `T`. Cloning gives the same property.
pub struct TypedProperty<T> {
    handle: PropertyHandle,
    value: PhantomData<fn(T) -> T>,
}

impl ObjectBuilder {
    /// Adds a property with its first value.
    ///
    /// # Errors
    ///
    /// [`BuildError::Value`] for a value that no message can hold, [`BuildError::Duplicate`].
    pub fn typed_property<T: IntoQi>(
        &mut self,
        name: &str,
        value: T,
    ) -> Result<TypedProperty<T>, BuildError> {
        let handle = self.property(name, &T::ty().to_string(), value.into_qi())?;
        Ok(TypedProperty::of(handle))
    }

    /// Like [`Self::typed_property`]; `on_set` is told each value that others set it to, after it
    /// is in force, one after the other. It is called on the task that reads their connection, so it
    /// must not block. Whoever sets a value at which it panics gets an error.
    ///
    /// # Errors
    ///
    /// The same.
    pub fn typed_property_with<T: IntoQi + FromQi>(
        &mut self,
        name: &str,
        value: T,
        on_set: impl Fn(T) + Send + Sync + 'static,
    ) -> Result<TypedProperty<T>, BuildError> {
        let told = name.to_owned();
        let on_set = move |value: &_| match T::from_qi(Clone::clone(value)) {
            Ok(value) => on_set(value),
            Err(error) => tracing::warn!(property = told, %error, "set to what it cannot be"),
        };
        let handle = self.property_with(name, &T::ty().to_string(), value.into_qi(), on_set)?;
        Ok(TypedProperty::of(handle))
    }
}

impl<T> TypedProperty<T> {
    const fn of(handle: PropertyHandle) -> Self {
        Self {
            handle,
            value: PhantomData,
        }
    }

    /// The value.
    ///
    /// # Errors
    ///
    /// [`FromQiError::Invalid`], when others set it to what is none of `T`, though of its qi type:
    /// never for the types of this library.
    pub fn get(&self) -> Result<T, FromQiError>
    where
        T: FromQi,
    {
        T::from_qi(self.handle.value())
    }

    /// Changes the value, which emits the property's signal, even if the value is the old one.
    ///
    /// # Errors
    ///
    /// [`ValueError`], for a value that no message can hold; then nothing changes.
    pub fn set(&self, value: T) -> Result<(), ValueError>
    where
        T: IntoQi,
    {
        self.handle.set(value.into_qi())
    }

    /// The property without its type.
    #[must_use]
    pub const fn handle(&self) -> &PropertyHandle {
        &self.handle
    }
}

impl<T> Clone for TypedProperty<T> {
    fn clone(&self) -> Self {
        Self::of(self.handle.clone())
    }
}

impl<T> fmt::Debug for TypedProperty<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("TypedProperty").field(&self.handle).finish()
    }
}
