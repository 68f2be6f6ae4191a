//! Unary calls, each in three ways.

use std::{sync::Arc, time::Duration};

use http::uri::PathAndQuery;
use tonic::{Code, Request, Status, client::Grpc, transport::Channel};
use tonic_prost::ProstCodec;

use super::{
    Lengths,
    load::{self, CONCURRENCY, Cost},
    messages::{
        ANGLES_PATH, AnglesRequest, AnglesResponse, ECHO_PATH, EchoRequest, EchoResponse, TEXT,
        angles,
    },
    robot,
};

/// Where the calls go.
pub(crate) struct Targets {
    pub(crate) plain: Channel,
    pub(crate) robot: robot::Client,
    pub(crate) gateway: Channel,
}

impl Targets {
    /// Waits until the gateway knows the service.
    pub(crate) async fn wait_ready(&self) {
        loop {
            match echo(self.gateway.clone()).await {
                Ok(()) => return,
                Err(status) => assert!(
                    matches!(status.code(), Code::Unimplemented | Code::Unavailable),
                    "{status}"
                ),
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

#[derive(Clone, Copy)]
enum Call {
    Echo,
    Angles,
}

/// The costs of the three ways, in one round.
struct Round {
    grpc: Cost,
    qi: Cost,
    gateway: Cost,
}

pub(crate) async fn compare(targets: &Targets, lengths: &Lengths) {
    println!(
        "CPU: user and system time of the whole process, clients and servers included, per call.\n\
         Floor: grpc + qi. Medians of {} interleaved rounds; ratios are medians of the rounds' own.\n",
        lengths.rounds
    );
    for (call, name) in [
        (Call::Echo, "echo(s) -> s"),
        (Call::Angles, "angles(s[f]f) -> [f]"),
    ] {
        for tasks in [1, CONCURRENCY] {
            let _ = round(targets, call, tasks, lengths.warm_up).await;
            let mut rounds = Vec::new();
            for _ in 0..lengths.rounds {
                rounds.push(round(targets, call, tasks, lengths.measure).await);
            }
            print(&format!("{name}, {tasks} at a time"), tasks == 1, &rounds);
        }
    }
}

/// One way alone, for a profiler.
pub(crate) async fn profile(targets: &Targets, case: &str, tasks: usize, length: Duration) {
    let cost = match case {
        "grpc" => grpc(&targets.plain, Call::Echo, tasks, length).await,
        "qi" => qi(&targets.robot, Call::Echo, tasks, length).await,
        "gateway" => grpc(&targets.gateway, Call::Echo, tasks, length).await,
        other => {
            println!("{other} is none of grpc, qi, gateway, fan");
            return;
        }
    };
    println!("{case}: {cost:?}");
}

async fn round(targets: &Targets, call: Call, tasks: usize, length: Duration) -> Round {
    Round {
        grpc: grpc(&targets.plain, call, tasks, length).await,
        qi: qi(&targets.robot, call, tasks, length).await,
        gateway: grpc(&targets.gateway, call, tasks, length).await,
    }
}

async fn grpc(channel: &Channel, call: Call, tasks: usize, length: Duration) -> Cost {
    let channel = channel.clone();
    match call {
        Call::Echo => {
            let call = move || {
                let channel = channel.clone();
                async move { echo(channel).await.expect("an answer") }
            };
            load::run(call, tasks, length).await
        }
        Call::Angles => {
            let expected = Arc::new(angles());
            let call = move || {
                let (channel, expected) = (channel.clone(), Arc::clone(&expected));
                async move {
                    let request = AnglesRequest {
                        arg1: TEXT.to_owned(),
                        arg2: expected.to_vec(),
                        arg3: 0.5,
                    };
                    let answer: AnglesResponse = unary(channel, ANGLES_PATH, request)
                        .await
                        .expect("an answer");
                    assert_eq!(answer.value, *expected, "not what was sent");
                }
            };
            load::run(call, tasks, length).await
        }
    }
}

async fn echo(channel: Channel) -> Result<(), Status> {
    let request = EchoRequest {
        arg1: TEXT.to_owned(),
    };
    let answer: EchoResponse = unary(channel, ECHO_PATH, request).await?;
    assert_eq!(answer.value, TEXT, "not what was sent");
    Ok(())
}

async fn unary<Q, A>(channel: Channel, path: &'static str, request: Q) -> Result<A, Status>
where
    Q: prost::Message + 'static,
    A: prost::Message + Default + 'static,
{
    let mut client = Grpc::new(channel);
    client.ready().await.expect("a connection");
    let path = PathAndQuery::from_static(path);
    let codec = ProstCodec::default();
    let answer = client.unary(Request::new(request), path, codec).await?;
    Ok(answer.into_inner())
}

async fn qi(client: &robot::Client, call: Call, tasks: usize, length: Duration) -> Cost {
    let call = match call {
        Call::Echo => client.echo.clone(),
        Call::Angles => client.angles.clone(),
    };
    let call = move || {
        let call = call.clone();
        async move { call.call().await }
    };
    load::run(call, tasks, length).await
}

fn print(title: &str, sequential: bool, rounds: &[Round]) {
    println!(
        "{title:<34} {:>9} {:>9} {:>9} {:>9}",
        "grpc", "qi", "gateway", "to floor"
    );
    let row = |name: &str, figure: fn(&Cost) -> Duration| {
        let micros = |cost: &Cost| figure(cost).as_secs_f64() * 1e6;
        let ratio = |r: &Round| micros(&r.gateway) / (micros(&r.grpc) + micros(&r.qi));
        println!(
            "  {name:<32} {:>9.1} {:>9.1} {:>9.1} {:>8.2}x",
            median(rounds, |r| micros(&r.grpc)),
            median(rounds, |r| micros(&r.qi)),
            median(rounds, |r| micros(&r.gateway)),
            median(rounds, ratio),
        );
    };
    if sequential {
        row("p50 us", |cost| cost.p50);
        row("p99 us", |cost| cost.p99);
    } else {
        let rate = |cost: &Cost| 1.0 / cost.time.as_secs_f64();
        let floor = |r: &Round| 1.0 / (r.grpc.time + r.qi.time).as_secs_f64();
        println!(
            "  {:<32} {:>9.0} {:>9.0} {:>9.0} {:>8.2}x",
            "calls/s (floor: both in turn)",
            median(rounds, |r| rate(&r.grpc)),
            median(rounds, |r| rate(&r.qi)),
            median(rounds, |r| rate(&r.gateway)),
            median(rounds, |r| rate(&r.gateway) / floor(r)),
        );
    }
    row("CPU us/call", |cost| cost.cpu);
    println!();
}

fn median(rounds: &[Round], figure: impl Fn(&Round) -> f64) -> f64 {
    let mut figures: Vec<f64> = rounds.iter().map(figure).collect();
    figures.sort_unstable_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().unwrap_or_default()
}
