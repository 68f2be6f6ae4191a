//! Functions that can be methods.

use std::{any::Any, fmt};

use crate::qi::{
    host::{Cancellation, MethodError},
    value::typed::{FromArguments, IntoQi},
};

/// A function of up to 8 arguments that can be received, `A` as a tuple. All such functions and
/// closures are; the arguments of a closure need their types.
pub trait MethodFn<A: FromArguments>: Send + Sync + 'static {
    /// What it returns.
    type Output;

    /// Calls the function.
    fn call(&self, arguments: A) -> Self::Output;
}

/// Like [`MethodFn`], for functions whose first argument is the [`Cancellation`] of the call.
pub trait CancelableFn<A: FromArguments>: Send + Sync + 'static {
    /// What it returns.
    type Output;

    /// Calls the function.
    fn call(&self, cancellation: &Cancellation, arguments: A) -> Self::Output;
}

macro_rules! functions {
    ($($($T:ident)*;)*) => {$(
        #[allow(non_snake_case, reason = "each argument is named like its type")]
        impl<Function, Output, $($T),*> MethodFn<($($T,)*)> for Function
        where
            Function: Fn($($T),*) -> Output + Send + Sync + 'static,
            ($($T,)*): FromArguments,
        {
            type Output = Output;

            fn call(&self, ($($T,)*): ($($T,)*)) -> Output {
                self($($T),*)
            }
        }

        #[allow(non_snake_case, reason = "each argument is named like its type")]
        impl<Function, Output, $($T),*> CancelableFn<($($T,)*)> for Function
        where
            Function: Fn(&Cancellation, $($T),*) -> Output + Send + Sync + 'static,
            ($($T,)*): FromArguments,
        {
            type Output = Output;

            fn call(&self, cancellation: &Cancellation, ($($T,)*): ($($T,)*)) -> Output {
                self(cancellation, $($T),*)
            }
        }
    )*};
}

functions! {
    ;
    A;
    A B;
    A B C;
    A B C D;
    A B C D E;
    A B C D E F;
    A B C D E F G;
    A B C D E F G H;
}

/// What a method may return: a value that can be sent, or a `Result` of one with any error that can
/// be displayed. Callers get the text of the error, or are told that the call was cancelled if it
/// is [`MethodError::Canceled`].
pub trait Returns {
    /// What the method returns to its callers.
    type Value: IntoQi;

    /// The value, or what callers are told.
    ///
    /// # Errors
    ///
    /// [`MethodError`].
    fn into_result(self) -> Result<Self::Value, MethodError>;
}

impl<T: IntoQi> Returns for T {
    type Value = T;

    fn into_result(self) -> Result<T, MethodError> {
        Ok(self)
    }
}

impl<T: IntoQi, E: fmt::Display + 'static> Returns for Result<T, E> {
    type Value = T;

    fn into_result(self) -> Result<T, MethodError> {
        self.map_err(|error| match (&error as &dyn Any).downcast_ref() {
            Some(MethodError::Canceled) => MethodError::Canceled,
            _ => MethodError::failed(error.to_string()),
        })
    }
}
