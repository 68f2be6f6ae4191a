//! Calls a robot with the stubs that tonic-prost-build made: client http://HOST:PORT.
//!
//! Prints what the robot answered as one line of JSON, the same as python/stubs.py and ts/client.ts.
#![deny(warnings)]

use std::{env, error::Error};

use api::qi::{
    al_memory::v1::{
        GetDataRequest, InsertDataRequest, InsertDataStringFloatRequest,
        InsertDataStringValueRequest, al_memory_client::AlMemoryClient,
    },
    al_text_to_speech::v1::{
        GetVolumeRequest, SayRequest, SetVolumeRequest, SubscribeSynchroTtsRequest,
        al_text_to_speech_client::AlTextToSpeechClient,
    },
    gateway::v1::{ListValue, Value, value::Kind},
    knowledge::v1::{MakeTripleFromNamesRequest, Node, knowledge_client::KnowledgeClient},
};
use serde_json::json;
use tonic::transport::{Channel, Endpoint};

#[allow(dead_code, reason = "not all of it is called")]
mod api {
    tonic::include_proto!("api");
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let url = env::args().nth(1).ok_or("no URL")?;
    let channel = Endpoint::from_shared(url)?.connect().await?;

    let mut speech = AlTextToSpeechClient::new(channel.clone());
    speech.set_volume(SetVolumeRequest { volume: 0.25 }).await?;
    let volume = speech.get_volume(GetVolumeRequest {}).await?.into_inner();

    let request = MakeTripleFromNamesRequest {
        arg1: "a".to_owned(),
        arg2: "b".to_owned(),
        arg3: Some(Node {
            value: Some(value(Kind::StringValue("node".to_owned()))),
        }),
    };
    let mut knowledge = KnowledgeClient::new(channel.clone());
    let made = knowledge.make_triple_from_names(request).await?.into_inner();
    let triple = made.value.ok_or("no triple")?;
    let node = triple.object.and_then(|node| node.value).ok_or("no node")?;

    let mut memory = AlMemoryClient::new(channel);
    let key = || "stubs".to_owned();
    let request = InsertDataRequest { key: key(), value: 5 };
    memory.insert_data(request).await?;
    let integer = data(&mut memory, key()).await?;
    let request = InsertDataStringFloatRequest { key: key(), value: 0.5 };
    memory.insert_data_string_float(request).await?;
    let float = data(&mut memory, key()).await?;
    let items = [
        Kind::StringValue("one".to_owned()),
        Kind::IntValue(2),
        Kind::BoolValue(true),
    ];
    let items = items.into_iter().map(value).collect();
    let request = InsertDataStringValueRequest {
        key: key(),
        data: Some(value(Kind::ListValue(ListValue { items }))),
    };
    memory.insert_data_string_value(request).await?;
    let Some(Kind::ListValue(list)) = data(&mut memory, key()).await?.kind else {
        return Err("no list".into());
    };

    let request = SubscribeSynchroTtsRequest::default();
    let mut events = speech.subscribe_synchro_tts(request).await?.into_inner();
    let request = SayRequest { string_to_say: "a".to_owned() };
    speech.say(request).await?;
    let event = events.message().await?.ok_or("no event")?;
    let info = event.info.ok_or("no info")?;

    let answers = json!({
        "volume": volume.value,
        "triple": [triple.subject.ok_or("no subject")?.url, plain(&node)],
        "integer": [plain(&integer), integer.signature],
        "float": [plain(&float), float.signature],
        "list": list.items.iter().map(plain).collect::<Vec<_>>(),
        "event": [event.value > 0, info.sequence],
    });
    println!("{answers}");
    Ok(())
}

fn value(kind: Kind) -> Value {
    Value {
        kind: Some(kind),
        signature: String::new(),
    }
}

async fn data(memory: &mut AlMemoryClient<Channel>, key: String) -> Result<Value, Box<dyn Error>> {
    let answer = memory.get_data(GetDataRequest { key }).await?.into_inner();
    Ok(answer.value.ok_or("no data")?)
}

fn plain(value: &Value) -> serde_json::Value {
    match &value.kind {
        Some(Kind::StringValue(text)) => json!(text),
        Some(Kind::IntValue(number)) => json!(number),
        Some(Kind::FloatValue(number)) => json!(number),
        Some(Kind::BoolValue(truth)) => json!(truth),
        other => json!(format!("{other:?}")),
    }
}
