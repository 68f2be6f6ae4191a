//! `serve` in front of all the services of a real NAO, hosted on the real libqi. The robot is not
//! part of this repository: it is looked for in `QI_ROBOTS_DIR`, by default `../shared/robots`.
#![allow(clippy::unwrap_used, reason = "tests may panic")]

#[path = "robot_nao/behaviours.rs"]
mod behaviours;
#[path = "robot_nao/forms.rs"]
mod forms;
mod support;

use std::collections::BTreeSet;

use serde_json::Value;
use support::{
    nao::{Nao, robots_dir},
    reflection::{Origin, Reflected},
};

const CALL: i32 = 1;
const SUBSCRIBE: i32 = 2;
const GET_PROPERTY: i32 = 3;
const SET_PROPERTY: i32 = 4;
const WATCH_PROPERTY: i32 = 5;

/// The services as the data describes them.
fn data() -> Vec<Value> {
    let mut services = Vec::new();
    for file in ["nao-v6.json", "extra.json"] {
        let text = std::fs::read_to_string(robots_dir().join(file)).unwrap();
        let mut json: Value = serde_json::from_str(&text).unwrap();
        services.append(json["services"].as_array_mut().unwrap());
    }
    services
}

fn members<'a>(service: &'a Value, what: &str) -> impl Iterator<Item = &'a Value> {
    service[what].as_array().unwrap().iter()
}

fn text<'a>(json: &'a Value, key: &str) -> &'a str {
    json[key].as_str().unwrap()
}

/// What the gateway must show of a service, counted from the data without any of its code.
fn expected(service: &Value) -> Vec<Origin> {
    let hidden = [
        "registerService",
        "unregisterService",
        "serviceReady",
        "updateServiceInfo",
    ];
    let registers =
        |name: &str| text(service, "name") == "ServiceDirectory" && hidden.contains(&name);
    let shown = |member: &&Value| {
        let name = text(member, "name");
        !name.starts_with('_') && member["uid"].as_u64().unwrap() >= 100 && !registers(name)
    };
    let origin = |kind, member: &Value, signature: &str, returns: &str| Origin {
        kind,
        name: text(member, "name").to_owned(),
        signature: text(member, signature).to_owned(),
        return_signature: returns.to_owned(),
    };
    let mut origins = Vec::new();
    for method in members(service, "methods").filter(shown) {
        let returns = text(method, "returnSignature");
        origins.push(origin(CALL, method, "parametersSignature", returns));
    }
    for property in members(service, "properties").filter(shown) {
        origins.extend(
            [GET_PROPERTY, SET_PROPERTY, WATCH_PROPERTY]
                .map(|kind| origin(kind, property, "signature", "")),
        );
    }
    let properties: BTreeSet<_> = members(service, "properties")
        .map(|property| property["uid"].as_u64())
        .collect();
    for signal in members(service, "signals").filter(shown) {
        if !properties.contains(&signal["uid"].as_u64()) {
            origins.push(origin(SUBSCRIBE, signal, "signature", ""));
        }
    }
    origins.sort();
    origins
}

#[tokio::test]
async fn every_public_member_is_in_reflection_once() {
    let nao = Nao::start().await;
    let log = nao.gateway.process().stderr();
    let ready = log.lines().find(|line| line.contains(" ready ")).unwrap();
    println!("{ready}");

    let reflected = Reflected::read(nao.gateway.channel().await).await;
    let generated = reflected.generated();
    let names: Vec<_> = generated.iter().map(|(name, _)| name.as_str()).collect();
    let services = data();
    let mut wanted: Vec<_> = services
        .iter()
        .map(|service| text(service, "name"))
        .collect();
    wanted.sort_unstable();
    let mut sorted = names.clone();
    sorted.sort_unstable();
    assert_eq!(sorted, wanted);

    let mut methods = 0;
    for service in &services {
        let name = text(service, "name");
        let (_, descriptor) = generated.iter().find(|(other, _)| other == name).unwrap();
        let rpcs: BTreeSet<_> = descriptor
            .methods()
            .map(|rpc| rpc.name().to_owned())
            .collect();
        let mut origins: Vec<_> = descriptor
            .methods()
            .map(|rpc| reflected.origin(&rpc))
            .collect();
        origins.sort();
        assert_eq!(rpcs.len(), origins.len(), "{name}");
        let mut expected = expected(service);
        if name == "ServiceDirectory" {
            // It is libqi's own, whose ServiceInfo has a member more than the robot's.
            for origin in expected.iter_mut().chain(&mut origins) {
                origin.signature.clear();
                origin.return_signature.clear();
            }
        }
        assert_eq!(origins, expected, "{name}");
        methods += origins.len();
    }
    println!("{} services, {methods} rpcs", services.len());
    assert_eq!(services.len(), 115);
    assert!(methods > 2500, "{methods}");
}
