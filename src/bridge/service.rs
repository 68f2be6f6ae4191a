//! One service of a robot: its methods and its link.

use std::{collections::HashMap, sync::Arc};

use bytes::{Bytes, BytesMut};
use parking_lot::Mutex;
use tokio::sync::watch;

use super::{
    BridgeError,
    events::{End, EventQueue, Policy, Subscription, hub::Hub},
    objects::ObjectTable,
};
use crate::{
    qi::{
        session::RemoteObject,
        value::MetaObject,
        wire::{ActionId, Flags, Limits, ServiceId, Writer},
    },
    schema::{MethodSchema, Request, ServiceSchema},
    transcode::{RequestPlan, ResponseContext, ResponsePlan},
};

/// A service: what it can do, known since it was first met, and how it is reached, while it is
/// there.
#[derive(Debug)]
pub struct Service {
    schema: ServiceSchema,
    meta: Arc<MetaObject>,
    methods: Vec<Arc<Method>>,
    link: watch::Sender<Option<Arc<Link>>>,
    hubs: Mutex<HashMap<ActionId, Arc<Hub>>>,
    objects: Arc<ObjectTable>,
    limits: Limits,
}

/// The way to a service that is there.
#[derive(Debug)]
pub struct Link {
    object: RemoteObject,
}

/// A method of the generated API with its compiled plans.
#[derive(Debug)]
pub struct Method {
    schema: MethodSchema,
    /// None where the request holds options of a stream.
    request: Option<RequestPlan>,
    response: ResponsePlan,
}

/// How a client wants the values of its answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum ValueFormat {
    /// As the arm of `qi.gateway.v1.Value` that says it exactly.
    #[default]
    Exact,
    /// As JSON where the value has a JSON form.
    Json,
}

impl Link {
    pub(crate) const fn new(object: RemoteObject) -> Self {
        Self { object }
    }

    /// The service's main object.
    #[must_use]
    pub const fn object(&self) -> &RemoteObject {
        &self.object
    }
}

impl Method {
    fn new(schema: MethodSchema) -> Self {
        Self {
            request: match &schema.request {
                Request::Payload(payload) => Some(RequestPlan::compile(payload)),
                Request::Options(_) => None,
            },
            response: ResponsePlan::compile(&schema.response),
            schema,
        }
    }

    /// What the method is in the generated API and at the robot.
    #[must_use]
    pub const fn schema(&self) -> &MethodSchema {
        &self.schema
    }

    fn encode_request(&self, message: &[u8], out: &mut Writer) -> Result<(), BridgeError> {
        match &self.request {
            Some(plan) => Ok(plan.to_qi(message, out)?),
            None => Ok(()),
        }
    }
}

impl Service {
    pub(crate) fn new(
        schema: ServiceSchema,
        meta: Arc<MetaObject>,
        objects: Arc<ObjectTable>,
        limits: Limits,
    ) -> Self {
        let methods = schema.methods.iter().cloned().map(Method::new).map(Arc::new);
        Self {
            methods: methods.collect(),
            schema,
            meta,
            link: watch::Sender::new(None),
            hubs: Mutex::default(),
            objects,
            limits,
        }
    }

    /// The name on the robot's bus.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.schema.qi_name
    }

    /// The generated API.
    #[must_use]
    pub const fn schema(&self) -> &ServiceSchema {
        &self.schema
    }

    /// What the service says about itself.
    #[must_use]
    pub const fn meta(&self) -> &Arc<MetaObject> {
        &self.meta
    }

    /// The methods of the generated API.
    #[must_use]
    pub fn methods(&self) -> &[Arc<Method>] {
        &self.methods
    }

    /// Whether the service can be called now.
    #[must_use]
    pub fn is_available(&self) -> bool {
        self.link.borrow().is_some()
    }

    pub(crate) fn links(&self) -> watch::Receiver<Option<Arc<Link>>> {
        self.link.subscribe()
    }

    pub(crate) fn set_link(&self, link: Option<Link>) {
        self.link.send_replace(link.map(Arc::new));
    }

    pub(crate) fn take_link_of(&self, other: &Self) {
        self.link.send_replace(other.link.send_replace(None));
    }

    /// Takes the link away if it leads to the service of that number.
    pub(crate) fn unlink(&self, id: ServiceId) -> bool {
        self.link.send_if_modified(|link| {
            let is_meant = link.as_ref().is_some_and(|link| link.object.service() == id);
            if is_meant {
                *link = None;
            }
            is_meant
        })
    }

    /// Ends every stream: the service is replaced or the gateway shuts down.
    pub(crate) fn end_streams(&self, end: End) {
        let hubs: Vec<_> = self.hubs.lock().drain().map(|(_, hub)| hub).collect();
        for hub in hubs {
            hub.end(end);
        }
    }

    fn link(&self) -> Result<Arc<Link>, BridgeError> {
        self.link.borrow().clone().ok_or(BridgeError::Unavailable)
    }

    /// Calls a method: a request message in, a response message appended to `out`.
    ///
    /// # Errors
    ///
    /// Any [`BridgeError`].
    ///
    /// # Cancel safety
    ///
    /// Dropping the future sends the robot a Cancel for the call.
    pub async fn call(
        &self,
        method: &Method,
        message: &[u8],
        format: ValueFormat,
        out: &mut BytesMut,
    ) -> Result<(), BridgeError> {
        let mut arguments = Writer::with_capacity(message.len() + ARGUMENTS_ROOM_BYTES);
        method.encode_request(message, &mut arguments)?;
        let link = self.link()?;
        let uid = method.schema.uid;
        let reply = link.object.call(uid, arguments.finish()).await?;
        let mut context = self.context(&link, format);
        if reply.flags.contains(Flags::DYNAMIC_PAYLOAD) {
            method
                .response
                .dynamic_to_protobuf(&reply.payload, &mut context, out)?;
        } else {
            method
                .response
                .to_protobuf(&reply.payload, &mut context, out)?;
        }
        Ok(())
    }

    /// Reads a property: a response message appended to `out`.
    ///
    /// # Errors
    ///
    /// Any [`BridgeError`].
    pub async fn read_property(
        &self,
        method: &Method,
        format: ValueFormat,
        out: &mut BytesMut,
    ) -> Result<(), BridgeError> {
        let link = self.link()?;
        let value = link.object.property(method.schema.uid).await?;
        let mut context = self.context(&link, format);
        method
            .response
            .dynamic_to_protobuf(&value, &mut context, out)?;
        Ok(())
    }

    /// Writes a property. The response is an empty message.
    ///
    /// # Errors
    ///
    /// Any [`BridgeError`].
    pub async fn write_property(&self, method: &Method, message: &[u8]) -> Result<(), BridgeError> {
        let mut value = Writer::with_capacity(message.len() + ARGUMENTS_ROOM_BYTES);
        method.encode_request(message, &mut value)?;
        let link = self.link()?;
        let signature = &method.schema.signature;
        link.object
            .set_property(method.schema.uid, signature, value.as_slice())
            .await?;
        Ok(())
    }

    /// Adds a stream to a signal, or to a property whose changes are watched. `held` keeps events
    /// back until the queue is released with the current value.
    ///
    /// # Errors
    ///
    /// [`BridgeError::Unavailable`].
    pub fn subscribe(
        self: &Arc<Self>,
        method: &Arc<Method>,
        policy: Policy,
        held: bool,
    ) -> Result<Subscription, BridgeError> {
        self.link()?;
        let queue = Arc::new(if held {
            EventQueue::held(policy)
        } else {
            EventQueue::new(policy)
        });
        let uid = method.schema.uid;
        loop {
            let hub = Arc::clone(
                self.hubs
                    .lock()
                    .entry(uid)
                    .or_insert_with(|| Hub::new(self, Arc::clone(method))),
            );
            if let Some(subscription) = hub.join(Arc::clone(&queue)) {
                return Ok(subscription);
            }
            self.forget_hub(&hub);
        }
    }

    pub(crate) fn forget_hub(&self, hub: &Arc<Hub>) {
        let mut hubs = self.hubs.lock();
        if hubs.get(&hub.uid()).is_some_and(|other| Arc::ptr_eq(other, hub)) {
            hubs.remove(&hub.uid());
        }
    }

    pub(crate) fn decode_event(
        &self,
        method: &Method,
        payload: &Bytes,
        flags: Flags,
        out: &mut BytesMut,
    ) -> Result<(), BridgeError> {
        let link = self.link()?;
        let mut context = self.context(&link, ValueFormat::Exact);
        if flags.contains(Flags::DYNAMIC_PAYLOAD) {
            method
                .response
                .dynamic_to_protobuf(payload, &mut context, out)?;
        } else {
            method.response.to_protobuf(payload, &mut context, out)?;
        }
        Ok(())
    }

    fn context<'a>(&'a self, link: &'a Link, format: ValueFormat) -> ResponseContext<'a> {
        ResponseContext::new(
            link.object.connection().object_encoding(),
            self.limits,
            format == ValueFormat::Json,
        )
    }
}

/// How much longer arguments are than their protobuf form at first, in bytes: counts and sizes
/// take four bytes instead of one.
const ARGUMENTS_ROOM_BYTES: usize = 32;
