//! Members by their names at the robot, with values of any type: what a client without generated
//! code needs.
//!
//! | module | what |
//! | --- | --- |
//! | `member` | members of one object by name, and calls with `Value`s |
//! | `overload` | which of several methods of one name is meant |
//! | `source` | signals and properties as streams |
//! | `error` | what is wrong with the names in a request |

mod error;
mod member;
mod overload;
mod source;

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use parking_lot::Mutex;
use tokio::sync::watch;

pub use self::{error::TargetError, source::ValueStream};
use self::{
    member::{AnswerDecoder, ArgumentEncoder, View},
    source::{MemberSource, Watched},
};
use super::{
    BridgeError, Service,
    borrowed::Borrowed,
    events::{EventQueue, HubKey, Hubs, Policy, source::Source},
    objects::{ObjectTable, ObjectUse, Returns},
    service::{Link, ValueFormat},
    supervisor::State,
};
use crate::{
    qi::{session::RemoteObject, value::MetaObject, wire::Limits},
    schema::{self, MemberKind},
};

/// A robot's members by name. Cloning is cheap.
#[derive(Clone, Debug)]
pub struct Dynamic {
    state: watch::Receiver<State>,
    settings: Arc<Settings>,
}

/// What a request is for.
#[derive(Clone, Debug)]
pub struct Target {
    /// The object.
    pub place: Place,
    /// The method whose result is meant instead, if any.
    pub through: Option<Through>,
}

/// An object of the robot.
#[derive(Clone, Debug)]
pub enum Place {
    /// The main object of a service, by its name on the bus.
    Service(String),
    /// An object that a method returned, by its id.
    Object(String),
}

/// A method that returns an object. It is called first, and the object released at the end.
#[derive(Clone, Debug)]
pub struct Through {
    /// The name of the method, or its full name.
    pub method: String,
    /// The arguments, each the bytes of a `qi.gateway.v1.Value`.
    pub args: Vec<Vec<u8>>,
}

#[derive(Debug)]
struct Settings {
    objects: Arc<ObjectTable>,
    expose_private: bool,
    limits: Limits,
    /// Numbers the streams that have an object of their own.
    streams: AtomicU64,
}

/// A place that was found.
struct Found {
    name: String,
    meta: Arc<MetaObject>,
    links: watch::Receiver<Option<Arc<Link>>>,
    hubs: Arc<Hubs>,
    held: Option<ObjectUse>,
}

/// An object, for as long as a call takes.
struct Reached {
    object: RemoteObject,
    name: String,
    /// Given back after the call.
    borrowed: Option<Borrowed>,
    _held: Option<ObjectUse>,
}

impl Dynamic {
    pub(super) fn new(
        state: watch::Receiver<State>,
        objects: Arc<ObjectTable>,
        expose_private: bool,
        limits: Limits,
    ) -> Self {
        Self {
            state,
            settings: Arc::new(Settings {
                objects,
                expose_private,
                limits,
                streams: AtomicU64::new(0),
            }),
        }
    }

    /// The objects that methods returned.
    #[must_use]
    pub fn objects(&self) -> &Arc<ObjectTable> {
        &self.settings.objects
    }

    /// A service by its name on the bus.
    ///
    /// # Errors
    ///
    /// [`TargetError::UnknownService`].
    pub fn service(&self, name: &str) -> Result<Arc<Service>, TargetError> {
        let state = self.state.borrow();
        let service = state.catalogue.service(name).cloned();
        service.ok_or_else(|| TargetError::UnknownService {
            name: name.to_owned(),
        })
    }

    /// What an object that a method returned says about itself: the members that are shown.
    ///
    /// # Errors
    ///
    /// [`TargetError::UnknownObject`].
    pub fn describe(&self, id: &str) -> Result<MetaObject, TargetError> {
        let held = self.settings.objects.hold(id)?;
        let mut meta = MetaObject::clone(held.object().meta());
        if !self.settings.expose_private {
            let shown = |uid, kind, name: &str| !schema::is_private(id, uid, kind, name);
            meta.methods
                .retain(|uid, method| shown(*uid, MemberKind::Method, &method.name));
            meta.signals
                .retain(|uid, signal| shown(*uid, MemberKind::Signal, &signal.name));
            meta.properties
                .retain(|uid, property| shown(*uid, MemberKind::Property, &property.name));
        }
        Ok(meta)
    }

    /// Calls a method by name; gives the content of the `qi.gateway.v1.Value` that it returned.
    /// Each argument is the bytes of one.
    ///
    /// # Errors
    ///
    /// Any [`BridgeError`].
    ///
    /// # Cancel safety
    ///
    /// Dropping the future sends the robot a Cancel for the call, and releases a borrowed object.
    pub async fn call(
        &self,
        target: &Target,
        method: &str,
        args: &[Vec<u8>],
        format: ValueFormat,
    ) -> Result<Vec<u8>, BridgeError> {
        let reached = self.reach(target).await?;
        let called = async {
            let object = &reached.object;
            let encoder = self.settings.encoder(object);
            let view = self.settings.view(&reached.name, object.meta());
            let (method, arguments) = view.method(method, args, &encoder)?;
            let returned = &method.return_signature;
            let call = arguments.call(object, method.uid);
            let objects = &self.settings.objects;
            let connection = object.connection();
            let returns = Returns::Value(returned);
            let reply = objects.returning(call, connection, returns).await?;
            let decoder = self.settings.decoder(object, format);
            decoder.result(&reply.payload, reply.flags, returned)
        };
        called.await.map_err(|error| reached.told(error))
    }

    /// Reads a property by name; gives the content of its `qi.gateway.v1.Value`.
    ///
    /// # Errors
    ///
    /// Any [`BridgeError`].
    ///
    /// # Cancel safety
    ///
    /// As [`Self::call`].
    pub async fn read_property(
        &self,
        target: &Target,
        property: &str,
        format: ValueFormat,
    ) -> Result<Vec<u8>, BridgeError> {
        let reached = self.reach(target).await?;
        let read = async {
            let object = &reached.object;
            let view = self.settings.view(&reached.name, object.meta());
            let uid = view.property(property)?.uid;
            let reply = self.settings.objects.property_of(object, uid).await?;
            self.settings
                .decoder(object, format)
                .dynamic(&reply.payload)
        };
        read.await.map_err(|error| reached.told(error))
    }

    /// Writes a property by name; the value is the bytes of a `qi.gateway.v1.Value`.
    ///
    /// # Errors
    ///
    /// Any [`BridgeError`].
    ///
    /// # Cancel safety
    ///
    /// As [`Self::call`].
    pub async fn write_property(
        &self,
        target: &Target,
        property: &str,
        value: &[u8],
    ) -> Result<(), BridgeError> {
        let reached = self.reach(target).await?;
        let written = async {
            let object = &reached.object;
            let view = self.settings.view(&reached.name, object.meta());
            let property = view.property(property)?;
            let value = self.settings.encoder(object).property(property, value)?;
            value.set_property(object, property.uid).await?;
            Ok(())
        };
        written.await.map_err(|error| reached.told(error))
    }

    /// Streams the events of a signal. Returns once the robot has accepted the subscription.
    ///
    /// # Errors
    ///
    /// Any [`BridgeError`].
    ///
    /// # Cancel safety
    ///
    /// Safe.
    pub async fn subscribe(
        &self,
        target: Target,
        signal: &str,
        policy: Policy,
    ) -> Result<ValueStream, Arc<BridgeError>> {
        self.stream(target, (Watched::Signal, signal), policy).await
    }

    /// Streams the values of a property, the current one first.
    ///
    /// # Errors
    ///
    /// Any [`BridgeError`].
    ///
    /// # Cancel safety
    ///
    /// Safe.
    pub async fn watch_property(
        &self,
        target: Target,
        property: &str,
        policy: Policy,
    ) -> Result<ValueStream, Arc<BridgeError>> {
        self.stream(target, (Watched::Property, property), policy)
            .await
    }

    async fn stream(
        &self,
        target: Target,
        (watched, member): (Watched, &str),
        policy: Policy,
    ) -> Result<ValueStream, Arc<BridgeError>> {
        let place = self.find(&target.place)?;
        place.link()?;
        let source = Arc::new(MemberSource {
            object: place.name,
            member: member.to_owned(),
            watched,
            through: target.through,
            links: place.links,
            settings: Arc::clone(&self.settings),
            found: Mutex::default(),
        });
        let key = if source.through.is_some() {
            HubKey::Own(self.settings.streams.fetch_add(1, Ordering::Relaxed))
        } else {
            let view = self.settings.view(&source.object, &place.meta);
            HubKey::Values(source.find(view)?.0)
        };
        let queue = Arc::new(match watched {
            Watched::Signal => EventQueue::new(policy),
            Watched::Property => EventQueue::held(policy),
        });
        let shared: Arc<dyn Source> = source.clone();
        let subscription = place.hubs.join(key, &queue, &shared)?;
        subscription.registered().await?;
        if watched == Watched::Property {
            let released = source.release_current(&subscription, policy.format);
            let released = released.await;
            released.map_err(|error| source.after_opening(error))?;
        }
        Ok(ValueStream::new(subscription, place.held))
    }

    fn find(&self, place: &Place) -> Result<Found, BridgeError> {
        match place {
            Place::Service(name) => {
                let service = self.service(name).map_err(|error| {
                    // Without a robot nobody knows what it has.
                    match self.state.borrow().connected {
                        true => BridgeError::from(error),
                        false => BridgeError::Unavailable,
                    }
                })?;
                Ok(Found {
                    name: name.clone(),
                    meta: Arc::clone(service.meta()),
                    links: service.links(),
                    hubs: Arc::clone(service.hubs()),
                    held: None,
                })
            }
            Place::Object(id) => {
                let held = self.settings.objects.hold(id)?;
                let object = held.object();
                Ok(Found {
                    name: id.clone(),
                    meta: Arc::clone(object.meta()),
                    links: object.links(),
                    hubs: Arc::clone(object.hubs()),
                    held: Some(held),
                })
            }
        }
    }

    async fn reach(&self, target: &Target) -> Result<Reached, BridgeError> {
        let found = self.find(&target.place)?;
        let link = found.link()?;
        let mut object = link.object().clone();
        let mut borrowed = None;
        if let Some(through) = &target.through {
            let given = self.settings.borrow(&found.name, &object, through).await?;
            object = given.object().clone();
            borrowed = Some(given);
        }
        Ok(Reached {
            object,
            name: found.name,
            borrowed,
            _held: found.held,
        })
    }
}

impl Reached {
    /// What an error is to the client, who may have had a method called before.
    fn told(&self, error: BridgeError) -> BridgeError {
        if self.borrowed.is_some() {
            error.after_through()
        } else {
            error
        }
    }
}

impl Found {
    fn link(&self) -> Result<Arc<Link>, BridgeError> {
        self.links.borrow().clone().ok_or(BridgeError::Unavailable)
    }
}

impl Settings {
    const fn view<'a>(&self, object: &'a str, meta: &'a MetaObject) -> View<'a> {
        View {
            object,
            meta,
            expose_private: self.expose_private,
        }
    }

    const fn encoder<'a>(&'a self, object: &'a RemoteObject) -> ArgumentEncoder<'a> {
        ArgumentEncoder {
            object,
            objects: &self.objects,
            limits: self.limits,
        }
    }

    fn decoder<'a>(&'a self, object: &'a RemoteObject, format: ValueFormat) -> AnswerDecoder<'a> {
        AnswerDecoder {
            object,
            objects: &self.objects,
            limits: self.limits,
            format,
        }
    }

    /// Calls the method that returns an object.
    async fn borrow(
        &self,
        name: &str,
        callee: &RemoteObject,
        through: &Through,
    ) -> Result<Borrowed, BridgeError> {
        let encoder = self.encoder(callee);
        let view = self.view(name, callee.meta());
        let found = view.method(&through.method, &through.args, &encoder);
        let (method, arguments) = found.map_err(BridgeError::in_through)?;
        let call = arguments.call(callee, method.uid);
        let (connection, returned) = (callee.connection(), &method.return_signature);
        let returns = Returns::Value(returned);
        let call = self.objects.returning(call, connection, returns);
        Borrowed::from_call(call, connection, returned, &through.method).await
    }
}

#[cfg(test)]
mod tests;
