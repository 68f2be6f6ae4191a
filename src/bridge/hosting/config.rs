//! How services are hosted.

use std::sync::Arc;

use crate::qi::host::{Doors, Host, HostOptions};

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

impl HostingConfig {
    /// The host, and the addresses on which it listens once something is hosted.
    pub(crate) fn doors(&self) -> Doors {
        let host = Arc::new(Host::new(self.host.clone()));
        Doors::new(host, self.listen.iter().cloned().collect())
    }
}
