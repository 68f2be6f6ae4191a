//! Where others reach a host, while its own address may change.
//!
//! ```text
//!   told where:   one Door for each address, as long as the Doors
//!   not told:     one Door at the address from which the directory is reached, whichever it is
//! ```

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::Arc,
};

use parking_lot::Mutex;
use tokio::sync::OnceCell;
use tokio_util::sync::DropGuard;

use super::{
    Host, HostError,
    identity::{DoorId, Identity},
    server::is_unspecified,
};

/// An address on which a host listens, until this is dropped: then nobody comes in there any more,
/// and services that are registered from then on are not told to be there. Who is in stays.
#[derive(Debug)]
#[must_use = "dropping it closes the door"]
pub(super) struct Door {
    pub(super) bound: SocketAddr,
    pub(super) id: DoorId,
    pub(super) identity: Arc<Identity>,
    /// Ends the task that accepts connections.
    pub(super) _open: DropGuard,
}

impl Door {
    /// Replaces the addresses under which others come to this door: of services that are registered
    /// from now on.
    fn advertise(&self, ips: &[IpAddr]) {
        let url = |&ip| format!("tcp://{}", SocketAddr::new(ip, self.bound.port()));
        self.identity
            .set_endpoints(self.id, ips.iter().map(url).collect());
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        self.identity.forget_endpoints(self.id);
    }
}

/// The addresses on which a host listens: those that it was told, or else a free port of the one
/// from which the directory is reached. Whoever reaches the directory from its network reaches the
/// host then, and nobody from another.
///
/// Nothing is listened on before [`Self::open`].
#[derive(Debug)]
pub struct Doors {
    host: Arc<Host>,
    /// There are as many as the configuration names.
    told: Vec<Told>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct Told {
    url: String,
    /// On all interfaces, of which others are told only the one by which the directory is reached.
    everywhere: bool,
    door: OnceCell<Door>,
}

#[derive(Debug, Default)]
struct State {
    wanted: bool,
    /// Our address on the way to the directory, as the last session had it.
    ours: Option<IpAddr>,
    /// The door at that address, where no other was told.
    own: Option<(IpAddr, Door)>,
}

impl Doors {
    /// The doors of a host: at the addresses `listen`, `tcp://host:port` each, or at its own one if
    /// there are none. Port 0 takes a free one. All interfaces stand for the one by which the
    /// directory is reached, unless the host has something else to advertise.
    #[must_use]
    pub fn new(host: Arc<Host>, listen: Vec<String>) -> Self {
        let advertises = !host.options().advertise.is_empty();
        let told = listen.into_iter().map(|url| Told {
            everywhere: !advertises && is_unspecified(&url),
            url,
            door: OnceCell::new(),
        });
        Self {
            told: told.collect(),
            host,
            state: Mutex::default(),
        }
    }

    /// The host.
    #[must_use]
    pub const fn host(&self) -> &Arc<Host> {
        &self.host
    }

    /// Listens from now on: at the host's own address as soon as that is known.
    ///
    /// # Errors
    ///
    /// [`HostError`]; it may be tried again.
    ///
    /// # Cancel safety
    ///
    /// Safe.
    pub async fn open(&self) -> Result<(), HostError> {
        for told in &self.told {
            told.door.get_or_try_init(|| self.open_told(told)).await?;
        }
        let mut state = self.state.lock();
        state.wanted = true;
        self.turn(&mut state)
    }

    /// Follows a new session, before anything is registered with it: the way to the directory begins
    /// at the address `ours` now. What was listened on at another one is closed, once there is a door
    /// at this one.
    ///
    /// Must be called within a tokio runtime.
    ///
    /// # Errors
    ///
    /// [`HostError`]. The directory itself reaches the host over our connection nevertheless.
    pub fn follow(&self, ours: IpAddr) -> Result<(), HostError> {
        let mut state = self.state.lock();
        state.ours = Some(ours);
        self.turn(&mut state)
    }

    /// All interfaces are the loopback one, until the way to the directory is known.
    async fn open_told(&self, told: &Told) -> Result<Door, HostError> {
        let loopback = [format!("tcp://{}:0", Ipv4Addr::LOCALHOST)];
        let advertise = match told.everywhere {
            true => &loopback[..],
            false => &self.host.options().advertise,
        };
        self.host.open_door(&told.url, advertise).await
    }

    /// Turns to the directory, where that depends on the way to it.
    fn turn(&self, state: &mut State) -> Result<(), HostError> {
        let (true, Some(ours)) = (state.wanted, state.ours) else {
            return Ok(());
        };
        let everywhere = self.told.iter().filter(|told| told.everywhere);
        for door in everywhere.filter_map(|told| told.door.get()) {
            let mut ips = vec![IpAddr::V4(Ipv4Addr::LOCALHOST), ours];
            ips.dedup();
            door.advertise(&ips);
        }
        let known = state.own.as_ref().map(|(ip, _)| *ip);
        if self.told.is_empty() && known != Some(ours) {
            let door = self.host.open_door_at(ours)?;
            tracing::info!(address = %door.bound, "listening for the bus");
            state.own = Some((ours, door));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpStream;

    use super::*;
    use crate::qi::host::HostOptions;

    async fn opened(listen: &[&str], advertise: &[&str]) -> Doors {
        let options = HostOptions {
            advertise: advertise.iter().map(|&url| url.to_owned()).collect(),
            ..HostOptions::default()
        };
        let listen = listen.iter().map(|&url| url.to_owned()).collect();
        let doors = Doors::new(Arc::new(Host::new(options)), listen);
        doors.open().await.unwrap();
        doors
    }

    fn endpoint(doors: &Doors) -> String {
        let endpoints = doors.host().endpoints();
        let [endpoint] = &*endpoints else {
            panic!("one endpoint: {endpoints:?}");
        };
        endpoint.clone()
    }

    #[tokio::test]
    async fn nothing_is_listened_on_until_it_is_wanted_and_the_directory_is_reached() {
        let doors = opened(&[], &[]).await;
        assert!(doors.host().endpoints().is_empty());
        doors.follow(Ipv4Addr::LOCALHOST.into()).unwrap();
        assert!(endpoint(&doors).starts_with("tcp://127.0.0.1:"));

        let doors = Doors::new(Arc::new(Host::new(HostOptions::default())), Vec::new());
        doors.follow(Ipv4Addr::LOCALHOST.into()).unwrap();
        assert!(doors.host().endpoints().is_empty());
        doors.open().await.unwrap();
        assert!(endpoint(&doors).starts_with("tcp://127.0.0.1:"));
    }

    /// Each address that this machine had on its way to the directory stayed open, and services were
    /// said to be there.
    #[tokio::test]
    async fn a_door_is_closed_when_the_way_to_the_directory_begins_elsewhere() {
        let doors = opened(&[], &[]).await;
        doors.follow(Ipv4Addr::LOCALHOST.into()).unwrap();
        let first = endpoint(&doors);
        doors.follow(Ipv4Addr::LOCALHOST.into()).unwrap();
        assert_eq!(endpoint(&doors), first);
        doors.follow(Ipv4Addr::new(127, 0, 0, 2).into()).unwrap();
        assert!(endpoint(&doors).starts_with("tcp://127.0.0.2:"));
        let closed = async {
            while TcpStream::connect(&first["tcp://".len()..]).await.is_ok() {
                tokio::task::yield_now().await;
            }
        };
        let patience = std::time::Duration::from_secs(20);
        tokio::time::timeout(patience, closed).await.unwrap();
        let second = endpoint(&doors);
        TcpStream::connect(&second["tcp://".len()..]).await.unwrap();
    }

    #[tokio::test]
    async fn what_was_told_is_listened_on_wherever_the_way_begins() {
        let doors = opened(&["tcp://127.0.0.1:0"], &[]).await;
        let told = endpoint(&doors);
        assert!(told.starts_with("tcp://127.0.0.1:"), "{told}");
        doors.follow(Ipv4Addr::new(127, 0, 0, 2).into()).unwrap();
        doors.open().await.unwrap();
        assert_eq!(endpoint(&doors), told);
    }

    #[tokio::test]
    async fn all_interfaces_are_those_that_lead_to_the_directory() {
        for url in ["tcp://0.0.0.0:0", "tcp://[::]:0"] {
            let doors = opened(&[url], &[]).await;
            let loopback = endpoint(&doors);
            assert!(loopback.starts_with("tcp://127.0.0.1:"), "{loopback}");
            for last in [2, 3] {
                doors.follow(Ipv4Addr::new(127, 0, 0, last).into()).unwrap();
                let other = loopback.replace("127.0.0.1", &format!("127.0.0.{last}"));
                assert_eq!(doors.host().endpoints(), [loopback.clone(), other]);
            }
            // What the user advertises is enough.
            let doors = opened(&[url], &["tcp://robot.local:7"]).await;
            doors.follow(Ipv4Addr::new(127, 0, 0, 2).into()).unwrap();
            assert_eq!(endpoint(&doors), "tcp://robot.local:7");
        }
    }
}
