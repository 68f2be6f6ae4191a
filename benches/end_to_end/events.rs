//! One signal, and many gRPC streams of it.

use std::time::{Duration, Instant};

use http::uri::PathAndQuery;
use tokio::{
    task::JoinSet,
    time::{MissedTickBehavior, interval, timeout},
};
use tonic::{Request, Streaming, client::Grpc, transport::Channel};
use tonic_prost::ProstCodec;

use super::{
    cpu,
    load::percentile,
    messages::{SubscribeRequest, TICK_PATH, TickResponse},
    robot::Robot,
};

/// Between two events.
const PERIOD: Duration = Duration::from_millis(1);

/// The value of the last event.
const LAST: i64 = -1;

/// How long the last event may take.
const PATIENCE: Duration = Duration::from_secs(5);

pub(crate) async fn report(robot: &Robot, gateway: &Channel, length: Duration) {
    println!(
        "{:<34} {:>9} {:>9} {:>9} {:>9} {:>9} {:>9} {:>9}",
        "signal at 1 kHz, one connection",
        "emitted",
        "received",
        "lost",
        "told",
        "p50 us",
        "p99 us",
        "CPU"
    );
    for streams in [1, 100] {
        run(robot, gateway, streams, length).await;
    }
}

pub(crate) async fn run(robot: &Robot, gateway: &Channel, streams: usize, length: Duration) {
    let epoch = Instant::now();
    let mut readers = JoinSet::new();
    for _ in 0..streams {
        let stream = subscribe(gateway.clone()).await;
        readers.spawn(read(stream, epoch));
    }
    let before = cpu::spent();
    let begin = Instant::now();
    let mut ticks = interval(PERIOD);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let mut emitted: u64 = 0;
    while begin.elapsed() < length {
        ticks.tick().await;
        let now = i64::try_from(epoch.elapsed().as_nanos()).expect("a short time");
        robot.emit(now);
        emitted += 1;
    }
    let cpu = cpu::spent().saturating_sub(before).as_secs_f64() / begin.elapsed().as_secs_f64();
    // The newest is never dropped, so every stream gets it.
    robot.emit(LAST);
    let read = timeout(PATIENCE, readers.join_all()).await;
    let read = read.expect("the last event on every stream");
    let dropped: u64 = read.iter().map(|read| read.dropped).sum();
    let mut latencies: Vec<_> = read.into_iter().flat_map(|read| read.latencies).collect();
    latencies.sort_unstable();
    let lost = emitted * streams as u64 - latencies.len() as u64;
    println!(
        "  {:<32} {emitted:>9} {:>9} {lost:>9} {dropped:>9} {:>9.0} {:>9.0} {:>8.0}%",
        format!("{streams} streams"),
        latencies.len(),
        percentile(&latencies, 50).as_secs_f64() * 1e6,
        percentile(&latencies, 99).as_secs_f64() * 1e6,
        cpu * 100.0,
    );
}

async fn subscribe(channel: Channel) -> Streaming<TickResponse> {
    let mut client = Grpc::new(channel);
    client.ready().await.expect("a connection");
    let request = Request::new(SubscribeRequest::default());
    let path = PathAndQuery::from_static(TICK_PATH);
    let answer = client.server_streaming(request, path, ProstCodec::default());
    answer.await.expect("a stream").into_inner()
}

/// What a stream brought before the last event.
struct Read {
    latencies: Vec<Duration>,
    dropped: u64,
}

async fn read(mut stream: Streaming<TickResponse>, epoch: Instant) -> Read {
    let mut read = Read {
        latencies: Vec::new(),
        dropped: 0,
    };
    loop {
        let event = stream.message().await.expect("an event");
        let event = event.expect("a stream without an end");
        read.dropped += event.info.map_or(0, |info| info.dropped);
        let Ok(emitted) = u64::try_from(event.value) else {
            return read;
        };
        let latency = epoch
            .elapsed()
            .saturating_sub(Duration::from_nanos(emitted));
        read.latencies.push(latency);
    }
}
