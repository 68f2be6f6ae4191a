//! `qi-grpc-gateway serve`

use std::{io::ErrorKind, net::SocketAddr, path::PathBuf, time::Duration};

use clap::Args;

use super::{Failure, schema, signals};
use crate::{
    app::{App, Config},
    bridge::{RobotConfig, hosting::HostingConfig},
    gateway::{GatewayConfig, server::GatewayServerError},
    qi::{host::HostError, session::Endpoint},
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

    /// Where the robot's bus reaches services that gRPC clients host, such as
    /// tcp://192.168.1.10:0; port 0 takes a free one. Default: a free port of the address that
    /// leads to the robot. Nobody is listened to before something is hosted.
    #[arg(long, value_name = "URL")]
    qi_listen: Option<String>,

    /// What others on the bus are told to connect to instead, such as tcp://gateway.local:0; port
    /// 0 stands for the one that is listened on. May be given several times.
    #[arg(long, value_name = "URL")]
    qi_advertise: Vec<String>,

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
    robot.hosting.listen = arguments.qi_listen;
    robot.hosting.host.advertise = arguments.qi_advertise;
    check_hosting(&robot.hosting)?;
    let config = Config::new(robot, GatewayConfig::new(arguments.listen));
    let app = bind(config).await?;
    announce(&app);
    app.run(stop).await.map_err(|error| Failure::new(&error))
}

/// Says at once what would only be found out once something is hosted.
fn check_hosting(hosting: &HostingConfig) -> Result<(), Failure> {
    let url = hosting.listen.as_deref().unwrap_or("tcp://127.0.0.1:0");
    hosting.host.check(url).map_err(|error| {
        let failure = Failure::new(&error);
        match error {
            HostError::NothingToAdvertise { .. } => {
                failure.hint("Say it with --qi-advertise, such as tcp://gateway.local:0.")
            }
            _ => failure,
        }
    })
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
