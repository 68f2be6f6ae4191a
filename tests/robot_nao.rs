//! `serve` in front of all the services of a real NAO, hosted on the real libqi. The robot is not
//! part of this repository: it is looked for in `QI_ROBOTS_DIR`, by default `../shared/robots`.
#![allow(clippy::unwrap_used, reason = "tests may panic")]

mod support;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use prost_reflect::MethodDescriptor;
use qi_grpc_gateway::qi::value::{Signature, Type};
use serde_json::{Value, json};
use support::{
    forms::{base64, libqi_form, members_to_proto, response_from_proto, sample},
    nao::{Nao, robots_dir},
    reflection::{Origin, Reflected},
};
use tonic_health::pb::health_check_response::ServingStatus;

const CALL: i32 = 1;
const SUBSCRIBE: i32 = 2;
const PROPERTY: [i32; 3] = [3, 4, 5];

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
        origins.extend(PROPERTY.map(|kind| origin(kind, property, "signature", "")));
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

/// Methods that change what they answer, or wait.
const UNREPEATABLE: [(&str, &[&str]); 3] = [
    (
        "ALVideoDevice",
        &["subscribe", "subscribeCamera", "subscribeCameras"],
    ),
    (
        "ALMotion",
        &[
            "moveTo",
            "walkTo",
            "angleInterpolation",
            "angleInterpolationWithSpeed",
        ],
    ),
    ("ALTextToSpeech", &["say"]),
];

/// A method to call, and the generated one for it.
struct Case {
    service: String,
    full_name: String,
    origin: Origin,
    parameters: Vec<Type>,
    returns: Type,
    rpc: MethodDescriptor,
}

impl Case {
    /// A response, in libqi's form.
    fn answer(&self, response: &Value) -> Value {
        response_from_proto(&self.returns, self.rpc.output(), response)
    }

    /// What the robot promises to answer: the first argument of the type returned, or a fixed
    /// value.
    fn promised(&self) -> Value {
        match self.parameters.iter().find(|ty| **ty == self.returns) {
            Some(echoed) => libqi_form(echoed, &sample(echoed)),
            None => fixed(
                &self.returns,
                &format!("{}.{}", self.service, self.origin.name),
            ),
        }
    }
}

fn fixed(ty: &Type, label: &str) -> Value {
    match ty {
        Type::Void => Value::Null,
        Type::Bool => json!(true),
        Type::Float | Type::Double => json!(1.5),
        Type::String | Type::Dynamic => json!(label),
        Type::Raw => json!({"base64": base64(label.as_bytes())}),
        Type::Object => json!({"object": true}),
        Type::List(element) => json!([fixed(element, label), fixed(element, label)]),
        Type::Map(entry) => json!({"map": [[fixed(&entry.0, label), fixed(&entry.1, label)]]}),
        Type::Tuple(tuple) => tuple.elements.iter().map(|ty| fixed(ty, label)).collect(),
        _ => json!(42),
    }
}

/// One method for every form of signature that occurs.
fn cases(reflected: &Reflected) -> Vec<Case> {
    let mut forms = BTreeMap::new();
    for (service, descriptor) in reflected.generated() {
        let mut unrepeatable = UNREPEATABLE.iter().filter(|(name, _)| *name == service);
        let unrepeatable = unrepeatable.next().map_or(&[][..], |(_, methods)| methods);
        for rpc in descriptor.methods() {
            let origin = reflected.origin(&rpc);
            if origin.kind != CALL || unrepeatable.contains(&&*origin.name) {
                continue;
            }
            let form = (origin.signature.clone(), origin.return_signature.clone());
            forms.entry(form).or_insert_with(|| Case {
                service: service.clone(),
                full_name: format!("{}/{}", descriptor.full_name(), rpc.name()),
                parameters: parameters(&origin.signature),
                returns: ty(&origin.return_signature),
                origin,
                rpc,
            });
        }
    }
    forms.into_values().collect()
}

fn ty(signature: &str) -> Type {
    signature.parse::<Signature>().unwrap().ty().clone()
}

fn parameters(signature: &str) -> Vec<Type> {
    match ty(signature) {
        Type::Tuple(tuple) => tuple.elements,
        other => panic!("{other:?}"),
    }
}

/// A signature without names of structs and their members.
fn bare(signature: &str) -> String {
    let mut depth = 0;
    let mut kept = String::new();
    for letter in signature.chars() {
        match letter {
            '<' => depth += 1,
            '>' => depth -= 1,
            _ if depth == 0 => kept.push(letter),
            _ => {}
        }
    }
    kept
}

fn has_unknown(signature: &str) -> bool {
    bare(signature).contains('X')
}

#[tokio::test]
async fn every_form_of_signature_answers_as_to_a_libqi_client() {
    let nao = Nao::start().await;
    let reflected = Reflected::read(nao.gateway.channel().await).await;
    let cases = cases(&reflected);
    let (mut answers, mut errors) = (0, 0);
    let mut differences = Vec::new();
    for case in &cases {
        let values: Vec<_> = case.parameters.iter().map(sample).collect();
        let request = members_to_proto(&case.parameters, &case.rpc.input(), &values);
        let through_grpc = nao.grpc.unary(&case.full_name, request).await;
        let method = format!("{}::{}", case.origin.name, case.origin.signature);
        let through_libqi = nao.libqi.call(&case.service, &method, values.into()).await;
        let what = format!(
            "{}.{method} -> {}",
            case.service, case.origin.return_signature
        );
        if has_unknown(&case.origin.signature) {
            // Such an argument has no encoding, which a client is told before anything is sent.
            if through_grpc.code != "INVALID_ARGUMENT" {
                differences.push(format!("{what}\n  {through_grpc:?}"));
            }
            errors += 1;
            continue;
        }
        let takes_objects = bare(&case.origin.signature).contains('o');
        match through_libqi {
            // libqi's client in Python cannot send the null object.
            Err(_) if takes_objects && through_grpc.code == "OK" => {
                let answer = case.answer(&through_grpc.response);
                if answer != case.promised() {
                    differences.push(format!("{what}\n  {answer}\n  {}", case.promised()));
                }
                answers += 1;
            }
            Ok(value) if through_grpc.code == "OK" => {
                let answer = case.answer(&through_grpc.response);
                if answer != libqi_form(&case.returns, &value) {
                    differences.push(format!("{what}\n  {answer}\n  {value}"));
                }
                answers += 1;
            }
            Err(_) if through_grpc.code == "UNKNOWN" => errors += 1,
            other => differences.push(format!("{what}\n  {through_grpc:?}\n  {other:?}")),
        }
    }
    println!(
        "{} methods: {answers} answers, {errors} errors",
        cases.len()
    );
    assert!(
        differences.is_empty(),
        "{}\n{}",
        differences.len(),
        differences.join("\n")
    );
    assert!(answers > 200, "{answers}");
}

/// The camera's pictures are lists with numbers and raw bytes in a dynamic; a service in plain
/// Python sends the bytes as a text that is none.
#[tokio::test]
async fn pictures_keep_their_bytes() {
    for args in [&[][..], &["--bytes-as-string"]] {
        let nao = Nao::start_with(args).await;
        let camera = |rpc: &str| format!("qi.al_video_device.v1.ALVideoDevice/{rpc}");
        let reflected = Reflected::read(nao.gateway.channel().await).await;
        let subscribe = camera("SubscribeCamera");
        let rpc = reflected
            .pool
            .get_service_by_name("qi.al_video_device.v1.ALVideoDevice")
            .unwrap()
            .methods()
            .find(|rpc| rpc.name() == "SubscribeCamera")
            .unwrap();
        let parameters = parameters(&reflected.origin(&rpc).signature);
        // 160 x 120 RGB.
        let values = [json!("test"), json!(0), json!(0), json!(11), json!(10)];
        let request = members_to_proto(&parameters, &rpc.input(), &values);
        let handle = nao.grpc.unary(&subscribe, request).await.ok();
        assert_eq!(handle["value"], "test_0");

        let field = rpc_field(&reflected, "ALVideoDevice", "GetImageRemote");
        let request = json!({ (field): handle["value"] });
        for frame in 1..=2 {
            let image = nao
                .grpc
                .unary(&camera("GetImageRemote"), request.clone())
                .await
                .ok();
            let items = &image["value"]["listValue"]["items"];
            assert_eq!(items[0]["intValue"], "160", "{args:?}");
            assert_eq!(items[1]["intValue"], "120");
            assert_eq!(items[2]["intValue"], "3");
            assert_eq!(items[8]["doubleValue"], 0.5);
            let pixels: Vec<u8> = (0..160 * 120 * 3)
                .map(|i: u32| ((i + frame) % 251).try_into().unwrap())
                .collect();
            assert!(
                items[6]["rawValue"] == base64(&pixels),
                "{args:?}: other pixels"
            );
            let kind = if args.is_empty() { "" } else { "s" };
            assert_eq!(items[6]["signature"], kind);
        }
    }
}

/// The JSON name of the first field of a request.
fn rpc_field(reflected: &Reflected, service: &str, rpc: &str) -> String {
    let generated = reflected.generated();
    let (_, descriptor) = generated.iter().find(|(name, _)| name == service).unwrap();
    let method = descriptor
        .methods()
        .find(|method| method.name() == rpc)
        .unwrap();
    method.input().get_field(1).unwrap().json_name().to_owned()
}

#[tokio::test]
async fn the_memory_keeps_values_of_any_type() {
    let nao = Nao::start().await;
    let string = |text: &str| json!({"stringValue": text, "signature": ""});
    let int = |value: i64| json!({"intValue": value.to_string(), "signature": ""});
    let raw = json!({"rawValue": "AP8QgA==", "signature": ""});
    let list = json!({"listValue": {"items": [int(1), string("two"), raw]}, "signature": ""});
    for value in [&list, &int(-9), &raw] {
        let event = json!({"name": "test/key", "value": value});
        nao.memory("RaiseEvent", event).await.ok();
        let got = nao.memory("GetData", json!({"key": "test/key"})).await.ok();
        assert_eq!(got["value"], *value);
        let data = json!({"key": "test/key", "data": value});
        nao.memory("InsertDataStringValue", data).await.ok();
        let got = nao.memory("GetData", json!({"key": "test/key"})).await.ok();
        assert_eq!(got["value"], *value);
    }
    // The type of the overload stays, too.
    let request = json!({"key": "test/key", "value": 5});
    nao.memory("InsertData", request).await.ok();
    let got = nao.memory("GetData", json!({"key": "test/key"})).await.ok();
    assert_eq!(got["value"], json!({"intValue": "5", "signature": "i"}));

    let missing = nao.memory("GetData", json!({"key": "test/none"})).await;
    assert_eq!(missing.code, "UNKNOWN", "{missing:#?}");
    assert!(
        missing.message.contains("no data for key test/none"),
        "{missing:#?}"
    );
    let info = missing.detail("google.rpc.ErrorInfo");
    assert_eq!(info["reason"], "ROBOT_ERROR");
    assert_eq!(info["metadata"]["service"], "ALMemory");
}

#[tokio::test]
async fn a_deadline_ends_what_the_robot_says() {
    let nao = Nao::start().await;
    let say = "qi.al_text_to_speech.v1.ALTextToSpeech/Say";
    // The robot takes 20 ms a letter: a minute.
    let request = json!({"stringToSay": "a".repeat(3000)});
    let deadline = Some(Duration::from_millis(500));
    let ended = nao.grpc.unary_with(say, request, json!({}), deadline).await;
    assert_eq!(ended.code, "DEADLINE_EXCEEDED", "{ended:#?}");

    // It says one text after the other, so that this one waits for the end of the first.
    let started = Instant::now();
    nao.grpc
        .unary(say, json!({"stringToSay": "next"}))
        .await
        .ok();
    assert!(
        started.elapsed() < Duration::from_secs(20),
        "{:?}",
        started.elapsed()
    );
    let history = nao
        .libqi
        .call(
            "ALMemory",
            "getEventHistory",
            json!(["ALTextToSpeech/Status"]),
        )
        .await
        .unwrap();
    let states: Vec<_> = history
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| &entry[0])
        .collect();
    assert!(states.contains(&&json!([1, "stopped"])), "{states:?}");
    assert!(states.contains(&&json!([2, "done"])), "{states:?}");
}

#[tokio::test]
async fn services_come_and_crash_while_the_robot_goes_on() {
    let nao = Nao::start().await;
    let mut foo = nao.register_foo().await;
    nao.gateway.wait_serving("qi.foo.v1.Foo").await;
    nao.gateway.wait_serving("qi.foo_multi.v1.FooMulti").await;

    let bangs = nao
        .grpc
        .stream("qi.foo.v1.Foo/SubscribeOnBang", json!({}))
        .await;
    nao.grpc.unary("qi.foo.v1.Foo/Bang", json!({})).await.ok();
    assert_eq!(bangs.message().await["value"], 42);
    let delay = |seconds: f64| json!({"arg1": {"json": seconds}});
    let better = nao
        .grpc
        .unary("qi.foo.v1.Foo/BetterBar", delay(0.25))
        .await
        .ok();
    assert_eq!(better["value"]["doubleValue"], 0.25);

    let held = nao
        .grpc
        .start_unary("qi.foo_multi.v1.FooMulti/Bar", delay(5.0));
    let calls: Vec<_> = (0..1000)
        .map(|_| {
            nao.grpc
                .start_unary("qi.foo_multi.v1.FooMulti/BetterBar", delay(0.0))
        })
        .collect();
    for call in &calls {
        call.reply().await.ok();
    }
    assert_eq!(held.reply_within(Duration::ZERO).await, None);
    held.reply().await.ok();

    foo.kill();
    for (service, rpc) in [
        ("qi.foo.v1.Foo", "Bang"),
        ("qi.foo_multi.v1.FooMulti", "Bang"),
    ] {
        nao.gateway
            .wait_health(service, ServingStatus::NotServing)
            .await;
        let refused = nao.grpc.unary(&format!("{service}/{rpc}"), json!({})).await;
        assert_eq!(refused.code, "UNAVAILABLE", "{refused:#?}");
    }
    let name = nao
        .memory("GetData", json!({"key": "robot/name"}))
        .await
        .ok();
    assert_eq!(name["value"]["stringValue"], "nao");

    let _again = nao.register_foo().await;
    nao.gateway.wait_serving("qi.foo.v1.Foo").await;
    nao.gateway.wait_serving("qi.foo_multi.v1.FooMulti").await;
    nao.grpc.unary("qi.foo.v1.Foo/Bang", json!({})).await.ok();
}
