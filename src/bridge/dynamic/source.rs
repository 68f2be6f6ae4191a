//! Signals and properties by name as streams of `Value`s.

use std::{sync::Arc, time::SystemTime};

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::watch;

use super::{Settings, Through, member::View};
use crate::{
    bridge::{
        BridgeError,
        events::{
            EventQueue, Subscription,
            source::{Content, Opened, Opening, Source},
        },
        objects::ObjectUse,
        service::{Link, ValueFormat},
    },
    qi::{value::Type, wire::ActionId},
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
    /// What was found when there was a link last.
    pub(super) found: Mutex<Option<(Arc<Link>, ActionId)>>,
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

    async fn find_at(&self, link: &Arc<Link>) -> Result<Opened, BridgeError> {
        let (link, borrowed) = match &self.through {
            Some(through) => {
                let name = &self.object;
                let borrowed = self.settings.borrow(name, link.object(), through).await?;
                let link = Arc::new(Link::new(borrowed.object().clone()));
                (link, Some(borrowed))
            }
            None => (Arc::clone(link), None),
        };
        let view = self.settings.view(&self.object, link.object().meta());
        let (signal, arguments) = self.find(view)?;
        Ok(Opened {
            link,
            signal,
            arguments,
            _borrowed: borrowed,
        })
    }

    /// Puts the current value of a property in front of its changes. Called once the subscription
    /// is in force, so that no change is missed.
    pub(super) async fn release_current(
        &self,
        subscription: &Subscription,
        format: ValueFormat,
    ) -> Result<(), BridgeError> {
        let found = self.found.lock().clone();
        let (link, property) = match found {
            Some(found) => found,
            // Another stream shares its source.
            None => {
                let link = self.links.borrow().clone();
                let link = link.ok_or(BridgeError::Unavailable)?;
                let view = self.settings.view(&self.object, link.object().meta());
                let property = self.find(view)?.0;
                (link, property)
            }
        };
        let object = link.object();
        let reply = self.settings.objects.property_of(object, property).await?;
        let decoder = self.settings.decoder(object, format);
        let mut message = Vec::new();
        decoder.value(&reply.payload, &mut message)?;
        let now = SystemTime::now();
        subscription.queue().release(&message.into(), now);
        Ok(())
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

    fn open<'a>(&'a self, link: &'a Arc<Link>) -> Opening<'a> {
        Box::pin(async move {
            let opened = self.find_at(link).await?;
            *self.found.lock() = Some((Arc::clone(&opened.link), opened.signal));
            Ok(opened)
        })
    }

    fn after_opening(&self, error: BridgeError) -> BridgeError {
        if self.through.is_some() {
            error.after_through()
        } else {
            error
        }
    }

    fn decode(
        &self,
        opened: &Opened,
        payload: &Bytes,
        content: Content,
        format: ValueFormat,
        out: &mut Vec<u8>,
    ) -> Result<(), BridgeError> {
        let decoder = self.settings.decoder(opened.link.object(), format);
        match content {
            Content::Event(flags) => decoder.event(payload, flags, &opened.arguments, out),
            Content::Value => decoder.value(payload, out),
        }
    }
}
