//! What holds for every decoder, whatever bytes come: no panic, and what was read is written as
//! it was. The fuzz targets and `tests/hostile_bytes.rs` check the same.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test")]
#![allow(
    dead_code,
    reason = "each fuzz target that includes this file uses a part of it"
)]

use bytes::{BufMut as _, Bytes};
use qi_grpc_gateway::qi::{
    value::{
        ObjectEncoding, Signature, Type, Value,
        codec::{
            DecodeContext, DecodeError, Decoder, EncodeContext, ReceivedMetaObjects,
            SentMetaObjects, decode, decode_meta_object, encode, encode_meta_object,
        },
    },
    wire::{FrameDecoder, HEADER_BYTES, Header, Limits, Writer},
};

/// Whether the bytes begin with a header.
pub(crate) fn header(bytes: &[u8]) -> bool {
    let Some(bytes) = bytes.first_chunk::<HEADER_BYTES>() else {
        return false;
    };
    let Ok(header) = Header::decode(bytes) else {
        return false;
    };
    assert_eq!(header.encode(), *bytes);
    true
}

/// Whether the bytes are whole frames.
pub(crate) fn frame(bytes: &[u8]) -> bool {
    let mut decoder = FrameDecoder::new(Limits::default().payload_bytes);
    let mut written = Vec::new();
    for piece in bytes.chunks(1 + bytes.len() / 3) {
        decoder.buffer().put_slice(piece);
        loop {
            match decoder.next_message() {
                Ok(Some(message)) => {
                    written.extend_from_slice(&message.header().encode());
                    written.extend_from_slice(&message.payload);
                }
                Ok(None) => break,
                Err(_) => return false,
            }
        }
    }
    assert!(bytes.starts_with(&written));
    let whole = decoder.end().is_ok();
    assert_eq!(whole, written.len() == bytes.len());
    whole
}

/// Whether the bytes are a signature.
pub(crate) fn signature(bytes: &[u8]) -> bool {
    let Ok(signature) = Signature::parse_bytes(bytes, &Limits::default()) else {
        return false;
    };
    assert_eq!(signature.as_str().as_bytes(), bytes);
    let written = signature.ty().to_string();
    let again: Type = written.parse().expect("what we write is a signature");
    assert_eq!(&again, signature.ty());
    true
}

/// Whether the bytes are a value of a type on a connection that encodes objects so.
pub(crate) fn value(ty: &Type, bytes: &[u8], encoding: ObjectEncoding) -> bool {
    let payload = Bytes::copy_from_slice(bytes);
    let skipped = skip(ty, &payload, encoding);
    let value = match read(ty, &payload, encoding) {
        Ok(value) => value,
        // Skipping builds nothing that must be counted.
        Err(DecodeError::TooManyValues { .. }) => return false,
        Err(error) => {
            assert!(skipped.is_err(), "{error}, but it can be skipped");
            return false;
        }
    };
    assert_eq!(skipped, Ok(()));
    let written = write(&value, ty, encoding);
    if !has_object(&value) {
        assert_eq!(written, bytes);
        return true;
    }
    // A meta object is written with its members sorted and its text repaired. Once it was, it
    // stays as it is.
    let again = read(ty, &written, encoding).expect("what was written can be read");
    assert_eq!(format!("{again:?}"), format!("{value:?}"));
    assert_eq!(write(&again, ty, encoding), written);
    true
}

fn skip(ty: &Type, payload: &Bytes, encoding: ObjectEncoding) -> Result<(), DecodeError> {
    let mut cache = ReceivedMetaObjects::new();
    let mut context = DecodeContext::new(encoding, Limits::default());
    context.cache = Some(&mut cache);
    let mut decoder = Decoder::new(payload, context);
    decoder.skip(ty)?;
    decoder.finish()
}

fn read(ty: &Type, payload: &Bytes, encoding: ObjectEncoding) -> Result<Value, DecodeError> {
    let mut cache = ReceivedMetaObjects::new();
    let mut context = DecodeContext::new(encoding, Limits::default());
    context.cache = Some(&mut cache);
    decode(ty, payload, context)
}

fn write(value: &Value, ty: &Type, encoding: ObjectEncoding) -> Bytes {
    let mut cache = SentMetaObjects::new();
    let mut context = EncodeContext::new(encoding, Limits::default());
    context.cache = Some(&mut cache);
    let mut writer = Writer::new();
    encode(value, ty, &mut context, &mut writer).expect("what was read can be written");
    writer.finish()
}

fn has_object(value: &Value) -> bool {
    match value {
        Value::Object(_) => true,
        Value::Dynamic(dynamic) => has_object(&dynamic.value),
        Value::Optional(content) => content.as_ref().is_some_and(|value| has_object(value)),
        Value::List(items) | Value::Tuple(items) => items.iter().any(has_object),
        Value::Map(entries) => entries
            .iter()
            .any(|(key, value)| has_object(key) || has_object(value)),
        _ => false,
    }
}

/// Whether the bytes are a meta object.
pub(crate) fn meta_object(bytes: &[u8]) -> bool {
    let limits = Limits::default();
    let Ok(decoded) = decode_meta_object(&Bytes::copy_from_slice(bytes), &limits) else {
        return false;
    };
    let mut writer = Writer::new();
    encode_meta_object(&decoded.meta, &mut writer).expect("what was read can be written");
    let written = writer.finish();
    let again = decode_meta_object(&written, &limits).expect("what was written can be read");
    assert_eq!(again.meta, decoded.meta);
    assert_eq!(again.refused, []);
    true
}
