//! Objects to be hosted.

use std::{collections::HashMap, sync::Arc, time::Duration};

use bytes::Bytes;
use tokio::runtime::Handle;

use super::{
    BuildError, Method, PropertyHandle, SignalHandle, ValueError,
    forward::Upstream,
    manage::{self, Stats},
    method::{arguments_signature, signature},
    property::{OnSet, Property},
    resources::Resources,
    runner::{Rules, Runner, Running},
    special,
    subscribers::Subscribers,
};
use crate::qi::{
    session::ConnectionId,
    value::{
        AsObject, LiveObject, MetaMethod, MetaObject, MetaProperty, MetaSignal, ObjectUid,
        Signature, Value, codec::encode_meta_object,
    },
    wire::{ActionId, Address, TooLong, Writer},
};

/// How the calls of an object run.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Threading {
    /// One after the other, in the order of arrival, whoever calls. The default, as in libqi. A call
    /// waits for its turn without limit, as in libqi 4, unless there is an
    /// [`ObjectBuilder::lock_timeout`].
    #[default]
    Single,
    /// At the same time.
    Multi,
}

/// Puts an object together, member by member; members are numbered in that order.
#[derive(Debug, Default)]
pub struct ObjectBuilder {
    meta: MetaObject,
    methods: HashMap<ActionId, Arc<Method>>,
    properties: Vec<Arc<Property>>,
    subscribers: Arc<Subscribers>,
    rules: Rules,
    members: u32,
}

/// An object that can be registered as a service, and given to others as a [`Value`]: returned by
/// methods, emitted, passed as an argument. Cloning is cheap and gives the same object.
#[derive(Clone, Debug)]
pub struct HostedObject(pub(super) Arc<Object>);

#[derive(Debug)]
pub(super) struct Object {
    pub(super) uid: ObjectUid,
    pub(super) meta: Arc<MetaObject>,
    /// The answer of metaObject; none where it is made when it is asked for.
    pub(super) encoded_meta: Option<Bytes>,
    /// Its own; see [`Self::method`].
    pub(super) methods: HashMap<ActionId, Arc<Method>>,
    /// In the order of their numbers.
    pub(super) properties: Vec<Arc<Property>>,
    pub(super) subscribers: Arc<Subscribers>,
    pub(super) stats: Stats,
    pub(super) rules: Rules,
    pub(super) running: Running,
    /// Where the events come from, if it forwards another object.
    pub(super) upstream: Option<Upstream>,
}

impl Object {
    /// What runs its calls, under whatever number they come.
    pub(super) fn runner(&self, resources: &Resources, runtime: &Handle) -> Arc<Runner> {
        let start = || Runner::start(&self.rules, resources, runtime);
        self.running.get_or(start)
    }

    /// What runs when a method is called.
    pub(super) fn method(&self, uid: ActionId) -> Option<Arc<Method>> {
        match &self.upstream {
            Some(upstream) => upstream.method(&self.meta, uid),
            None => self.methods.get(&uid).cloned(),
        }
    }

    /// The answer of metaObject.
    pub(super) fn encoded_meta(&self) -> Result<Bytes, TooLong> {
        match &self.encoded_meta {
            Some(encoded) => Ok(encoded.clone()),
            None => encoded(&self.meta),
        }
    }

    /// Ends a registration; see [`Subscribers::unregister`].
    pub(super) fn unregister(
        &self,
        id: ConnectionId,
        address: Address,
        link: u64,
        first: u32,
    ) -> Result<(), String> {
        self.subscribers.unregister(id, address, link, first)?;
        self.release_upstream();
        Ok(())
    }

    /// Ends all registrations of a connection that is over.
    pub(super) fn forget(&self, id: ConnectionId) {
        self.subscribers.forget(id);
        self.release_upstream();
    }

    /// Ends the registrations with the object at an address that is no more: those of one
    /// connection, or of all.
    pub(super) fn leave(&self, id: Option<ConnectionId>, address: Address) {
        self.subscribers.leave(id, address);
        self.release_upstream();
    }

    /// Nobody needs to hear what nobody here wants to.
    fn release_upstream(&self) {
        if let Some(upstream) = &self.upstream {
            upstream.release(&self.subscribers);
        }
    }
}

impl AsObject for Object {
    fn meta(&self) -> &Arc<MetaObject> {
        &self.meta
    }

    fn uid(&self) -> ObjectUid {
        self.uid
    }
}

impl From<HostedObject> for Value {
    fn from(object: HostedObject) -> Self {
        LiveObject::new(object.0).into()
    }
}

impl ObjectBuilder {
    /// An object without members of its own; its calls run one after the other.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Says what the object is for.
    pub fn description(&mut self, text: &str) -> &mut Self {
        text.clone_into(&mut self.meta.description);
        self
    }

    /// Says how its calls run.
    pub const fn threading(&mut self, threading: Threading) -> &mut Self {
        self.rules.threading = threading;
        self
    }

    /// Lets fewer calls wait or run than [`super::HostLimits::calls_per_service`]; others fail.
    pub const fn max_calls(&mut self, calls: usize) -> &mut Self {
        self.rules.max_calls = Some(calls);
        self
    }

    /// Lets a call of a single-threaded object wait at most that long for its turn; its caller then
    /// gets the error `Time-out acquiring lock. Deadlock?`. Default without end, as libqi 4; libqi
    /// before gave up after 30 s.
    pub const fn lock_timeout(&mut self, time: Duration) -> &mut Self {
        self.rules.lock_timeout = Some(time);
        self
    }

    /// Adds a method. Several may have one name if they differ in their parameters.
    ///
    /// # Errors
    ///
    /// [`BuildError::Duplicate`].
    pub fn method(&mut self, method: Method) -> Result<&mut Self, BuildError> {
        let same = |known: &MetaMethod| {
            known.name == method.name && known.parameters_signature == method.parameters_signature
        };
        if self.meta.methods.values().any(same) {
            return Err(duplicate(&method.name));
        }
        let uid = self.next_uid();
        let meta = MetaMethod {
            uid,
            return_signature: method.return_signature.clone(),
            name: method.name.clone(),
            parameters_signature: method.parameters_signature.clone(),
            description: method.description.clone(),
            parameters: method.parameters.clone(),
            return_description: method.return_description.clone(),
        };
        self.meta.methods.insert(uid, meta);
        self.methods.insert(uid, Arc::new(method));
        Ok(self)
    }

    /// Adds a signal that emits `arguments`, a tuple such as `(is)` or `m` for anything.
    ///
    /// # Errors
    ///
    /// [`BuildError::Signature`], [`BuildError::NotArguments`], [`BuildError::Duplicate`].
    pub fn signal(&mut self, name: &str, arguments: &str) -> Result<SignalHandle, BuildError> {
        let signature = arguments_signature(name, arguments)?;
        let uid = self.add_signal(name, signature.clone())?;
        Ok(SignalHandle {
            uid,
            signature,
            subscribers: Arc::clone(&self.subscribers),
        })
    }

    /// Adds a property of type `ty` with its first value.
    ///
    /// # Errors
    ///
    /// [`BuildError::Signature`], [`BuildError::Value`], [`BuildError::Duplicate`].
    pub fn property(
        &mut self,
        name: &str,
        ty: &str,
        value: Value,
    ) -> Result<PropertyHandle, BuildError> {
        self.add_property(name, ty, value, None)
    }

    /// Like [`Self::property`]; `on_set` is told each value that others set it to, after it is in
    /// force, one after the other. It is called on the task that reads their connection, so it must
    /// not block. Whoever sets a value at which it panics gets an error.
    ///
    /// # Errors
    ///
    /// The same.
    pub fn property_with(
        &mut self,
        name: &str,
        ty: &str,
        value: Value,
        on_set: impl Fn(&Value) + Send + Sync + 'static,
    ) -> Result<PropertyHandle, BuildError> {
        self.add_property(name, ty, value, Some(Box::new(on_set)))
    }

    fn add_property(
        &mut self,
        name: &str,
        ty: &str,
        value: Value,
        on_set: Option<OnSet>,
    ) -> Result<PropertyHandle, BuildError> {
        let signature = signature(name, ty)?;
        let subscribers = Arc::clone(&self.subscribers);
        let uid = ActionId(ActionId::FIRST_OWN.0.saturating_add(self.members));
        let wrong = |source: ValueError| BuildError::Value {
            name: name.to_owned(),
            source,
        };
        let property = Property::new(uid, name, signature.clone(), value, on_set, subscribers)
            .map_err(wrong)?;
        // Every property is a signal too (section 11).
        self.add_signal(name, property.changes.clone())?;
        let meta = MetaProperty {
            uid,
            name: name.to_owned(),
            signature,
        };
        self.meta.properties.insert(uid, meta);
        let property = Arc::new(property);
        self.properties.push(Arc::clone(&property));
        Ok(PropertyHandle(property))
    }

    fn add_signal(&mut self, name: &str, signature: Signature) -> Result<ActionId, BuildError> {
        if self.meta.signal(name).is_some() {
            return Err(duplicate(name));
        }
        let uid = self.next_uid();
        let signal = MetaSignal {
            uid,
            name: name.to_owned(),
            signature,
        };
        self.meta.signals.insert(uid, signal);
        Ok(uid)
    }

    /// Memory ends long before the numbers do.
    const fn next_uid(&mut self) -> ActionId {
        let uid = ActionId(ActionId::FIRST_OWN.0.saturating_add(self.members));
        self.members = self.members.saturating_add(1);
        uid
    }

    /// The finished object.
    ///
    /// # Errors
    ///
    /// [`BuildError::Signature`], [`BuildError::TooLong`].
    pub fn build(mut self) -> Result<HostedObject, BuildError> {
        for method in special::methods()? {
            self.meta.methods.insert(method.uid, method);
        }
        let trace = manage::trace_signal()?;
        self.meta.signals.insert(trace.uid, trace);
        let encoded_meta = encoded(&self.meta)?;
        Ok(HostedObject(Arc::new(Object {
            uid: ObjectUid(rand::random()),
            meta: Arc::new(self.meta),
            encoded_meta: Some(encoded_meta),
            methods: self.methods,
            properties: self.properties,
            subscribers: self.subscribers,
            stats: Stats::default(),
            rules: self.rules,
            running: Running::default(),
            upstream: None,
        })))
    }
}

impl HostedObject {
    /// What the object says about itself, the members of every object included.
    #[must_use]
    pub fn meta(&self) -> &MetaObject {
        &self.0.meta
    }

    /// Its identity, which proxies of it share (section 8).
    #[must_use]
    pub fn uid(&self) -> ObjectUid {
        self.0.uid
    }
}

fn encoded(meta: &MetaObject) -> Result<Bytes, TooLong> {
    let mut writer = Writer::new();
    encode_meta_object(meta, &mut writer)?;
    Ok(writer.finish())
}

fn duplicate(name: &str) -> BuildError {
    BuildError::Duplicate {
        name: name.to_owned(),
    }
}
