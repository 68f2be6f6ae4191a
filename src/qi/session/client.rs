//! A robot's bus as a client sees it (protocol text, section 15).

use std::{fmt, net::IpAddr, sync::Arc};

use tokio::{time::timeout, try_join};

use super::{
    CallError, CloseReason, Connection, DialError, DialOptions, Directory, DirectoryChange,
    DirectoryChanges, DirectoryError, Endpoint, ReachError, RemoteObject, RemoteSignal, SendError,
    ServiceInfo,
    changes::{Additions, ChangeSource, Removals},
    dial::dial,
    known::KnownServices,
    pool::Pool,
};
use crate::qi::wire::ObjectId;

/// A session with a bus: its service directory, and connections to its services as they are
/// needed. Cloning is cheap.
///
/// It ends with [`Self::close`], when its last clone is dropped, or when the directory is lost;
/// then all its connections are closed. There is no way back: a new session is a new `Session`.
#[derive(Clone)]
pub struct Session(Arc<Inner>);

struct Inner {
    directory: Directory,
    machine_id: String,
    new_token: Option<String>,
    is_local: bool,
    local_address: IpAddr,
    pool: Arc<Pool>,
    changes: Arc<ChangeSource>,
    known: Arc<KnownServices>,
    _signals: [RemoteSignal; 2],
}

/// Why there is no session.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ConnectError {
    /// The directory is not reached.
    #[error(transparent)]
    Dial(#[from] DialError),
    /// What was reached is no service directory that we can use.
    #[error("{endpoint}: {source}")]
    Directory {
        /// Where it is.
        endpoint: Endpoint,
        /// What is wrong.
        source: DirectoryError,
    },
    /// The directory takes too long.
    #[error("{endpoint}: the service directory does not answer")]
    TimedOut {
        /// Where it is.
        endpoint: Endpoint,
    },
}

/// Why a service cannot be used.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ServiceError {
    /// The directory does not know it, or is lost.
    #[error(transparent)]
    LookUp(CallError),
    /// It is not reached.
    #[error("service {name}: {source}")]
    Reach {
        /// Its name.
        name: String,
        /// What is wrong.
        source: ReachError,
    },
    /// It does not say what it is.
    #[error("service {name}: {source}")]
    MetaObject {
        /// Its name.
        name: String,
        /// What is wrong.
        source: CallError,
    },
}

/// What the directory calls itself.
const DIRECTORY_NAME: &str = "ServiceDirectory";

impl Session {
    /// Connects to the service directory at `endpoint`.
    ///
    /// # Errors
    ///
    /// [`ConnectError`].
    ///
    /// # Cancel safety
    ///
    /// Safe: what was opened is closed.
    pub async fn connect(endpoint: &Endpoint, options: DialOptions) -> Result<Self, ConnectError> {
        let dialed = dial(endpoint, &options).await?;
        let new_token = dialed.authenticated.new_token;
        let opening = Opening::run(&dialed.connection);
        let opened = timeout(options.handshake_timeout, opening)
            .await
            .map_err(|_| ConnectError::TimedOut {
                endpoint: endpoint.clone(),
            })?
            .map_err(|source| ConnectError::Directory {
                endpoint: endpoint.clone(),
                source,
            })?;
        let mut options = options;
        if let (Some(token), Some(credentials)) = (&new_token, &mut options.credentials) {
            credentials.token.clone_from(token);
        }
        let pool = Arc::new(Pool::new(
            options,
            endpoint.clone(),
            opened.machine_id.clone(),
            dialed.is_local,
        ));
        let mut info = opened.info;
        // However the directory names its own place, this one leads there.
        info.endpoints.push(endpoint.to_string());
        pool.learn(&info, &dialed.connection);
        opened.changes.close_at_end(&pool);
        Ok(Self(Arc::new(Inner {
            directory: opened.directory,
            machine_id: opened.machine_id,
            new_token,
            is_local: dialed.is_local,
            local_address: dialed.local_address,
            pool,
            known: Arc::clone(opened.changes.known()),
            changes: opened.changes,
            _signals: opened.signals,
        })))
    }

    /// The directory.
    #[must_use]
    pub fn directory(&self) -> &Directory {
        &self.0.directory
    }

    /// The connection to the directory, on which services that we register must answer.
    #[must_use]
    pub fn connection(&self) -> &Connection {
        self.0.directory.object().connection()
    }

    /// Our own address on the way to the directory: whoever reaches the directory from its network
    /// reaches us there.
    #[must_use]
    pub fn local_address(&self) -> IpAddr {
        self.0.local_address
    }

    /// The machine that the directory runs on.
    #[must_use]
    pub fn machine_id(&self) -> &str {
        &self.0.machine_id
    }

    /// Whether the directory runs on this machine.
    #[must_use]
    pub fn is_local(&self) -> bool {
        self.0.is_local
    }

    /// The secret that the robot wants at the next time, if it gave one.
    #[must_use]
    pub fn new_token(&self) -> Option<&str> {
        self.0.new_token.as_deref()
    }

    /// All services that are ready.
    ///
    /// # Errors
    ///
    /// [`CallError`].
    ///
    /// # Cancel safety
    ///
    /// Safe.
    pub async fn services(&self) -> Result<Vec<ServiceInfo>, CallError> {
        self.0.directory.services().await
    }

    /// What the directory knows of a service.
    ///
    /// # Errors
    ///
    /// [`CallError`]; [`CallError::Robot`] if it knows none of that name.
    ///
    /// # Cancel safety
    ///
    /// Safe.
    pub async fn service_info(&self, name: &str) -> Result<ServiceInfo, CallError> {
        self.0.directory.service(name).await
    }

    /// The main object of the service of a name. It is remembered until the directory says that
    /// the service is gone, or its connection ends (section 15).
    ///
    /// # Errors
    ///
    /// [`ServiceError`].
    ///
    /// # Cancel safety
    ///
    /// Safe.
    pub async fn service(&self, name: &str) -> Result<RemoteObject, ServiceError> {
        let known = &self.0.known;
        if let Some(object) = known.find(name) {
            return Ok(object);
        }
        let since = known.now();
        let info = self
            .service_info(name)
            .await
            .map_err(ServiceError::LookUp)?;
        let object = self.object(&info).await?;
        known.remember(name, &object, since);
        Ok(object)
    }

    /// Like [`Self::service`], but waits for a service that is not there yet, for as long as the
    /// session lasts.
    ///
    /// # Errors
    ///
    /// [`ServiceError`]; not for a service that the directory does not know.
    ///
    /// # Cancel safety
    ///
    /// Safe.
    pub async fn wait_for_service(&self, name: &str) -> Result<RemoteObject, ServiceError> {
        // Listened to before the first look-up, so that no addition falls between the two.
        let mut changes = self.directory_changes();
        loop {
            match self.service(name).await {
                Err(ServiceError::LookUp(CallError::Robot { .. })) => {}
                found => return found,
            }
            loop {
                match changes.next().await {
                    Some(DirectoryChange::Added { name: added, .. }) if added == name => break,
                    Some(DirectoryChange::Lagged { .. }) => break,
                    Some(_) => {}
                    None => {
                        let closed = SendError::Closed(self.closed().await);
                        return Err(ServiceError::LookUp(closed.into()));
                    }
                }
            }
        }
    }

    /// The main object of a service. Services of one process share a connection, opened at need.
    ///
    /// # Errors
    ///
    /// [`ServiceError`].
    ///
    /// # Cancel safety
    ///
    /// Safe.
    pub async fn object(&self, info: &ServiceInfo) -> Result<RemoteObject, ServiceError> {
        let connection = self
            .0
            .pool
            .reach(info)
            .await
            .map_err(|source| ServiceError::Reach {
                name: info.name.clone(),
                source,
            })?;
        // Members with broken signatures cannot be used; the others can.
        match RemoteObject::fetch(&connection, info.service_id, ObjectId::MAIN).await {
            Ok((object, _)) => Ok(object),
            Err(source) => Err(ServiceError::MetaObject {
                name: info.name.clone(),
                source,
            }),
        }
    }

    /// A connection that reaches a service.
    ///
    /// # Errors
    ///
    /// [`ReachError`].
    ///
    /// # Cancel safety
    ///
    /// Safe.
    pub async fn reach(&self, info: &ServiceInfo) -> Result<Connection, ReachError> {
        self.0.pool.reach(info).await
    }

    /// The services that come and go from now on.
    #[must_use]
    pub fn directory_changes(&self) -> DirectoryChanges {
        self.0.changes.subscribe()
    }

    /// Whether the session is over.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.connection().is_closed()
    }

    /// Waits for the end of the session.
    ///
    /// # Cancel safety
    ///
    /// Safe.
    pub async fn closed(&self) -> CloseReason {
        self.connection().closed().await
    }

    /// Ends the session and all its connections; what is queued still leaves.
    pub fn close(&self) {
        self.0.close();
    }
}

impl Inner {
    fn close(&self) {
        self.pool.close();
        self.directory.object().connection().close();
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.close();
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("machine_id", &self.0.machine_id)
            .field("connection", self.connection())
            .finish_non_exhaustive()
    }
}

/// What is asked of a directory at first.
struct Opening {
    directory: Directory,
    machine_id: String,
    info: ServiceInfo,
    changes: Arc<ChangeSource>,
    signals: [RemoteSignal; 2],
}

impl Opening {
    async fn run(connection: &Connection) -> Result<Self, DirectoryError> {
        let directory = Directory::open(connection).await?;
        let changes = ChangeSource::new();
        let additions = Arc::new(Additions(changes.clone()));
        let removals = Arc::new(Removals(changes.clone()));
        let object = directory.object();
        let (added, removed, machine_id, info) = try_join!(
            object.subscribe(directory.service_added(), additions),
            object.subscribe(directory.service_removed(), removals),
            directory.machine_id(),
            async { Ok::<_, CallError>(directory.service(DIRECTORY_NAME).await) },
        )?;
        // Only helps to recognise the directory's process by its endpoints.
        let info = info.unwrap_or_else(|_| ServiceInfo {
            name: DIRECTORY_NAME.to_owned(),
            machine_id: machine_id.clone(),
            ..ServiceInfo::default()
        });
        Ok(Self {
            directory,
            machine_id,
            info,
            changes,
            signals: [added, removed],
        })
    }
}

#[cfg(test)]
mod tests;
