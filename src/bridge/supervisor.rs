//! Keeps the session, the catalogue and the links up.
//!
//! ```text
//!            connected                     all services linked or failed once
//!   Away ───────────────▶ list, link each ─────────────────────────────────▶ Ready ──┐
//!    ▲                                                                        │      │ services come,
//!    │              the connection to the directory is lost                   │      │ go, fail, return
//!    └────────────────────────────────────────────────────────────────────────┘◀─────┘
//! ```

use std::{
    collections::{BTreeMap, HashMap},
    pin::pin,
    sync::Arc,
    time::Duration,
};

use tokio::{
    sync::{mpsc, watch},
    task::JoinHandle,
    time::{Instant, sleep_until, timeout},
};
use tokio_util::sync::CancellationToken;
use tracing::{Instrument as _, debug, info, info_span, warn};

use super::{Catalogue, RobotConfig, Service, events::End, objects::ObjectTable, service::Link};
use crate::{
    qi::{
        session::{CallError, DirectoryChange, RemoteObject, ServiceError, ServiceInfo, Session},
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
    /// Every service that was ever met, by name.
    known: BTreeMap<String, Arc<Service>>,
}

/// What the task of a service tells its supervisor.
enum LinkEvent {
    Up(ServiceId, String, RemoteObject),
    Failed(ServiceId, String),
    Down(ServiceId, String),
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

/// How long one attempt to link a service may take, longer than all ways of reaching it together.
const LINK_TIMEOUT: Duration = Duration::from_secs(60);

/// How many messages of the tasks of services may wait; they wait when it is full.
const LINK_EVENTS: usize = 64;

/// How many services are linked at a time, and how many are remembered. Beyond it those that are
/// away are forgotten, or a robot on which services with ever new names come and go would fill the
/// memory. A NAO has 114.
const MAX_KNOWN_SERVICES: usize = 4096;

/// How many methods, signals and properties are known altogether; each costs some KiB of
/// descriptors and plans. A NAO has about 5,000.
const MAX_KNOWN_MEMBERS: usize = 32_768;

fn members(meta: &MetaObject) -> usize {
    meta.methods.len() + meta.signals.len() + meta.properties.len()
}

impl Supervisor {
    pub(crate) fn new(
        config: RobotConfig,
        objects: Arc<ObjectTable>,
    ) -> (Self, watch::Receiver<State>) {
        let (state, receiver) = watch::channel(State::default());
        let supervisor = Self {
            config: Arc::new(config),
            objects,
            state,
            known: BTreeMap::new(),
        };
        (supervisor, receiver)
    }

    pub(crate) async fn run(mut self, stop: CancellationToken) {
        let span = info_span!("robot", url = %self.config.url);
        let objects = Arc::clone(&self.objects);
        let state = self.state.subscribe();
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
    }

    async fn keep_connected(&mut self) {
        let mut backoff = Backoff::new(self.config.backoff);
        let mut reported = None;
        loop {
            match Session::connect(&self.config.url, self.config.session.clone()).await {
                Ok(session) => {
                    reported = None;
                    let since = Instant::now();
                    match self.follow(&session).await {
                        Ok(()) => warn!("the connection to the robot was lost"),
                        Err(error) => warn!(%error, "the robot's services cannot be listed"),
                    }
                    session.close();
                    self.set_away();
                    // A robot that accepts and hangs up at once is not hammered.
                    if since.elapsed() > self.config.backoff.1 {
                        backoff.reset();
                    }
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
            LinkEvent::Up(id, name, object) => links.reported(id) && self.link(name, object),
            LinkEvent::Failed(id, name) => {
                links.reported(id);
                debug!(service = name, "not reachable");
                false
            }
            LinkEvent::Down(id, name) => links.reported(id) && self.unlink(id, &name),
        }
    }

    fn link(&mut self, name: String, object: RemoteObject) -> bool {
        let same = self
            .known
            .get(&name)
            .filter(|known| **known.meta() == **object.meta());
        if let Some(service) = same {
            service.set_link(Some(Link::new(object)));
            return true;
        }
        let meta = Arc::clone(object.meta());
        if !self.has_room_for(&name, &meta) {
            warn!(
                service = name,
                limit = MAX_KNOWN_MEMBERS,
                "too many members, the service is left out"
            );
            return false;
        }
        let packages = schema::packages(self.known.keys().chain([&name]).map(String::as_str));
        let Some(package) = packages.get(&name) else {
            return false;
        };
        let service = self.build(&name, package, &meta);
        service.set_link(Some(Link::new(object)));
        if let Some(old) = self.known.insert(name, Arc::new(service)) {
            old.retire(End::Changed);
        }
        self.rename_neighbours(&packages);
        true
    }

    fn has_room_for(&self, name: &str, meta: &MetaObject) -> bool {
        let others = self.known.values().filter(|other| other.name() != name);
        let known: usize = others.map(|other| members(other.meta())).sum();
        known + members(meta) <= MAX_KNOWN_MEMBERS
    }

    /// A name that sorts before another of the same package takes it over (the only thing that
    /// one service's API owes to its neighbours).
    fn rename_neighbours(&mut self, packages: &BTreeMap<String, String>) {
        let moved: Vec<_> = self
            .known
            .values()
            .filter(|service| packages.get(service.name()) != Some(&service.schema().package))
            .cloned()
            .collect();
        for old in moved {
            let Some(package) = packages.get(old.name()) else {
                continue;
            };
            let renamed = self.build(old.name(), package, old.meta());
            renamed.take_link_of(&old);
            old.retire(End::Changed);
            self.known.insert(old.name().to_owned(), Arc::new(renamed));
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
    fn unlink(&self, id: ServiceId, name: &str) -> bool {
        let Some(service) = self.known.get(name) else {
            return false;
        };
        let unlinked = service.unlink(id);
        if unlinked {
            debug!(service = name, "service is away");
        }
        unlinked
    }

    fn set_away(&mut self) {
        for service in self.known.values() {
            service.set_link(None);
        }
        self.publish(false);
    }

    fn publish(&mut self, connected: bool) {
        if self.known.len() > MAX_KNOWN_SERVICES {
            let away = |_: &String, service: &mut Arc<Service>| !service.is_available();
            for (_, forgotten) in self.known.extract_if(.., away) {
                // It would not be found again by the streams that wait for it.
                forgotten.retire(End::Disconnected);
            }
        }
        let catalogue = Arc::new(Catalogue::new(self.known.values().cloned()));
        self.state.send_replace(State {
            connected,
            catalogue,
        });
    }

    fn log_ready(&self, started: Instant) {
        let available = self.known.values().filter(|s| s.is_available()).count();
        info!(
            services = available,
            methods = self.state.borrow().catalogue.route_count(),
            seconds = started.elapsed().as_secs_f32(),
            "ready"
        );
    }
}

/// The tasks that keep the services of one session linked. Dropping it ends them.
struct Links {
    session: Session,
    config: Arc<RobotConfig>,
    events: mpsc::Sender<LinkEvent>,
    tasks: HashMap<ServiceId, LinkTask>,
}

struct LinkTask {
    name: String,
    reported: bool,
    handle: JoinHandle<()>,
}

impl Drop for LinkTask {
    fn drop(&mut self) {
        self.handle.abort();
    }
}

impl Links {
    fn new(session: Session, config: Arc<RobotConfig>, events: mpsc::Sender<LinkEvent>) -> Self {
        Self {
            session,
            config,
            events,
            tasks: HashMap::new(),
        }
    }

    /// Makes the services be those of a listing; gives those that are gone.
    fn replace(&mut self, services: Vec<ServiceInfo>) -> Vec<(ServiceId, String)> {
        let listed: HashMap<_, _> = services
            .into_iter()
            .map(|info| (info.service_id, info))
            .collect();
        let gone = self
            .tasks
            .extract_if(|id, _| !listed.contains_key(id))
            .map(|(id, task)| (id, task.name.clone()))
            .collect();
        for (id, info) in listed {
            let name = info.name.clone();
            self.add(id, name, Some(info));
        }
        gone
    }

    fn add(&mut self, id: ServiceId, name: String, info: Option<ServiceInfo>) {
        let Self {
            session,
            config,
            events,
            tasks,
        } = self;
        if tasks.len() >= MAX_KNOWN_SERVICES && !tasks.contains_key(&id) {
            warn!(
                service = name,
                limit = MAX_KNOWN_SERVICES,
                "too many services, this one is left out"
            );
            return;
        }
        tasks.entry(id).or_insert_with(|| {
            let keeper = Keeper {
                session: session.clone(),
                config: Arc::clone(config),
                events: events.clone(),
                id,
                name: name.clone(),
            };
            LinkTask {
                name,
                reported: false,
                handle: tokio::spawn(keeper.run(info)),
            }
        });
    }

    fn remove(&mut self, id: ServiceId) -> bool {
        self.tasks.remove(&id).is_some()
    }

    /// Notes that a service was heard of; false if it was removed in the meantime.
    fn reported(&mut self, id: ServiceId) -> bool {
        self.tasks
            .get_mut(&id)
            .map(|task| task.reported = true)
            .is_some()
    }

    fn all_reported(&self) -> bool {
        self.tasks.values().all(|task| task.reported)
    }
}

/// Keeps one service linked.
struct Keeper {
    session: Session,
    config: Arc<RobotConfig>,
    events: mpsc::Sender<LinkEvent>,
    id: ServiceId,
    name: String,
}

impl Keeper {
    async fn run(self, mut info: Option<ServiceInfo>) {
        let mut backoff = Backoff::new(self.config.backoff);
        let mut reported = None;
        loop {
            match timeout(LINK_TIMEOUT, self.object(info.take())).await {
                Ok(Ok(object)) => {
                    reported = None;
                    let since = Instant::now();
                    let connection = object.connection().clone();
                    self.tell(LinkEvent::Up(self.id, self.name.clone(), object))
                        .await;
                    connection.closed().await;
                    self.tell(LinkEvent::Down(self.id, self.name.clone())).await;
                    // A service that hangs up at once is not hammered.
                    if since.elapsed() > self.config.backoff.1 {
                        backoff.reset();
                    }
                }
                failed => {
                    let why = match failed {
                        Ok(Err(error)) => error.to_string(),
                        _ => format!("no answer within {LINK_TIMEOUT:?}"),
                    };
                    self.tell(LinkEvent::Failed(self.id, self.name.clone()))
                        .await;
                    // Once a reason, as for the robot.
                    if reported.as_ref() != Some(&why) {
                        warn!(
                            service = self.name,
                            error = why,
                            "the service cannot be reached, trying on"
                        );
                        reported = Some(why);
                    }
                }
            }
            backoff.pause().await;
        }
    }

    async fn object(&self, info: Option<ServiceInfo>) -> Result<RemoteObject, ServiceError> {
        match info {
            Some(info) => self.session.object(&info).await,
            None => self.session.service(&self.name).await,
        }
    }

    async fn tell(&self, event: LinkEvent) {
        // Fails only when the supervisor is gone, and this task is about to be.
        let _ = self.events.send(event).await;
    }
}

/// Pauses that double, each drawn at random from its upper half.
struct Backoff {
    first: Duration,
    longest: Duration,
    next: Duration,
}

impl Backoff {
    const fn new((first, longest): (Duration, Duration)) -> Self {
        Self {
            first,
            longest,
            next: first,
        }
    }

    const fn reset(&mut self) {
        self.next = self.first;
    }

    async fn pause(&mut self) {
        let pause = self.next.mul_f64(rand::random_range(0.5..=1.0));
        self.next = (self.next * 2).min(self.longest);
        tokio::time::sleep(pause).await;
    }
}
