//! Many streams of one signal of the real libqi: one link at the robot, every event for everyone,
//! and a reader that does not read costs only itself.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests may panic")]

mod support;

use std::time::Duration;

use serde_json::json;
use support::{
    Gateway, LibqiClient, LibqiRobot,
    relay::{Relay, member, registers, unregisters},
    ticks::{COUNT, TICK, Tick, Ticks, narrow_channel, roomy},
    usage::Usage,
};
use tokio::task::JoinSet;

/// A robot, the gateway behind a relay, and a libqi client.
struct Bus {
    robot: LibqiRobot,
    relay: Relay,
    gateway: Gateway,
    libqi: LibqiClient,
}

impl Bus {
    async fn start() -> Self {
        let robot = LibqiRobot::start(&[]).await;
        let relay = Relay::start(robot.url()).await;
        let gateway = Gateway::serve(relay.url()).await;
        gateway.wait_serving("qi.clock.v1.Clock").await;
        let libqi = LibqiClient::connect(robot.url()).await;
        Self {
            robot,
            relay,
            gateway,
            libqi,
        }
    }

    async fn clock(&self, method: &str, args: serde_json::Value) -> serde_json::Value {
        self.libqi.call("Clock", method, args).await.unwrap()
    }

    /// Waits until libqi itself has subscribers, or none.
    async fn wait_watched(&self, watched: bool) {
        let asking = async {
            while self.clock("isWatched", json!([])).await != json!(watched) {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let asked = tokio::time::timeout(support::PATIENCE, asking).await;
        asked.unwrap_or_else(|_| panic!("libqi does not say that watched is {watched}"));
    }
}

async fn read(mut stream: Ticks, count: usize) -> (Ticks, Vec<Tick>) {
    let mut ticks = Vec::new();
    while ticks.len() < count {
        ticks.push(stream.next().await);
    }
    (stream, ticks)
}

#[tokio::test]
async fn two_hundred_streams_are_one_link_at_the_robot() {
    const STREAMS: usize = 200;
    const EVENTS: usize = 300;
    let bus = Bus::start().await;
    let before = bus.relay.sent(registers).len();
    let channel = bus.gateway.channel().await;
    let mut opening = JoinSet::new();
    for _ in 0..STREAMS {
        let channel = channel.clone();
        opening.spawn(async move { Ticks::open_with(&channel, TICK, roomy()).await });
    }
    let streams = opening.join_all().await;
    bus.wait_watched(true).await;
    let registered = bus.relay.sent(registers).split_off(before);
    assert_eq!(registered.len(), 1, "{registered:?}");
    let signal = (registered[0].address.service, member(&registered[0]));

    bus.clock("run", json!([EVENTS, 0.001])).await;
    let mut reading = JoinSet::new();
    for stream in streams {
        reading.spawn(read(stream, EVENTS));
    }
    let mut streams = Vec::new();
    let all = reading.join_all().await;
    // libqi emits from a pool of threads, so that the order is the one in which it sent.
    let sent = bus.relay.numbers(signal.0, signal.1);
    assert_eq!(sent.len(), EVENTS, "one event each, however many streams");
    for (stream, ticks) in all {
        assert!(ticks.iter().map(|tick| tick.value).eq(sent.iter().copied()));
        for (tick, number) in ticks.iter().zip(1..) {
            assert_eq!((tick.info().sequence, tick.info().dropped), (number, 0));
        }
        streams.push(stream);
    }

    // As long as one is left, the link stays.
    let last = streams.pop();
    drop(streams);
    bus.clock("run", json!([1, 0.0])).await;
    let (last, ticks) = read(last.unwrap(), 1).await;
    assert_eq!(ticks[0].value, EVENTS as i32 + 1);
    assert_eq!(bus.relay.sent(unregisters).len(), 0);
    drop(last);
    bus.relay.wait_sent(1, unregisters).await;
    let unregistered = bus.relay.sent(unregisters);
    assert_eq!(
        (unregistered[0].address.service, member(&unregistered[0])),
        signal
    );
    bus.wait_watched(false).await;
    assert_eq!(bus.relay.sent(unregisters).len(), 1);
}

/// The first value of a watch is asked for, the others come by themselves. One change at a time,
/// for libqi sends those that overlap in any order.
#[tokio::test]
async fn a_watch_that_begins_amid_changes_misses_none_and_never_goes_back() {
    const CHANGES: i32 = 400;
    let bus = Bus::start().await;
    let channel = bus.gateway.channel().await;
    let changing = async {
        let mut watch = Ticks::open(&channel, COUNT).await;
        assert_eq!(watch.next().await.value, 0);
        for count in 1..=CHANGES {
            bus.clock("countUp", json!([1, 0.0])).await;
            assert_eq!(watch.next().await.value, count);
        }
    };
    let watching = async {
        let mut reading = JoinSet::new();
        loop {
            let mut watch = Ticks::open_with(&channel, COUNT, roomy()).await;
            let first = watch.next().await;
            assert_eq!((first.info().sequence, first.info().gap), (1, false));
            if first.value > CHANGES / 2 {
                return reading.join_all().await.len();
            }
            reading.spawn(async move {
                let mut last = first.value;
                while last < CHANGES {
                    let next = watch.next().await.value;
                    // The answer may have been as new as the first change.
                    let repeated = next == last && last == first.value;
                    assert!(next == last + 1 || repeated, "{next} after {last}");
                    last = next;
                }
            });
        }
    };
    let ((), watches) = tokio::join!(changing, watching);
    assert!(watches > 10, "only {watches} began in time");
}

#[tokio::test]
async fn a_reader_that_does_not_read_costs_only_itself() {
    const READERS: usize = 20;
    const EVENTS: usize = 6000;
    let bus = Bus::start().await;
    let channel = bus.gateway.channel().await;
    let mut readers = Vec::new();
    for _ in 0..READERS {
        readers.push(Ticks::open_with(&channel, TICK, roomy()).await);
    }
    let narrow = narrow_channel(bus.gateway.grpc_url(), 1024).await;
    let mut slow = Ticks::open(&narrow, TICK).await;
    let gateway = bus.gateway.process().id();
    let before = Usage::of(gateway);
    let registered = bus.relay.sent(registers).pop().unwrap();

    bus.clock("run", json!([EVENTS, 0.0005])).await;
    let mut reading = JoinSet::new();
    for reader in readers {
        reading.spawn(read(reader, EVENTS));
    }
    let all = reading.join_all().await;
    let service = registered.address.service;
    let sent = bus.relay.numbers(service, member(&registered));
    assert_eq!(sent.len(), EVENTS);
    for (_, ticks) in all {
        assert!(ticks.iter().map(|tick| tick.value).eq(sent.iter().copied()));
        assert!(ticks.iter().all(|tick| tick.info().dropped == 0));
    }
    let after = Usage::of(gateway);
    let grown = after.resident_kib.saturating_sub(before.resident_kib);
    assert!(grown < 16 * 1024, "{grown} KiB for one slow reader");

    let (mut delivered, mut dropped) = (0, 0);
    loop {
        let tick = slow.next().await;
        delivered += 1;
        dropped += tick.info().dropped;
        let sequence = tick.info().sequence;
        assert_eq!(sequence, delivered + dropped);
        assert_eq!(tick.value, sent[sequence as usize - 1]);
        if sequence == EVENTS as u64 {
            break;
        }
    }
    assert!(dropped > EVENTS as u64 / 2, "it was not slow: {dropped}");
    drop(bus.robot);
}
