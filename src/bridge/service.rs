//! One service of a robot: its methods and its link.

use std::sync::{Arc, Weak};

use bytes::Bytes;
use tokio::sync::watch;
use tracing::debug;

use super::{
    BridgeError,
    arguments::Arguments,
    events::{
        End, EventQueue, HubKey, Hubs, Policy, Subscription,
        source::{Content, Opened, Opening, Source},
    },
    objects::{ObjectTable, Returns},
};
use crate::{
    qi::{
        session::{RemoteObject, ServiceInfo},
        value::MetaObject,
        wire::{Flags, Limits, ServiceId, Writer},
    },
    schema::{MethodSchema, Request, ServiceSchema},
    transcode::{Holds, RequestContext, RequestError, RequestPlan, ResponseContext, ResponsePlan},
};

/// A service: what it can do, known since it was first met, and how it is reached, while it is
/// there.
#[derive(Debug)]
pub struct Service {
    schema: ServiceSchema,
    meta: Arc<MetaObject>,
    methods: Vec<Arc<Method>>,
    link: watch::Sender<Option<Arc<Link>>>,
    hubs: Arc<Hubs>,
    objects: Arc<ObjectTable>,
    limits: Limits,
}

/// The way to a service that is there.
#[derive(Debug)]
pub struct Link {
    object: RemoteObject,
    /// None where the object is not a service's main object.
    registered: Option<Arc<ServiceInfo>>,
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
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum ValueFormat {
    /// As the arm of `qi.gateway.v1.Value` that says it exactly.
    #[default]
    Exact,
    /// As JSON where the value has a JSON form.
    Json,
}

impl ValueFormat {
    /// Every format.
    pub(crate) const ALL: [Self; 2] = [Self::Exact, Self::Json];
}

impl Link {
    pub(crate) const fn new(object: RemoteObject) -> Self {
        Self {
            object,
            registered: None,
        }
    }

    /// The way to the main object of a service.
    pub(crate) fn of_service(object: RemoteObject, registered: ServiceInfo) -> Self {
        Self {
            object,
            registered: Some(Arc::new(registered)),
        }
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
}

impl Service {
    pub(crate) fn new(
        schema: ServiceSchema,
        meta: Arc<MetaObject>,
        objects: Arc<ObjectTable>,
        limits: Limits,
    ) -> Self {
        let methods = schema
            .methods
            .iter()
            .cloned()
            .map(Method::new)
            .map(Arc::new);
        Self {
            methods: methods.collect(),
            schema,
            meta,
            link: watch::Sender::new(None),
            hubs: Arc::default(),
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

    /// How the bus knows the service; none while it is away.
    #[must_use]
    pub fn registered(&self) -> Option<Arc<ServiceInfo>> {
        self.link.borrow().as_ref()?.registered.clone()
    }

    pub(crate) fn links(&self) -> watch::Receiver<Option<Arc<Link>>> {
        self.link.subscribe()
    }

    pub(crate) fn set_link(&self, link: Option<Link>) {
        self.link.send_replace(link.map(Arc::new));
    }

    /// Has the link of a service that is retired next. Not taken from it, see [`Self::retire`].
    pub(crate) fn share_link_of(&self, other: &Self) {
        let link = other.link.borrow().clone();
        self.link.send_replace(link);
    }

    /// Takes the link away if it leads to the service of that number.
    pub(crate) fn unlink(&self, id: ServiceId) -> bool {
        self.link.send_if_modified(|link| {
            let is_meant = link
                .as_ref()
                .is_some_and(|link| link.object.service() == id);
            if is_meant {
                *link = None;
            }
            is_meant
        })
    }

    /// Ends every stream for good and takes the link away: the service is replaced or forgotten,
    /// or the gateway shuts down. Calls on their way go on.
    pub(crate) fn retire(&self, end: End) {
        // The reason comes first: a stream without a link would tell that the robot went away.
        self.hubs.retire(end);
        self.set_link(None);
    }

    pub(crate) const fn hubs(&self) -> &Arc<Hubs> {
        &self.hubs
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
        out: &mut Vec<u8>,
    ) -> Result<(), BridgeError> {
        let link = self.link()?;
        let arguments = self.encode(&link, method, message, RequestPlan::to_qi)?;
        let call = arguments.call(&link.object, method.schema.uid);
        let returned = method.schema.return_signature.as_ref();
        let returns = returned.map_or(Returns::Nothing, Returns::Value);
        let connection = link.object.connection();
        let reply = self.objects.returning(call, connection, returns).await?;
        self.decode(
            &link,
            method,
            &reply.payload,
            held_by(reply.flags),
            format,
            out,
        )
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
        out: &mut Vec<u8>,
    ) -> Result<(), BridgeError> {
        let link = self.link()?;
        let read = self.objects.property_of(&link.object, method.schema.uid);
        let reply = read.await?;
        self.decode(
            &link,
            method,
            &reply.payload,
            Some(Holds::Value),
            format,
            out,
        )
    }

    /// Writes a property. The response is an empty message.
    ///
    /// # Errors
    ///
    /// Any [`BridgeError`].
    pub async fn write_property(&self, method: &Method, message: &[u8]) -> Result<(), BridgeError> {
        let link = self.link()?;
        let value = self.encode(&link, method, message, RequestPlan::to_dynamic)?;
        value.set_property(&link.object, method.schema.uid).await?;
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
        let source: Arc<dyn Source> = Arc::new(Generated {
            links: self.links(),
            service: Arc::downgrade(self),
            method: Arc::clone(method),
        });
        let key = HubKey::Generated(method.schema.uid);
        self.hubs.join(key, &queue, &source)
    }

    fn encode(
        &self,
        link: &Link,
        method: &Method,
        message: &[u8],
        run: RunRequest,
    ) -> Result<Arguments, BridgeError> {
        let room = (self.limits, message.len() + ARGUMENTS_ROOM_BYTES);
        Arguments::write(
            &link.object,
            &self.objects,
            room,
            |context, out| match &method.request {
                Some(plan) => run(plan, message, context, out),
                None => Ok(()),
            },
        )
    }

    fn decode(
        &self,
        link: &Link,
        method: &Method,
        payload: &Bytes,
        holds: Option<Holds>,
        format: ValueFormat,
        out: &mut Vec<u8>,
    ) -> Result<(), BridgeError> {
        let connection = link.object.connection();
        let mut sink = self.objects.sink(connection);
        let mut context = ResponseContext::new(&mut sink, connection.object_encoding());
        context.limits = self.limits;
        context.json = format == ValueFormat::Json;
        let plan = &method.response;
        match holds {
            Some(holds) => plan.dynamic_to_protobuf(payload, holds, &mut context, out)?,
            None => plan.to_protobuf(payload, &mut context, out)?,
        }
        let replaced_strings = context.replaced_strings;
        sink.keep();
        if replaced_strings > 0 {
            debug!(
                service = self.name(),
                member = method.schema.qi_name,
                strings = replaced_strings,
                "text that is not UTF-8"
            );
        }
        Ok(())
    }
}

/// A signal of the generated API.
#[derive(Debug)]
struct Generated {
    links: watch::Receiver<Option<Arc<Link>>>,
    service: Weak<Service>,
    method: Arc<Method>,
}

impl Source for Generated {
    fn object(&self) -> &str {
        &self.method.schema.path
    }

    fn member(&self) -> &str {
        &self.method.schema.qi_name
    }

    fn links(&self) -> watch::Receiver<Option<Arc<Link>>> {
        self.links.clone()
    }

    fn open<'a>(&'a self, link: &'a Arc<Link>) -> Opening<'a> {
        let opened = Opened {
            link: Arc::clone(link),
            arguments: self.method.schema.signature.ty().clone(),
            signal: self.method.schema.uid,
            _borrowed: None,
        };
        Box::pin(std::future::ready(Ok(opened)))
    }

    fn decode(
        &self,
        opened: &Opened,
        payload: &Bytes,
        content: Content,
        format: ValueFormat,
        out: &mut Vec<u8>,
    ) -> Result<(), BridgeError> {
        let service = self.service.upgrade().ok_or(BridgeError::Unavailable)?;
        let holds = match content {
            Content::Event(flags) => flags
                .contains(Flags::DYNAMIC_PAYLOAD)
                .then_some(Holds::Arguments),
            Content::Value => Some(Holds::Value),
        };
        service.decode(&opened.link, &self.method, payload, holds, format, out)
    }
}

/// One of the ways to run a [`RequestPlan`].
type RunRequest =
    fn(&RequestPlan, &[u8], &mut RequestContext<'_>, &mut Writer) -> Result<(), RequestError>;

/// What the dynamic of a reply holds, if it is one.
fn held_by(flags: Flags) -> Option<Holds> {
    flags
        .contains(Flags::DYNAMIC_PAYLOAD)
        .then_some(Holds::Value)
}

/// How much longer arguments are than their protobuf form at first, in bytes: counts and sizes
/// take four bytes instead of one.
const ARGUMENTS_ROOM_BYTES: usize = 32;
