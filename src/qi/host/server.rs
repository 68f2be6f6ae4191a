//! Listening: hosts and the connections that others open to them.

use std::{
    fmt, io,
    net::{self, IpAddr, Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use parking_lot::Mutex;
use socket2::{SockRef, TcpKeepalive};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
};
use tokio_util::sync::CancellationToken;

use super::{
    Authenticator, HostError, HostLimits, accept::accept, doors::Door, identity::Identity,
    limits::permits, table::Table,
};
use crate::qi::session::{Connection, ConnectionOptions, Dispatch, Framed};

/// How to host.
#[derive(Clone, Default)]
pub struct HostOptions {
    /// What others can make the host hold.
    pub limits: HostLimits,
    /// Who may connect. Default everyone.
    pub authenticator: Option<Arc<dyn Authenticator>>,
    /// The addresses under which others reach the host, as URLs; port 0 stands for the one that it
    /// listens on. Default the address that it listens on; needed when that means all interfaces.
    pub advertise: Vec<String>,
}

impl fmt::Debug for HostOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HostOptions")
            .field("limits", &self.limits)
            .field("authenticated", &self.authenticator.is_some())
            .field("advertise", &self.advertise)
            .finish()
    }
}

impl HostOptions {
    /// Whether a host with these options can listen on `url`, as far as can be said without doing
    /// it.
    ///
    /// # Errors
    ///
    /// [`HostError::Url`], [`HostError::NothingToAdvertise`].
    pub fn check(&self, url: &str) -> Result<(), HostError> {
        let (host, port) = host_and_port(url)?;
        // A name is looked up later; what stands for all interfaces is an address.
        let address = ip(&host).unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST));
        endpoints(url, SocketAddr::new(address, port), &self.advertise).map(|_| ())
    }
}

/// Serves objects on one bus, to those who connect to it and on connections that this process
/// opened itself.
///
/// Dropping it ends all of its connections and services.
#[derive(Debug)]
pub struct Host {
    pub(super) table: Arc<Table>,
    pub(super) identity: Arc<Identity>,
    options: HostOptions,
    /// For the connections of all doors together.
    room: Arc<Semaphore>,
    /// Those that stay open as long as the host.
    doors: Mutex<Vec<Door>>,
    pub(super) end: CancellationToken,
}

impl Host {
    /// A host that does not listen yet: it serves on connections that are opened with
    /// [`Self::dispatch`], and has no addresses for others.
    #[must_use]
    pub fn new(options: HostOptions) -> Self {
        Self {
            table: Arc::new(Table::new(options.limits)),
            identity: Arc::new(Identity::new()),
            room: Arc::new(Semaphore::new(permits(options.limits.connections))),
            doors: Mutex::default(),
            options,
            end: CancellationToken::new(),
        }
    }

    /// Listens on `url`, `tcp://host:port`; port 0 takes a free one.
    ///
    /// # Errors
    ///
    /// [`HostError`].
    pub async fn listen(url: &str, options: HostOptions) -> Result<Self, HostError> {
        let host = Self::new(options);
        host.listen_on(url).await?;
        Ok(host)
    }

    /// Listens on `url` too, `tcp://host:port`; port 0 takes a free one. Services that are
    /// registered from now on are told to be there.
    ///
    /// # Errors
    ///
    /// [`HostError`].
    ///
    /// # Cancel safety
    ///
    /// Safe: nothing is listened on then.
    pub async fn listen_on(&self, url: &str) -> Result<(), HostError> {
        let door = self.open_door(url, &self.options.advertise).await?;
        self.doors.lock().push(door);
        Ok(())
    }

    /// Like [`Self::listen_on`], until the door is dropped, and with addresses of its own for others.
    pub(super) async fn open_door(
        &self,
        url: &str,
        advertise: &[String],
    ) -> Result<Door, HostError> {
        let (listener, bound) = bind(url).await?;
        self.accept_at(listener, (url, bound), advertise)
    }

    /// Listens on a free port of an address of this machine. Must be called within a tokio runtime.
    pub(super) fn open_door_at(&self, ip: IpAddr) -> Result<Door, HostError> {
        let address = SocketAddr::new(ip, 0);
        let url = format!("tcp://{address}");
        let bound = bind_now(address).map_err(|source| HostError::Listen {
            url: url.clone(),
            source,
        });
        let (listener, bound) = bound?;
        self.accept_at(listener, (&url, bound), &self.options.advertise)
    }

    fn accept_at(
        &self,
        listener: TcpListener,
        (url, bound): (&str, SocketAddr),
        advertise: &[String],
    ) -> Result<Door, HostError> {
        let endpoints = endpoints(url, bound, advertise)?;
        let open = self.end.child_token();
        let server = Server {
            table: Arc::clone(&self.table),
            options: self.options.clone(),
            room: Arc::clone(&self.room),
            open: open.clone(),
            end: self.end.clone(),
        };
        // Ends with the door, at the latest when the host is dropped.
        tokio::spawn(server.run(listener));
        Ok(Door {
            bound,
            id: self.identity.add_door(endpoints),
            identity: Arc::clone(&self.identity),
            _open: open.drop_guard(),
        })
    }

    pub(super) const fn options(&self) -> &HostOptions {
        &self.options
    }

    /// The addresses under which others reach the host, as URLs.
    #[must_use]
    pub fn endpoints(&self) -> Vec<String> {
        self.identity.endpoints()
    }

    /// What a connection to the service directory has to be opened with: the directory's process
    /// calls our services on it, not on one of its own (section 15).
    #[must_use]
    pub fn dispatch(&self) -> Arc<dyn Dispatch> {
        Arc::clone(&self.table) as Arc<dyn Dispatch>
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        self.end.cancel();
        self.table.clear();
    }
}

async fn bind(url: &str) -> Result<(TcpListener, SocketAddr), HostError> {
    let (host, port) = host_and_port(url)?;
    let failed = |source| HostError::Listen {
        url: url.to_owned(),
        source,
    };
    let address = (host.trim_matches(['[', ']']), port);
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let bound = listener.local_addr().map_err(failed)?;
    Ok((listener, bound))
}

/// The same for an address that need not be looked up, so that nothing is waited for.
fn bind_now(address: SocketAddr) -> io::Result<(TcpListener, SocketAddr)> {
    let listener = net::TcpListener::bind(address)?;
    listener.set_nonblocking(true)?;
    let listener = TcpListener::from_std(listener)?;
    let bound = listener.local_addr()?;
    Ok((listener, bound))
}

fn endpoints(url: &str, bound: SocketAddr, advertise: &[String]) -> Result<Vec<String>, HostError> {
    if advertise.is_empty() && bound.ip().is_unspecified() {
        let url = url.to_owned();
        return Err(HostError::NothingToAdvertise { url });
    }
    if advertise.is_empty() {
        return Ok(vec![format!("tcp://{bound}")]);
    }
    let named = advertise.iter().map(|url| match host_and_port(url)? {
        (host, 0) => Ok(format!("tcp://{host}:{}", bound.port())),
        (host, port) => Ok(format!("tcp://{host}:{port}")),
    });
    named.collect()
}

/// Host, in brackets for IPv6, and port of a `tcp` URL.
fn host_and_port(url: &str) -> Result<(String, u16), HostError> {
    let wrong = || HostError::Url {
        url: url.to_owned(),
    };
    let parsed = url::Url::parse(url).map_err(|_| wrong())?;
    match parsed.host_str() {
        Some(host) if parsed.scheme() == "tcp" && !host.is_empty() => {
            Ok((host.to_owned(), parsed.port().unwrap_or(DEFAULT_PORT)))
        }
        _ => Err(wrong()),
    }
}

fn ip(host: &str) -> Option<IpAddr> {
    host.trim_matches(['[', ']']).parse().ok()
}

/// Whether a URL stands for all interfaces.
pub(super) fn is_unspecified(url: &str) -> bool {
    let host = host_and_port(url).ok();
    host.and_then(|(host, _)| ip(&host))
        .is_some_and(|ip| ip.is_unspecified())
}

/// Of `tcp` URLs without one (section 1).
const DEFAULT_PORT: u16 = 9559;

/// How long to wait after the system could not accept a connection, for lack of memory or files.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Lets others in at one door.
struct Server {
    table: Arc<Table>,
    options: HostOptions,
    room: Arc<Semaphore>,
    open: CancellationToken,
    end: CancellationToken,
}

impl Server {
    async fn run(self, listener: TcpListener) {
        loop {
            let accepted = tokio::select! {
                biased;
                () = self.open.cancelled() => return,
                accepted = listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, peer)) => match Arc::clone(&self.room).try_acquire_owned() {
                    Ok(place) => self.spawn(stream, peer, place),
                    Err(_) => {
                        tracing::warn!(%peer, "refused: too many connections");
                    }
                },
                Err(error) => {
                    tracing::warn!(%error, "cannot accept connections");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    /// Serves a connection on a task that ends with it, or with the host.
    fn spawn(&self, stream: TcpStream, peer: SocketAddr, place: OwnedSemaphorePermit) {
        keep_alive(&stream);
        let limits = self.options.limits;
        let authenticator = self.options.authenticator.clone();
        let table = Arc::clone(&self.table);
        let end = self.end.clone();
        tokio::spawn(async move {
            let mut framed = Framed::new(stream, limits.unauthenticated_payload_bytes);
            let accepted = tokio::select! {
                biased;
                () = end.cancelled() => return,
                accepted = accept(&mut framed, &limits, authenticator.as_ref()) => accepted,
            };
            let capabilities = match accepted {
                Ok(capabilities) => capabilities,
                Err(error) => {
                    tracing::debug!(%peer, %error, "not accepted");
                    return;
                }
            };
            framed.set_payload_limit(limits.connection.wire.payload_bytes);
            let options = ConnectionOptions {
                capabilities,
                limits: limits.connection,
                dispatch: table,
            };
            let connection = Connection::start(framed, options);
            tokio::select! {
                biased;
                // Not only dropped: handlers may hold it, with the objects that they were given.
                () = end.cancelled() => connection.close(),
                reason = connection.closed() => {
                    tracing::debug!(%peer, %reason, "connection ended");
                }
            }
            drop(place);
        });
    }
}

/// libqi's settings (section 1), so that a peer that vanished is found out. A failure changes
/// nothing else.
fn keep_alive(stream: &TcpStream) {
    let keep_alive = TcpKeepalive::new()
        .with_time(Duration::from_secs(30))
        .with_interval(Duration::from_secs(3))
        .with_retries(10);
    if let Err(error) = SockRef::from(stream).set_tcp_keepalive(&keep_alive) {
        tracing::debug!(%error, "no keep-alive");
    }
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "small messages may be delayed");
    }
}
