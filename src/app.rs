//! Wiring and graceful shutdown; the only part that knows every other.
//!
//! ```text
//!   Config ──▶ App::bind ──▶ run(stop): robot ──watch──▶ gateway
//!                                 stop ──▶ NOT_SERVING ──grace──▶ end streams, release objects
//! ```

use std::{future::Future, net::SocketAddr, time::Duration};

use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::{
    bridge::{Robot, RobotConfig},
    gateway::{Gateway, GatewayConfig, server::GatewayServerError},
};

/// Everything that a gateway is made from.
#[derive(Clone, Debug)]
pub struct Config {
    /// The robot.
    pub robot: RobotConfig,
    /// The gRPC server.
    pub gateway: GatewayConfig,
    /// How long calls and streams may go on at shutdown. Default 5 s.
    pub grace: Duration,
}

impl Config {
    /// The defaults for a robot and a server.
    #[must_use]
    pub const fn new(robot: RobotConfig, gateway: GatewayConfig) -> Self {
        Self {
            robot,
            gateway,
            grace: Duration::from_secs(5),
        }
    }
}

/// How long the connections may take to tell their clients how their streams ended.
const GOODBYE: Duration = Duration::from_secs(1);

/// A gateway that listens.
#[derive(Debug)]
pub struct App {
    robot: RobotConfig,
    gateway: Gateway,
    grace: Duration,
}

impl App {
    /// Listens for gRPC clients; whether the robot is there makes no difference.
    ///
    /// # Errors
    ///
    /// [`GatewayServerError::Listen`].
    pub async fn bind(config: Config) -> Result<Self, GatewayServerError> {
        Ok(Self {
            gateway: Gateway::bind(config.gateway).await?,
            robot: config.robot,
            grace: config.grace,
        })
    }

    /// Where gRPC clients connect.
    #[must_use]
    pub const fn local_addr(&self) -> SocketAddr {
        self.gateway.local_addr()
    }

    /// Connects to the robot and serves until `stop` ends, then shuts down.
    ///
    /// # Errors
    ///
    /// [`GatewayServerError::Serve`].
    pub async fn run(self, stop: impl Future<Output = ()>) -> Result<(), GatewayServerError> {
        let robot = Robot::start(self.robot);
        let stopping = CancellationToken::new();
        let dynamic = robot.dynamic().clone();
        let hosting = robot.hosting().clone();
        let serving = self
            .gateway
            .serve(robot.watch(), dynamic, hosting, stopping.clone());
        let mut serving = Box::pin(serving);
        tokio::select! {
            served = &mut serving => return served,
            () = stop => {}
        }
        info!(grace = ?self.grace, "shutting down");
        stopping.cancel();
        if let Ok(served) = tokio::time::timeout(self.grace, &mut serving).await {
            robot.shutdown().await;
            return served;
        }
        // What is still open are streams, which nobody but us will end, and slow calls.
        robot.shutdown().await;
        match tokio::time::timeout(GOODBYE, serving).await {
            Ok(served) => served,
            Err(_) => {
                warn!("calls were still running at the end of the grace period");
                Ok(())
            }
        }
    }
}
