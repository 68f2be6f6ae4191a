//! What it costs to know a robot: descriptors, plans and routes of all its services, as they are made
//! when it is met, or when a snapshot of it is served.
//!
//! `cargo bench --bench schema` takes the interfaces of a real NAO, `nao-v6.json` in `QI_ROBOTS_DIR` or by
//! default in `../shared/robots`, which are not part of this repository. Where they are not, it takes those
//! of the demo's robot, so often that there are as many members. `-- --from FILE` takes another snapshot.
//! Without `--bench`, as under `cargo test`, everything is done once.

#![allow(
    clippy::expect_used,
    reason = "a benchmark that cannot run has nothing to tell"
)]

use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use qi_grpc_gateway::{
    bridge::{
        Robot, RobotConfig,
        introspect::{IntrospectOptions, introspect},
    },
    demo::{DemoConfig, DemoRobot},
    qi::value::MetaObject,
    schema::snapshot::{Snapshot, SnapshotLimits},
};
use tokio::runtime::{Builder, Runtime};

/// What all services of a NAO may take, on one core of a desktop machine.
const TARGET: (Duration, f64) = (Duration::from_millis(150), 40.0);

/// The methods, signals and properties of a NAO.
const NAO_MEMBERS: usize = 3475;

/// How many robots the memory of one is measured by. The first fills what was free before.
const ROBOTS: usize = 5;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let has = |name: &str| arguments.iter().any(|argument| argument == name);
    let rounds = match has("--bench") && !has("--test") {
        true => 21,
        false => 1,
    };
    let from = arguments.iter().skip_while(|it| *it != "--from").nth(1);
    let (origin, snapshot) = match from.map(PathBuf::from).or_else(nao) {
        Some(file) => (file.display().to_string(), read(&file)),
        None => ("the demo's services, repeated".to_owned(), demo()),
    };
    let count: usize = snapshot.services().values().map(members).sum();
    let services = snapshot.services().len();
    println!("{origin}: {services} services, {count} members");

    let mut config = RobotConfig::new("tcp://127.0.0.1:9".parse().expect("a URL"));
    config.known = snapshot;
    report_memory(&config);
    report_time(&config, rounds);
}

/// A robot that knows its services, in a runtime in which nothing else happens. The robot ends with
/// the runtime.
fn known(config: RobotConfig) -> (Runtime, Robot) {
    let runtime = Builder::new_current_thread().enable_all().build();
    let runtime = runtime.expect("a runtime");
    let robot = runtime.block_on(async { Robot::start(config) });
    (runtime, robot)
}

fn report_time(config: &RobotConfig, rounds: usize) {
    let mut times = Vec::new();
    let mut routes = 0;
    for _ in 0..rounds {
        let config = config.clone();
        let (started, on_cpu) = (Instant::now(), cpu());
        let (_runtime, robot) = known(config);
        let elapsed = started.elapsed();
        let on_cpu = cpu().zip(on_cpu).map(|(now, before)| now - before);
        // What others took of a busy machine does not count.
        times.push(on_cpu.unwrap_or(elapsed));
        routes = robot.catalogue().route_count();
    }
    times.sort_unstable();
    let (fastest, median) = (times[0], times[times.len() / 2]);
    println!(
        "time    {median:.1?} median, {fastest:.1?} fastest of {rounds}; target {:?}",
        TARGET.0
    );
    println!(
        "        {routes} routes, {:.1?} each",
        median / routes.max(1) as u32
    );
}

/// The time that this thread ran; only Linux tells.
fn cpu() -> Option<Duration> {
    let text = fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    text.split(' ')
        .next()?
        .parse()
        .ok()
        .map(Duration::from_nanos)
}

fn report_memory(config: &RobotConfig) {
    let first = known(config.clone());
    // Linux sets the peak back to what is held now.
    let is_reset = fs::write("/proc/self/clear_refs", "5").is_ok();
    let before = resident("VmRSS:");
    let robots: Vec<_> = (0..ROBOTS).map(|_| known(config.clone())).collect();
    let grown = |bytes: Option<f64>| Some(bytes? - before?);
    let (held, peak) = (grown(resident("VmRSS:")), grown(resident("VmHWM:")));
    drop((first, robots));
    let Some((held, peak)) = held.zip(peak.filter(|_| is_reset)) else {
        println!("memory  only Linux tells");
        return;
    };
    let held = held / ROBOTS as f64;
    // Where the others are held already.
    let peak = peak - held * (ROBOTS - 1) as f64;
    println!(
        "memory  {held:.1} MiB held, {peak:.1} MiB at most; target {} MiB",
        TARGET.1
    );
}

/// A line of this process's status, in MiB.
fn resident(key: &str) -> Option<f64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(key))?;
    let kib: f64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kib / 1024.0)
}

fn members(meta: &MetaObject) -> usize {
    meta.methods.len() + meta.signals.len() + meta.properties.len()
}

fn nao() -> Option<PathBuf> {
    let folder = std::env::var_os("QI_ROBOTS_DIR").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/robots"),
        PathBuf::from,
    );
    Some(folder.join("nao-v6.json")).filter(|file| file.exists())
}

fn read(file: &Path) -> Snapshot {
    let text = fs::read(file).expect("a file");
    Snapshot::parse(&text, &SnapshotLimits::default()).expect("a snapshot")
}

/// The services of the demo's robot, each under so many names that there are members enough.
fn demo() -> Snapshot {
    let runtime = Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.expect("a runtime");
    let services = runtime.block_on(async {
        let robot = DemoRobot::start(DemoConfig::default());
        let robot = robot.await.expect("a robot");
        let url = robot.url().parse().expect("a URL");
        let asked = introspect(&url, IntrospectOptions::default()).await;
        robot.shutdown().await;
        asked.expect("an answer").snapshot.into_services()
    });
    let members: usize = services.values().map(members).sum();
    let copies = NAO_MEMBERS.div_ceil(members.max(1));
    let copies = (0..copies).flat_map(|copy| {
        let named = services.iter();
        named.map(move |(name, meta)| (format!("{name}{copy}"), meta.clone()))
    });
    Snapshot::new(copies, [])
}
