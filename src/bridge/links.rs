//! The tasks that keep the services of one session linked.

use std::{collections::HashMap, sync::Arc, time::Duration};

use tokio::{
    sync::mpsc,
    task::JoinHandle,
    time::{Instant, timeout},
};
use tracing::{Instrument as _, warn};

use super::RobotConfig;
use crate::qi::{
    session::{Backoff, RemoteObject, ServiceError, ServiceInfo, Session},
    wire::ServiceId,
};

/// What the task of a service tells its supervisor.
pub(crate) enum LinkEvent {
    Up(ServiceId, String, RemoteObject, ServiceInfo),
    Failed(ServiceId, String),
    Down(ServiceId, String),
}

/// How long one attempt to link a service may take, longer than all ways of reaching it together.
const LINK_TIMEOUT: Duration = Duration::from_secs(60);

/// How many services are linked at a time. A NAO has 114.
pub(crate) const MAX_LINKS: usize = 4096;

/// The tasks that keep the services of one session linked. Dropping it ends them.
pub(crate) struct Links {
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
    pub(crate) fn new(
        session: Session,
        config: Arc<RobotConfig>,
        events: mpsc::Sender<LinkEvent>,
    ) -> Self {
        Self {
            session,
            config,
            events,
            tasks: HashMap::new(),
        }
    }

    /// Makes the services be those of a listing; gives those that are gone.
    pub(crate) fn replace(&mut self, services: Vec<ServiceInfo>) -> Vec<(ServiceId, String)> {
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

    pub(crate) fn add(&mut self, id: ServiceId, name: String, info: Option<ServiceInfo>) {
        let Self {
            session,
            config,
            events,
            tasks,
        } = self;
        if tasks.len() >= MAX_LINKS && !tasks.contains_key(&id) {
            warn!(
                service = name,
                limit = MAX_LINKS,
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
                handle: tokio::spawn(keeper.run(info).in_current_span()),
            }
        });
    }

    pub(crate) fn remove(&mut self, id: ServiceId) -> bool {
        self.tasks.remove(&id).is_some()
    }

    /// Notes that a service was heard of; false if it was removed in the meantime.
    pub(crate) fn reported(&mut self, id: ServiceId) -> bool {
        self.tasks
            .get_mut(&id)
            .map(|task| task.reported = true)
            .is_some()
    }

    /// Whether the bus has a service of that name, reachable or not.
    pub(crate) fn is_listed(&self, name: &str) -> bool {
        self.tasks.values().any(|task| task.name == name)
    }

    pub(crate) fn all_reported(&self) -> bool {
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
                Ok(Ok((object, info))) => {
                    reported = None;
                    let since = Instant::now();
                    let connection = object.connection().clone();
                    self.tell(LinkEvent::Up(self.id, self.name.clone(), object, info))
                        .await;
                    connection.closed().await;
                    self.tell(LinkEvent::Down(self.id, self.name.clone())).await;
                    backoff.lasted(since.elapsed());
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

    /// The service's main object, and how the bus knows it.
    async fn object(
        &self,
        info: Option<ServiceInfo>,
    ) -> Result<(RemoteObject, ServiceInfo), ServiceError> {
        let info = match info {
            Some(info) => info,
            None => {
                let found = self.session.service_info(&self.name).await;
                found.map_err(ServiceError::LookUp)?
            }
        };
        Ok((self.session.object(&info).await?, info))
    }

    async fn tell(&self, event: LinkEvent) {
        // Fails only when the supervisor is gone, and this task is about to be.
        let _ = self.events.send(event).await;
    }
}
