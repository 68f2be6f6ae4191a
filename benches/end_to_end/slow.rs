//! A fast signal with 100 streams, of which one is not read.

use std::time::{Duration, Instant};

use tokio::{
    task::JoinSet,
    time::{MissedTickBehavior, interval, timeout},
};
use tonic::Streaming;

use super::{
    load::percentile,
    messages::{TICK_PATH, TickResponse},
    process::{Gateway, subscribe},
    robot::Robot,
};

/// Between two events, on average: tokio's clock ticks in milliseconds.
const PERIOD: Duration = Duration::from_micros(500);

/// How many streams there are.
const STREAMS: usize = 100;

/// How many events may wait for those that are read: 2 s.
const QUEUE_SIZE: u32 = 4096;

/// What the stream that is not read may be sent, in bytes.
const WINDOW_BYTES: u32 = 1024;

/// How long the last event may take.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) async fn report(robot: &Robot, length: Duration) {
    println!(
        "{:<34} {:>9} {:>9} {:>9} {:>9} {:>9} {:>11} {:>11} {:>9}",
        "signal at 2 kHz, 100 streams",
        "emitted",
        "received",
        "lost",
        "p50 us",
        "p99 us",
        "MiB before",
        "MiB after",
        "MiB peak",
    );
    run(robot, 0, length).await;
    run(robot, 1, length).await;
}

async fn run(robot: &Robot, slow: usize, length: Duration) {
    let gateway = Gateway::start(robot);
    let epoch = Instant::now();
    let channel = gateway.connect(None).await;
    let mut readers = JoinSet::new();
    for _ in 0..STREAMS - slow {
        let stream = subscribe(&channel, TICK_PATH, QUEUE_SIZE).await;
        readers.spawn(read(stream, epoch));
    }
    let narrow = gateway.connect(Some(WINDOW_BYTES)).await;
    let mut unread: Vec<Streaming<TickResponse>> = Vec::new();
    for _ in 0..slow {
        unread.push(subscribe(&narrow, TICK_PATH, 0).await);
    }
    let (before, _) = gateway.memory();
    let emitted = emit(robot, epoch, length).await;
    let read = timeout(PATIENCE, readers.join_all()).await;
    let read = read.expect("the last event on every stream");
    let (after, peak) = gateway.memory();
    let expected = emitted * (STREAMS - slow) as u64;
    let mut latencies: Vec<_> = read.into_iter().flatten().collect();
    latencies.sort_unstable();
    println!(
        "  {:<32} {emitted:>9} {:>9} {:>9} {:>9.0} {:>9.0} {before:>11.1} {after:>11.1} {peak:>9.1}",
        format!("{slow} of them not read"),
        latencies.len(),
        expected - latencies.len() as u64,
        percentile(&latencies, 50).as_secs_f64() * 1e6,
        percentile(&latencies, 99).as_secs_f64() * 1e6,
    );
    for stream in unread {
        let late = timeout(PATIENCE, catch_up(stream)).await;
        let Late { delivered, dropped } = late.expect("the last event");
        println!(
            "    read at last: {delivered} delivered + {dropped} dropped = {} of {}",
            delivered + dropped,
            emitted + 1,
        );
        assert_eq!(delivered + dropped, emitted + 1, "all are accounted for");
    }
}

/// Emits the time since `epoch` for a while, then the last event. Gives how many came before that.
async fn emit(robot: &Robot, epoch: Instant, length: Duration) -> u64 {
    let begin = Instant::now();
    let mut ticks = interval(PERIOD);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let mut emitted = 0;
    while begin.elapsed() < length {
        ticks.tick().await;
        robot.emit(i64::try_from(epoch.elapsed().as_nanos()).expect("a short time"));
        emitted += 1;
    }
    robot.emit(LAST);
    emitted
}

/// The value of the last event.
const LAST: i64 = -1;

/// The latencies of all events before the last.
async fn read(mut stream: Streaming<TickResponse>, epoch: Instant) -> Vec<Duration> {
    let mut latencies = Vec::new();
    loop {
        let event = stream.message().await.expect("an event");
        let event = event.expect("a stream without an end");
        let Ok(emitted) = u64::try_from(event.value) else {
            return latencies;
        };
        let emitted = Duration::from_nanos(emitted);
        latencies.push(epoch.elapsed().saturating_sub(emitted));
    }
}

/// What a stream brought that was not read for long.
struct Late {
    delivered: u64,
    dropped: u64,
}

async fn catch_up(mut stream: Streaming<TickResponse>) -> Late {
    let mut late = Late {
        delivered: 0,
        dropped: 0,
    };
    loop {
        let event = stream.message().await.expect("an event");
        let event = event.expect("a stream without an end");
        let info = event.info.expect("the info");
        late.delivered += 1;
        late.dropped += info.dropped;
        assert_eq!(info.sequence, late.delivered + late.dropped);
        if event.value == LAST {
            return late;
        }
    }
}
