//! Binds, serves, shuts down.

use std::{io, net::SocketAddr, time::Duration};

use tokio::{net::TcpListener, sync::watch};
use tokio_util::sync::CancellationToken;
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
    /// NOT_SERVING from `stop` on. Its streams and those of reflection end then; hosted services
    /// end as soon as their calls do.
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
        let reflection = Reflection::new(robot.clone(), stop.clone())?;
        let statics = Routes::new(health::server(robot.clone(), stop.clone()))
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
        let router = Router::new(robot, statics, self.config.max_request_bytes);
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
            .serve_with_incoming_shutdown(router, incoming, stop.cancelled_owned())
            .await
            .map_err(GatewayServerError::Serve)
    }
}

#[cfg(test)]
mod tests {
    use futures_util::StreamExt as _;
    use tonic::transport::Endpoint;
    use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};
    use tonic_reflection::pb::v1::{
        ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
    };

    use super::*;
    use crate::bridge::{Robot, RobotConfig};

    const PATIENCE: Duration = Duration::from_secs(20);

    /// A probe that watched the server's health, or a tool that kept its reflection open, made the
    /// shutdown last as long as the whole grace period.
    #[tokio::test]
    async fn who_only_looks_on_does_not_delay_the_end() {
        let robot = Robot::start(RobotConfig::new("tcp://127.0.0.1:1".parse().unwrap()));
        let gateway = Gateway::bind(GatewayConfig::new(([127, 0, 0, 1], 0).into()));
        let gateway = gateway.await.unwrap();
        let url = format!("http://{}", gateway.local_addr());
        let stop = CancellationToken::new();
        let (dynamic, hosting) = (robot.dynamic().clone(), robot.hosting().clone());
        let serving = gateway.serve(robot.watch(), dynamic, hosting, stop.clone());
        let looking = async {
            let channel = Endpoint::from_shared(url).unwrap().connect().await.unwrap();
            let mut health = HealthClient::new(channel.clone());
            let watched = health.watch(HealthCheckRequest::default());
            let mut watched = watched.await.unwrap().into_inner();
            watched.message().await.unwrap().unwrap();
            let question = async { ServerReflectionRequest::default() };
            let questions = futures_util::stream::once(question);
            let questions = questions.chain(futures_util::stream::pending());
            let mut reflection = ServerReflectionClient::new(channel);
            let answers = reflection.server_reflection_info(questions);
            let mut answers = answers.await.unwrap().into_inner();
            answers.message().await.unwrap().unwrap();
            stop.cancel();
            assert!(watched.message().await.is_err());
            assert!(answers.message().await.is_err());
        };
        let both = async { tokio::join!(serving, looking) };
        let (served, ()) = tokio::time::timeout(PATIENCE, both).await.unwrap();
        served.unwrap();
    }
}
