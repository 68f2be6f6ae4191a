//! The handle of a connection.

use std::{
    collections::HashMap,
    fmt,
    sync::{
        Arc, Weak,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
};

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::watch,
};

use super::{
    Call, Capabilities, CloseReason, ConnectionId, ConnectionLimits, Dispatch, EventSink,
    SendError,
    driver::Driver,
    framed::Framed,
    metas::SharedMetas,
    signal::Registration,
    state::{RouteId, State},
};
use crate::qi::{
    value::ObjectEncoding,
    wire::{ActionId, Address, Flags, Kind, Message, ObjectId, ServiceId},
};

/// A connection after authentication, on which both sides may call. Cloning is cheap.
///
/// It ends with [`Self::close`], or when its last clone is dropped; [`Call`]s and subscriptions
/// hold clones. What is queued then still leaves, for at most a second.
#[derive(Clone)]
pub struct Connection(Arc<Handle>);

/// A connection that may be over, for those who only answer on it.
#[derive(Clone)]
pub struct WeakConnection(Weak<Handle>);

impl WeakConnection {
    /// The connection, unless nobody has it any more.
    #[must_use]
    pub fn upgrade(&self) -> Option<Connection> {
        Connection::from_weak(&self.0)
    }
}

impl fmt::Debug for WeakConnection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("WeakConnection")
            .field(&self.upgrade())
            .finish()
    }
}

/// Closes the connection when nobody has it any more. The driver holds it weakly.
pub(super) struct Handle {
    shared: Arc<Shared>,
}

/// What handles and driver share.
pub(super) struct Shared {
    pub(super) state: Mutex<State>,
    pub(super) closed: watch::Sender<Option<CloseReason>>,
    pub(super) id: ConnectionId,
    capabilities: Capabilities,
    limits: ConnectionLimits,
    dispatch: Arc<dyn Dispatch>,
    next_link: AtomicU32,
    pub(super) registrations: Mutex<HashMap<Address, Weak<Registration>>>,
    metas: SharedMetas,
}

/// How a connection starts.
pub struct ConnectionOptions {
    /// What both sides can do; [`Capabilities::shared`].
    pub capabilities: Capabilities,
    /// What it accepts.
    pub limits: ConnectionLimits,
    /// Who gets the calls of the peer.
    pub dispatch: Arc<dyn Dispatch>,
}

impl Connection {
    /// Goes on with a stream on which authentication is done, on a task of its own.
    ///
    /// Must be called within a tokio runtime.
    #[must_use]
    pub fn start<IO>(framed: Framed<IO>, options: ConnectionOptions) -> Self
    where
        IO: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let ConnectionOptions {
            capabilities,
            limits,
            dispatch,
        } = options;
        let (io, decoder, next_id) = framed.into_parts();
        let shared = Arc::new(Shared {
            state: Mutex::new(State::new(capabilities, limits, next_id)),
            closed: watch::Sender::new(None),
            id: ConnectionId(NEXT_ID.fetch_add(1, Ordering::Relaxed)),
            capabilities,
            limits,
            dispatch: Arc::clone(&dispatch),
            next_link: AtomicU32::new(1),
            registrations: Mutex::default(),
            metas: SharedMetas::default(),
        });
        let handle = Arc::new(Handle {
            shared: shared.clone(),
        });
        let driver = Driver::new(io, decoder, shared, Arc::downgrade(&handle), dispatch);
        // Owned by the handle, whose end ends it.
        tokio::spawn(driver.run());
        Self(handle)
    }

    /// A handle that does not keep the connection open.
    #[must_use]
    pub fn downgrade(&self) -> WeakConnection {
        WeakConnection(Arc::downgrade(&self.0))
    }

    pub(super) fn from_weak(handle: &Weak<Handle>) -> Option<Self> {
        handle.upgrade().map(Self)
    }

    fn shared(&self) -> &Shared {
        &self.0.shared
    }

    /// Calls `address` with encoded arguments.
    ///
    /// The call is registered and queued at once, before the future is polled. Dropping the future
    /// before the answer forgets the call and asks the peer to cancel it, where the peer can.
    pub fn call(&self, address: Address, payload: Bytes) -> Call {
        self.call_with(address, Flags::NONE, payload)
    }

    /// Like [`Self::call`], with flags (section 4): to be used only towards a peer with
    /// [`Capabilities::message_flags`].
    pub fn call_with(&self, address: Address, flags: Flags, payload: Bytes) -> Call {
        let queued = self.with_state(|state| state.call(address, flags, payload));
        Call::new(self.clone(), queued)
    }

    /// Gives something back to the peer that it would keep otherwise, such as an object or a
    /// registration: with a post, or a call whose answer nobody asks for.
    ///
    /// Like an answer it is never dropped while the connection lives, see [`Self::answer`]. So it is
    /// for small messages only, one for each thing that is held.
    ///
    /// # Errors
    ///
    /// [`SendError`]. Once the connection is closed, the peer forgets what it gave.
    pub fn release(&self, kind: Kind, address: Address, payload: Bytes) -> Result<(), SendError> {
        self.with_state(|state| state.release(kind, address, payload))
    }

    /// Posts to `address`: no answer will come, whatever happens there (section 12.2).
    ///
    /// # Errors
    ///
    /// [`SendError`].
    pub fn post(&self, address: Address, payload: Bytes) -> Result<(), SendError> {
        self.send(Kind::Post, address, Flags::NONE, payload)
    }

    /// Sends an event of an object that this side hosts to the peer.
    ///
    /// # Errors
    ///
    /// [`SendError`]; with [`SendError::QueueFull`] this event is lost for a peer that does not
    /// keep up.
    pub fn emit(&self, address: Address, flags: Flags, payload: Bytes) -> Result<(), SendError> {
        self.send(Kind::Event, address, flags, payload)
    }

    /// Sends a message of any kind under an id of its own.
    ///
    /// # Errors
    ///
    /// [`SendError`].
    pub fn send(
        &self,
        kind: Kind,
        address: Address,
        flags: Flags,
        payload: Bytes,
    ) -> Result<(), SendError> {
        self.with_state(|state| state.send(kind, address, flags, payload))
    }

    /// Answers a call of the peer, best with [`Message::answer`].
    ///
    /// An answer never waits and is never dropped while the connection lives: a peer that leaves
    /// twice [`ConnectionLimits::outgoing_bytes`] unread is closed, with [`CloseReason::Unread`].
    /// An answer that is itself too large for a message becomes an error that says so.
    pub fn answer(&self, message: Message) {
        self.with_state(|state| {
            let (id, address) = (message.id, message.address);
            if let Err(error @ SendError::TooLarge { .. }) = state.answer(message) {
                let payload = super::error_payload(&error.to_string());
                let _ = state.answer(Message::new(Kind::Error, id, address, payload));
            }
        });
    }

    /// Hands the events of a signal to `sink`, from now until the subscription is dropped.
    ///
    /// This is only the local route; [`super::RemoteSignal`] also registers with the object.
    pub fn subscribe(
        &self,
        service: ServiceId,
        object: ObjectId,
        signal: ActionId,
        sink: Arc<dyn EventSink>,
    ) -> Subscription {
        let address = Address::new(service, object, signal);
        let route = self.shared().state.lock().subscribe(address, sink);
        let route = match route {
            Ok(route) => Some(route),
            Err(sink) => {
                sink.closed();
                None
            }
        };
        Subscription {
            connection: self.clone(),
            address,
            route,
        }
    }

    /// What both sides can do.
    #[must_use]
    pub fn capabilities(&self) -> &Capabilities {
        &self.shared().capabilities
    }

    /// How objects are encoded on this connection.
    #[must_use]
    pub fn object_encoding(&self) -> ObjectEncoding {
        self.shared().capabilities.object_encoding()
    }

    /// What it accepts.
    #[must_use]
    pub fn limits(&self) -> &ConnectionLimits {
        &self.shared().limits
    }

    /// Tells it apart from other connections.
    #[must_use]
    pub fn id(&self) -> ConnectionId {
        self.shared().id
    }

    /// Whether nothing can be sent any more.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.shared().state.lock().closing().is_some()
    }

    /// Waits for the end of the connection.
    ///
    /// # Cancel safety
    ///
    /// Safe.
    pub async fn closed(&self) -> CloseReason {
        let mut closed = self.shared().closed.subscribe();
        match closed.wait_for(Option::is_some).await {
            Ok(reason) => reason.clone().unwrap_or(CloseReason::Local),
            Err(_) => CloseReason::Local,
        }
    }

    /// Ends the connection once what is queued has left, for which it has a second.
    pub fn close(&self) {
        self.shared().close();
    }

    /// How many calls wait for an answer.
    #[must_use]
    pub fn pending_calls(&self) -> usize {
        self.shared().state.lock().pending()
    }

    /// A number for registering with a signal; unique on this connection.
    pub(super) fn next_link(&self) -> u32 {
        self.shared().next_link.fetch_add(1, Ordering::Relaxed)
    }

    /// Who gets the calls of the peer.
    pub(super) fn dispatch(&self) -> &Arc<dyn Dispatch> {
        &self.shared().dispatch
    }

    pub(super) fn registrations(&self) -> &Mutex<HashMap<Address, Weak<Registration>>> {
        &self.shared().registrations
    }

    pub(super) fn metas(&self) -> &SharedMetas {
        &self.shared().metas
    }

    pub(super) fn state(&self) -> &Mutex<State> {
        &self.shared().state
    }

    /// Runs `change` and wakes the driver if there is something to do for it.
    pub(super) fn with_state<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        self.shared().with_state(change)
    }
}

impl Shared {
    fn close(&self) {
        self.with_state(|state| state.close(CloseReason::Local));
    }

    fn with_state<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let (result, waker) = {
            let mut state = self.state.lock();
            let result = change(&mut state);
            (result, state.wake_driver())
        };
        if let Some(waker) = waker {
            waker.wake();
        }
        result
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.shared.close();
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("id", &self.id().0)
            .field("pending_calls", &self.pending_calls())
            .field("closed", &self.is_closed())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for ConnectionOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConnectionOptions")
            .field("capabilities", &self.capabilities)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

/// A local event route, ended by dropping it.
#[derive(Debug)]
#[must_use = "dropping it ends the subscription"]
pub struct Subscription {
    connection: Connection,
    address: Address,
    /// None when the connection was over from the beginning.
    route: Option<RouteId>,
}

impl Drop for Subscription {
    fn drop(&mut self) {
        if let Some(route) = self.route {
            let unsubscribe = |state: &mut State| state.unsubscribe(self.address, route);
            // Dropped here, outside of the lock: a sink may own what comes back for it.
            drop(self.connection.with_state(unsubscribe));
        }
    }
}

/// Only for telling connections apart, in logs and maps.
static NEXT_ID: AtomicU64 = AtomicU64::new(1);
