//! Keeps the session, the catalogue and the links up. What a snapshot tells is known from the start.
//!
//! ```text
//!            connected                     all services linked or failed once
//!   Away ───────────────▶ list, link each ─────────────────────────────────▶ Ready ──┐
//!    ▲                                                                        │      │ services come,
//!    │              the connection to the directory is lost                   │      │ go, fail, return
//!    └────────────────────────────────────────────────────────────────────────┘◀─────┘
//! ```

use std::{collections::BTreeMap, pin::pin, sync::Arc, time::Duration};

use tokio::{
    sync::{mpsc, watch},
    time::{Instant, sleep_until, timeout},
};
use tokio_util::sync::CancellationToken;
use tracing::{Instrument as _, debug, info, info_span, warn};

use super::{
    Catalogue, RobotConfig, Service,
    events::End,
    expected::{Expected, tell_difference},
    known::{Known, MAX_MEMBERS},
    links::{LinkEvent, Links},
    objects::ObjectTable,
    service::Link,
};
use crate::{
    qi::{
        host::Doors,
        session::{Backoff, CallError, DirectoryChange, RemoteObject, ServiceInfo, Session},
        value::MetaObject,
        wire::ServiceId,
    },
    schema::{self, SchemaOptions, ServiceSchema},
};

/// A robot's services, and whether the robot is there.
#[derive(Clone, Debug, Default)]
pub struct State {
    /// Whether there is a connection to the service directory and its services were listed.
    pub connected: bool,
    /// The services that are known.
    pub catalogue: Arc<Catalogue>,
}

pub(crate) struct Supervisor {
    config: Arc<RobotConfig>,
    objects: Arc<ObjectTable>,
    state: watch::Sender<State>,
    sessions: watch::Sender<Option<Session>>,
    doors: Arc<Doors>,
    known: Known,
    expected: Expected,
}

/// Why the services of a robot are not known.
#[derive(Debug, thiserror::Error)]
enum ListError {
    #[error(transparent)]
    Call(#[from] CallError),
    #[error("the service directory does not answer")]
    TimedOut,
}

/// All services that the directory lists.
async fn list(session: &Session) -> Result<Vec<ServiceInfo>, ListError> {
    timeout(LIST_TIMEOUT, session.services())
        .await
        .map_err(|_| ListError::TimedOut)?
        .map_err(ListError::from)
}

/// How long the directory may take to list its services. It answers within milliseconds; one that
/// hangs is left and connected to again.
const LIST_TIMEOUT: Duration = Duration::from_secs(10);

/// How long the others wait at the start for services that do not answer. A whole NAO is linked
/// in under a second.
const START_PATIENCE: Duration = Duration::from_secs(3);

/// How many messages of the tasks of services may wait; they wait when it is full.
const LINK_EVENTS: usize = 64;

fn warn_no_room(service: &str) {
    warn!(
        service,
        limit = MAX_MEMBERS,
        "too many services or members, the service is left out"
    );
}

impl Supervisor {
    pub(crate) fn new(
        mut config: RobotConfig,
        objects: Arc<ObjectTable>,
        doors: Arc<Doors>,
    ) -> (Self, watch::Receiver<State>) {
        let (state, receiver) = watch::channel(State::default());
        let snapshot = std::mem::take(&mut config.known);
        let mut supervisor = Self {
            config: Arc::new(config),
            objects,
            state,
            sessions: watch::channel(None).0,
            doors,
            known: Known::default(),
            expected: Expected::new(&snapshot),
        };
        supervisor.expect(snapshot.into_services());
        (supervisor, receiver)
    }

    /// The session, none while the robot is away.
    pub(crate) fn sessions(&self) -> watch::Receiver<Option<Session>> {
        self.sessions.subscribe()
    }

    /// Makes services known that are expected, and publishes them.
    fn expect(&mut self, services: BTreeMap<String, MetaObject>) {
        if services.is_empty() {
            return;
        }
        let packages = schema::packages(self.expected.names(), []);
        for (name, meta) in services {
            let Some(package) = packages.get(&name) else {
                continue;
            };
            // What the snapshot has first in its order is not to make way for the rest.
            if !self.known.has_room_for(&name, &meta) {
                warn_no_room(&name);
                continue;
            }
            let service = self.build(&name, package, &Arc::new(meta));
            self.known.insert(Arc::new(service));
        }
        info!(services = self.known.len(), "known from a snapshot");
        self.publish(false);
    }

    pub(crate) async fn run(mut self, stop: CancellationToken) {
        let span = info_span!("robot", url = %self.config.url);
        let objects = Arc::clone(&self.objects);
        let state = self.state.subscribe();
        let sessions = self.sessions.clone();
        let connected = pin!(self.keep_connected().instrument(span));
        tokio::select! {
            () = stop.cancelled() => {}
            () = connected => {}
            () = objects.keep_sweeping() => {}
        }
        // The session is still open: it ends with `connected`, and the robot must be told before.
        let catalogue = Arc::clone(&state.borrow().catalogue);
        for service in catalogue.services() {
            service.retire(End::Shutdown);
        }
        objects.close().await;
        if let Some(session) = sessions.send_replace(None) {
            session.close();
        }
    }

    async fn keep_connected(&mut self) {
        let mut backoff = Backoff::new(self.config.backoff);
        let mut reported = None;
        loop {
            match Session::connect(&self.config.url, self.config.session.clone()).await {
                Ok(session) => {
                    reported = None;
                    let since = Instant::now();
                    if let Err(error) = self.doors.follow(session.local_address()) {
                        warn!(%error, "others cannot reach what is hosted here");
                    }
                    self.sessions.send_replace(Some(session.clone()));
                    match self.follow(&session).await {
                        Ok(()) => warn!("the connection to the robot was lost"),
                        Err(error) => warn!(%error, "the robot's services cannot be listed"),
                    }
                    self.sessions.send_replace(None);
                    session.close();
                    self.set_away();
                    backoff.lasted(since.elapsed());
                }
                Err(error) => {
                    let text = error.to_string();
                    // Once a reason: a robot may be off for days.
                    if reported.as_ref() != Some(&text) {
                        warn!(%error, "the robot cannot be reached, trying on");
                        reported = Some(text);
                    }
                }
            }
            backoff.pause().await;
        }
    }

    /// Follows the services of a session until it ends.
    async fn follow(&mut self, session: &Session) -> Result<(), ListError> {
        let started = Instant::now();
        let mut changes = session.directory_changes();
        let (events, mut inbox) = mpsc::channel(LINK_EVENTS);
        let mut links = Links::new(session.clone(), Arc::clone(&self.config), events);
        links.replace(list(session).await?);
        let mut starting = true;
        loop {
            if starting && (links.all_reported() || started.elapsed() >= START_PATIENCE) {
                starting = false;
                self.publish(true);
                self.log_ready(started);
                self.expected.tell_missing(|name| links.is_listed(name));
            }
            let changed = tokio::select! {
                _ = session.closed() => return Ok(()),
                change = changes.next() => match change {
                    Some(DirectoryChange::Added { id, name }) => {
                        links.add(id, name, None);
                        false
                    }
                    Some(DirectoryChange::Removed { id, name }) => {
                        links.remove(id) && self.unlink(id, &name)
                    }
                    Some(DirectoryChange::Lagged { .. }) => {
                        let gone = links.replace(list(session).await?);
                        gone.into_iter()
                            .fold(false, |any, (id, name)| self.unlink(id, &name) || any)
                    }
                    None => return Ok(()),
                },
                Some(event) = inbox.recv() => self.apply(event, &mut links),
                () = sleep_until(started + START_PATIENCE), if starting => false,
            };
            if changed && !starting {
                self.publish(true);
            }
        }
    }

    /// Whether the catalogue is another one now.
    fn apply(&mut self, event: LinkEvent, links: &mut Links) -> bool {
        match event {
            LinkEvent::Up(id, name, object, info) => {
                links.reported(id) && self.link(name, object, info)
            }
            LinkEvent::Failed(id, name) => {
                links.reported(id);
                debug!(service = name, "not reachable");
                false
            }
            LinkEvent::Down(id, name) => links.reported(id) && self.unlink(id, &name),
        }
    }

    fn link(&mut self, name: String, object: RemoteObject, info: ServiceInfo) -> bool {
        let same = self
            .known
            .get(&name)
            .filter(|known| **known.meta() == **object.meta());
        if let Some(service) = same {
            service.set_link(Some(Link::of_service(object, info)));
            self.expected.meet(&name);
            return true;
        }
        let meta = Arc::clone(object.meta());
        let expected = |other: &str| self.expected.contains(other);
        if !self.known.make_room(&name, &meta, expected) {
            warn_no_room(&name);
            return false;
        }
        let known = self.known.names().chain([name.as_str()]);
        let packages = schema::packages(self.expected.names(), known);
        let Some(package) = packages.get(&name) else {
            return false;
        };
        let service = Arc::new(self.build(&name, package, &meta));
        service.set_link(Some(Link::of_service(object, info)));
        let is_expected = self.expected.meet(&name);
        if let Some(old) = self.known.insert(Arc::clone(&service)) {
            if is_expected {
                tell_difference(old.schema(), service.schema());
            }
            old.retire(End::Changed);
        }
        self.rename_neighbours(&packages);
        true
    }

    /// A name that sorts before another of the same package takes it over (the only thing that
    /// one service's API owes to its neighbours).
    fn rename_neighbours(&mut self, packages: &BTreeMap<String, String>) {
        let moved: Vec<_> = self
            .known
            .services()
            .filter(|service| packages.get(service.name()) != Some(&service.schema().package))
            .cloned()
            .collect();
        for old in moved {
            let Some(package) = packages.get(old.name()) else {
                continue;
            };
            let renamed = self.build(old.name(), package, old.meta());
            renamed.share_link_of(&old);
            old.retire(End::Changed);
            self.known.insert(Arc::new(renamed));
        }
    }

    fn build(&self, name: &str, package: &str, meta: &Arc<MetaObject>) -> Service {
        let options = SchemaOptions {
            expose_private: self.config.expose_private,
        };
        let schema = ServiceSchema::new(name, package, meta, &options);
        for finding in &schema.findings {
            if finding.left_out() {
                warn!(service = name, %finding, "left out of the schema");
            } else {
                debug!(service = name, %finding, "in the schema, with a change");
            }
        }
        Service::new(
            schema,
            Arc::clone(meta),
            Arc::clone(&self.objects),
            self.config.limits(),
        )
    }

    /// Marks a service as away, unless another of its name has taken its place: events of the
    /// directory may overtake one another (protocol text, section 17).
    fn unlink(&mut self, id: ServiceId, name: &str) -> bool {
        let unlinked = self.known.unlink(id, name);
        if unlinked {
            debug!(service = name, "service is away");
        }
        unlinked
    }

    fn set_away(&mut self) {
        self.known.set_away();
        self.publish(false);
    }

    fn publish(&mut self, connected: bool) {
        if connected {
            self.expected.tell_added(self.known.names());
        }
        let catalogue = Arc::new(Catalogue::new(self.known.services().cloned()));
        self.state.send_replace(State {
            connected,
            catalogue,
        });
    }

    fn log_ready(&self, started: Instant) {
        let available = self.known.services().filter(|s| s.is_available()).count();
        info!(
            services = available,
            methods = self.state.borrow().catalogue.route_count(),
            seconds = started.elapsed().as_secs_f32(),
            "ready"
        );
    }
}

#[cfg(test)]
mod tests;
