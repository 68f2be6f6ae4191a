//! Meta objects from JSON, in the form in which interface dumps of robots are kept.

#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

use qi_grpc_gateway::qi::{
    value::{MetaMethod, MetaMethodParameter, MetaObject, MetaProperty, MetaSignal, Signature},
    wire::ActionId,
};
use serde_json::Value;

/// Reads `{name, description, methods, signals, properties}`: the name and the meta object.
pub(crate) fn service(json: &Value) -> (String, MetaObject) {
    let object = MetaObject {
        methods: members(json, "methods", method),
        signals: members(json, "signals", |json| MetaSignal {
            uid: uid(json),
            name: text(json, "name"),
            signature: signature(json, "signature"),
        }),
        properties: members(json, "properties", |json| MetaProperty {
            uid: uid(json),
            name: text(json, "name"),
            signature: signature(json, "signature"),
        }),
        description: text(json, "description"),
    };
    (text(json, "name"), object)
}

fn method(json: &Value) -> MetaMethod {
    let parameters = json["parameters"].as_array().into_iter().flatten();
    MetaMethod {
        uid: uid(json),
        return_signature: signature(json, "returnSignature"),
        name: text(json, "name"),
        parameters_signature: signature(json, "parametersSignature"),
        description: text(json, "description"),
        parameters: parameters
            .map(|json| MetaMethodParameter {
                name: text(json, "name"),
                description: text(json, "description"),
            })
            .collect(),
        return_description: text(json, "returnDescription"),
    }
}

fn members<T>(
    json: &Value,
    key: &str,
    read: impl Fn(&Value) -> T,
) -> std::collections::BTreeMap<ActionId, T> {
    let members = json[key].as_array().into_iter().flatten();
    members.map(|json| (uid(json), read(json))).collect()
}

fn uid(json: &Value) -> ActionId {
    ActionId(json["uid"].as_u64().unwrap().try_into().unwrap())
}

fn text(json: &Value, key: &str) -> String {
    json[key].as_str().unwrap_or_default().to_owned()
}

fn signature(json: &Value, key: &str) -> Signature {
    let text = text(json, key);
    text.parse()
        .unwrap_or_else(|error| panic!("{text}: {error}"))
}
