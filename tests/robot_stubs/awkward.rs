//! Services whose names are keywords, types and functions of the languages that stubs are made for.

use serde_json::{Value, json};

/// How many names a service has members of.
const WORDS: usize = 24;

/// Names of methods, parameters, structs and their members.
const NAMES: &str = "
    self cls None True False Self async await class def import from lambda match case type crate super mod
    fn ref move use impl dyn gen try yield final override typeof virtual union static extern trait where
    toString constructor hasOwnProperty prototype valueOf toJSON arguments eval delete void new this var
    let const enum interface package private protected public function null undefined NaN
    DESCRIPTOR descriptor Extensions SerializeToString FromString CopyFrom Clear HasField ListFields
    default_instance unknown_fields typeName connect with_interceptor with_origin send_compressed
    accept_compressed max_decoding_message_size max_encoding_message_size ready call poll_ready name
    then length apply bind encode decode merge clear encoded_len merge_field clone into default
    Some Ok Err Option Vec Box Result String Default Clone Debug Message Oneof Send Sync Copy Eq Fn Bool
    I64 U8 F32 Object Promise Number Boolean Array Map Set Date Error Symbol Math JSON Record Uint8Array
    Any Empty Timestamp Value Struct ListValue ObjectRef EventInfo google protobuf tonic prost core std
    exec print id list dict tuple range input format property int float double string bytes message";

/// Names of services.
const SERVICES: &str = "
    self Self None True type class async Object import Client crate super google grpc core std prost tonic
    Promise constructor gen await struct default Service Arc Body Result Clone Send Option Stream
    B Box BoxFuture BoxStream Bytes CompressionEncoding Context EnabledCompressionEncodings F Future GrpcMethod
    InterceptedService Into Pin Poll StdError T Uri async_trait http";

/// The services, in the form of the robot's own.
pub(crate) fn services() -> Vec<Value> {
    let names: Vec<_> = NAMES.split_whitespace().collect();
    let mut services: Vec<_> = names
        .chunks(WORDS)
        .enumerate()
        .map(|(at, names)| {
            let members = names.iter().flat_map(|name| members(name));
            service(&format!("Awkward{at}"), members.collect())
        })
        .collect();
    for name in SERVICES.split_whitespace() {
        services.push(service(name, vec![method("ping", "(s)", "s", "value")]));
    }
    services
}

fn members(name: &str) -> [Value; 2] {
    let given = format!("((i[[i]]{{s[i]}})<{name},{name},{name}Value,{name}s>)");
    let returned = format!("(s+s(ii))<{name}X,{name},b,{name}2>");
    [
        method(name, "(s)", "s", name),
        method(&format!("take {name}"), &given, &returned, name),
    ]
}

fn method(name: &str, given: &str, returned: &str, parameter: &str) -> Value {
    json!({
        "name": name, "parametersSignature": given, "returnSignature": returned,
        "parameters": [{"name": parameter, "description": ""}],
    })
}

fn service(name: &str, mut methods: Vec<Value>) -> Value {
    for (uid, method) in (100..).zip(&mut methods) {
        method["uid"] = json!(uid);
    }
    json!({"name": name, "methods": methods, "signals": [], "properties": []})
}
