//! Services that gRPC clients in Python and Node host on the bus of the real libqi: what others see
//! of them, values, signals, properties, and what is refused.
#![allow(clippy::unwrap_used, reason = "tests may panic")]

mod support;

use serde_json::{Value, json};
use support::{
    GrpcClient,
    hosting::{Bus, HOST, Hosted},
};

fn lamp() -> Value {
    json!({
        "name": "Lamp",
        "description": "A lamp.",
        "methods": [
            {
                "name": "dim",
                "parametersSignature": "(fs)",
                "returnSignature": "i",
                "description": "Dims the lamp.",
                "parameters": [
                    {"name": "level", "description": "from 0 to 1"},
                    {"name": "how", "description": "slow or fast"},
                ],
                "returnDescription": "the level in percent",
            },
            {"name": "flash"},
            {"name": "dim", "parametersSignature": "(f)", "returnSignature": "i"},
            {"name": "any", "parametersSignature": "m", "returnSignature": "m"},
        ],
        "signals": [
            {"name": "burnt", "signature": "(is)"},
            {"name": "clicked"},
            {"name": "anything", "signature": "m"},
        ],
        "properties": [
            {"name": "level", "signature": "i", "value": {"json": 7}},
            {
                "name": "color",
                "signature": COLOR,
                "value": {"json": {"r": 1, "g": 2, "b": 3}},
            },
        ],
    })
}

const COLOR: &str = "(iii)<Color,r,g,b>";

/// The members of a kind, those of every object left out.
fn members<'a>(meta: &'a Value, kind: &str) -> Vec<&'a Value> {
    let map = &meta[kind];
    let entries = map["map"].as_array().unwrap_or_else(|| panic!("{meta}"));
    let own = entries
        .iter()
        .filter(|entry| entry[0].as_u64() >= Some(100));
    own.map(|entry| &entry[1]).collect()
}

/// The names of members, each with one of its signatures.
fn signatures(meta: &Value, kind: &str, field: &str) -> Vec<String> {
    let named = members(meta, kind).into_iter();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    named
        .map(|member| format!("{} {}", text(&member["name"]), text(&member[field])))
        .collect()
}

#[tokio::test]
async fn a_service_is_on_the_bus_as_it_was_declared() {
    let bus = Bus::new().await;
    let client = GrpcClient::python(bus.gateway.address()).await;
    let hosted = Hosted::declare(&client, lamp()).await;
    assert!(bus.has("Lamp").await);
    let meta = bus.libqi.meta_object("Lamp").await;
    assert_eq!(meta["description"], "A lamp.");
    assert_eq!(
        *members(&meta, "methods")[0],
        json!({
            "uid": 100,
            "name": "dim",
            "parametersSignature": "(fs)",
            "returnSignature": "i",
            "description": "Dims the lamp.",
            "parameters": [
                {"name": "level", "description": "from 0 to 1"},
                {"name": "how", "description": "slow or fast"},
            ],
            "returnDescription": "the level in percent",
        })
    );
    assert_eq!(
        signatures(&meta, "methods", "parametersSignature"),
        ["dim (fs)", "flash ()", "dim (f)", "any m"]
    );
    assert_eq!(
        signatures(&meta, "methods", "returnSignature"),
        ["dim i", "flash v", "dim i", "any m"]
    );
    assert_eq!(
        signatures(&meta, "signals", "signature"),
        [
            "burnt (is)".to_owned(),
            "clicked ()".to_owned(),
            "anything m".to_owned(),
            "level (i)".to_owned(),
            format!("color ({COLOR})"),
        ]
    );
    assert_eq!(
        signatures(&meta, "properties", "signature"),
        ["level i".to_owned(), format!("color {COLOR}")]
    );

    hosted.talk.hush().await;
    assert_eq!(hosted.talk.end().await.code, "OK");
    bus.wait_gone("Lamp").await;
}

#[tokio::test]
async fn values_of_every_kind_come_and_go() {
    let bus = Bus::new().await;
    let client = GrpcClient::python(bus.gateway.address()).await;
    let kinds = [
        ("b", json!(true)),
        ("c", json!(-5)),
        ("C", json!(200)),
        ("w", json!(-3000)),
        ("i", json!(-70_000)),
        ("I", json!(4_000_000_000_u32)),
        ("l", json!(-5_000_000_000_i64)),
        ("f", json!(0.5)),
        ("d", json!(0.1)),
        ("s", json!("grüß dich")),
        ("r", json!({"base64": "AP8="})),
        ("m", json!("dynamic")),
        ("[s]", json!(["a", "b"])),
        ("[[i]]", json!([[1], [], [2, 3]])),
        ("{si}", json!({"a": 1})),
        ("{is}", json!({"map": [[1, "one"]]})),
        ("(is)", json!([1, "one"])),
        ("+i", json!(3)),
        ("[m]", json!([1, "two", [3]])),
    ];
    let method = |(index, (signature, _)): (usize, &(&str, Value))| {
        json!({
            "name": format!("echo{index}"),
            "parametersSignature": format!("({signature})"),
            "returnSignature": signature,
        })
    };
    let methods: Vec<Value> = kinds.iter().enumerate().map(method).collect();
    let hosted = Hosted::declare(&client, json!({"name": "Echo", "methods": methods})).await;
    for (index, (signature, value)) in kinds.iter().enumerate() {
        let name = format!("echo{index}");
        let calling = bus.libqi.begin("Echo", &name, json!([value])).await;
        let call = hosted.call().await;
        assert_eq!(call.method, name);
        assert_eq!(call.signature, format!("({signature})"));
        hosted.answer(&call, call.args[0].clone()).await;
        assert_eq!(calling.answer().await.as_ref(), Ok(value), "{signature}");
    }
}

#[tokio::test]
async fn overloads_and_any_arguments_are_told_apart() {
    let bus = Bus::new().await;
    let client = GrpcClient::python(bus.gateway.address()).await;
    let hosted = Hosted::declare(&client, lamp()).await;
    for (args, signature) in [(json!([0.5, "slow"]), "(fs)"), (json!([0.5]), "(f)")] {
        let dimming = bus.libqi.begin("Lamp", "dim", args).await;
        let call = hosted.call().await;
        assert_eq!((&*call.method, &*call.signature), ("dim", signature));
        hosted.answer(&call, json!({"json": 50})).await;
        assert_eq!(dimming.answer().await, Ok(json!(50)));
    }
    let any = bus.libqi.begin("Lamp", "any", json!([1, "two", [3]])).await;
    let call = hosted.call().await;
    assert_eq!(call.args.as_array().map(Vec::len), Some(3), "{call:?}");
    assert_eq!(call.args[1]["stringValue"], "two");
    let answer = json!({"json": {"a": [1, 2.5, "x", null]}});
    hosted.answer(&call, answer).await;
    assert_eq!(any.answer().await, Ok(json!({"a": [1, 2.5, "x", null]})));

    let flashing = bus.libqi.begin("Lamp", "flash", json!([])).await;
    let call = hosted.call().await;
    hosted.result(&call, json!({})).await;
    assert_eq!(flashing.answer().await, Ok(json!(null)));
    let flashing = bus.libqi.begin("Lamp", "flash", json!([])).await;
    let call = hosted.call().await;
    hosted.answer(&call, json!({"json": "ignored"})).await;
    assert_eq!(flashing.answer().await, Ok(json!(null)));
}

#[tokio::test]
async fn a_host_that_asks_for_it_gets_json() {
    let bus = Bus::new().await;
    let client = GrpcClient::python(bus.gateway.address()).await;
    let metadata = json!({"qi-value-format": "json"});
    let first = json!({ "declare": lamp() });
    let hosted = Hosted {
        talk: client.talk_with(HOST, first, metadata),
    };
    hosted.registered().await;
    let dimming = bus.libqi.begin("Lamp", "dim", json!([0.5, "slow"])).await;
    let call = hosted.call().await;
    assert_eq!(
        call.args,
        json!([{"json": 0.5, "signature": ""}, {"json": "slow", "signature": ""}])
    );
    hosted.answer(&call, json!({"json": 50})).await;
    assert_eq!(dimming.answer().await, Ok(json!(50)));
}

#[tokio::test]
async fn signals_reach_those_who_subscribed() {
    let bus = Bus::new().await;
    let client = GrpcClient::python(bus.gateway.address()).await;
    let hosted = Hosted::declare(&client, lamp()).await;
    let burnt = bus.libqi.subscribe("Lamp", "burnt").await;
    let clicked = bus.libqi.subscribe("Lamp", "clicked").await;
    let anything = bus.libqi.subscribe("Lamp", "anything").await;
    let args = json!([{"intValue": 3}, {"stringValue": "wire"}]);
    hosted.emit("burnt", args).await;
    hosted.emit("clicked", json!([])).await;
    hosted
        .emit("anything", json!([{"json": "x"}, {"json": [1]}]))
        .await;
    assert_eq!(burnt.next().await, json!([3, "wire"]));
    assert_eq!(clicked.next().await, json!([]));
    assert_eq!(anything.next().await, json!(["x", [1]]));
}

#[tokio::test]
async fn properties_are_shared_with_the_bus() {
    let bus = Bus::new().await;
    let client = GrpcClient::python(bus.gateway.address()).await;
    let hosted = Hosted::declare(&client, lamp()).await;
    assert_eq!(bus.libqi.property("Lamp", "level").await, Ok(json!(7)));
    let color = json!({"r": 1, "g": 2, "b": 3});
    let shown = bus.libqi.property("Lamp", "color").await.unwrap();
    assert!(shown == color || shown == json!([1, 2, 3]), "{shown}");

    let changes = bus.libqi.subscribe("Lamp", "level").await;
    hosted.set("level", json!({"json": 8})).await;
    assert_eq!(changes.next().await, json!([8]));
    assert_eq!(bus.libqi.property("Lamp", "level").await, Ok(json!(8)));

    let set = bus.libqi.set_property("Lamp", "level", json!(9)).await;
    assert_eq!(set, Ok(()));
    let message = hosted.talk.message().await;
    let told = &message["setProperty"];
    assert_eq!(told["name"], "level", "{message}");
    assert_eq!(told["value"]["intValue"], "9", "{message}");
    assert_eq!(told["value"]["signature"], "i", "{message}");
    assert_eq!(changes.next().await, json!([9]));
    assert_eq!(bus.libqi.property("Lamp", "level").await, Ok(json!(9)));
}

/// Our own API of the service, over the robot's bus and back.
#[tokio::test]
async fn the_gateway_serves_what_it_hosts() {
    let bus = Bus::new().await;
    let client = GrpcClient::python(bus.gateway.address()).await;
    let caller = GrpcClient::python(bus.gateway.address()).await;
    let hosted = Hosted::declare(&client, lamp()).await;
    bus.gateway.wait_serving("qi.lamp.v1.Lamp").await;
    let request = json!({"level": 0.5, "how": "slow"});
    let dimming = caller.start_unary("qi.lamp.v1.Lamp/Dim", request);
    let call = hosted.call().await;
    assert_eq!(call.args[1]["stringValue"], "slow");
    hosted.answer(&call, json!({"json": 50})).await;
    assert_eq!(dimming.reply().await.ok(), json!({"value": 50}));

    let burnt = caller
        .stream("qi.lamp.v1.Lamp/SubscribeBurnt", json!({}))
        .await;
    hosted
        .emit("burnt", json!([{"json": 3}, {"json": "x"}]))
        .await;
    let event = burnt.message().await;
    assert_eq!((&event["arg1"], &event["arg2"]), (&json!(3), &json!("x")));
    assert!(
        caller
            .services()
            .await
            .contains(&"qi.lamp.v1.Lamp".to_owned())
    );

    hosted.talk.cancel().await;
    bus.gateway
        .wait_health(
            "qi.lamp.v1.Lamp",
            tonic_health::pb::health_check_response::ServingStatus::NotServing,
        )
        .await;
}

#[tokio::test]
async fn a_declaration_that_is_none_is_refused_by_its_field() {
    let bus = Bus::new().await;
    let client = GrpcClient::python(bus.gateway.address()).await;
    for (field, declare) in [
        ("declare.name", json!({})),
        ("declare.name", json!({"name": "a b"})),
        (
            "declare.methods[1].parameters_signature",
            json!({"methods": [{"name": "a"}, {"name": "b", "parametersSignature": "(i"}]}),
        ),
        (
            "declare.methods[0].parameters_signature",
            json!({"methods": [{"name": "a", "parametersSignature": "i"}]}),
        ),
        (
            "declare.methods[0].return_signature",
            json!({"methods": [{"name": "a", "returnSignature": "?"}]}),
        ),
        (
            "declare.methods[1].name",
            json!({"methods": [{"name": "a"}, {"name": "a"}]}),
        ),
        (
            "declare.methods[0].name",
            json!({"methods": [{"name": "a::(i)"}]}),
        ),
        (
            "declare.signals[0].signature",
            json!({"signals": [{"name": "a", "signature": "x"}]}),
        ),
        (
            "declare.properties[0].name",
            json!({
                "signals": [{"name": "a"}],
                "properties": [{"name": "a", "signature": "i", "value": {"json": 1}}],
            }),
        ),
        (
            "declare.properties[0].signature",
            json!({"properties": [{"name": "a"}]}),
        ),
        (
            "declare.properties[0].value.string_value",
            json!({
                "properties": [{"name": "a", "signature": "i", "value": {"stringValue": "x"}}],
            }),
        ),
        ("declare.answer_timeout", json!({"answerTimeout": "-1s"})),
        ("declare.max_calls", json!({"maxCalls": 1_000_000})),
    ] {
        let mut declare = declare;
        if field != "declare.name" {
            declare["name"] = json!("Lamp");
        }
        let talk = client.talk(HOST, json!({ "declare": declare }));
        let end = talk.end().await;
        assert_eq!(end.code, "INVALID_ARGUMENT", "{field}: {end:?}");
        let violations = &end.detail("google.rpc.BadRequest")["fieldViolations"];
        assert_eq!(violations[0]["field"], field, "{end:?}");
    }
    let talk = client.talk(HOST, json!({"emit": {"signal": "a"}}));
    let end = talk.end().await;
    assert_eq!(end.code, "INVALID_ARGUMENT", "{end:?}");
    let violations = &end.detail("google.rpc.BadRequest")["fieldViolations"];
    assert_eq!(violations[0]["field"], "declare", "{end:?}");
    assert!(!bus.has("Lamp").await);
}

#[tokio::test]
async fn a_name_that_is_taken_is_refused() {
    let bus = Bus::new().await;
    let client = GrpcClient::python(bus.gateway.address()).await;
    let hosted = Hosted::declare(&client, lamp()).await;
    for name in ["Lamp", "Typed"] {
        let talk = client.talk(HOST, json!({"declare": {"name": name}}));
        let end = talk.end().await;
        assert_eq!(end.code, "ALREADY_EXISTS", "{end:?}");
        assert_eq!(end.detail("google.rpc.ErrorInfo")["reason"], "NAME_TAKEN");
    }
    assert!(bus.has("Lamp").await, "the first one stays");
    hosted.talk.cancel().await;
}

/// A client once could host `AL-Motion`, and take the place of the robot's `ALMotion` in the API.
#[tokio::test]
async fn a_name_that_would_take_the_api_of_another_service_is_refused() {
    let bus = Bus::new().await;
    let client = GrpcClient::python(bus.gateway.address()).await;
    let talk = client.talk(HOST, json!({"declare": {"name": "-Typed"}}));
    let end = talk.end().await;
    assert_eq!(end.code, "ALREADY_EXISTS", "{end:?}");
    assert!(end.message.contains("qi.typed.v1 of Typed"), "{end:?}");
    // This one gets a package of its own.
    let hosted = Hosted::declare(&client, json!({"name": "typed"})).await;
    assert!(bus.has("typed").await);
    hosted.talk.cancel().await;
}

#[tokio::test]
async fn what_was_not_declared_ends_the_stream() {
    let bus = Bus::new().await;
    let client = GrpcClient::python(bus.gateway.address()).await;
    for (field, request) in [
        ("emit.signal", json!({"emit": {"signal": "nope"}})),
        (
            "emit.args",
            json!({"emit": {"signal": "burnt", "args": [{"json": 1}]}}),
        ),
        (
            "emit.args[0].string_value",
            json!({"emit": {"signal": "burnt", "args": [{"stringValue": "x"}, {"json": "x"}]}}),
        ),
        ("property.name", json!({"property": {"name": "nope"}})),
        (
            "property.value.string_value",
            json!({"property": {"name": "level", "value": {"stringValue": "x"}}}),
        ),
        ("declare", json!({"declare": {"name": "Again"}})),
        ("request", json!({})),
    ] {
        let hosted = Hosted::declare(&client, lamp()).await;
        hosted.talk.say(request).await;
        let end = hosted.talk.end().await;
        assert_eq!(end.code, "INVALID_ARGUMENT", "{field}: {end:?}");
        let violations = &end.detail("google.rpc.BadRequest")["fieldViolations"];
        assert_eq!(violations[0]["field"], field, "{end:?}");
        bus.wait_gone("Lamp").await;
    }
}

#[tokio::test]
async fn a_host_in_node_is_as_good() {
    let bus = Bus::new().await;
    let client = GrpcClient::node(bus.gateway.address()).await;
    let declare = json!({
        "name": "Adder",
        "methods": [
            {"name": "add", "parameters_signature": "(ii)", "return_signature": "i"},
        ],
        "signals": [{"name": "added", "signature": "(i)"}],
        "properties": [{"name": "last", "signature": "i", "value": {"int_value": 0}}],
    });
    let talk = client.talk(HOST, json!({ "declare": declare }));
    let registered = talk.message().await;
    assert!(registered["registered"].is_object(), "{registered}");
    let added = bus.libqi.subscribe("Adder", "added").await;
    let adding = bus.libqi.begin("Adder", "add", json!([40, 2])).await;
    let message = talk.message().await;
    let call = &message["call"];
    assert_eq!(call["method"], "add", "{message}");
    assert_eq!(call["args"][0]["int_value"], "40", "{message}");
    let value = json!({"int_value": 42});
    talk.say(json!({"emit": {"signal": "added", "args": [value]}}))
        .await;
    talk.say(json!({"property": {"name": "last", "value": value}}))
        .await;
    talk.say(json!({"result": {"call_id": call["call_id"], "value": value}}))
        .await;
    assert_eq!(adding.answer().await, Ok(json!(42)));
    assert_eq!(added.next().await, json!([42]));
    assert_eq!(bus.libqi.property("Adder", "last").await, Ok(json!(42)));
    let failing = bus.libqi.begin("Adder", "add", json!([1, 2])).await;
    let message = talk.message().await;
    let id = &message["call"]["call_id"];
    talk.say(json!({"result": {"call_id": id, "error": "cannot"}}))
        .await;
    assert_eq!(failing.answer().await, Err("cannot".to_owned()));
    talk.hush().await;
    assert_eq!(talk.end().await.code, "OK");
    bus.wait_gone("Adder").await;
}
