//! Where the events of a hub come from.

use std::{fmt, future::Future, pin::Pin, sync::Arc};

use bytes::Bytes;
use tokio::sync::watch;

use crate::{
    bridge::{
        BridgeError,
        borrowed::Borrowed,
        service::{Link, ValueFormat},
    },
    qi::{
        value::Type,
        wire::{ActionId, Flags},
    },
};

/// A signal, or a property that is watched, and how its events become messages.
pub(crate) trait Source: fmt::Debug + Send + Sync {
    /// What the object is called in logs.
    fn object(&self) -> &str;

    /// What the signal or property is called.
    fn member(&self) -> &str;

    /// The way to the object, none while it is away. Ends when the object is gone for good.
    fn links(&self) -> watch::Receiver<Option<Arc<Link>>>;

    /// Finds the signal, each time that there is a link again.
    fn open<'a>(&'a self, link: &'a Arc<Link>) -> Opening<'a>;

    /// What a loss of the way to the object is to a client that waits for its stream, once the source was
    /// opened: opening one may have done something at the robot.
    fn after_opening(&self, error: BridgeError) -> BridgeError {
        error
    }

    /// Appends the message of an event, without its info.
    ///
    /// # Errors
    ///
    /// [`BridgeError::Response`]: the event is not what was declared.
    fn decode(
        &self,
        opened: &Opened,
        payload: &Bytes,
        content: Content,
        format: ValueFormat,
        out: &mut Vec<u8>,
    ) -> Result<(), BridgeError>;
}

/// What the bytes are that become a message.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Content {
    /// The arguments of an event, which has these flags.
    Event(Flags),
    /// The value of a property, as a dynamic.
    Value,
}

/// The future of [`Source::open`].
pub(crate) type Opening<'a> =
    Pin<Box<dyn Future<Output = Result<Opened, BridgeError>> + Send + 'a>>;

/// A signal that was found.
#[derive(Debug)]
pub(crate) struct Opened {
    /// The way to the object that has it.
    pub(crate) link: Arc<Link>,
    /// The type of its arguments.
    pub(crate) arguments: Type,
    /// Its number.
    pub(crate) signal: ActionId,
    /// The object again, if it is to be released at the end.
    pub(crate) _borrowed: Option<Borrowed>,
}
