//! The embedded robot: a simulated NAO or Pepper with the tutorial's service `foo` on its bus.
//!
//! The robot is naoqi-sim, of the crate `libqi-vibe`, an implementation of qi that is independent
//! of ours; `foo` is hosted with [`crate::qi::host`].
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use qi_grpc_gateway::demo::{DemoConfig, DemoRobot};
//!
//! let robot = DemoRobot::start(DemoConfig::default()).await?;
//! println!("connect to {}", robot.url());
//! robot.shutdown().await;
//! # Ok(())
//! # }
//! ```

pub mod foo;

use std::{
    error::Error,
    net::{Ipv4Addr, SocketAddr},
};

use naoqi::naoqi_sim::{Config, Simulator};

use crate::qi::{
    host::{BuildError, Host, HostError, HostOptions, RegisterError, Registration},
    session::{ConnectError, DialOptions, Endpoint, EndpointError, Session},
};

/// Which robot the demo is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum RobotModel {
    /// The small one that walks.
    #[default]
    Nao,
    /// The one of human size on wheels.
    Pepper,
}

/// How to start the demo's robot.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct DemoConfig {
    /// Which robot it is. Default NAO.
    pub model: RobotModel,
    /// Where its bus listens, `tcp://host:port` each. Default the loopback interface, on a port
    /// that the system chooses.
    pub qi_listen: Option<Vec<String>>,
    /// Whether to leave `foo` to someone else who hosts it.
    pub without_foo: bool,
}

/// Why the demo's robot did not start.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// What it is to listen on is no address.
    #[error("{url} is no address to listen on: {reason}")]
    Address {
        /// The address.
        url: String,
        /// What is wrong with it.
        reason: Box<dyn Error + Send + Sync>,
    },
    /// It cannot listen; the port is in use, mostly.
    #[error("the robot cannot listen on {urls}: {reason}")]
    Start {
        /// The addresses.
        urls: String,
        /// What the simulator says.
        reason: Box<dyn Error + Send + Sync>,
    },
    /// It runs, but listens nowhere.
    #[error("the robot listens on no address")]
    NoAddress,
    /// The address that it listens on is none.
    #[error("the robot's address: {0}")]
    Endpoint(#[from] EndpointError),
    /// Its bus cannot be reached.
    #[error("the robot's bus: {0}")]
    Connect(#[from] ConnectError),
    /// The service cannot be hosted.
    #[error("hosting foo: {0}")]
    Host(#[from] HostError),
    /// The service is not built well.
    #[error("the service foo: {0}")]
    Build(#[from] BuildError),
    /// The service does not come on the bus.
    #[error("registering foo: {0}")]
    Register(#[from] RegisterError),
}

/// A running robot. It ends with [`Self::shutdown`], or when it is dropped.
#[derive(Debug)]
pub struct DemoRobot {
    url: String,
    // In the order in which they are to end.
    foo: Option<Registration>,
    host: Host,
    session: Session,
    simulator: Simulator,
}

impl DemoRobot {
    /// Starts the robot and puts `foo` on its bus, unless it is left out.
    ///
    /// # Errors
    ///
    /// [`DemoError`].
    ///
    /// # Cancel safety
    ///
    /// Safe: what was started ends.
    pub async fn start(config: DemoConfig) -> Result<Self, DemoError> {
        let without_foo = config.without_foo;
        let simulator = simulate(config).await?;
        let address = simulator.address().ok_or(DemoError::NoAddress)?;
        let url = address.to_string();
        let host = listen_beside(&simulator).await?;
        let options = DialOptions {
            dispatch: host.dispatch(),
            ..DialOptions::default()
        };
        let endpoint: Endpoint = url.parse()?;
        let session = Session::connect(&endpoint, options).await?;
        let registration = match without_foo {
            true => None,
            false => Some(host.register(&session, "foo", &foo::build()?).await?),
        };
        Ok(Self {
            url,
            foo: registration,
            host,
            session,
            simulator,
        })
    }

    /// Where its bus is, as `tcp://host:port`; on the loopback interface, if it listens there.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Takes `foo` from the bus and stops the robot.
    pub async fn shutdown(self) {
        if let Some(registration) = self.foo
            && let Err(error) = registration.leave().await
        {
            tracing::debug!(%error, "foo could not be unregistered");
        }
        self.session.close();
        drop(self.host);
        self.simulator.shutdown().await;
    }
}

/// `foo` is to be reached from wherever the robot is.
async fn listen_beside(simulator: &Simulator) -> Result<Host, DemoError> {
    let at = |address: &naoqi::Address| {
        let naoqi::Address::Tcp { address, .. } = address;
        format!("tcp://{}", SocketAddr::new(address.ip(), 0))
    };
    let listened = simulator.config().listen.first();
    let url = listened.map(at).ok_or(DemoError::NoAddress)?;
    let options = HostOptions {
        advertise: simulator.endpoints().iter().map(at).collect(),
        ..HostOptions::default()
    };
    Ok(Host::listen(&url, options).await?)
}

async fn simulate(config: DemoConfig) -> Result<Simulator, DemoError> {
    let model = match config.model {
        RobotModel::Nao => naoqi::naoqi_sim::RobotModel::Nao,
        RobotModel::Pepper => naoqi::naoqi_sim::RobotModel::Pepper,
    };
    let loopback = || {
        vec![format!(
            "tcp://{}",
            SocketAddr::from((Ipv4Addr::LOCALHOST, 0))
        )]
    };
    let urls = config.qi_listen.unwrap_or_else(loopback);
    let address = |url: &String| {
        let parsed = url.parse::<naoqi::Address>();
        parsed.map_err(|reason| DemoError::Address {
            url: url.clone(),
            reason: reason.into(),
        })
    };
    let addresses = urls.iter().map(address).collect::<Result<_, _>>()?;
    let simulator = Simulator::start(Config::new(model).listen_on(addresses)).await;
    simulator.map_err(|reason| DemoError::Start {
        urls: urls.join(", "),
        reason: reason.into(),
    })
}
