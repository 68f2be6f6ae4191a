//! Methods of hosted objects.

use std::{
    fmt,
    future::Future,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use futures_util::{FutureExt as _, future::BoxFuture};

use super::{BuildError, Cancellation};
use crate::qi::value::{MetaMethodParameter, Signature, Type, Value};

/// Why a method has no result.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum MethodError {
    /// It failed; the caller gets the text.
    #[error("{text}")]
    Failed {
        /// What went wrong, for the caller.
        text: String,
    },
    /// It was cancelled; the caller is told so.
    #[error("the call was cancelled")]
    Canceled,
}

impl MethodError {
    /// The method failed.
    #[must_use]
    pub fn failed(text: impl Into<String>) -> Self {
        Self::Failed { text: text.into() }
    }
}

/// What runs when a method is called.
///
/// It gets the arguments as the declared signature says; those of a method declared `m` are
/// dynamics, one an argument.
pub struct Handler(Run);

enum Run {
    Future(Start),
    Deferred(Start),
    Blocking(Block),
}

type Start =
    Box<dyn Fn(Vec<Value>) -> BoxFuture<'static, Result<Value, MethodError>> + Send + Sync>;

type Block = Arc<dyn Fn(Vec<Value>, &Cancellation) -> Result<Value, MethodError> + Send + Sync>;

/// What is left to do once a handler got its arguments.
pub(super) enum Started {
    /// To be awaited before the next call of a single-threaded object.
    Future(BoxFuture<'static, Result<Value, MethodError>>),
    /// To be awaited aside.
    Deferred(BoxFuture<'static, Result<Value, MethodError>>),
    /// To be called on a thread of its own.
    Blocking(Blocked),
}

pub(super) type Blocked = Box<dyn FnOnce(&Cancellation) -> Result<Value, MethodError> + Send>;

impl Handler {
    /// A function that gives a future. A single-threaded object is busy until the future is ready.
    /// When the call is cancelled, or its caller goes away, the future is dropped.
    pub fn future<F, R>(function: F) -> Self
    where
        F: Fn(Vec<Value>) -> R + Send + Sync + 'static,
        R: Future<Output = Result<Value, MethodError>> + Send + 'static,
    {
        Self(Run::Future(Box::new(move |arguments| {
            Box::pin(function(arguments))
        })))
    }

    /// Like [`Self::future`], but even a single-threaded object goes on with the next call as soon
    /// as the function has returned its future. This is what libqi does with a method that returns
    /// a future (section 19).
    pub fn deferred<F, R>(function: F) -> Self
    where
        F: Fn(Vec<Value>) -> R + Send + Sync + 'static,
        R: Future<Output = Result<Value, MethodError>> + Send + 'static,
    {
        Self(Run::Deferred(Box::new(move |arguments| {
            Box::pin(function(arguments))
        })))
    }

    /// A function that occupies a thread until it returns. It cannot be cancelled once it runs.
    pub fn blocking<F>(function: F) -> Self
    where
        F: Fn(Vec<Value>) -> Result<Value, MethodError> + Send + Sync + 'static,
    {
        Self::cancelable(move |arguments, _| function(arguments))
    }

    /// Like [`Self::blocking`], but the function can ask whether it should end.
    pub fn cancelable<F>(function: F) -> Self
    where
        F: Fn(Vec<Value>, &Cancellation) -> Result<Value, MethodError> + Send + Sync + 'static,
    {
        Self(Run::Blocking(Arc::new(function)))
    }

    /// Hands over the arguments. A handler that panics fails its call, nothing else.
    pub(super) fn start(&self, arguments: Vec<Value>) -> Started {
        match &self.0 {
            Run::Future(start) => Started::Future(guarded(start, arguments)),
            Run::Deferred(start) => Started::Deferred(guarded(start, arguments)),
            Run::Blocking(block) => {
                let block = block.clone();
                Started::Blocking(Box::new(move |cancellation| {
                    catch_unwind(AssertUnwindSafe(|| block(arguments, cancellation)))
                        .unwrap_or_else(|_| Err(panicked()))
                }))
            }
        }
    }
}

fn guarded(start: &Start, arguments: Vec<Value>) -> BoxFuture<'static, Result<Value, MethodError>> {
    match catch_unwind(AssertUnwindSafe(|| start(arguments))) {
        Ok(future) => AssertUnwindSafe(future)
            .catch_unwind()
            .map(|ended| ended.unwrap_or_else(|_| Err(panicked())))
            .boxed(),
        Err(_) => std::future::ready(Err(panicked())).boxed(),
    }
}

/// What it said is in the log of this process and of no use to the caller.
fn panicked() -> MethodError {
    MethodError::failed("the method panicked")
}

impl fmt::Debug for Handler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Run::Future(_) => "Handler::future",
            Run::Deferred(_) => "Handler::deferred",
            Run::Blocking(_) => "Handler::blocking",
        })
    }
}

/// A method to be hosted: its name, its types, what it says about itself and what it does.
#[derive(Debug)]
pub struct Method {
    pub(super) name: String,
    pub(super) parameters_signature: Signature,
    pub(super) return_signature: Signature,
    pub(super) description: String,
    pub(super) parameters: Vec<MetaMethodParameter>,
    pub(super) return_description: String,
    pub(super) handler: Handler,
}

impl Method {
    /// A method with the parameters `parameters`, a tuple such as `(is)` or `m` for any arguments,
    /// and the result `returns`, `v` for none.
    ///
    /// # Errors
    ///
    /// [`BuildError::Signature`], [`BuildError::NotArguments`].
    pub fn new(
        name: &str,
        parameters: &str,
        returns: &str,
        handler: Handler,
    ) -> Result<Self, BuildError> {
        Ok(Self {
            name: name.to_owned(),
            parameters_signature: arguments_signature(name, parameters)?,
            return_signature: signature(name, returns)?,
            description: String::new(),
            parameters: Vec::new(),
            return_description: String::new(),
            handler,
        })
    }

    /// Says what the method does.
    #[must_use]
    pub fn description(mut self, text: &str) -> Self {
        text.clone_into(&mut self.description);
        self
    }

    /// Names and describes the next parameter.
    #[must_use]
    pub fn parameter(mut self, name: &str, description: &str) -> Self {
        self.parameters.push(MetaMethodParameter {
            name: name.to_owned(),
            description: description.to_owned(),
        });
        self
    }

    /// Describes the result.
    #[must_use]
    pub fn returns(mut self, description: &str) -> Self {
        description.clone_into(&mut self.return_description);
        self
    }
}

/// Parses the signature of a member.
pub(super) fn signature(name: &str, text: &str) -> Result<Signature, BuildError> {
    text.parse().map_err(|source| BuildError::Signature {
        name: name.to_owned(),
        source,
    })
}

/// Parses the signature of what a member takes or emits (section 11).
pub(super) fn arguments_signature(name: &str, text: &str) -> Result<Signature, BuildError> {
    let signature = signature(name, text)?;
    match signature.ty() {
        Type::Tuple(_) | Type::Dynamic => Ok(signature),
        _ => Err(BuildError::NotArguments {
            name: name.to_owned(),
            signature,
        }),
    }
}
