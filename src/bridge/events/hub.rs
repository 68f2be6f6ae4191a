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

use super::{End, EventQueue, Policy};
use crate::{
    bridge::{
        BridgeError,
        service::{Link, Method, Service, ValueFormat},
    },
    qi::{
        session::EventSink,
        wire::{ActionId, Flags},
    },
};

/// The streams of one signal of a service.
#[derive(Debug)]
pub(crate) struct Hub {
    service: Weak<Service>,
    method: Arc<Method>,
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
    pub(crate) fn new(service: &Arc<Service>, method: Arc<Method>) -> Arc<Self> {
        Arc::new(Self {
            service: Arc::downgrade(service),
            method,
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
        if let Some(service) = self.service.upgrade() {
            service.forget_hub(self);
        }
    }

    pub(crate) fn uid(&self) -> ActionId {
        self.method.schema().uid
    }

    fn disconnected(&self) {
        for queue in &self.queues.lock().all {
            queue.disconnect();
        }
    }

    /// Whether a stream wants its values in that format.
    fn is_wanted(&self, format: ValueFormat) -> bool {
        let queues = self.queues.lock();
        queues
            .all
            .iter()
            .any(|queue| queue.policy().format == format)
    }

    fn transcode(&self, payload: &Bytes, flags: Flags, format: ValueFormat) -> Option<Bytes> {
        let service = self.service.upgrade()?;
        let mut body = Vec::with_capacity(payload.len());
        match service.decode_event(&self.method, payload, flags, format, &mut body) {
            Ok(()) => Some(body.into()),
            Err(error) => {
                let first = !std::mem::replace(&mut self.queues.lock().reported, true);
                if first {
                    warn!(
                        service = service.name(),
                        signal = self.method.schema().qi_name,
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
        for format in ValueFormat::ALL {
            if !self.is_wanted(format) {
                continue;
            }
            let body = self.transcode(payload, flags, format);
            let queues = self.queues.lock();
            let wanting = |queue: &&Arc<EventQueue>| queue.policy().format == format;
            for queue in queues.all.iter().filter(wanting) {
                match &body {
                    Some(body) => queue.push(body, received_at),
                    None => queue.skip(),
                }
            }
        }
    }
}

/// Keeps a hub registered at the robot, over disconnects, until it is aborted. Aborting drops the
/// registration, which unregisters.
async fn keep_registered(hub: Arc<Hub>) {
    let Some(mut links) = hub.service.upgrade().map(|service| service.links()) else {
        return;
    };
    loop {
        let link: Option<Arc<Link>> = links.borrow_and_update().clone();
        if let Some(link) = link {
            hub.registration.send_replace(Registration::Pending);
            let sink: Arc<dyn EventSink> = hub.clone();
            match link.object().subscribe(hub.uid(), sink).await {
                Ok(registration) => {
                    hub.registration.send_replace(Registration::Registered);
                    link.object().connection().closed().await;
                    drop(registration);
                    hub.disconnected();
                    debug!(signal = hub.method.schema().qi_name, "registration lost");
                }
                Err(error) => {
                    let refused = BridgeError::from(error);
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
