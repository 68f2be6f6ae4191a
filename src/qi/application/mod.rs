//! A process on a robot's bus, with the conventions of libqi's applications.
//!
//! ```no_run
//! use qi_grpc_gateway::qi::{
//!     application::{Application, ApplicationOptions},
//!     host::ObjectBuilder,
//! };
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let mut args = std::env::args().collect();
//! let application = Application::start(ApplicationOptions::from_args(&mut args)?).await?;
//!
//! let object = ObjectBuilder::new().build()?;
//! let service = application.publish("MyService", &object);
//! service.registered().await?;
//!
//! let tts = application.wait_for_service("ALTextToSpeech").await?;
//! # let _ = tts;
//! # Ok(())
//! # }
//! ```
//!
//! ```text
//!   Application ── keeper: connect, wait for the end, pause, connect ... ──▶ sessions
//!        │                                                                      │
//!        └── Host ◀── calls of others                    Publication ◀──────────┘
//! ```

mod options;

use std::{net::Ipv4Addr, sync::Arc};

use tokio::{sync::watch, task::JoinHandle, time::Instant};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{
    host::{Doors, Host, HostError, HostedObject, Publication},
    session::{Backoff, ConnectError, RemoteObject, ServiceError, Session},
};

pub use options::{ApplicationOptions, OptionError};

/// A process on a bus: it connects, connects again whenever the connection is lost, and hosts
/// services. It ends with [`Self::close`], or when it is dropped.
#[derive(Debug)]
pub struct Application {
    host: Arc<Host>,
    failures: watch::Receiver<Option<ConnectError>>,
    sessions: watch::Receiver<Option<Session>>,
    _end: DropGuard,
    keeper: JoinHandle<()>,
}

impl Application {
    /// Listens where `options` say, and begins to connect; it does not wait for the directory.
    ///
    /// Must be called within a tokio runtime.
    ///
    /// # Errors
    ///
    /// [`HostError`], when one of the addresses cannot be listened on.
    ///
    /// # Cancel safety
    ///
    /// Safe: nothing is left of it.
    pub async fn start(options: ApplicationOptions) -> Result<Self, HostError> {
        let host = Arc::new(Host::new(options.host.clone()));
        let doors = Doors::new(Arc::clone(&host), options.listen.clone());
        doors.open().await?;
        let (failure, failures) = watch::channel(None);
        let (session, sessions) = watch::channel(None);
        let end = CancellationToken::new();
        let keeper = Keeper {
            options,
            doors,
            session,
            failure,
        };
        let keeper = keeper.run(end.clone());
        Ok(Self {
            host,
            failures,
            sessions,
            _end: end.drop_guard(),
            // Ends with `end`.
            keeper: tokio::spawn(keeper),
        })
    }

    /// The session with the bus, whichever it is; none while the directory is away.
    #[must_use]
    pub fn sessions(&self) -> watch::Receiver<Option<Session>> {
        self.sessions.clone()
    }

    /// The session, as soon as there is one.
    ///
    /// # Cancel safety
    ///
    /// Safe.
    pub async fn session(&self) -> Session {
        let mut sessions = self.sessions.clone();
        let is_open =
            |session: &Option<Session>| session.as_ref().is_some_and(|known| !known.is_closed());
        let found = sessions.wait_for(is_open).await;
        match found.ok().and_then(|session| session.clone()) {
            Some(session) => session,
            // The keeper ends only with the runtime.
            None => std::future::pending().await,
        }
    }

    /// Why the last attempt to connect failed; none while there is a session.
    #[must_use]
    pub fn failure(&self) -> Option<ConnectError> {
        self.failures.borrow().clone()
    }

    /// The main object of a service, as soon as it is there: over as many sessions as it takes,
    /// and without end for one that never comes. Best called again at each use: while the service
    /// lives, the object is at hand.
    ///
    /// # Errors
    ///
    /// [`ServiceError`], when it is there but cannot be used.
    ///
    /// # Cancel safety
    ///
    /// Safe.
    pub async fn wait_for_service(&self, name: &str) -> Result<RemoteObject, ServiceError> {
        loop {
            let session = self.session().await;
            let found = session.wait_for_service(name).await;
            if found.is_ok() || !session.is_closed() {
                return found;
            }
        }
    }

    /// Keeps an object on the bus as the service `name`, over all sessions, until the publication
    /// is dropped.
    pub fn publish(&self, name: &str, object: &HostedObject) -> Publication {
        self.host.publish(self.sessions(), name, object)
    }

    /// What serves the services of the application.
    #[must_use]
    pub fn host(&self) -> &Host {
        &self.host
    }

    /// Leaves the bus, with all services.
    ///
    /// # Cancel safety
    ///
    /// The application leaves all the same.
    pub async fn close(self) {
        let Self {
            host, _end, keeper, ..
        } = self;
        drop(host);
        drop(_end);
        // It fails only at the end of the runtime.
        let _ = keeper.await;
    }
}

/// Keeps the session up.
struct Keeper {
    options: ApplicationOptions,
    doors: Doors,
    session: watch::Sender<Option<Session>>,
    failure: watch::Sender<Option<ConnectError>>,
}

impl Keeper {
    async fn run(mut self, end: CancellationToken) {
        self.options.dial.dispatch = self.doors.host().dispatch();
        tokio::select! {
            biased;
            () = end.cancelled() => {}
            () = self.keep_connected() => {}
        }
        if let Some(session) = self.session.send_replace(None) {
            session.close();
        }
    }

    async fn keep_connected(&mut self) {
        let mut backoff = Backoff::new(self.options.backoff);
        loop {
            match Session::connect(&self.options.url, self.options.dial.clone()).await {
                Ok(session) => {
                    let since = Instant::now();
                    self.follow(session).await;
                    backoff.lasted(since.elapsed());
                }
                Err(error) => self.report(error),
            }
            backoff.pause().await;
        }
    }

    async fn follow(&mut self, session: Session) {
        if let (Some(token), Some(known)) =
            (session.new_token(), &mut self.options.dial.credentials)
        {
            token.clone_into(&mut known.token);
        }
        let ours = match session.is_local() {
            true => Ipv4Addr::LOCALHOST.into(),
            false => session.local_address(),
        };
        // The directory itself can reach us in any case, over our connection.
        if let Err(error) = self.doors.follow(ours) {
            tracing::warn!(%error, "others may not reach our services");
        }
        self.failure.send_replace(None);
        tracing::info!(url = %self.options.url, "connected");
        self.session.send_replace(Some(session.clone()));
        let reason = session.closed().await;
        tracing::warn!(url = %self.options.url, %reason, "the connection to the bus was lost");
        self.session.send_replace(None);
    }

    /// Once a reason: a robot may be off for days.
    fn report(&self, error: ConnectError) {
        let is_known = |known: &ConnectError| known.to_string() == error.to_string();
        if !self.failure.borrow().as_ref().is_some_and(is_known) {
            tracing::warn!(%error, "the bus cannot be reached, trying on");
        }
        self.failure.send_replace(Some(error));
    }
}

#[cfg(test)]
mod tests;
