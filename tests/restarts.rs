//! What outlives a crash of the robot, or of one of its services, on the real libqi.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests may panic")]

mod support;

use qi_grpc_gateway::{
    app::{App, Config},
    bridge::RobotConfig,
    gateway::GatewayConfig,
    qi::wire::{ActionId, Kind, Message},
};
use serde_json::json;
use support::{
    Gateway, GrpcClient, LibqiClient, LibqiRobot, LibqiService,
    relay::{Relay, member, registers},
    ticks::{COUNT, TICK, Ticks},
    usage::Usage,
};
use tokio::sync::oneshot;
use tonic::transport::{Channel, Endpoint};
use tonic_health::pb::health_check_response::ServingStatus;

/// How many ticks come after each restart.
const TICKS: i32 = 3;

/// Crashes the robot and starts it again, many times, under one stream; `settled` is told of every
/// round once its ticks were delivered.
async fn restart_under_a_stream(
    robot: &mut LibqiRobot,
    relay: &Relay,
    stream: &mut Ticks,
    rounds: i32,
    mut settled: impl AsyncFnMut(i32),
) {
    let signal = |message: &Message| (message.address.service, member(message));
    let registered = signal(relay.sent(registers).last().unwrap());
    // The robot registers its services in the same order each time.
    let of_ticks = |message: &Message| registers(message) && signal(message) == registered;
    let mut sequence = 0;
    for round in 0..=rounds {
        if round > 0 {
            robot.crash_and_restart().await;
        }
        relay.wait_sent(round as usize + 1, of_ticks).await;
        let libqi = LibqiClient::connect(robot.url()).await;
        while libqi.call("Clock", "isWatched", json!([])).await != Ok(json!(true)) {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        for number in 0..TICKS {
            let value = 100 * round + number;
            let emitted = libqi.call("Clock", "runFrom", json!([value, 1])).await;
            emitted.unwrap();
            let tick = stream.next().await;
            sequence += 1;
            assert_eq!(tick.value, value, "each once, none of an earlier robot");
            assert_eq!(tick.info().gap, round > 0 && number == 0, "round {round}");
            assert_eq!((tick.info().sequence, tick.info().dropped), (sequence, 0));
        }
        assert_eq!(relay.sent(of_ticks).len(), round as usize + 1, "one link");
        settled(round).await;
    }
}

#[tokio::test]
async fn a_stream_outlives_ten_crashes_of_the_robot_and_nothing_is_left_behind() {
    let mut robot = LibqiRobot::start(&[]).await;
    let relay = Relay::start(robot.url()).await;
    let gateway = Gateway::serve(relay.url()).await;
    gateway.wait_serving("qi.clock.v1.Clock").await;
    let channel = gateway.channel().await;
    let mut stream = Ticks::open(&channel, TICK).await;
    let process = gateway.process().id();
    let mut uses = Vec::new();
    restart_under_a_stream(&mut robot, &relay, &mut stream, 10, async |_| {
        gateway.wait_serving("qi.clock.v1.Clock").await;
        uses.push(Usage::of(process));
    })
    .await;
    // The first restart is the first time that much of the code runs.
    let (before, after) = (uses[2], uses[10]);
    assert_eq!(after.threads, before.threads, "{uses:?}");
    assert!(after.files <= before.files + 1, "{uses:?}");
    let grown = after.resident_kib.saturating_sub(before.resident_kib);
    assert!(grown < 4 * 1024, "{uses:?}");
    println!("before: {before:?}, after: {after:?}");
}

/// The same within this process, where the gateway's tasks can be counted.
#[test]
fn restarts_leave_no_task_behind() {
    let ours = runtime();
    let gateways = runtime();
    ours.block_on(async {
        let mut robot = LibqiRobot::start(&[]).await;
        let relay = Relay::start(robot.url()).await;
        let config = Config::new(
            RobotConfig::new(relay.url().parse().unwrap()),
            GatewayConfig::new(([127, 0, 0, 1], 0).into()),
        );
        let app = gateways.spawn(App::bind(config)).await.unwrap().unwrap();
        let address = app.local_addr();
        let (stop, stopped) = oneshot::channel::<()>();
        let running = gateways.spawn(app.run(async {
            let _ = stopped.await;
        }));
        let channel = Endpoint::from_shared(format!("http://{address}"))
            .unwrap()
            .connect_lazy();
        let mut stream = open_when_served(&channel).await;
        let metrics = gateways.metrics();
        let mut tasks = Vec::new();
        restart_under_a_stream(&mut robot, &relay, &mut stream, 5, async |_| {
            // Tasks of the connection that was lost may be at their last breath.
            let settled = tasks.first().copied().unwrap_or(usize::MAX);
            let mut count = metrics.num_alive_tasks();
            for _ in 0..100 {
                if count <= settled {
                    break;
                }
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
                count = metrics.num_alive_tasks();
            }
            tasks.push(count);
        })
        .await;
        println!("tasks after each restart: {tasks:?}");
        assert!(tasks.iter().all(|count| *count <= tasks[0]), "{tasks:?}");
        drop((stream, channel));
        stop.send(()).unwrap();
        running.await.unwrap().unwrap();
    });
    gateways.shutdown_background();
}

fn runtime() -> tokio::runtime::Runtime {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.worker_threads(2).enable_all().build().unwrap()
}

async fn open_when_served(channel: &Channel) -> Ticks {
    let opening = async {
        loop {
            match Ticks::try_open(channel, TICK).await {
                Ok(stream) => return stream,
                Err(_) => tokio::time::sleep(std::time::Duration::from_millis(50)).await,
            }
        }
    };
    let opened = tokio::time::timeout(support::PATIENCE, opening).await;
    opened.expect("the service")
}

fn reads_property(message: &Message) -> bool {
    message.kind == Kind::Call && message.address.action == ActionId::PROPERTY
}

/// A watch promises the current value: a restart changes it without a change that is told.
#[tokio::test]
async fn a_watch_is_told_the_value_after_a_crash_of_the_robot() {
    const WATCHES: usize = 20;
    let mut robot = LibqiRobot::start(&[]).await;
    let relay = Relay::start(robot.url()).await;
    let gateway = Gateway::serve(relay.url()).await;
    gateway.wait_serving("qi.clock.v1.Clock").await;
    let channel = gateway.channel().await;
    let libqi = LibqiClient::connect(robot.url()).await;
    libqi
        .set_property("Clock", "count", json!(41))
        .await
        .unwrap();
    let mut watches = Vec::new();
    for _ in 0..WATCHES {
        let mut watch = Ticks::open(&channel, COUNT).await;
        let current = watch.next().await;
        assert_eq!((current.value, current.info().gap), (41, false));
        watches.push(watch);
    }
    for round in 1..=3 {
        let reads = relay.sent(reads_property).len();
        robot.crash_and_restart().await;
        let libqi = LibqiClient::connect(robot.url()).await;
        for watch in &mut watches {
            let current = watch.next().await;
            assert_eq!((current.value, current.info().gap), (0, true), "{round}");
            assert_eq!(current.info().dropped, 0);
        }
        let reads = relay.sent(reads_property).len() - reads;
        assert_eq!(reads, 1, "once for all {WATCHES} streams");
        libqi
            .set_property("Clock", "count", json!(round))
            .await
            .unwrap();
        for watch in &mut watches {
            let changed = watch.next().await;
            assert_eq!((changed.value, changed.info().gap), (round, false));
        }
    }
}

#[tokio::test]
async fn a_watch_is_told_the_value_after_a_crash_of_its_service() {
    let robot = LibqiRobot::start(&[]).await;
    let service = LibqiService::register_with_level(robot.url(), "Extra", 5).await;
    let gateway = Gateway::serve(robot.url()).await;
    gateway.wait_serving("qi.extra.v1.Extra").await;
    let grpc = GrpcClient::python(gateway.address()).await;
    let generated = grpc
        .stream("qi.extra.v1.Extra/WatchLevelProperty", json!({}))
        .await;
    let request = json!({"target": {"service": "Extra"}, "property": "level"});
    let by_name = grpc
        .stream(
            "qi.gateway.v1.DynamicService/WatchProperty",
            request.clone(),
        )
        .await;
    let in_json = grpc
        .stream_with(
            "qi.gateway.v1.DynamicService/WatchProperty",
            request,
            json!({"qi-value-format": "json"}),
        )
        .await;
    // It appears to a stream of the signal that a property also is as a change, which it is not.
    let request = json!({"target": {"service": "Extra"}, "signal": "level"});
    let changes = grpc
        .stream("qi.gateway.v1.DynamicService/Subscribe", request)
        .await;
    assert_eq!(generated.message().await["value"], 5);
    assert_eq!(by_name.message().await["value"]["intValue"], "5");
    assert_eq!(in_json.message().await["value"]["json"], 5.0);

    service.kill();
    gateway
        .wait_health("qi.extra.v1.Extra", ServingStatus::NotServing)
        .await;
    let _service = LibqiService::register_with_level(robot.url(), "Extra", 6).await;
    let message = generated.message().await;
    assert_eq!(message["value"], 6, "{message}");
    assert_eq!(message["info"]["gap"], true, "{message}");
    assert_eq!(message["info"]["sequence"], "2", "{message}");
    let message = by_name.message().await;
    assert_eq!(message["value"]["intValue"], "6", "{message}");
    assert_eq!(message["info"]["gap"], true, "{message}");
    let message = in_json.message().await;
    assert_eq!(message["value"]["json"], 6.0, "{message}");

    let libqi = LibqiClient::connect(robot.url()).await;
    libqi
        .set_property("Extra", "level", json!(7))
        .await
        .unwrap();
    let message = generated.message().await;
    assert_eq!(message["value"], 7, "{message}");
    assert_eq!(message["info"]["gap"], false, "{message}");
    assert_eq!(by_name.message().await["value"]["intValue"], "7");
    assert_eq!(in_json.message().await["value"]["json"], 7.0);
    let message = changes.message().await;
    assert_eq!(message["args"][0]["intValue"], "7", "{message}");
    assert_eq!(message["info"]["gap"], true, "{message}");
}
