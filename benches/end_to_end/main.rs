//! What the gateway costs, end to end, beside what the two protocols cost by themselves.
//!
//! ```text
//!   grpc      tonic client ──HTTP/2──▶ tonic server that has the answer
//!   qi        qi client ──TCP──▶ qi host
//!   gateway   tonic client ──HTTP/2──▶ gateway ──TCP──▶ the same qi host
//! ```
//!
//! The floor is the sum of the first two. Clients and servers of all three run in this process, on
//! one runtime, so that the CPU time of the process is that of all parts, and sums compare. The
//! three take turns, and every ratio is the median of those of the rounds: a busy machine slows
//! all of a round.
//!
//! What a reader costs that does not read, and what a camera's frames cost, is measured of a gateway in
//! a process of its own; the robot and the readers are in this one.
//!
//! `cargo bench --bench end_to_end` takes about three minutes; without `--bench`, as under `cargo test`,
//! everything runs once for a moment. `-- --only CASE` runs one of `grpc`, `qi`, `gateway`, `fan`
//! alone, for a profiler, with `--tasks N` calls at a time or that many streams; or one of `slow` and
//! `frames`.

#![allow(
    clippy::expect_used,
    reason = "a benchmark that cannot run has nothing to tell"
)]

mod calls;
mod cpu;
mod events;
mod frames;
mod load;
mod messages;
mod plain;
mod process;
mod robot;
mod slow;

use std::{net::SocketAddr, time::Duration};

use qi_grpc_gateway::{
    app::{App, Config},
    bridge::RobotConfig,
    gateway::GatewayConfig,
};
use tokio::task::JoinSet;
use tonic::transport::{Channel, Endpoint};

/// How long everything goes on.
struct Lengths {
    rounds: usize,
    warm_up: Duration,
    measure: Duration,
    events: Duration,
    slow: Duration,
    frames: Duration,
}

impl Lengths {
    const FULL: Self = Self {
        rounds: 7,
        warm_up: Duration::from_millis(300),
        measure: Duration::from_millis(500),
        events: Duration::from_secs(5),
        slow: Duration::from_secs(30),
        frames: Duration::from_secs(10),
    };
    const SHORT: Self = Self {
        rounds: 1,
        warm_up: Duration::from_millis(10),
        measure: Duration::from_millis(30),
        events: Duration::from_millis(100),
        slow: Duration::from_millis(100),
        frames: Duration::from_millis(100),
    };
}

/// One case alone.
struct Profile {
    case: String,
    tasks: usize,
}

impl Profile {
    const LENGTH: Duration = Duration::from_secs(15);
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let has = |name: &str| arguments.iter().any(|argument| argument == name);
    let lengths = match has("--bench") && !has("--test") {
        true => Lengths::FULL,
        false => Lengths::SHORT,
    };
    let value = |name: &str| arguments.iter().skip_while(|a| *a != name).nth(1);
    let tasks = value("--tasks").and_then(|text| text.parse().ok());
    let only = value("--only").map(|case| Profile {
        case: case.clone(),
        tasks: tasks.unwrap_or(load::CONCURRENCY),
    });
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(run(&lengths, only.as_ref()));
    runtime.shutdown_background();
}

async fn run(lengths: &Lengths, only: Option<&Profile>) {
    // Ends every server when the benchmark does.
    let mut servers = JoinSet::new();
    let robot = robot::Robot::start().await;
    let plain = connect(plain::serve(&mut servers).await).await;
    let gateway = connect(serve_gateway(&robot, &mut servers).await).await;
    let targets = calls::Targets {
        plain,
        robot: robot.client().await,
        gateway: gateway.clone(),
    };
    targets.wait_ready().await;
    match only {
        Some(Profile { case, tasks }) if case == "fan" => {
            events::run(&robot, &gateway, *tasks, Profile::LENGTH).await;
        }
        Some(Profile { case, .. }) if case == "slow" => slow::report(&robot, lengths.slow).await,
        Some(Profile { case, .. }) if case == "frames" => {
            frames::report(&robot, lengths.frames).await;
        }
        Some(Profile { case, tasks }) => {
            calls::profile(&targets, case, *tasks, Profile::LENGTH).await;
        }
        None => {
            calls::compare(&targets, lengths).await;
            events::report(&robot, &gateway, lengths.events).await;
            slow::report(&robot, lengths.slow).await;
            frames::report(&robot, lengths.frames).await;
        }
    }
}

/// The gateway in front of the robot, as the command runs it.
async fn serve_gateway(robot: &robot::Robot, servers: &mut JoinSet<()>) -> SocketAddr {
    let config = Config::new(
        RobotConfig::new(robot.directory().clone()),
        GatewayConfig::new(([127, 0, 0, 1], 0).into()),
    );
    let app = App::bind(config).await.expect("a free port");
    let address = app.local_addr();
    servers.spawn(async move {
        app.run(std::future::pending()).await.expect("a server");
    });
    address
}

/// One HTTP/2 connection.
async fn connect(address: SocketAddr) -> Channel {
    Endpoint::from_shared(format!("http://{address}"))
        .expect("a URL")
        .connect()
        .await
        .expect("a server")
}
