//! `qi-grpc-gateway serve`

use std::{io::ErrorKind, net::SocketAddr, path::PathBuf, time::Duration};

use clap::Args;

use super::{Failure, schema, signals};
use crate::{
    app::{App, Config},
    bridge::RobotConfig,
    gateway::{GatewayConfig, server::GatewayServerError},
    qi::session::Endpoint,
};

/// What `serve` takes.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The robot's service directory, such as tcp://nao.local:9559.
    #[arg(
        long,
        env = "QI_URL",
        value_name = "URL",
        default_value = "tcp://127.0.0.1:9559"
    )]
    qi_url: Endpoint,

    /// Where gRPC clients connect; port 0 takes a free one.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:50051")]
    listen: SocketAddr,

    /// Show members that tools usually hide: names that begin with `_`, and object management.
    #[arg(long)]
    expose_private: bool,

    /// A snapshot of the robot (see `schema snapshot`), to serve its schema before it is there.
    #[arg(long, value_name = "FILE")]
    schema: Option<PathBuf>,

    /// How long an object that a method returned is kept without being used.
    #[arg(
        long,
        value_name = "SECONDS",
        default_value_t = 300,
        value_parser = clap::value_parser!(u32).range(1..)
    )]
    object_lease: u32,
}

pub(super) async fn run(arguments: Arguments) -> Result<(), Failure> {
    // Before anyone is told that it runs, and may want to end it.
    let stop = signals::stop().map_err(|error| Failure::new(&error))?;
    let mut robot = RobotConfig::new(arguments.qi_url);
    robot.expose_private = arguments.expose_private;
    if let Some(file) = arguments.schema {
        robot.known = schema::read_file(&file)?;
    }
    robot.object_lease = Duration::from_secs(arguments.object_lease.into());
    let config = Config::new(robot, GatewayConfig::new(arguments.listen));
    let app = bind(config).await?;
    announce(&app);
    app.run(stop).await.map_err(|error| Failure::new(&error))
}

pub(super) async fn bind(config: Config) -> Result<App, Failure> {
    App::bind(config).await.map_err(|error| {
        let failure = Failure::new(&error);
        if matches!(&error, GatewayServerError::Listen { source, .. }
            if source.kind() == ErrorKind::AddrInUse)
        {
            return failure.hint("Another program listens there; choose another with --listen.");
        }
        failure
    })
}

/// Prints where clients connect. The first line of standard output, for people and scripts.
pub(super) fn announce(app: &App) {
    println!("gRPC  http://{}", app.local_addr());
}
