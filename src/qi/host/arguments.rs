//! The payloads of calls, answers and events, with their flags (protocol text, sections 4 and 12).

use bytes::Bytes;

use super::{ValueError, error::text};
use crate::qi::{
    session::{RemoteObject, WeakConnection},
    value::{
        Dynamic, ObjectEncoding, ObjectReference, Signature, Type, Value,
        codec::{DecodeContext, DecodeError, Decoder, EncodeContext, encode, encode_dynamic},
        convert::{ConvertError, convert, may_convert},
    },
    wire::{Flags, Limits, ReadError, ServiceId, Writer},
};

/// What a message brought.
#[derive(Debug)]
pub(super) struct Arguments {
    /// The arguments, as the member's signature says.
    pub(super) values: Vec<Value>,
    /// The type that the caller wants for the result.
    pub(super) wanted: Option<Signature>,
}

/// How a peer encodes, and what is accepted from it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Dialect {
    pub(super) encoding: ObjectEncoding,
    pub(super) limits: Limits,
}

/// Where a payload comes from: its objects are on that connection.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reads<'a> {
    pub(super) dialect: Dialect,
    pub(super) connection: &'a WeakConnection,
}

impl Reads<'_> {
    /// Takes the objects in a value, to be given back when nobody holds them any more.
    pub(super) fn receive(self, value: &mut Value) {
        if value.holds_objects()
            && let Some(connection) = self.connection.upgrade()
        {
            RemoteObject::receive_all(&connection, value);
        }
    }
}

/// Reads the arguments of a member that takes `signature`; the error is for the caller. Objects
/// are [`RemoteObject`]s, given back also where there is an error.
///
/// Bytes that follow are ignored, as by libqi (section 7).
pub(super) fn decode_arguments(
    payload: &Bytes,
    flags: Flags,
    signature: &Signature,
    reads: Reads<'_>,
) -> Result<Arguments, String> {
    let dialect = reads.dialect;
    let context = DecodeContext::new(dialect.encoding, dialect.limits);
    let mut decoder = Decoder::new(payload, context);
    let read_dynamic = |decoder: &mut Decoder<'_>| {
        let mut dynamic = decoder.dynamic().map_err(|e| decode_text(&e))?;
        reads.receive(&mut dynamic.value);
        Ok::<_, String>(dynamic)
    };
    let values = if flags.contains(Flags::DYNAMIC_PAYLOAD) {
        let dynamic = read_dynamic(&mut decoder)?;
        convert_arguments(arguments_of(dynamic, &dialect.limits)?, signature.ty())?
    } else {
        match signature.ty() {
            Type::Tuple(tuple) => tuple
                .elements
                .iter()
                .map(|ty| {
                    let mut value = decoder.value(ty).map_err(|e| decode_text(&e))?;
                    if ty.may_hold_objects() {
                        reads.receive(&mut value);
                    }
                    Ok(value)
                })
                .collect::<Result<_, String>>()?,
            _ => {
                let dynamic = read_dynamic(&mut decoder)?;
                let arguments = arguments_of(dynamic, &dialect.limits)?;
                arguments.into_iter().map(wrapped).collect()
            }
        }
    };
    if values.iter().any(is_empty_dynamic) {
        return Err(text::EMPTY_DYNAMIC.to_owned());
    }
    let wanted = if flags.contains(Flags::RETURN_TYPE) {
        let wanted = decoder.reader().sized("the type of the result");
        let wanted = wanted.map_err(|_| text::TRUNCATED.to_owned())?;
        // An empty or invalid one asks for nothing (section 4).
        Signature::parse_bytes(wanted, &dialect.limits).ok()
    } else {
        None
    };
    Ok(Arguments { values, wanted })
}

/// The arguments that a dynamic holds, each with its type (section 4).
///
/// As a tuple they have a signature within [`Limits::signature_bytes`], also where they come as a
/// list or map, whose signature tells the type once however many there are.
fn arguments_of(mut dynamic: Dynamic, limits: &Limits) -> Result<Vec<(Type, Value)>, String> {
    while let Value::Dynamic(inner) = dynamic.value {
        dynamic = *inner;
    }
    let count = match &dynamic.value {
        Value::List(values) => values.len(),
        Value::Map(entries) => entries.len(),
        _ => 1,
    };
    let signature = dynamic.signature.as_ref();
    let bytes = signature.map_or(0, |it| it.as_str().len());
    if count.saturating_mul(bytes) > limits.signature_bytes as usize {
        return Err(text::TOO_MANY_ARGUMENTS.to_owned());
    }
    let ty = dynamic.signature.map(Signature::into_type);
    match (ty, dynamic.value) {
        (Some(Type::Tuple(tuple)), Value::Tuple(values)) => {
            Ok(tuple.elements.into_iter().zip(values).collect())
        }
        (Some(Type::List(ty) | Type::VarArgs(ty)), Value::List(values)) => {
            let typed = values.into_iter().map(|value| ((*ty).clone(), value));
            Ok(typed.collect())
        }
        (Some(Type::Map(entry)), Value::Map(entries)) => {
            let ty = Type::tuple(vec![entry.0, entry.1]);
            let entries = entries.into_iter();
            let typed = entries.map(|(k, v)| (ty.clone(), Value::Tuple(vec![k, v])));
            Ok(typed.collect())
        }
        _ => Err(text::NOT_ARGUMENTS.to_owned()),
    }
}

fn convert_arguments(arguments: Vec<(Type, Value)>, ty: &Type) -> Result<Vec<Value>, String> {
    let Type::Tuple(tuple) = ty else {
        return Ok(arguments.into_iter().map(wrapped).collect());
    };
    let (expected, found) = (tuple.elements.len(), arguments.len());
    if expected != found {
        return Err(format!("{expected} arguments expected, found {found}"));
    }
    let numbered = (1..).zip(arguments.into_iter().zip(&tuple.elements));
    let converted = numbered.map(|(number, ((from, value), to))| {
        convert(&value, &from, to).map_err(|_| {
            let from = content_type(&value, &from);
            format!("Call argument number {number} conversion failure from {from} to {to}.")
        })
    });
    converted.collect()
}

/// The type of what is inside of dynamics, for people.
fn content_type<'a>(mut value: &'a Value, mut ty: &'a Type) -> &'a Type {
    while let Value::Dynamic(dynamic) = value {
        ty = dynamic
            .signature
            .as_ref()
            .map_or(&Type::Void, Signature::ty);
        value = &dynamic.value;
    }
    ty
}

/// A value with its type, unless it is a dynamic already.
fn wrapped((ty, value): (Type, Value)) -> Value {
    match value {
        Value::Dynamic(_) => value,
        value => Value::Dynamic(Box::new(Dynamic::new(ty.into(), value))),
    }
}

/// A dynamic that must never be sent on (section 7).
fn is_empty_dynamic(value: &Value) -> bool {
    matches!(value, Value::Dynamic(dynamic) if dynamic.signature.is_none())
}

/// What libqi says where bytes are missing; our own words for the rest.
fn decode_text(error: &DecodeError) -> String {
    match error {
        DecodeError::Read(ReadError::Truncated { .. }) => text::TRUNCATED.to_owned(),
        DecodeError::Signature { .. } => "Invalid signature".to_owned(),
        error => error.to_string(),
    }
}

/// Encodes what a member emits, as the payload of its event (section 12.3).
pub(super) fn encode_arguments(
    values: Vec<Value>,
    signature: &Signature,
    encoding: ObjectEncoding,
) -> Result<Bytes, ValueError> {
    let mut writer = Writer::new();
    let mut context = EncodeContext::new(encoding, Limits::default());
    match signature.ty() {
        Type::Dynamic => encode_dynamic(&any_arguments(values)?, &mut context, &mut writer)?,
        ty => encode(&Value::Tuple(values), ty, &mut context, &mut writer)?,
    }
    Ok(writer.finish())
}

/// Whether values can be emitted as `signature`, to whomever.
pub(super) fn check_arguments(
    mut values: Vec<Value>,
    signature: &Signature,
) -> Result<(), ValueError> {
    for value in &mut values {
        value.visit_objects(&mut |place| match place {
            Value::Object(reference) if !reference.is_null() => Err(ValueError::Object),
            _ => {
                *place = null_object();
                Ok(())
            }
        })?;
    }
    encode_arguments(values, signature, ObjectEncoding::default()).map(|_| ())
}

/// In the place of an object that nobody is to get.
pub(super) fn null_object() -> Value {
    Value::Object(Box::new(ObjectReference::null(ServiceId::SERVER)))
}

/// The tuple that a member declared `m` emits, of dynamics.
pub(super) fn any_arguments(values: Vec<Value>) -> Result<Dynamic, ValueError> {
    let mut types = Vec::with_capacity(values.len());
    let mut contents = Vec::with_capacity(values.len());
    for value in values {
        let Value::Dynamic(dynamic) = value else {
            let mismatch = ConvertError::Mismatch {
                expected: Type::Dynamic.kind_name(),
                found: value.kind_name(),
            };
            return Err(mismatch.into());
        };
        types.push(dynamic.signature.map_or(Type::Void, Signature::into_type));
        contents.push(dynamic.value);
    }
    let signature = Type::tuple(types).into();
    Ok(Dynamic::new(signature, Value::Tuple(contents)))
}

/// The payload of an event for a subscriber who wants it as `wanted`, if it can be had.
pub(super) fn encode_converted(
    values: &[Value],
    signature: &Signature,
    wanted: &Signature,
    encoding: ObjectEncoding,
) -> Option<Bytes> {
    let (Type::Tuple(_), Type::Tuple(_)) = (signature.ty(), wanted.ty()) else {
        return None;
    };
    let values = Value::Tuple(values.to_vec());
    let values = convert(&values, signature.ty(), wanted.ty()).ok()?;
    dynamic_payload(&Dynamic::new(wanted.clone(), values), encoding).ok()
}

/// The payload and flags of the answer that `value` is, of a method that returns `declared` to a
/// caller who wants `wanted`; the error is for the caller.
pub(super) fn encode_result(
    value: Value,
    declared: &Signature,
    wanted: Option<&Signature>,
    encoding: ObjectEncoding,
) -> Result<(Bytes, Flags), String> {
    if let Some(wanted) = wanted
        && let Ok(converted) = convert(&value, declared.ty(), wanted.ty())
    {
        let dynamic = match converted {
            Value::Dynamic(dynamic) => *dynamic,
            converted => Dynamic::new(wanted.clone(), converted),
        };
        if let Ok(payload) = dynamic_payload(&dynamic, encoding) {
            return Ok((payload, Flags::DYNAMIC_PAYLOAD));
        }
    }
    let kind = value.kind_name();
    let mut writer = Writer::new();
    let mut context = EncodeContext::new(encoding, Limits::default());
    encode(&value, declared.ty(), &mut context, &mut writer).map_err(|_| {
        format!("Setvalue(): failed to convert effective value {kind} to expected type {declared}")
    })?;
    Ok((writer.finish(), Flags::NONE))
}

/// Refuses a call whose result can in no case be what the caller wants (section 4).
pub(super) fn check_wanted(declared: &Signature, wanted: &Signature) -> Result<(), String> {
    if may_convert(declared.ty(), wanted.ty()) {
        return Ok(());
    }
    Err(format!(
        "Call error: will not be able to convert return type from {declared} to {wanted}"
    ))
}

/// A payload that is one dynamic.
pub(super) fn dynamic_payload(
    dynamic: &Dynamic,
    encoding: ObjectEncoding,
) -> Result<Bytes, ValueError> {
    let mut writer = Writer::new();
    let mut context = EncodeContext::new(encoding, Limits::default());
    encode_dynamic(dynamic, &mut context, &mut writer)?;
    Ok(writer.finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_arguments_tells_its_type_for_so_many_only() {
        // Each argument got a copy of the type, before anybody counted them: a call of two
        // megabytes took all the memory that there is.
        let list = |signature: &str, count| {
            let signature = signature.parse().unwrap();
            let values = vec![Value::Optional(None); count];
            arguments_of(
                Dynamic::new(signature, Value::List(values)),
                &Limits::default(),
            )
        };
        assert_eq!(list("[+i]", 10_000).map(|it| it.len()), Ok(10_000));
        let long = format!("[+({})]", "i".repeat(5000));
        assert_eq!(list(&long, 13).map(|it| it.len()), Ok(13));
        let refused = Err(text::TOO_MANY_ARGUMENTS.to_owned());
        assert_eq!(list(&long, 14), refused);
        let map = Dynamic::new(
            format!("{{i+({})}}", "i".repeat(5000)).parse().unwrap(),
            Value::Map(vec![(Value::Int32(1), Value::Optional(None)); 14]),
        );
        assert_eq!(arguments_of(map, &Limits::default()), refused);
    }
}
