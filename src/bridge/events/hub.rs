//! All streams of one signal, fed by one registration at the robot.
//!
//! ```text
//!            first subscriber                robot answers
//!   (none) ───────────────────▶ Registering ───────────────▶ Registered
//!                                 ▲      │ refused              │
//!                    robot is back│      ▼                      │ connection lost: gap
//!                               Away ◀──────────────────────────┘
//!   last subscriber leaves, from any state: unregister, (none)
//! ```

use std::{
    sync::{Arc, Weak},
    time::SystemTime,
};

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::{sync::watch, task::AbortHandle};
use tracing::{debug, warn};

use super::{
    End, EventQueue, HubKey, Hubs, Policy,
    source::{Opened, Source},
};
use crate::{
    bridge::{BridgeError, service::Link},
    qi::{
        session::{EventSink, RemoteSignal},
        wire::Flags,
    },
};

/// The streams of one signal of an object.
#[derive(Debug)]
pub(crate) struct Hub {
    key: HubKey,
    owner: Weak<Hubs>,
    source: Arc<dyn Source>,
    queues: Mutex<Queues>,
    registration: watch::Sender<Registration>,
}

#[derive(Debug, Default)]
struct Queues {
    all: Vec<Arc<EventQueue>>,
    /// The last stream has left; the next one needs a new hub.
    closed: bool,
    /// Ends the task that keeps the registration.
    keeper: Option<AbortHandle>,
    /// Whether a robot that sends what it did not declare was reported.
    reported: bool,
}

/// Whether the robot sends events now.
#[derive(Clone, Debug)]
enum Registration {
    Pending,
    Registered,
    Failed(Arc<BridgeError>),
}

/// A stream's place at a signal. Leaves it when dropped; the last one unregisters at the robot.
#[derive(Debug)]
pub struct Subscription {
    hub: Arc<Hub>,
    queue: Arc<EventQueue>,
}

impl Hub {
    pub(super) fn new(key: HubKey, owner: &Arc<Hubs>, source: Arc<dyn Source>) -> Arc<Self> {
        Arc::new(Self {
            key,
            owner: Arc::downgrade(owner),
            source,
            queues: Mutex::default(),
            registration: watch::Sender::new(Registration::Pending),
        })
    }

    /// Adds a stream; none if the last one has left in the meantime.
    pub(crate) fn join(self: &Arc<Self>, queue: Arc<EventQueue>) -> Option<Subscription> {
        let mut queues = self.queues.lock();
        if queues.closed {
            return None;
        }
        queues.all.push(Arc::clone(&queue));
        if queues.keeper.is_none() {
            let keeper = tokio::spawn(keep_registered(Arc::clone(self)));
            queues.keeper = Some(keeper.abort_handle());
        }
        Some(Subscription {
            hub: Arc::clone(self),
            queue,
        })
    }

    fn leave(self: &Arc<Self>, queue: &Arc<EventQueue>) {
        let mut queues = self.queues.lock();
        queues.all.retain(|other| !Arc::ptr_eq(other, queue));
        if queues.all.is_empty() {
            self.close(&mut queues);
            drop(queues);
            self.forget();
        }
    }

    /// Ends every stream, and the registration.
    pub(crate) fn end(self: &Arc<Self>, end: End) {
        let mut queues = self.queues.lock();
        for queue in queues.all.drain(..) {
            queue.end(end);
        }
        self.close(&mut queues);
    }

    fn close(&self, queues: &mut Queues) {
        queues.closed = true;
        if let Some(keeper) = queues.keeper.take() {
            keeper.abort();
        }
    }

    fn forget(self: &Arc<Self>) {
        if let Some(owner) = self.owner.upgrade() {
            owner.forget(self);
        }
    }

    pub(super) const fn key(&self) -> HubKey {
        self.key
    }

    fn disconnected(&self) {
        for queue in &self.queues.lock().all {
            queue.disconnect();
        }
    }

    fn transcode(&self, payload: &Bytes, flags: Flags) -> Option<Bytes> {
        let mut body = Vec::with_capacity(payload.len());
        match self.source.decode(payload, flags, &mut body) {
            Ok(()) => Some(body.into()),
            Err(error) => {
                let first = !std::mem::replace(&mut self.queues.lock().reported, true);
                if first {
                    warn!(
                        object = self.source.object(),
                        signal = self.source.member(),
                        %error,
                        "events that are not what the robot declared are dropped"
                    );
                }
                None
            }
        }
    }
}

impl EventSink for Hub {
    fn event(&self, payload: &Bytes, flags: Flags) {
        let received_at = SystemTime::now();
        let body = self.transcode(payload, flags);
        for queue in &self.queues.lock().all {
            match &body {
                Some(body) => queue.push(body, received_at),
                None => queue.skip(),
            }
        }
    }
}

/// Keeps a hub registered at the robot, over disconnects, until it is aborted. Aborting drops the
/// registration, which unregisters.
async fn keep_registered(hub: Arc<Hub>) {
    let mut links = hub.source.links();
    loop {
        let link: Option<Arc<Link>> = links.borrow_and_update().clone();
        if let Some(link) = link {
            hub.registration.send_replace(Registration::Pending);
            match register(&hub, &link).await {
                Ok((opened, registration)) => {
                    hub.registration.send_replace(Registration::Registered);
                    opened.object.connection().closed().await;
                    drop(registration);
                    drop(opened);
                    hub.disconnected();
                    debug!(signal = hub.source.member(), "registration lost");
                }
                Err(refused) => {
                    if !refused.is_unavailable() {
                        hub.registration
                            .send_replace(Registration::Failed(Arc::new(refused)));
                        return hub.end(End::Refused);
                    }
                }
            }
        }
        let away = Registration::Failed(Arc::new(BridgeError::Unavailable));
        hub.registration.send_replace(away);
        if links.changed().await.is_err() {
            return hub.end(End::Changed);
        }
    }
}

/// Aborted at any time, the registration goes before the object that it is with.
async fn register(hub: &Arc<Hub>, link: &Link) -> Result<(Opened, RemoteSignal), BridgeError> {
    let opened = hub.source.open(link).await?;
    let sink: Arc<dyn EventSink> = hub.clone();
    let registration = opened.object.subscribe(opened.signal, sink).await?;
    Ok((opened, registration))
}

impl Subscription {
    /// Waits until the robot sends events.
    ///
    /// # Errors
    ///
    /// Why the robot does not.
    ///
    /// # Cancel safety
    ///
    /// Safe: the subscription stays until it is dropped.
    pub async fn registered(&self) -> Result<(), Arc<BridgeError>> {
        let mut registration = self.hub.registration.subscribe();
        loop {
            match &*registration.borrow_and_update() {
                Registration::Registered => return Ok(()),
                Registration::Failed(error) => return Err(Arc::clone(error)),
                Registration::Pending => {}
            }
            if registration.changed().await.is_err() {
                return Err(Arc::new(BridgeError::Unavailable));
            }
        }
    }

    /// The queue to read.
    #[must_use]
    pub fn queue(&self) -> &EventQueue {
        &self.queue
    }

    /// The policy that the queue has.
    #[must_use]
    pub fn policy(&self) -> &Policy {
        self.queue.policy()
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.hub.leave(&self.queue);
    }
}
