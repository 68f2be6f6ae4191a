//! Where others on the bus reach what is hosted.

use std::{
    collections::HashMap,
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use parking_lot::Mutex;
use tokio::sync::OnceCell;
use tracing::{info, warn};

use crate::qi::{
    host::{Host, HostError, HostOptions},
    session::Session,
};

/// How services are hosted on the robot's bus.
#[derive(Clone, Debug)]
pub struct HostingConfig {
    /// Where to listen, `tcp://host:port`; port 0 takes a free one. Default a free port of the
    /// address from which the service directory is reached: whoever reaches the directory from
    /// its network reaches us then, and nobody from another.
    pub listen: Option<String>,
    /// Limits, and what others are told where we are. Who connects need not authenticate by
    /// default, as with libqi.
    pub host: HostOptions,
    /// How many services clients may host at a time. Default 64: a robot has about as many of its
    /// own.
    pub max_services: usize,
    /// How many calls of one hosted service may run or wait, unless its host says another number;
    /// others fail at once. Default 1024: as many as one connection of a caller may have open, at
    /// some KiB each. The most that a host may say is the host's limit of calls for one service.
    pub max_calls: usize,
}

impl Default for HostingConfig {
    fn default() -> Self {
        Self {
            listen: None,
            host: HostOptions::default(),
            max_services: 64,
            max_calls: 1024,
        }
    }
}

/// The host, and the addresses on which it listens: none until something is hosted.
#[derive(Debug)]
pub struct Doors {
    host: Arc<Host>,
    listen: Option<String>,
    /// By address. There are as many as this machine has had addresses towards the robot.
    open: Mutex<HashMap<String, Arc<OnceCell<()>>>>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Whether anything is hosted.
    wanted: bool,
    /// Our address on the way to the directory, as the last session had it.
    ours: Option<IpAddr>,
}

impl Doors {
    pub(crate) fn new(config: &HostingConfig) -> Self {
        Self {
            host: Arc::new(Host::new(config.host.clone())),
            listen: config.listen.clone(),
            open: Mutex::default(),
            state: Mutex::default(),
        }
    }

    /// The host.
    #[must_use]
    pub const fn host(&self) -> &Arc<Host> {
        &self.host
    }

    /// Listens from now on. Before the robot was ever reached, and without an address in the
    /// configuration, as soon as it is.
    ///
    /// # Errors
    ///
    /// [`HostError`].
    ///
    /// # Cancel safety
    ///
    /// Safe.
    pub async fn open(&self) -> Result<(), HostError> {
        let url = {
            let mut state = self.state.lock();
            state.wanted = true;
            self.url(state.ours)
        };
        match url {
            Some(url) => self.listen_on(url).await,
            None => Ok(()),
        }
    }

    /// Follows a new session, before anything is registered with it: the way to the robot may
    /// begin at another address now.
    pub(crate) async fn follow(&self, session: &Session) {
        let url = {
            let mut state = self.state.lock();
            state.ours = Some(session.local_address());
            self.url(state.ours).filter(|_| state.wanted)
        };
        if let Some(url) = url
            && let Err(error) = self.listen_on(url).await
        {
            warn!(%error, "others cannot reach what is hosted here");
        }
    }

    fn url(&self, ours: Option<IpAddr>) -> Option<String> {
        let ours = ours.map(|address| format!("tcp://{}", SocketAddr::new(address, 0)));
        self.listen.clone().or(ours)
    }

    async fn listen_on(&self, url: String) -> Result<(), HostError> {
        let door = Arc::clone(self.open.lock().entry(url.clone()).or_default());
        let listen = || async {
            self.host.listen_on(&url).await?;
            info!(endpoints = ?self.host.endpoints(), "listening for the robot's bus");
            Ok(())
        };
        door.get_or_try_init(listen).await.map(|&()| ())
    }
}
