//! The handle: what a gateway holds of a robot.

use std::{sync::Arc, time::Duration};

use tokio::{sync::watch, task::JoinHandle};
use tokio_util::sync::CancellationToken;

use super::{
    Catalogue, Dynamic,
    hosting::{Hosting, HostingConfig},
    objects::ObjectTable,
    supervisor::{State, Supervisor},
};
use crate::{
    qi::{
        host::Doors,
        session::{DialOptions, Endpoint, Session},
        wire::Limits,
    },
    schema::snapshot::Snapshot,
};

/// How a robot is reached and shown.
#[derive(Clone, Debug)]
pub struct RobotConfig {
    /// The service directory.
    pub url: Endpoint,
    /// What sessions with the robot are made with. Its dispatch is replaced by that of our host.
    pub session: DialOptions,
    /// How services are hosted on the robot's bus.
    pub hosting: HostingConfig,
    /// Whether members that libqi tools hide are shown: names that begin with `_`, and those that
    /// manage objects. Default false.
    pub expose_private: bool,
    /// How long an object that a method returned is kept without being used. Default 5 minutes.
    pub object_lease: Duration,
    /// The pauses between attempts to connect: the first and the longest. Each is drawn at random
    /// from its upper half, so that many gateways do not come back at once. Default 250 ms to 15 s.
    pub backoff: (Duration, Duration),
    /// The services that the robot should have. They are shown before it is there, and their names
    /// keep their packages whatever else the robot has; what the robot itself says of them goes before it. Up to
    /// 4096 services with 32,768 members are taken. Default none.
    pub known: Snapshot,
}

impl RobotConfig {
    /// The defaults for a robot at `url`.
    #[must_use]
    pub fn new(url: Endpoint) -> Self {
        Self {
            url,
            session: DialOptions::default(),
            hosting: HostingConfig::default(),
            expose_private: false,
            object_lease: Duration::from_secs(5 * 60),
            backoff: (Duration::from_millis(250), Duration::from_secs(15)),
            known: Snapshot::default(),
        }
    }

    pub(crate) const fn limits(&self) -> Limits {
        self.session.limits.wire
    }
}

/// A robot, there or not. Ends its connections when dropped.
#[derive(Debug)]
pub struct Robot {
    state: watch::Receiver<State>,
    objects: Arc<ObjectTable>,
    dynamic: Dynamic,
    sessions: watch::Receiver<Option<Session>>,
    doors: Arc<Doors>,
    hosting: Hosting,
    stop: CancellationToken,
    supervisor: Option<JoinHandle<()>>,
}

impl Robot {
    /// Starts to connect, and goes on until the robot is dropped or shut down. The services of
    /// [`RobotConfig::known`] are in the catalogue when this returns.
    ///
    /// Must be called within a tokio runtime.
    #[must_use]
    pub fn start(mut config: RobotConfig) -> Self {
        let doors = Arc::new(config.hosting.doors());
        config.session.dispatch = doors.host().dispatch();
        let objects = Arc::new(ObjectTable::new(config.object_lease));
        let stop = CancellationToken::new();
        let (expose_private, limits) = (config.expose_private, config.limits());
        let hosting = config.hosting.clone();
        let (supervisor, state) = Supervisor::new(config, Arc::clone(&objects), Arc::clone(&doors));
        let sessions = supervisor.sessions();
        let known = Arc::clone(&objects);
        let hosting = Hosting::new(
            &hosting,
            Arc::clone(&doors),
            sessions.clone(),
            state.clone(),
            Arc::clone(&objects),
            limits,
        );
        let supervisor = tokio::spawn(supervisor.run(stop.clone()));
        Self {
            dynamic: Dynamic::new(state.clone(), known, expose_private, limits),
            state,
            objects,
            hosting,
            sessions,
            doors,
            stop,
            supervisor: Some(supervisor),
        }
    }

    /// The services that are known now.
    #[must_use]
    pub fn catalogue(&self) -> Arc<Catalogue> {
        Arc::clone(&self.state.borrow().catalogue)
    }

    /// The state now and whenever it changes.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<State> {
        self.state.clone()
    }

    /// The objects that methods returned.
    #[must_use]
    pub fn objects(&self) -> &Arc<ObjectTable> {
        &self.objects
    }

    /// The session with the robot, none while it is away. Each one is another.
    #[must_use]
    pub fn sessions(&self) -> watch::Receiver<Option<Session>> {
        self.sessions.clone()
    }

    /// What is hosted on the robot's bus, and where others reach it.
    #[must_use]
    pub const fn doors(&self) -> &Arc<Doors> {
        &self.doors
    }

    /// Hosts services of clients on the robot's bus.
    #[must_use]
    pub const fn hosting(&self) -> &Hosting {
        &self.hosting
    }

    /// Members by their names at the robot.
    #[must_use]
    pub const fn dynamic(&self) -> &Dynamic {
        &self.dynamic
    }

    /// Ends all streams, releases the objects at the robot and closes the connections.
    ///
    /// # Cancel safety
    ///
    /// Safe: the rest is done when the robot is dropped.
    pub async fn shutdown(mut self) {
        self.stop.cancel();
        if let Some(supervisor) = self.supervisor.take() {
            // It ends by itself; a panic inside of it was reported where it happened.
            let _ = supervisor.await;
        }
    }
}

impl Drop for Robot {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}
