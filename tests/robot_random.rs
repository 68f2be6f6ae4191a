//! Random values through the gateway to the real libqi and back: what prost-reflect encodes arrives
//! in Python as the same values, and what Python answers arrives in the message. The robot's
//! interfaces are looked for in `QI_ROBOTS_DIR`, by default `../shared/robots`.
//!
//! Every run takes other values. `QI_RANDOM_SEED` takes those of the run that printed it.
#![allow(clippy::unwrap_used, reason = "tests may panic")]

#[path = "robot_random/random.rs"]
mod random;
#[path = "robot_random/robot.rs"]
mod robot;
mod support;

use std::collections::BTreeSet;

use futures_util::{StreamExt as _, stream};
use qi_grpc_gateway::qi::value::Type;
use random::{Random, To, plain};
use robot::{Rpc, Scripted};
use serde_json::{Value, json};
use support::nao::robots_dir;

/// libqi's own service: what it is given cannot be seen.
const OF_LIBQI: &str = "ServiceDirectory";

/// The methods of the robot that take `X`, a type that has no encoding: a client is told so.
const UNSENDABLE: [&str; 3] = [
    "ALKnowledge.createBackupModel",
    "ALKnowledge.recoverBackupModel",
    "ALNavigation.computePathInMap",
];

/// The methods that return it. What they are given arrives, but libqi cannot send an answer.
const UNANSWERABLE: [&str; 7] = [
    "ALMemory.getDataPtr",
    "ALMemory.getFloatPtr",
    "ALMemory.getIntPtr",
    "ALModularity.getImageLocal",
    "ALModularity.getModularity",
    "ALVideoDevice.getDirectRawImageLocal",
    "ALVideoDevice.getImageLocal",
];

/// What has been compared.
#[derive(Default, Debug)]
struct Tally {
    /// How many calls had the same arguments at both ends, and the same answer.
    carried: usize,
    /// The methods of which only the arguments were.
    unanswerable: BTreeSet<String>,
    /// The methods that were refused before anything was sent.
    unsendable: BTreeSet<String>,
}

#[tokio::test(flavor = "multi_thread")]
async fn every_method_of_the_robot_carries_random_values() {
    let seed = seed();
    let robot = Scripted::start(&robots_dir().join("nao-v6.json")).await;
    assert_eq!(robot.services.len(), 114);
    let own: Vec<_> = robot
        .services
        .iter()
        .flatten()
        .filter(|rpc| rpc.service == OF_LIBQI)
        .map(|rpc| rpc.origin.name.as_str())
        .collect();
    assert_eq!(own, ["service", "services", "machineId"]);
    let tally = rounds(&robot, 1, seed).await;
    assert_eq!(tally.carried, 2572);
    assert!(tally.unsendable.iter().eq(&UNSENDABLE), "{tally:?}");
    assert!(tally.unanswerable.iter().eq(&UNANSWERABLE), "{tally:?}");
}

/// The robot has no `d`, `r`, `w`, `W`, `C`, optional or nested map.
#[tokio::test(flavor = "multi_thread")]
async fn methods_of_any_signature_carry_random_values() {
    const METHODS: usize = 150;
    let seed = seed();
    let mut random = Random::new(seed);
    let methods: Vec<_> = (0..METHODS)
        .map(|at| {
            let elements: Vec<_> = (0..at % 5).map(|_| random.ty(3)).collect();
            let parameters = Type::tuple(elements);
            json!({
                "uid": 100 + at, "name": format!("method{at}"), "parameters": [],
                "parametersSignature": parameters.to_string(),
                "returnSignature": random.ty(3).to_string(),
            })
        })
        .collect();
    let service = json!({"name": "Any", "methods": methods, "signals": [], "properties": []});
    let folder = tempfile::tempdir().unwrap();
    let dataset = folder.path().join("any.json");
    std::fs::write(&dataset, json!({"services": [service]}).to_string()).unwrap();

    let robot = Scripted::start(&dataset).await;
    let tally = rounds(&robot, 3, seed).await;
    assert_eq!(tally.carried, 3 * METHODS, "seed {seed}");
}

fn seed() -> u64 {
    match std::env::var("QI_RANDOM_SEED") {
        Ok(seed) => seed.parse().unwrap(),
        Err(_) => rand::random(),
    }
}

/// Calls every method that often, the services at once and the methods of one in turn.
async fn rounds(robot: &Scripted, rounds: u64, seed: u64) -> Tally {
    let calls = (0_u64..).zip(&robot.services).map(|(number, methods)| {
        let mut random = Random::new(seed.wrapping_add(number));
        async move {
            let mut tally = Tally::default();
            let mut differences = Vec::new();
            for rpc in (0..rounds).flat_map(|_| methods) {
                if rpc.service != OF_LIBQI
                    && let Err(difference) = compare(robot, rpc, &mut random, &mut tally).await
                {
                    differences.push(format!("{rpc}\n  {difference}"));
                }
            }
            (tally, differences)
        }
    });
    let mut outcomes = stream::iter(calls).buffer_unordered(8);
    let (mut sum, mut differences) = (Tally::default(), Vec::new());
    while let Some((tally, more)) = outcomes.next().await {
        sum.carried += tally.carried;
        sum.unanswerable.extend(tally.unanswerable);
        sum.unsendable.extend(tally.unsendable);
        differences.extend(more);
    }
    let count = differences.len();
    differences.truncate(20);
    assert!(
        differences.is_empty(),
        "QI_RANDOM_SEED={seed}: {count} differences, such as\n{}",
        differences.join("\n")
    );
    sum
}

async fn compare(
    robot: &Scripted,
    rpc: &Rpc,
    random: &mut Random,
    tally: &mut Tally,
) -> Result<(), String> {
    if rpc.takes_unknown() {
        let args = vec![json!("anything"); rpc.parameters.len()];
        let code = robot.send(rpc, &args).await.map_err(|status| status.code());
        tally.unsendable.insert(rpc.name());
        return equal(&code.unwrap_err(), &tonic::Code::InvalidArgument, "code");
    }
    let types = rpc.parameters.iter();
    let args: Vec<_> = types.map(|ty| random.value(ty, To::Robot)).collect();
    let answer = (!rpc.returns_unknown()).then(|| random.value(&rpc.returns, To::Client));
    let outcome = robot.call(rpc, &args, answer.as_ref()).await;
    let Some(given) = outcome.given else {
        return Err(format!("{:?}\n  {}", outcome.answer, Value::from(args)));
    };
    let sent = rpc.parameters.iter().zip(&args);
    let sent: Value = sent.map(|(ty, value)| plain(ty, value)).collect();
    equal(&given, &sent, "arguments")?;
    let Some(answer) = answer else {
        tally.unanswerable.insert(rpc.name());
        return match outcome.answer {
            Err(status) if status.message().contains("scripted") => Ok(()),
            other => Err(format!("{other:?}")),
        };
    };
    let answered = outcome
        .answer
        .map_err(|status| format!("{status:?}\n  {answer}"))?;
    equal(&answered, &plain(&rpc.returns, &answer), "answer")?;
    tally.carried += 1;
    Ok(())
}

fn equal<T: PartialEq + std::fmt::Debug>(got: &T, sent: &T, what: &str) -> Result<(), String> {
    if got == sent {
        Ok(())
    } else {
        Err(format!("{what}: {got:?}\n  sent: {sent:?}"))
    }
}
