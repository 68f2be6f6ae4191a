//! All streams of one signal, fed by one registration at the robot.
//!
//! ```text
//!            first subscriber                robot answers
//!   (none) ───────────────────▶ Registering ───────────────▶ Registered
//!                                 ▲      │ refused              │
//!                    robot is back│      ▼                      │ link lost or replaced: gap
//!                               Away ◀──────────────────────────┘
//!   last subscriber leaves, from any state: unregister, (none)
//! ```

use std::{
    sync::{Arc, Weak},
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::{sync::watch, task::AbortHandle};
use tracing::{debug, warn};

use super::{
    End, EventQueue, HubKey, Hubs, Policy,
    source::{Content, Opened, Source},
};
use crate::{
    bridge::{
        BridgeError,
        service::{Link, ValueFormat},
    },
    qi::{
        session::{CallError, EventSink, SendError},
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
    /// Shared with an event on its way to them, so that no lock is held meanwhile.
    all: Arc<Vec<Arc<EventQueue>>>,
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
        Arc::make_mut(&mut queues.all).push(Arc::clone(&queue));
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
        Arc::make_mut(&mut queues.all).retain(|other| !Arc::ptr_eq(other, queue));
        if queues.all.is_empty() {
            Self::close(&mut queues);
            drop(queues);
            self.forget();
        }
    }

    /// Ends every stream, and the registration.
    pub(crate) fn end(&self, end: End) {
        let ended = {
            let mut queues = self.queues.lock();
            Self::close(&mut queues);
            std::mem::take(&mut queues.all)
        };
        // Nobody else tells those that still wait to be registered.
        self.registration.send_if_modified(|registration| {
            let told = matches!(registration, Registration::Failed(_));
            if !told {
                *registration =
                    Registration::Failed(Arc::new(self.source.after_opening(end.into())));
            }
            !told
        });
        for queue in &*ended {
            queue.end(end);
        }
    }

    /// Tells how the registration stands; gives how it stood. After the end nothing is told any
    /// more: the keeper may still run for a moment, and who waits must not wait for it again.
    fn tell(&self, registration: Registration) -> Registration {
        let queues = self.queues.lock();
        if queues.closed {
            return registration;
        }
        self.registration.send_replace(registration)
    }

    fn close(queues: &mut Queues) {
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

    fn queues(&self) -> Arc<Vec<Arc<EventQueue>>> {
        Arc::clone(&self.queues.lock().all)
    }

    /// Registers through a link; ends when the connection does.
    async fn register(self: &Arc<Self>, link: &Arc<Link>) -> Result<(), BridgeError> {
        // Aborted at any time, the registration goes before the object that it is with.
        let opened = Arc::new(self.source.open(link).await?);
        let sink = Arc::new(Feed {
            hub: Arc::clone(self),
            opened: Arc::clone(&opened),
        });
        let object = opened.link.object();
        let registered = object.subscribe(opened.signal, sink).await;
        let registration = registered.map_err(|error| self.source.after_opening(error.into()))?;
        self.tell(Registration::Registered);
        self.refresh(&opened).await;
        object.connection().closed().await;
        drop(registration);
        Ok(())
    }

    /// Asks for the value of a property, for all streams that watch it and outlived a disconnect. Its
    /// changes are registered for already, so that none is missed.
    async fn refresh(&self, opened: &Opened) {
        let object = opened.link.object();
        let mut reported = false;
        while self.queues().iter().any(|queue| queue.awaits_value()) {
            let error = match object.property(opened.signal).await {
                Ok(reply) => {
                    let mut queues = Vec::clone(&self.queues());
                    queues.retain(|queue| queue.awaits_value());
                    let came = (&reply.payload, Content::Value);
                    return self.deliver(opened, came, &queues, EventQueue::refresh);
                }
                // The registration is about to begin anew.
                Err(CallError::Lost(_) | CallError::NotSent(SendError::Closed(_))) => return,
                Err(error) => error,
            };
            if !std::mem::replace(&mut reported, true) {
                warn!(
                    object = self.source.object(),
                    property = self.source.member(),
                    %error,
                    "a watched property cannot be read, trying on"
                );
            }
            tokio::time::sleep(RETRY).await;
        }
    }

    /// Transcodes what came once for every format, and hands it to the streams.
    fn deliver(
        &self,
        opened: &Opened,
        (payload, content): (&Bytes, Content),
        queues: &[Arc<EventQueue>],
        hand: Hand,
    ) {
        let received_at = SystemTime::now();
        for format in ValueFormat::ALL {
            let wanting = |queue: &&Arc<EventQueue>| queue.policy().format == format;
            let mut wanting = queues.iter().filter(wanting).peekable();
            if wanting.peek().is_none() {
                continue;
            }
            let body = self.transcode(opened, payload, content, format);
            for queue in wanting {
                match &body {
                    Some(body) => hand(queue, body, received_at),
                    None => queue.skip(),
                }
            }
        }
    }

    /// Tells streams, and those that wait to become one, that no events come until the next registration.
    fn interrupted(&self, why: BridgeError) {
        let before = self.tell(Registration::Failed(Arc::new(why)));
        if matches!(before, Registration::Registered) {
            debug!(signal = self.source.member(), "registration lost");
            for queue in &*self.queues() {
                queue.disconnect();
            }
        }
    }

    /// Tells those that wait that there is no way to the object, unless they were told why one failed: that
    /// may have done something.
    fn away(&self) {
        if matches!(*self.registration.borrow(), Registration::Pending) {
            self.interrupted(BridgeError::Unavailable);
        }
    }

    fn transcode(
        &self,
        opened: &Opened,
        payload: &Bytes,
        content: Content,
        format: ValueFormat,
    ) -> Option<Bytes> {
        let mut body = Vec::with_capacity(payload.len());
        let decoded = self
            .source
            .decode(opened, payload, content, format, &mut body);
        match decoded {
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

/// Takes the events that come through one link: objects in them are reached through it only.
struct Feed {
    hub: Arc<Hub>,
    opened: Arc<Opened>,
}

impl EventSink for Feed {
    fn event(&self, payload: &Bytes, flags: Flags) {
        let came = (payload, Content::Event(flags));
        let queues = self.hub.queues();
        self.hub
            .deliver(&self.opened, came, &queues, EventQueue::push);
    }
}

/// How a message gets into a queue.
type Hand = fn(&EventQueue, &Bytes, SystemTime);

/// Keeps a hub registered at the robot, over disconnects, until it is aborted. Aborting drops the
/// registration, which unregisters.
async fn keep_registered(hub: Arc<Hub>) {
    let mut links = hub.source.links();
    loop {
        let link: Option<Arc<Link>> = links.borrow_and_update().clone();
        let mut retry = None;
        if let Some(link) = link {
            hub.tell(Registration::Pending);
            let registered = tokio::select! {
                registered = hub.register(&link) => registered,
                // A service may leave, or another take its place, on a connection that lives on.
                changed = links.changed() => {
                    hub.interrupted(hub.source.after_opening(BridgeError::Unavailable));
                    if changed.is_err() {
                        return hub.end(End::Changed);
                    }
                    continue;
                }
            };
            match registered {
                // Registering twice does no harm, so this is not told as a call that was lost.
                Ok(()) | Err(BridgeError::Call(CallError::Lost(_))) => {
                    hub.interrupted(hub.source.after_opening(BridgeError::Unavailable));
                }
                Err(
                    error @ (BridgeError::Unavailable
                    | BridgeError::LostAfterThrough
                    | BridgeError::Call(CallError::NotSent(SendError::Closed(_)))),
                ) => hub.interrupted(error),
                Err(error @ BridgeError::Call(CallError::NotSent(_))) => {
                    hub.interrupted(error);
                    retry = Some(RETRY);
                }
                Err(error) => {
                    hub.interrupted(error);
                    return hub.end(End::Refused);
                }
            }
        } else {
            hub.away();
        }
        let retried = async {
            match retry {
                Some(pause) => tokio::time::sleep(pause).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            changed = links.changed() => if changed.is_err() {
                return hub.end(End::Changed);
            },
            () = retried => {}
        }
    }
}

/// How long a registration waits that found the connection's limits reached, and the reading of a
/// property that failed.
const RETRY: Duration = Duration::from_secs(1);

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

#[cfg(test)]
mod tests;
