//! Signals and properties by name as streams of `Value`s.

use std::{sync::Arc, time::SystemTime};

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::watch;

use super::{
    Settings, Through,
    member::{AnswerDecoder, EVENT_FIELD, View},
};
use crate::{
    bridge::{
        BridgeError,
        borrowed::Borrowed,
        events::{
            EventQueue, Subscription,
            source::{Opened, Opening, Source},
        },
        objects::ObjectUse,
        service::{Link, ValueFormat},
    },
    qi::{
        session::RemoteObject,
        value::Type,
        wire::{ActionId, Flags},
    },
};

/// A stream of the events of a signal, or of the values of a property.
#[derive(Debug)]
pub struct ValueStream {
    subscription: Subscription,
    /// The object is kept as long as the stream is open.
    _held: Option<ObjectUse>,
}

impl ValueStream {
    pub(super) const fn new(subscription: Subscription, held: Option<ObjectUse>) -> Self {
        Self {
            subscription,
            _held: held,
        }
    }

    /// The queue to read. Its events are the messages without their `info`.
    #[must_use]
    pub fn queue(&self) -> &EventQueue {
        self.subscription.queue()
    }
}

/// Whether a member is a signal or a property.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Watched {
    Signal,
    Property,
}

/// A signal or property by name.
#[derive(Debug)]
pub(super) struct MemberSource {
    pub(super) object: String,
    pub(super) member: String,
    pub(super) watched: Watched,
    pub(super) through: Option<Through>,
    pub(super) links: watch::Receiver<Option<Arc<Link>>>,
    pub(super) settings: Arc<Settings>,
    pub(super) format: ValueFormat,
    /// What was found when there was a link last.
    pub(super) found: Mutex<Option<Found>>,
}

/// A member that was found.
#[derive(Clone, Debug)]
pub(super) struct Found {
    object: RemoteObject,
    signal: ActionId,
    arguments: Type,
    borrowed: Option<Arc<Borrowed>>,
}

impl MemberSource {
    /// The number of the member, and the type of the arguments of its events.
    pub(super) fn find(&self, view: View<'_>) -> Result<(ActionId, Type), BridgeError> {
        Ok(match self.watched {
            Watched::Signal => {
                let (uid, signature) = view.signal(&self.member)?;
                (uid, signature.ty().clone())
            }
            Watched::Property => {
                let property = view.property(&self.member)?;
                let value = property.signature.ty().clone();
                (property.uid, Type::tuple(vec![value]))
            }
        })
    }

    async fn find_at(&self, link: &Link) -> Result<Found, BridgeError> {
        let borrowed = match &self.through {
            Some(through) => {
                let name = &self.object;
                let borrowed = self.settings.borrow(name, link.object(), through).await?;
                Some(Arc::new(borrowed))
            }
            None => None,
        };
        let object = match &borrowed {
            Some(borrowed) => borrowed.object(),
            None => link.object(),
        };
        let meta = Arc::clone(object.meta());
        let view = self.settings.view(&self.object, &meta);
        let (signal, arguments) = self.find(view)?;
        Ok(Found {
            object: object.clone(),
            signal,
            arguments,
            borrowed,
        })
    }

    /// Puts the current value of a property in front of its changes. Called once the subscription
    /// is in force, so that no change is missed.
    pub(super) async fn release_current(
        &self,
        subscription: &Subscription,
    ) -> Result<(), BridgeError> {
        let found = self.found.lock().clone();
        let (object, property) = match found {
            Some(found) => (found.object, found.signal),
            // Another stream shares its source.
            None => {
                let link = self.links.borrow().clone();
                let object = link.ok_or(BridgeError::Unavailable)?.object().clone();
                let (property, _) = self.find(self.settings.view(&self.object, object.meta()))?;
                (object, property)
            }
        };
        let reply = object.property(property).await?;
        let decoder = self.decoder(&object);
        let mut message = Vec::new();
        let value = decoder.dynamic(&reply.payload)?;
        prost::encoding::bytes::encode(EVENT_FIELD, &value, &mut message);
        let now = SystemTime::now();
        subscription.queue().release(message.into(), now);
        Ok(())
    }

    fn decoder<'a>(&'a self, object: &'a RemoteObject) -> AnswerDecoder<'a> {
        self.settings.decoder(object, self.format)
    }
}

impl Source for MemberSource {
    fn object(&self) -> &str {
        &self.object
    }

    fn member(&self) -> &str {
        &self.member
    }

    fn links(&self) -> watch::Receiver<Option<Arc<Link>>> {
        self.links.clone()
    }

    fn open<'a>(&'a self, link: &'a Link) -> Opening<'a> {
        Box::pin(async move {
            // The one before is released first.
            self.found.lock().take();
            let found = self.find_at(link).await?;
            let opened = Opened {
                object: found.object.clone(),
                signal: found.signal,
                _borrowed: found.borrowed.clone(),
            };
            // Events may come as soon as the subscription is sent.
            *self.found.lock() = Some(found);
            Ok(opened)
        })
    }

    fn decode(&self, payload: &Bytes, flags: Flags, out: &mut Vec<u8>) -> Result<(), BridgeError> {
        let found = self.found.lock().clone().ok_or(BridgeError::Unavailable)?;
        self.decoder(&found.object)
            .event(payload, flags, &found.arguments, out)
    }
}
