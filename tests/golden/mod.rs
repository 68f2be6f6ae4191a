//! The recorded frames of `tests/data/vectors`, and their notation of values.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test")]
#![allow(
    dead_code,
    reason = "each test that includes this file uses a part of it"
)]

use std::{fs, path::PathBuf};

use bytes::Bytes;
use qi_grpc_gateway::qi::{
    value::{Dynamic, ObjectEncoding, Type, Value},
    wire::{ActionId, Address, Flags, HEADER_BYTES, Header, Kind, MessageId, ObjectId, ServiceId},
};
use serde_json::Value as Json;

/// A recorded scenario.
pub(crate) struct Scenario {
    pub name: String,
    /// How each connection encodes objects.
    pub connections: Vec<ObjectEncoding>,
    pub records: Vec<Record>,
}

/// What one side sent at once.
pub(crate) struct Record {
    pub direction: Direction,
    pub bytes: Bytes,
    /// None for bytes that are no frame.
    pub frame: Option<Frame>,
}

/// One of the two streams of a connection.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub(crate) struct Direction {
    pub connection: usize,
    pub from_client: bool,
}

/// A recorded frame, its header made from the decoded fields.
pub(crate) struct Frame {
    pub header: Header,
    pub payload: Bytes,
    pub signature: Option<String>,
    /// What is wrong with the payload, on purpose.
    pub note: Option<String>,
}

/// All scenarios, by file name.
pub(crate) fn scenarios() -> Vec<Scenario> {
    let mut paths: Vec<PathBuf> = fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "json"))
        .collect();
    paths.sort();
    paths
        .iter()
        .map(read)
        .filter(|json| json.get("frames").is_some())
        .map(|json| scenario(&json))
        .collect()
}

/// One of the tables: `values` or `conversions`.
pub(crate) fn table(name: &str) -> Json {
    read(&folder().join(format!("{name}.json")))
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data/vectors")
}

fn read(path: &PathBuf) -> Json {
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

fn scenario(json: &Json) -> Scenario {
    let connections = json["connections"].as_array().unwrap();
    let shared =
        |connection: &Json, name: &str| connection["capabilities"][name] == Json::Bool(true);
    Scenario {
        name: json["name"].as_str().unwrap().to_owned(),
        connections: connections
            .iter()
            .map(|connection| ObjectEncoding {
                meta_object_cache: shared(connection, "MetaObjectCache"),
                object_uid: shared(connection, "ObjectPtrUID"),
            })
            .collect(),
        records: json["frames"]
            .as_array()
            .unwrap()
            .iter()
            .map(record)
            .collect(),
    }
}

fn record(json: &Json) -> Record {
    let direction = Direction {
        connection: usize::try_from(json["conn"].as_u64().unwrap()).unwrap(),
        from_client: json["dir"] == "c2s",
    };
    if json.get("raw_hex").is_some() {
        return Record {
            direction,
            bytes: bytes(&json["raw_hex"]),
            frame: None,
        };
    }
    let number = |name: &str| u32::try_from(json[name].as_u64().unwrap()).unwrap();
    let small = |name: &str| u8::try_from(number(name)).unwrap();
    let text = |name: &str| json[name].as_str().map(str::to_owned);
    let header = Header {
        id: MessageId(number("id")),
        size: number("size"),
        version: u16::try_from(number("version")).unwrap(),
        kind: Kind::from_u8(small("type")),
        flags: Flags(small("flags")),
        address: Address::new(
            ServiceId(number("service")),
            ObjectId(number("object")),
            ActionId(number("action")),
        ),
    };
    let mut all = bytes(&json["header_hex"]).to_vec();
    all.extend_from_slice(&bytes(&json["payload_hex"]));
    let all = Bytes::from(all);
    Record {
        direction,
        frame: Some(Frame {
            header,
            payload: all.slice(HEADER_BYTES..),
            signature: text("payload_signature"),
            note: text("payload_note"),
        }),
        bytes: all,
    }
}

/// The bytes of a text in hexadecimal.
pub(crate) fn bytes(json: &Json) -> Bytes {
    hex::decode(json.as_str().unwrap()).unwrap().into()
}

/// The value that the notation of the tables stands for.
pub(crate) fn value(ty: &Type, json: &Json) -> Value {
    match ty {
        Type::Void | Type::None => {
            assert!(json.is_null());
            Value::Void
        }
        Type::Bool => Value::Bool(json.as_bool().unwrap()),
        Type::Int8 => Value::Int8(signed(json).try_into().unwrap()),
        Type::UInt8 => Value::UInt8(signed(json).try_into().unwrap()),
        Type::Int16 => Value::Int16(signed(json).try_into().unwrap()),
        Type::UInt16 => Value::UInt16(signed(json).try_into().unwrap()),
        Type::Int32 => Value::Int32(signed(json).try_into().unwrap()),
        Type::UInt32 => Value::UInt32(signed(json).try_into().unwrap()),
        Type::Int64 => Value::Int64(signed(json)),
        Type::UInt64 => Value::UInt64(json.as_u64().unwrap()),
        Type::Float => Value::Float(float(json) as f32),
        Type::Double => Value::Double(float(json)),
        Type::String => Value::String(match json.get("bytes_hex") {
            Some(hex) => bytes(hex),
            None => Bytes::copy_from_slice(json.as_str().unwrap().as_bytes()),
        }),
        Type::Raw => Value::Raw(bytes(&json["raw_hex"])),
        Type::List(element) | Type::VarArgs(element) => Value::List(
            array(json)
                .iter()
                .map(|json| value(element, json))
                .collect(),
        ),
        Type::Map(entry) => Value::Map(
            array(json)
                .iter()
                .map(|pair| (value(&entry.0, &pair[0]), value(&entry.1, &pair[1])))
                .collect(),
        ),
        Type::Tuple(tuple) => {
            assert_eq!(array(json).len(), tuple.elements.len());
            let items = tuple.elements.iter().zip(array(json));
            Value::Tuple(items.map(|(ty, json)| value(ty, json)).collect())
        }
        Type::Optional(content) => {
            let content = json.get("some").map(|json| Box::new(value(content, json)));
            Value::Optional(content)
        }
        Type::Dynamic => Value::Dynamic(Box::new(match json["dynamic"].as_str().unwrap() {
            "" => Dynamic::empty(),
            text => dynamic(text, &json["value"]),
        })),
        Type::Object | Type::KwArgs(_) | Type::Unknown => panic!("not in the tables: {ty}"),
    }
}

/// A dynamic value of a signature.
pub(crate) fn dynamic(signature: &str, json: &Json) -> Dynamic {
    let signature = signature
        .parse::<qi_grpc_gateway::qi::value::Signature>()
        .unwrap();
    let value = value(signature.ty(), json);
    Dynamic::new(signature, value)
}

fn array(json: &Json) -> &Vec<Json> {
    json.as_array().unwrap()
}

fn signed(json: &Json) -> i64 {
    json.as_i64().unwrap()
}

fn float(json: &Json) -> f64 {
    match json.as_str() {
        Some(text) => text.parse().unwrap(),
        None => json.as_f64().unwrap(),
    }
}
