//! Binds, serves, shuts down.

use std::{io, net::SocketAddr, time::Duration};

use tokio::{net::TcpListener, sync::watch};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};
use tonic::{
    service::Routes,
    transport::{Server, server::TcpIncoming},
};

use super::{
    health,
    reflection::{self, Reflection},
    router::Router,
    services,
};
use crate::{
    bridge::{Dynamic, hosting::Hosting, supervisor::State},
    schema::FilesError,
};

/// How the gRPC server is reached and what it accepts.
#[derive(Clone, Debug)]
pub struct GatewayConfig {
    /// Where it listens; port 0 takes a free one.
    pub listen: SocketAddr,
    /// The largest request, in bytes. Default 16 MiB: a second of a robot's four microphones is
    /// 0.4 MB, a 4 megapixel image 12 MB.
    pub max_request_bytes: usize,
    /// How many calls and streams one connection may have at a time. Default 4096; h2 allows 200
    /// where nobody says more, too few for a cloud service that shares one connection.
    pub max_concurrent_streams: u32,
    /// How many bytes of requests one connection may have under way that nobody has read yet.
    /// Default 16 MiB, one request of the largest size. h2 takes a connection for an attack when
    /// small unread frames pile up, each counted as 256 bytes against half of this; a client that
    /// gives up a few thousand calls at once stays far below.
    pub connection_window_bytes: u32,
    /// How often an idle connection is asked whether the client is still there. Default 30 s, and
    /// 20 s for the answer: streams of a client that vanished are gone within a minute.
    pub keepalive: Duration,
}

impl GatewayConfig {
    /// The defaults for a server at `listen`.
    #[must_use]
    pub const fn new(listen: SocketAddr) -> Self {
        Self {
            listen,
            max_request_bytes: 16 * 1024 * 1024,
            max_concurrent_streams: 4096,
            connection_window_bytes: 16 * 1024 * 1024,
            keepalive: Duration::from_secs(30),
        }
    }
}

/// Why the server does not serve.
#[derive(Debug, thiserror::Error)]
pub enum GatewayServerError {
    /// The address cannot be listened on.
    #[error("cannot listen on {address} for gRPC: {source}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// A descriptor set that was compiled into the program does not decode.
    #[error("the static API cannot be reflected")]
    Reflection(#[from] FilesError),
    /// The server ended by itself.
    #[error("the gRPC server ended")]
    Serve(#[source] tonic::transport::Error),
}

/// A gRPC server that listens, and does not serve yet.
#[derive(Debug)]
pub struct Gateway {
    config: GatewayConfig,
    listener: TcpListener,
    address: SocketAddr,
}

impl Gateway {
    /// Starts to listen. Clients may connect from now on; they are served by [`Self::serve`].
    ///
    /// # Errors
    ///
    /// [`GatewayServerError::Listen`].
    pub async fn bind(config: GatewayConfig) -> Result<Self, GatewayServerError> {
        let failed = |source| GatewayServerError::Listen {
            address: config.listen,
            source,
        };
        let listener = TcpListener::bind(config.listen).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        Ok(Self {
            config,
            listener,
            address,
        })
    }

    /// Where the server listens, with the port that was taken.
    #[must_use]
    pub const fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `stop`, then until the last call and stream has ended. Health tells
    /// NOT_SERVING from `stop` on.
    ///
    /// # Errors
    ///
    /// [`GatewayServerError::Serve`], [`GatewayServerError::Reflection`].
    ///
    /// # Cancel safety
    ///
    /// Dropping the future closes all connections.
    pub async fn serve(
        self,
        robot: watch::Receiver<State>,
        dynamic: Dynamic,
        hosting: Hosting,
        stop: CancellationToken,
    ) -> Result<(), GatewayServerError> {
        let (reporter, health_server) = tonic_health::server::health_reporter();
        let follow = health::follow(robot.clone(), reporter.clone());
        let following = AbortOnDropHandle::new(tokio::spawn(follow));
        let reflection = Reflection::new(robot.clone())?;
        let statics = Routes::new(health_server)
            .add_service(reflection::v1::server(reflection.clone()))
            .add_service(reflection::v1alpha::server(reflection))
            .add_service(services::directory::server(robot.clone(), dynamic.clone()))
            .add_service(services::object::server(dynamic.clone()))
            .add_service(services::dynamic::server(
                dynamic,
                self.config.max_request_bytes,
            ))
            .add_service(services::hosting::server(
                hosting,
                self.config.max_request_bytes,
                stop.clone(),
            ))
            .prepare();
        let router = Router::new(robot.clone(), statics, self.config.max_request_bytes);
        let stopped = async {
            stop.cancelled().await;
            // Ended for certain, or it may tell SERVING once more.
            following.abort();
            let _ = following.await;
            health::stop(&robot, &reporter).await;
        };
        let incoming = TcpIncoming::from(self.listener)
            .with_nodelay(Some(true))
            // For clients that vanish before they speak HTTP/2, which asks by itself later.
            .with_keepalive(Some(self.config.keepalive));
        Server::builder()
            .max_concurrent_streams(self.config.max_concurrent_streams)
            .initial_connection_window_size(Some(self.config.connection_window_bytes))
            // Calls that a client gives up before they were looked at. h2 takes more than 20 for an
            // attack and ends the connection, with all its streams; a client that shares one
            // connection between many users may give up all calls that it may have.
            .http2_max_pending_accept_reset_streams(Some(
                self.config.max_concurrent_streams as usize,
            ))
            .http2_keepalive_interval(Some(self.config.keepalive))
            .serve_with_incoming_shutdown(router, incoming, stopped)
            .await
            .map_err(GatewayServerError::Serve)
    }
}
