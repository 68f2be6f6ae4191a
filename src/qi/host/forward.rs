//! Objects that forward everything to another one (protocol text, section 13).
//!
//! The address of an object holds on its connection only. Whoever passes it on has to answer for it
//! elsewhere: with the same members, each of which leads to the object itself.
//!
//! ```text
//!   peer --call--> Call --bytes, or values where objects may be in them--> origin
//!   peer <-event-- Subscribers <---- one registration as long as anyone here listens ---- origin
//! ```

use std::{
    collections::HashMap,
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Weak},
};

use bytes::Bytes;
use futures_util::future::Either;
use parking_lot::Mutex;
use tokio::{
    runtime::Handle,
    sync::{OnceCell, oneshot},
};

use super::{
    Handler, HostedObject, Method, MethodError, Threading,
    arguments::{Dialect, Reads, any_arguments, decode_arguments},
    call::Call,
    error::text,
    manage::Stats,
    object::Object,
    peer::Peer,
    runner::{Rules, Running},
    special::ToForward,
    subscribers::Subscribers,
};
use crate::qi::{
    session::{
        self, CallError, EventSink, Export, RemoteObject, RemoteSignal, Reply, SendError,
        WeakConnection, error_payload,
    },
    value::{
        MetaMethod, MetaObject, ObjectUid, Signature, Type, Value,
        codec::{DecodeContext, EncodeContext, decode, encode, encode_dynamic},
        convert::convert,
    },
    wire::{ActionId, Flags, Kind, Message, Writer},
};

/// Where the calls of a forwarding object go.
pub trait Origin: fmt::Debug + Send + Sync + 'static {
    /// The object; none once it is no more.
    fn object(&self) -> Option<RemoteObject>;
}

impl Origin for RemoteObject {
    fn object(&self) -> Option<RemoteObject> {
        Some(self.clone())
    }
}

/// Where a forwarding object gets its events from.
#[derive(Debug)]
pub(super) struct Upstream {
    /// The registrations with the origin, each for all who listen here. Dropped first: the origin
    /// must still be there.
    registered: Mutex<HashMap<ActionId, Arc<OnceCell<RemoteSignal>>>>,
    /// The methods of the calls that there are, which share them: a signature that is parsed takes a
    /// hundred times its text.
    called: Mutex<HashMap<ActionId, Weak<Method>>>,
    origin: Arc<dyn Origin>,
}

impl HostedObject {
    /// An object that answers for another one, whose meta object and identity are given: calls,
    /// properties and events are those of the other one. It is held as long as the new one.
    ///
    /// [`RemoteObject`]s that are passed on as values are forwarded so without further ado.
    #[must_use]
    pub fn forwarding(meta: Arc<MetaObject>, uid: ObjectUid, origin: Arc<dyn Origin>) -> Self {
        Self(Object::forwarding(meta, uid, origin))
    }
}

impl Object {
    /// Small, whatever the meta object: the same object may be passed on many times.
    pub(super) fn forwarding(
        meta: Arc<MetaObject>,
        uid: ObjectUid,
        origin: Arc<dyn Origin>,
    ) -> Arc<Self> {
        Arc::new(Self {
            uid,
            methods: HashMap::new(),
            meta,
            encoded_meta: None,
            properties: Vec::new(),
            subscribers: Arc::new(Subscribers::forwarded()),
            stats: Stats::default(),
            // They leave in the order of arrival; how they run is for the origin to say.
            rules: Rules {
                threading: Threading::Multi,
                ..Rules::default()
            },
            running: Running::default(),
            upstream: Some(Upstream {
                origin,
                registered: Mutex::default(),
                called: Mutex::default(),
            }),
        })
    }
}

/// Whether a method is about an object's place on a connection, which each of the two has.
const fn is_of_address(method: ActionId) -> bool {
    matches!(
        method,
        ActionId::REGISTER_EVENT
            | ActionId::UNREGISTER_EVENT
            | ActionId::META_OBJECT
            | ActionId::TERMINATE
            | ActionId::REGISTER_EVENT_WITH_SIGNATURE
    )
}

fn not_connected() -> MethodError {
    MethodError::failed(text::NOT_CONNECTED)
}

/// The origin's object; none also where the origin fails to tell.
fn object_of(origin: &dyn Origin) -> Option<RemoteObject> {
    catch_unwind(AssertUnwindSafe(|| origin.object()))
        .ok()
        .flatten()
}

/// Forwards a call as it came, if no object can be in it, before anything that comes after it. Gives
/// it back otherwise.
pub(super) fn pass_on(call: Call, origin: &dyn Origin, runtime: &Handle) -> Option<Call> {
    let (method, message) = (call.method(), call.message());
    let may_hold_objects = method.parameters_signature.ty().may_hold_objects()
        || method.return_signature.ty().may_hold_objects();
    if may_hold_objects || message.flags != Flags::NONE {
        return Some(call);
    }
    let Some(remote) = object_of(origin) else {
        call.refuse(text::NOT_CONNECTED);
        return None;
    };
    let (action, payload) = (message.address.action, message.payload.clone());
    if message.kind == Kind::Post {
        // Nobody waits for an answer, or for an error.
        let _ = remote.post(action, payload);
        return None;
    }
    let passed = remote.call(action, payload);
    // Ends with the call, which ends with its service.
    runtime.spawn(relay(call, remote, passed));
    None
}

/// Waits for the answer to a call that was passed on.
async fn relay(call: Call, remote: RemoteObject, passed: session::Call) {
    let token = call.token();
    tokio::select! {
        biased;
        // Drops the forwarded call, and so cancels it.
        () = token.cancelled() => call.cancel(),
        answer = passed => match answer {
            Ok(reply) if reply.flags == Flags::NONE => call.relay(reply.payload),
            Ok(reply) => {
                let method = call.method();
                call.finish(value_of(&remote, &reply, &method.return_signature));
            }
            Err(error) => call.finish(Err(failed(error))),
        }
    }
}

/// What the caller is told; libqi's text where the origin is away.
fn failed(error: CallError) -> MethodError {
    match error {
        CallError::Canceled => MethodError::Canceled,
        CallError::Lost(_) => not_connected(),
        CallError::NotSent(error) => match error {
            SendError::Closed(_) => not_connected(),
            error => MethodError::failed(error.to_string()),
        },
        error => MethodError::failed(error.to_string()),
    }
}

/// Forwards a call whose objects have to be passed on.
fn call_with_values(
    remote: &RemoteObject,
    action: ActionId,
    arguments: Vec<Value>,
    method: &MetaMethod,
) -> Result<session::Call, MethodError> {
    let (payload, exports) = encode_for(remote, arguments, &method.parameters_signature)?;
    let call = remote.call(action, payload);
    if !call.is_refused() {
        exports.into_iter().for_each(Export::keep);
    }
    Ok(call)
}

/// What such a call gives. The call has left: who waits for objects in its answer must be there
/// even if this is never polled.
fn result_of(
    remote: RemoteObject,
    call: session::Call,
    returns: Arc<Signature>,
) -> impl Future<Output = Result<Value, MethodError>> {
    if !returns.ty().may_hold_objects() {
        return Either::Left(async move {
            let reply = call.await.map_err(failed)?;
            value_of(&remote, &reply, &returns)
        });
    }
    let (sender, result) = oneshot::channel();
    // Ends with the call, which ends with its connection at the latest; as many are there as that
    // lets calls be pending.
    tokio::spawn(answer(call, remote, returns, sender));
    Either::Right(async move { result.await.unwrap_or_else(|_| Err(not_connected())) })
}

/// Waits for the answer even if nobody wants it any more: the objects in it must be given back.
async fn answer(
    mut call: session::Call,
    remote: RemoteObject,
    returns: Arc<Signature>,
    mut sender: oneshot::Sender<Result<Value, MethodError>>,
) {
    let answered = tokio::select! {
        answered = &mut call => answered,
        () = sender.closed() => {
            call.cancel();
            call.await
        }
    };
    let result = answered.map_err(failed);
    let result = result.and_then(|reply| value_of(&remote, &reply, &returns));
    // Objects that nobody receives are dropped, and so released.
    drop(sender.send(result));
}

/// Arguments for the origin, with the objects that are passed on in them.
fn encode_for(
    remote: &RemoteObject,
    arguments: Vec<Value>,
    parameters: &Signature,
) -> Result<(Bytes, Vec<Export>), MethodError> {
    let connection = remote.connection();
    let mut arguments = Value::Tuple(arguments);
    let exports = connection.export_all(remote.service(), &mut arguments);
    let exports = exports.map_err(|error| MethodError::failed(error.to_string()))?;
    let mut context = EncodeContext::new(connection.object_encoding(), connection.limits().wire);
    let mut writer = Writer::new();
    let encoded = match (parameters.ty(), arguments) {
        (Type::Dynamic, Value::Tuple(items)) => any_arguments(items)
            .and_then(|any| Ok(encode_dynamic(&any, &mut context, &mut writer)?)),
        (ty, arguments) => encode(&arguments, ty, &mut context, &mut writer).map_err(Into::into),
    };
    encoded.map_err(|error| MethodError::failed(error.to_string()))?;
    Ok((writer.finish(), exports))
}

/// The result in a reply, with its objects.
fn value_of(
    remote: &RemoteObject,
    reply: &Reply,
    returns: &Signature,
) -> Result<Value, MethodError> {
    let connection = remote.connection();
    let context = DecodeContext::new(connection.object_encoding(), connection.limits().wire);
    let is_dynamic = reply.flags.contains(Flags::DYNAMIC_PAYLOAD);
    let ty = match is_dynamic {
        true => &Type::Dynamic,
        false => returns.ty(),
    };
    let malformed = |error: &dyn fmt::Display| MethodError::failed(error.to_string());
    let mut value = decode(ty, &reply.payload, context).map_err(|error| malformed(&error))?;
    RemoteObject::receive_all(connection, &mut value);
    match is_dynamic {
        true => convert(&value, ty, returns.ty()).map_err(|error| malformed(&error)),
        false => Ok(value),
    }
}

/// Forwards a post to a signal: the event comes back to those who listen.
pub(super) fn post(object: &Arc<Object>, peer: &Peer, message: &Message, signature: &Signature) {
    let upstream = object.upstream.as_ref();
    let Some(remote) = upstream.and_then(|it| object_of(&*it.origin)) else {
        return;
    };
    let action = message.address.action;
    if message.flags == Flags::NONE && !signature.ty().may_hold_objects() {
        let _ = remote.post(action, message.payload.clone());
        return;
    }
    let decoded = decode_arguments(&message.payload, message.flags, signature, peer.reads());
    let encoded = decoded.map(|arguments| encode_for(&remote, arguments.values, signature));
    if let Ok(Ok((payload, exports))) = encoded
        && remote.post(action, payload).is_ok()
    {
        exports.into_iter().for_each(Export::keep);
    }
}

/// Answers a registration once it is in force with the origin, which may take a while.
pub(super) fn registered(
    object: &Arc<Object>,
    peer: &Arc<Peer>,
    registration: ToForward,
    answer: Message,
) {
    let (object, peer) = (Arc::clone(object), Arc::clone(peer));
    // Ends with the connection of the peer, and as many are there as calls may wait on it.
    peer.clone().runtime().spawn(async move {
        let Some(upstream) = &object.upstream else {
            return;
        };
        let ToForward { signal, room } = registration;
        tokio::select! {
            biased;
            () = peer.ended().cancelled() => {}
            result = upstream.register(&object, signal) => match result {
                Ok(()) => peer.answer(answer),
                Err(error) => {
                    object.subscribers.drop_signal(peer.id(), answer.address, signal);
                    let payload = error_payload(&error.to_string());
                    peer.answer(answer.answer(Kind::Error, payload));
                }
            },
        }
        drop(room);
        // Who registered may have gone meanwhile.
        upstream.release(&object.subscribers);
    });
}

impl Upstream {
    pub(super) const fn origin(&self) -> &Arc<dyn Origin> {
        &self.origin
    }

    /// A method that forwards its calls. There as long as calls hold it, not for each object in
    /// advance: nearly all methods of what is passed on are never called.
    pub(super) fn method(&self, meta: &Arc<MetaObject>, uid: ActionId) -> Option<Arc<Method>> {
        let mut called = self.called.lock();
        if let Some(method) = called.get(&uid).and_then(Weak::upgrade) {
            return Some(method);
        }
        let method = Arc::new(self.forwarding_method(meta, uid)?);
        called.retain(|_, method| method.strong_count() > 0);
        called.insert(uid, Arc::downgrade(&method));
        Some(method)
    }

    fn forwarding_method(&self, meta: &Arc<MetaObject>, uid: ActionId) -> Option<Method> {
        if is_of_address(uid) {
            return None;
        }
        let known = meta.methods.get(&uid)?;
        let (origin, meta) = (Arc::clone(&self.origin), Arc::clone(meta));
        let returns = Arc::new(known.return_signature.clone());
        let handler = Handler::future(move |arguments| {
            // Of the same meta object as above.
            let method = meta.methods.get(&uid);
            let remote = object_of(&*origin);
            let called = remote.zip(method).ok_or_else(not_connected);
            let called = called.and_then(|(remote, method)| {
                let call = call_with_values(&remote, uid, arguments, method)?;
                Ok(result_of(remote, call, Arc::clone(&returns)))
            });
            async move { called?.await }
        });
        Some(Method {
            name: known.name.clone(),
            parameters_signature: known.parameters_signature.clone(),
            return_signature: known.return_signature.clone(),
            description: String::new(),
            parameters: Vec::new(),
            return_description: String::new(),
            handler,
        })
    }

    /// Registers with a signal of the origin, unless that is done.
    async fn register(&self, object: &Arc<Object>, signal: ActionId) -> Result<(), MethodError> {
        let remote = object_of(&*self.origin).ok_or_else(not_connected)?;
        if remote.connection().is_closed() {
            // What was registered before is still noted, but nothing will come of it.
            return Err(not_connected());
        }
        let signature = match object.meta.signals.get(&signal) {
            Some(signal) => signal.signature.clone(),
            None => return Err(MethodError::failed(text::NO_SIGNAL)),
        };
        let cell = Arc::clone(self.registered.lock().entry(signal).or_default());
        let connection = remote.connection();
        let sink = Arc::new(Forwarded {
            object: Arc::downgrade(object),
            connection: connection.downgrade(),
            dialect: Dialect {
                encoding: connection.object_encoding(),
                limits: connection.limits().wire,
            },
            signal,
            signature,
        });
        let registered = cell
            .get_or_try_init(|| remote.subscribe(signal, sink))
            .await;
        registered.map(|_| ()).map_err(failed)
    }

    /// Ends the registrations that nobody listens to any more.
    pub(super) fn release(&self, subscribers: &Subscribers) {
        let unused: Vec<_> = self
            .registered
            .lock()
            .extract_if(|signal, _| !subscribers.has(*signal))
            .collect();
        drop(unused);
    }
}

/// Hands events of the origin on.
struct Forwarded {
    object: Weak<Object>,
    connection: WeakConnection,
    dialect: Dialect,
    signal: ActionId,
    signature: Signature,
}

impl EventSink for Forwarded {
    fn event(&self, payload: &Bytes, flags: Flags) {
        let Some(object) = self.object.upgrade() else {
            return;
        };
        let reads = Reads {
            dialect: self.dialect,
            connection: &self.connection,
        };
        let (subscribers, signature) = (&object.subscribers, &self.signature);
        if flags == Flags::NONE && !signature.ty().may_hold_objects() {
            return subscribers.emit_encoded(self.signal, signature, payload, reads);
        }
        let decoded = decode_arguments(payload, flags, signature, reads);
        let emitted = decoded.and_then(|arguments| {
            let emitted = subscribers.emit(self.signal, signature, arguments.values);
            emitted.map_err(|error| error.to_string())
        });
        if let Err(error) = emitted {
            tracing::debug!(signal = %self.signal, error, "a forwarded event is dropped");
        }
    }
}

#[cfg(test)]
mod tests;
