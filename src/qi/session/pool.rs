//! The connections of a session: which one reaches a service (protocol text, section 15).

use std::{collections::HashMap, sync::Arc};

use parking_lot::Mutex;
use tokio::sync::OnceCell;

use super::{
    Connection, DialError, DialOptions, Endpoint, Scheme, ServiceEndpoint, ServiceInfo,
    dial::dial_first,
};

/// Connections by what is reached through them.
///
/// Services of one process share a connection, since they share its endpoints; what is known about
/// a connection that died is forgotten at the next look-up.
#[derive(Debug)]
pub(super) struct Pool {
    options: DialOptions,
    /// How the directory was reached.
    directory: Endpoint,
    directory_machine: String,
    /// The directory runs on this machine.
    directory_is_local: bool,
    connections: Mutex<Connections>,
}

#[derive(Debug, Default)]
struct Connections {
    known: HashMap<Place, Connection>,
    /// Being opened; all who want the same one wait for it, and share its failure.
    opening: HashMap<Place, Arc<Opening>>,
    closed: bool,
}

type Opening = OnceCell<Result<Connection, ReachError>>;

/// A machine, and one endpoint on it as the text that the directory gives.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
struct Place {
    machine: String,
    uri: String,
}

/// Why a service is not reached.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ReachError {
    /// None of its endpoints can be used from here.
    #[error("none of the service's endpoints can be used from here: {}", .endpoints.join(", "))]
    NoEndpoint {
        /// Its endpoints without the `qi:` ones.
        endpoints: Vec<String>,
    },
    /// No endpoint answered; this is what happened to the best one.
    #[error(transparent)]
    Dial(#[from] DialError),
    /// Too many connections are open.
    #[error("{limit} connections are open already")]
    TooManyConnections {
        /// The limit.
        limit: usize,
    },
    /// The session is over.
    #[error("the session is closed")]
    SessionClosed,
}

/// How many connections a session has open at most. A robot's services live in a handful of
/// processes; a directory that claims more must not use up our sockets.
const MAX_CONNECTIONS: usize = 256;

/// How many endpoints of one service are tried at most: machines have a few addresses.
const MAX_CANDIDATES: usize = 16;

impl Pool {
    pub(super) fn new(
        options: DialOptions,
        directory: Endpoint,
        directory_machine: String,
        directory_is_local: bool,
    ) -> Self {
        Self {
            options,
            directory,
            directory_machine,
            directory_is_local,
            connections: Mutex::default(),
        }
    }

    /// Notes that a service is reached through a connection.
    pub(super) fn learn(&self, info: &ServiceInfo, connection: &Connection) {
        let mut connections = self.connections.lock();
        if connections.closed {
            return;
        }
        for place in Self::places(info) {
            connections.known.insert(place, connection.clone());
        }
    }

    /// A connection that reaches a service.
    pub(super) async fn reach(&self, info: &ServiceInfo) -> Result<Connection, ReachError> {
        let (key, opening) = {
            let mut connections = self.connections.lock();
            if connections.closed {
                return Err(ReachError::SessionClosed);
            }
            if let Some(connection) = connections.find(info) {
                return Ok(connection);
            }
            let key = self.opening_key(info);
            let opening = connections.opening.entry(key.clone()).or_default().clone();
            (key, opening)
        };
        let result = opening.get_or_init(|| self.open(info)).await.clone();
        let mut connections = self.connections.lock();
        if connections
            .opening
            .get(&key)
            .is_some_and(|current| Arc::ptr_eq(current, &opening))
        {
            connections.opening.remove(&key);
        }
        if connections.closed {
            return Err(ReachError::SessionClosed);
        }
        result
    }

    async fn open(&self, info: &ServiceInfo) -> Result<Connection, ReachError> {
        {
            let mut connections = self.connections.lock();
            connections.forget_dead();
            if connections.count() >= MAX_CONNECTIONS {
                let limit = MAX_CONNECTIONS;
                return Err(ReachError::TooManyConnections { limit });
            }
        }
        let (candidates, fallback) = self.candidates(info);
        let mut failed = None;
        for endpoints in [candidates, fallback] {
            match dial_first(&endpoints, &self.options).await {
                Ok(dialed) => {
                    self.learn(info, &dialed.connection);
                    return Ok(dialed.connection);
                }
                Err(error) => failed = failed.or(error),
            }
        }
        Err(match failed {
            Some(error) => error.into(),
            None => ReachError::NoEndpoint {
                endpoints: sockets(info).map(|endpoint| endpoint.to_string()).collect(),
            },
        })
    }

    /// What is worth trying, and what is worth trying when that fails: the directory's host with
    /// the ports of the service, for robots behind address translation or that only tell addresses
    /// of their own network.
    fn candidates(&self, info: &ServiceInfo) -> (Vec<Endpoint>, Vec<Endpoint>) {
        let beside_directory = info.machine_id == self.directory_machine;
        let is_local = beside_directory && self.directory_is_local;
        let mut candidates: Vec<Endpoint> = sockets(info)
            .filter(|endpoint| !endpoint.is_unspecified())
            .filter(|endpoint| is_local || !endpoint.is_loopback())
            .collect();
        // On our own machine loopback is the shortest way; encryption, which we lack, comes last.
        candidates.sort_by_key(|endpoint| (endpoint.scheme(), !endpoint.is_loopback()));
        candidates.truncate(MAX_CANDIDATES);
        let mut fallback = Vec::new();
        if beside_directory {
            for endpoint in sockets(info) {
                let endpoint = endpoint.on_host(self.directory.host());
                let is_new = !candidates.contains(&endpoint) && !fallback.contains(&endpoint);
                if is_new && endpoint.scheme() == Scheme::Tcp {
                    fallback.push(endpoint);
                }
            }
            fallback.truncate(MAX_CANDIDATES);
        }
        (candidates, fallback)
    }

    /// What says that two services are to share one attempt to connect.
    fn opening_key(&self, info: &ServiceInfo) -> Place {
        let mut uris: Vec<&str> = info
            .endpoints
            .iter()
            .map(|uri| &**uri)
            .filter(|uri| !uri.starts_with("qi:"))
            .collect();
        uris.sort_unstable();
        Place {
            machine: info.machine_id.clone(),
            uri: uris.join(" "),
        }
    }

    /// All that leads to the service: its endpoints, and its name as a relative endpoint. (Its own
    /// relative endpoints name others through which it is reached, not the other way round.)
    fn places(info: &ServiceInfo) -> impl Iterator<Item = Place> {
        let uris = info.endpoints.iter();
        let uris = uris.filter(|uri| !uri.starts_with("qi:")).cloned();
        uris.chain([format!("qi:{}", info.name)]).map(|uri| Place {
            machine: info.machine_id.clone(),
            uri,
        })
    }

    /// Closes all connections but that of the directory, and opens none any more.
    pub(super) fn close(&self) {
        let known = {
            let mut connections = self.connections.lock();
            connections.closed = true;
            std::mem::take(&mut connections.known)
        };
        for connection in known.into_values() {
            connection.close();
        }
    }
}

impl Connections {
    fn find(&self, info: &ServiceInfo) -> Option<Connection> {
        let mut place = Place {
            machine: info.machine_id.clone(),
            uri: String::new(),
        };
        info.endpoints.iter().find_map(|uri| {
            place.uri.clone_from(uri);
            let connection = self.known.get(&place)?;
            (!connection.is_closed()).then(|| connection.clone())
        })
    }

    fn forget_dead(&mut self) {
        self.known.retain(|_, connection| !connection.is_closed());
        // Those that everyone gave up waiting for.
        self.opening
            .retain(|_, opening| Arc::strong_count(opening) > 1);
    }

    fn count(&self) -> usize {
        let ids: std::collections::HashSet<_> = self.known.values().map(Connection::id).collect();
        ids.len()
    }
}

fn sockets(info: &ServiceInfo) -> impl Iterator<Item = Endpoint> {
    info.endpoints.iter().filter_map(|uri| match uri.parse() {
        Ok(ServiceEndpoint::Socket(endpoint)) => Some(endpoint),
        Ok(ServiceEndpoint::Relative(_)) | Err(_) => None,
    })
}

#[cfg(test)]
mod tests;
