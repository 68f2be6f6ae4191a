//! Methods made of Rust functions.

use std::future::ready;

use futures_util::{FutureExt as _, future::BoxFuture};

use super::{CancelableFn, MethodFn, Returns};
use crate::qi::{
    host::{Handler, Method, MethodError},
    value::{
        Signature, Type, Value,
        typed::{FromArguments, IntoQi, QiType as _},
    },
};

impl Method {
    /// A function that gives a future. A single-threaded object is busy until the future is ready;
    /// the function itself must not block. When the call is cancelled, or its caller goes away,
    /// the future is dropped.
    #[must_use]
    pub fn future<A, F, R>(name: &str, function: F) -> Self
    where
        A: FromArguments + 'static,
        F: MethodFn<A>,
        F::Output: Future<Output = R> + Send + 'static,
        R: Returns + 'static,
    {
        let start = start(function);
        Self::typed::<A, R>(name, Handler::future(start))
    }

    /// Like [`Self::future`], but even a single-threaded object goes on with the next call as soon
    /// as the function has returned its future: libqi's way with methods that return a future.
    #[must_use]
    pub fn deferred<A, F, R>(name: &str, function: F) -> Self
    where
        A: FromArguments + 'static,
        F: MethodFn<A>,
        F::Output: Future<Output = R> + Send + 'static,
        R: Returns + 'static,
    {
        let start = start(function);
        Self::typed::<A, R>(name, Handler::deferred(start))
    }

    /// A function that may block: it occupies a thread until it returns, and a single-threaded
    /// object. Once it runs it is not cancelled.
    #[must_use]
    pub fn blocking<A, F>(name: &str, function: F) -> Self
    where
        A: FromArguments,
        F: MethodFn<A>,
        F::Output: Returns,
    {
        let block = move |values| {
            let returned = function.call(arguments::<A>(values)?);
            returned.into_result().map(IntoQi::into_qi)
        };
        Self::typed::<A, F::Output>(name, Handler::blocking(block))
    }

    /// Like [`Self::blocking`], for a function that asks its first argument, a
    /// [`Cancellation`](crate::qi::host::Cancellation), from time to time whether it should end.
    #[must_use]
    pub fn cancelable<A, F>(name: &str, function: F) -> Self
    where
        A: FromArguments,
        F: CancelableFn<A>,
        F::Output: Returns,
    {
        let handler = Handler::cancelable(move |values, cancellation| {
            let returned = function.call(cancellation, arguments::<A>(values)?);
            returned.into_result().map(IntoQi::into_qi)
        });
        Self::typed::<A, F::Output>(name, handler)
    }

    fn typed<A: FromArguments, R: Returns>(name: &str, handler: Handler) -> Self {
        Self {
            name: name.to_owned(),
            parameters_signature: Signature::from(Type::tuple(A::types())),
            return_signature: Signature::from(R::Value::ty()),
            description: String::new(),
            parameters: Vec::new(),
            return_description: String::new(),
            handler,
        }
    }
}

/// Calls the function at once, in the order of the calls; only its future waits.
fn start<A, F, R>(
    function: F,
) -> impl Fn(Vec<Value>) -> BoxFuture<'static, Result<Value, MethodError>> + Send + Sync
where
    A: FromArguments,
    F: MethodFn<A>,
    F::Output: Future<Output = R> + Send + 'static,
    R: Returns,
{
    move |values| match arguments::<A>(values) {
        Ok(arguments) => {
            let future = function.call(arguments);
            async move { future.await.into_result().map(IntoQi::into_qi) }.boxed()
        }
        Err(error) => ready(Err(error)).boxed(),
    }
}

fn arguments<A: FromArguments>(values: Vec<Value>) -> Result<A, MethodError> {
    A::from_values(values).map_err(|error| MethodError::failed(format!("the arguments: {error}")))
}
