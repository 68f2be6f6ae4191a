//! A camera: large events, and streams that share their bytes.

use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::{
    task::JoinSet,
    time::{MissedTickBehavior, interval, timeout},
};
use tonic::Streaming;

use super::{
    messages::{FRAME_PATH, FrameResponse},
    process::{Gateway, subscribe},
    robot::Robot,
};

/// 640x480 pixels in three colours.
const FRAME_BYTES: usize = 640 * 480 * 3;

/// Between two frames.
const PERIOD: Duration = Duration::from_nanos(1_000_000_000 / 30);

/// How long the last frame may take.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) async fn report(robot: &Robot, length: Duration) {
    println!(
        "{:<34} {:>9} {:>9} {:>9} {:>9} {:>13} {:>11} {:>11} {:>9}",
        "frames of 921,600 bytes at 30 Hz",
        "emitted",
        "received",
        "lost",
        "MB/s",
        "CPU us/frame",
        "MiB before",
        "MiB after",
        "MiB peak",
    );
    for streams in [1, 10] {
        run(robot, streams, length).await;
    }
}

async fn run(robot: &Robot, streams: usize, length: Duration) {
    let gateway = Gateway::start(robot);
    let mut readers = JoinSet::new();
    for _ in 0..streams {
        // As clients on ten machines.
        let channel = gateway.connect(None).await;
        let stream = subscribe(&channel, FRAME_PATH, 0).await;
        readers.spawn(read(stream));
    }
    let frame = Bytes::from(vec![0x7f; FRAME_BYTES]);
    let (before, _) = gateway.memory();
    let spent = gateway.cpu();
    let begin = Instant::now();
    let mut ticks = interval(PERIOD);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let mut emitted = 0;
    while begin.elapsed() < length {
        ticks.tick().await;
        robot.emit_frame(frame.clone());
        emitted += 1;
    }
    // Tells the end.
    robot.emit_frame(Bytes::new());
    let read = timeout(PATIENCE, readers.join_all()).await;
    let read = read.expect("the last frame on every stream");
    let received: u64 = read.iter().map(|read| read.received).sum();
    let told: u64 = read.iter().map(|read| read.dropped).sum();
    assert_eq!(
        received + told,
        emitted * streams as u64,
        "what is lost is told"
    );
    let elapsed = begin.elapsed().as_secs_f64();
    let cpu = gateway.cpu().saturating_sub(spent);
    let (after, peak) = gateway.memory();
    println!(
        "  {:<32} {emitted:>9} {received:>9} {:>9} {:>9.1} {:>13.0} {before:>11.1} {after:>11.1} {peak:>9.1}",
        format!("{streams} streams"),
        told,
        received as f64 * FRAME_BYTES as f64 / elapsed / 1e6,
        cpu.as_secs_f64() * 1e6 / emitted as f64,
    );
}

/// What came before the last event.
struct Read {
    received: u64,
    dropped: u64,
}

async fn read(mut stream: Streaming<FrameResponse>) -> Read {
    let mut read = Read {
        received: 0,
        dropped: 0,
    };
    loop {
        let event = stream.message().await.expect("an event");
        let event = event.expect("a stream without an end");
        read.dropped += event.info.expect("the info").dropped;
        if event.value.is_empty() {
            return read;
        }
        assert_eq!(event.value.len(), FRAME_BYTES);
        read.received += 1;
    }
}
