//! Opening connections.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use futures_util::{StreamExt as _, stream::FuturesUnordered};
use socket2::{SockRef, TcpKeepalive};
use tokio::{
    net::{TcpStream, lookup_host},
    time::{sleep, timeout},
};

use super::{
    Authenticated, Capabilities, Connection, ConnectionLimits, ConnectionOptions, Credentials,
    Dispatch, Endpoint, Framed, HandshakeError, HandshakeOptions, NoObjects, Scheme, authenticate,
};

/// How connections are opened.
#[derive(Clone)]
pub struct DialOptions {
    /// Who we are. Default nobody.
    pub credentials: Option<Credentials>,
    /// What each connection accepts.
    pub limits: ConnectionLimits,
    /// How long the network may take, with the look-up of a name. Default 5 s: twice the time after
    /// which TCP asks a second time, and some for a busy access point.
    pub connect_timeout: Duration,
    /// How long the peer may take to authenticate us. Default 10 s.
    pub handshake_timeout: Duration,
    /// Who gets calls of the peer. Default nobody.
    pub dispatch: Arc<dyn Dispatch>,
}

impl Default for DialOptions {
    fn default() -> Self {
        Self {
            credentials: None,
            limits: ConnectionLimits::default(),
            connect_timeout: Duration::from_secs(5),
            handshake_timeout: Duration::from_secs(10),
            dispatch: Arc::new(NoObjects),
        }
    }
}

impl std::fmt::Debug for DialOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DialOptions")
            .field("credentials", &self.credentials)
            .field("limits", &self.limits)
            .field("connect_timeout", &self.connect_timeout)
            .field("handshake_timeout", &self.handshake_timeout)
            .finish_non_exhaustive()
    }
}

/// Why a connection was not opened.
#[derive(Clone, Debug, thiserror::Error)]
pub enum DialError {
    /// This way of connecting is not supported.
    #[error("{endpoint}: {} is not supported", .endpoint.scheme())]
    Unsupported {
        /// Where we wanted to.
        endpoint: Endpoint,
    },
    /// The network, or the look-up of the name, failed.
    #[error("{endpoint}: {source}")]
    Io {
        /// Where we wanted to.
        endpoint: Endpoint,
        /// What failed.
        source: Arc<io::Error>,
    },
    /// The network did not answer in time.
    #[error("{endpoint}: no connection within {after:?}")]
    TimedOut {
        /// Where we wanted to.
        endpoint: Endpoint,
        /// How long we waited.
        after: Duration,
    },
    /// The peer does not want us, or speaks something else.
    #[error("{endpoint}: {source}")]
    Handshake {
        /// Where we wanted to.
        endpoint: Endpoint,
        /// What failed.
        source: HandshakeError,
    },
}

/// A connection just opened.
#[derive(Clone, Debug)]
pub struct Dialed {
    /// The connection.
    pub connection: Connection,
    /// What the handshake found out.
    pub authenticated: Authenticated,
    /// Whether the peer is on this machine.
    pub is_local: bool,
    /// Our own address on the way to the peer.
    pub local_address: IpAddr,
}

/// Opens a connection and authenticates.
///
/// # Errors
///
/// [`DialError`].
///
/// # Cancel safety
///
/// Safe: what was opened is closed.
pub async fn dial(endpoint: &Endpoint, options: &DialOptions) -> Result<Dialed, DialError> {
    if endpoint.scheme() != Scheme::Tcp {
        let endpoint = endpoint.clone();
        return Err(DialError::Unsupported { endpoint });
    }
    let io_error = |source: io::Error| DialError::Io {
        endpoint: endpoint.clone(),
        source: Arc::new(source),
    };
    let stream = timeout(options.connect_timeout, connect(endpoint))
        .await
        .map_err(|_| DialError::TimedOut {
            endpoint: endpoint.clone(),
            after: options.connect_timeout,
        })?
        .map_err(io_error)?;
    configure(&stream).map_err(io_error)?;
    let is_local = is_local(&stream);
    let local_address = stream.local_addr().map_err(io_error)?.ip().to_canonical();

    let mut framed = Framed::new(stream, options.limits.wire.payload_bytes);
    let handshake = HandshakeOptions {
        capabilities: Capabilities::OURS,
        credentials: options.credentials.clone(),
        timeout: options.handshake_timeout,
        limits: options.limits.wire,
    };
    let authenticated = authenticate(&mut framed, &handshake)
        .await
        .map_err(|source| DialError::Handshake {
            endpoint: endpoint.clone(),
            source,
        })?;
    let started = ConnectionOptions {
        capabilities: authenticated.shared,
        limits: options.limits,
        dispatch: options.dispatch.clone(),
    };
    Ok(Dialed {
        connection: Connection::start(framed, started),
        authenticated,
        is_local,
        local_address,
    })
}

/// Opens a connection to whichever of `endpoints` answers first.
///
/// They are tried in order, each next one when the one before failed or has taken
/// [`STAGGER`]; the others are given up once one is open.
///
/// # Errors
///
/// The [`DialError`] of the endpoint that was tried first; none if there are no endpoints.
pub(super) async fn dial_first(
    endpoints: &[Endpoint],
    options: &DialOptions,
) -> Result<Dialed, Option<DialError>> {
    let mut waiting = endpoints.iter().enumerate();
    let mut running = FuturesUnordered::new();
    let mut first_error: Option<(usize, DialError)> = None;
    loop {
        if let Some((place, endpoint)) = waiting.next() {
            running.push(async move { (place, dial(endpoint, options).await) });
        }
        let stagger = async {
            match waiting.len() {
                0 => std::future::pending().await,
                _ => sleep(STAGGER).await,
            }
        };
        tokio::select! {
            finished = running.next() => match finished {
                Some((_, Ok(dialed))) => return Ok(dialed),
                Some((place, Err(error))) => {
                    if first_error.as_ref().is_none_or(|(before, _)| place < *before) {
                        first_error = Some((place, error));
                    }
                }
                None => return Err(first_error.map(|(_, error)| error)),
            },
            () = stagger => {}
        }
    }
}

/// How long an endpoint may take before the next one is tried beside it: what RFC 8305 recommends.
const STAGGER: Duration = Duration::from_millis(250);

/// Tries the addresses of a name one after the other.
async fn connect(endpoint: &Endpoint) -> io::Result<TcpStream> {
    let mut failed = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    let addresses: Vec<SocketAddr> = lookup_host((endpoint.host(), endpoint.port()))
        .await?
        .collect();
    for address in addresses {
        match TcpStream::connect(address).await {
            Ok(stream) => return Ok(stream),
            Err(error) => failed = error,
        }
    }
    Err(failed)
}

/// Sets what a qimessaging connection needs: no delay for small messages, and libqi's numbers for
/// noticing a peer that is gone (section 1).
///
/// # Errors
///
/// The socket's.
pub fn configure(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let socket = SockRef::from(stream);
    let keepalive = TcpKeepalive::new()
        .with_time(Duration::from_secs(30))
        .with_interval(Duration::from_secs(3));
    #[cfg(not(target_os = "windows"))]
    let keepalive = keepalive.with_retries(10);
    socket.set_tcp_keepalive(&keepalive)?;
    #[cfg(any(target_os = "linux", target_os = "android"))]
    socket.set_tcp_user_timeout(Some(Duration::from_secs(30)))?;
    Ok(())
}

/// Whether both ends are on one machine.
fn is_local(stream: &TcpStream) -> bool {
    let (Ok(ours), Ok(theirs)) = (stream.local_addr(), stream.peer_addr()) else {
        return false;
    };
    theirs.ip().to_canonical().is_loopback() || theirs.ip() == ours.ip()
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    fn endpoint(listener: &TcpListener) -> Endpoint {
        Endpoint::tcp("127.0.0.1".into(), listener.local_addr().unwrap().port())
    }

    #[tokio::test]
    async fn encrypted_endpoints_are_refused_by_type() {
        let endpoint: Endpoint = "tcps://robot".parse().unwrap();
        let error = dial(&endpoint, &DialOptions::default()).await.unwrap_err();
        assert!(matches!(error, DialError::Unsupported { .. }));
        assert_eq!(
            error.to_string(),
            "tcps://robot:9559: tcps is not supported"
        );
    }

    #[tokio::test]
    async fn sockets_are_set_up_like_those_of_libqi() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let stream = connect(&endpoint(&listener)).await.unwrap();
        configure(&stream).unwrap();
        assert!(stream.nodelay().unwrap());
        assert!(SockRef::from(&stream).keepalive().unwrap());
        assert!(is_local(&stream));
    }

    /// One listener refuses, one never answers: the error is that of the first, and both were
    /// tried.
    #[tokio::test]
    async fn all_candidates_are_tried() {
        let gone = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let refusing = endpoint(&gone);
        drop(gone);
        let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let options = DialOptions {
            handshake_timeout: Duration::from_millis(50),
            ..DialOptions::default()
        };
        let endpoints = [refusing.clone(), endpoint(&silent)];
        let (error, accepted) = tokio::join!(dial_first(&endpoints, &options), silent.accept());
        accepted.unwrap();
        assert!(matches!(
            error.unwrap_err(),
            Some(DialError::Io { endpoint, .. }) if endpoint == refusing
        ));
        assert!(dial_first(&[], &options).await.unwrap_err().is_none());
    }
}
