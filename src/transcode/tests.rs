//! The plans against prost-reflect, against the codec of values, and against recorded bytes.

mod generate;
mod golden;
mod hostile;
mod json;
mod laws;
mod oracle;
mod perturb;
mod requests;
mod responses;
mod shapes;

use bytes::Bytes;
use prost::Message as _;

use super::*;
use crate::{
    proto::v1,
    qi::{
        value::{ObjectEncoding, ObjectReference, Signature},
        wire::{Limits, Writer},
    },
};

/// Numbers the objects that it is given.
#[derive(Default)]
struct Shelf(Vec<ObjectReference>);

impl ObjectSink for Shelf {
    fn adopt(&mut self, object: ObjectReference) -> String {
        self.0.push(object);
        format!("object {}", self.0.len())
    }
}

fn signature(text: &str) -> Signature {
    text.parse().expect("a signature")
}

fn from_hex(text: &str) -> Bytes {
    hex::decode(text.replace(' ', "")).expect("hex").into()
}

/// The payload of a method with parameters `text`, with fields `f1`, `f2`...
fn payload(text: &str) -> crate::schema::Payload {
    shapes::Shapes::default().payload(signature(text).ty())
}

fn request(plan: &RequestPlan, message: &[u8]) -> Result<Bytes, RequestError> {
    let mut context = RequestContext {
        objects: &mut NoObjects,
        limits: Limits::default(),
    };
    let mut out = Writer::new();
    plan.to_qi(message, &mut context, &mut out)?;
    Ok(out.finish())
}

fn to_dynamic(value: &v1::Value) -> Result<Bytes, RequestError> {
    bytes_to_dynamic(&value.encode_to_vec())
}

fn bytes_to_dynamic(value: &[u8]) -> Result<Bytes, RequestError> {
    let mut context = RequestContext {
        objects: &mut NoObjects,
        limits: Limits::default(),
    };
    let mut out = Writer::new();
    value_to_dynamic(value, &mut context, &mut out)?;
    Ok(out.finish())
}

/// Runs `read` with a context.
fn respond(
    read: impl FnOnce(&mut ResponseContext<'_>, &mut Vec<u8>) -> Result<(), ResponseError>,
) -> Result<Vec<u8>, ResponseError> {
    let mut shelf = Shelf::default();
    let mut context = ResponseContext::new(&mut shelf, ObjectEncoding::default());
    let mut out = b"frame".to_vec();
    read(&mut context, &mut out)?;
    Ok(out.split_off(5))
}

fn response(plan: &ResponsePlan, payload: &Bytes) -> Result<Vec<u8>, ResponseError> {
    respond(|context, out| plan.to_protobuf(payload, context, out))
}

fn to_value(dynamic: &Bytes) -> Result<v1::Value, ResponseError> {
    let bytes = respond(|context, out| dynamic_to_value(dynamic, context, out))?;
    Ok(v1::Value::decode(&*bytes).expect("a message"))
}
