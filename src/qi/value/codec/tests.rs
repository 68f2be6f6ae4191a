//! Laws of the codec, on random types and values, and what the recordings do not show.

use std::sync::Arc;

use bytes::Bytes;
use proptest::{
    collection::vec, option, prelude::*, sample::select, strategy::Union, string::string_regex,
};

use super::*;
use crate::qi::{
    value::{
        Annotation, Dynamic, MetaMethod, MetaMethodParameter, MetaObject, MetaProperty, MetaSignal,
        ObjectEncoding, ObjectReference, ObjectUid, Signature, SignatureError, TupleType, Type,
        Value,
    },
    wire::{ActionId, Limits, ObjectId, ReadError, ServiceId, Writer},
};

const SCALARS: [Type; 17] = [
    Type::Void,
    Type::None,
    Type::Bool,
    Type::Int8,
    Type::UInt8,
    Type::Int16,
    Type::UInt16,
    Type::Int32,
    Type::UInt32,
    Type::Int64,
    Type::UInt64,
    Type::Float,
    Type::Double,
    Type::String,
    Type::Raw,
    Type::Dynamic,
    Type::Object,
];

fn types() -> impl Strategy<Value = Type> {
    select(&SCALARS[..]).prop_recursive(4, 24, 4, |element| {
        let boxed = |element: Type| Box::new(element);
        prop_oneof![
            element.clone().prop_map(Type::list),
            element
                .clone()
                .prop_map(move |element| Type::VarArgs(boxed(element))),
            element
                .clone()
                .prop_map(move |element| Type::KwArgs(boxed(element))),
            element
                .clone()
                .prop_map(move |element| Type::Optional(boxed(element))),
            (element.clone(), element.clone()).prop_map(|(key, value)| Type::map(key, value)),
            (vec(element, 0..4), any::<bool>()).prop_map(|(elements, named)| {
                let annotation = named.then(|| Annotation {
                    name: "A::B<c>".into(),
                    fields: (0..elements.len()).map(|at| format!("f{at}")).collect(),
                });
                Type::Tuple(TupleType {
                    elements,
                    annotation,
                })
            }),
        ]
    })
}

/// Values of a type, whose dynamics hold `dynamics` more dynamics in one another at most.
fn values(ty: &Type, dynamics: u32) -> BoxedStrategy<Value> {
    let bytes = || vec(any::<u8>(), 0..6).prop_map(Bytes::from);
    match ty {
        Type::Void | Type::None | Type::Unknown => Just(Value::Void).boxed(),
        Type::Bool => any::<bool>().prop_map(Value::Bool).boxed(),
        Type::Int8 => any::<i8>().prop_map(Value::Int8).boxed(),
        Type::UInt8 => any::<u8>().prop_map(Value::UInt8).boxed(),
        Type::Int16 => any::<i16>().prop_map(Value::Int16).boxed(),
        Type::UInt16 => any::<u16>().prop_map(Value::UInt16).boxed(),
        Type::Int32 => any::<i32>().prop_map(Value::Int32).boxed(),
        Type::UInt32 => any::<u32>().prop_map(Value::UInt32).boxed(),
        Type::Int64 => any::<i64>().prop_map(Value::Int64).boxed(),
        Type::UInt64 => any::<u64>().prop_map(Value::UInt64).boxed(),
        // All bits, NaN and its payload included.
        Type::Float => any::<u32>()
            .prop_map(|n| Value::Float(f32::from_bits(n)))
            .boxed(),
        Type::Double => any::<u64>()
            .prop_map(|n| Value::Double(f64::from_bits(n)))
            .boxed(),
        Type::String => bytes().prop_map(Value::String).boxed(),
        Type::Raw => bytes().prop_map(Value::Raw).boxed(),
        Type::Dynamic => dynamic_values(dynamics),
        Type::Object => objects()
            .prop_map(|object| Value::Object(Box::new(object)))
            .boxed(),
        Type::List(element) | Type::VarArgs(element) => vec(values(element, dynamics), 0..4)
            .prop_map(Value::List)
            .boxed(),
        Type::Map(entry) => {
            let entry = (values(&entry.0, dynamics), values(&entry.1, dynamics));
            vec(entry, 0..4).prop_map(Value::Map).boxed()
        }
        Type::KwArgs(element) => {
            let entry = (values(&Type::String, dynamics), values(element, dynamics));
            vec(entry, 0..4).prop_map(Value::Map).boxed()
        }
        Type::Tuple(tuple) => {
            let elements: Vec<_> = tuple
                .elements
                .iter()
                .map(|ty| values(ty, dynamics))
                .collect();
            elements.prop_map(Value::Tuple).boxed()
        }
        Type::Optional(content) => option::of(values(content, dynamics))
            .prop_map(|content| Value::Optional(content.map(Box::new)))
            .boxed(),
    }
}

fn dynamic_values(dynamics: u32) -> BoxedStrategy<Value> {
    let empty = Just(Value::Dynamic(Box::new(Dynamic::empty()))).boxed();
    if dynamics == 0 {
        return empty;
    }
    let full = types()
        .prop_flat_map(move |ty| (values(&ty, dynamics - 1), Just(ty)))
        .prop_map(|(value, ty)| Value::Dynamic(Box::new(Dynamic::new(ty.into(), value))));
    Union::new_weighted(vec![(1, empty), (4, full.boxed())]).boxed()
}

fn objects() -> impl Strategy<Value = ObjectReference> {
    let address = (any::<u32>(), any::<u32>(), any::<[u8; 20]>());
    (meta_objects(), address).prop_map(|(meta, (service, object, uid))| ObjectReference {
        meta: Arc::new(meta),
        service: ServiceId(service),
        object: ObjectId(object),
        uid: Some(ObjectUid(uid)),
    })
}

fn meta_objects() -> impl Strategy<Value = MetaObject> {
    let text = || string_regex(".{0,6}").expect("a pattern");
    let signature = || types().prop_map(Signature::from);
    let parameter =
        (text(), text()).prop_map(|(name, description)| MetaMethodParameter { name, description });
    let method = (
        signature(),
        text(),
        signature(),
        text(),
        vec(parameter, 0..3),
        text(),
    );
    let method = (any::<u32>(), method).prop_map(|(uid, method)| MetaMethod {
        uid: ActionId(uid),
        return_signature: method.0,
        name: method.1,
        parameters_signature: method.2,
        description: method.3,
        parameters: method.4,
        return_description: method.5,
    });
    let signal = || (any::<u32>(), text(), signature());
    (
        vec(method, 0..3),
        vec(signal(), 0..3),
        vec(signal(), 0..3),
        text(),
    )
        .prop_map(|(methods, signals, properties, description)| MetaObject {
            methods: methods
                .into_iter()
                .map(|method| (method.uid, method))
                .collect(),
            signals: signals
                .into_iter()
                .map(|(uid, name, signature)| {
                    let uid = ActionId(uid);
                    let signal = MetaSignal {
                        uid,
                        name,
                        signature,
                    };
                    (uid, signal)
                })
                .collect(),
            properties: properties
                .into_iter()
                .map(|(uid, name, signature)| {
                    let uid = ActionId(uid);
                    let property = MetaProperty {
                        uid,
                        name,
                        signature,
                    };
                    (uid, property)
                })
                .collect(),
            description,
        })
}

fn typed_values() -> impl Strategy<Value = (Type, Value)> {
    types().prop_flat_map(|ty| {
        let values = values(&ty, 2);
        (Just(ty), values)
    })
}

fn encodings() -> impl Strategy<Value = ObjectEncoding> {
    // With identities, since a reference without one would not be equal.
    any::<bool>().prop_map(|meta_object_cache| ObjectEncoding {
        meta_object_cache,
        object_uid: true,
    })
}

fn write(value: &Value, ty: &Type, encoding: ObjectEncoding) -> Bytes {
    let mut cache = SentMetaObjects::new();
    let mut context = EncodeContext::new(encoding, Limits::default());
    context.cache = Some(&mut cache);
    let mut writer = Writer::new();
    encode(value, ty, &mut context, &mut writer).expect("it can be written");
    writer.finish()
}

fn read(payload: &Bytes, ty: &Type, encoding: ObjectEncoding) -> Result<Value, DecodeError> {
    let mut cache = ReceivedMetaObjects::new();
    let mut context = DecodeContext::new(encoding, Limits::default());
    context.cache = Some(&mut cache);
    decode(ty, payload, context)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn what_is_written_is_read((ty, value) in typed_values(), encoding in encodings()) {
        let payload = write(&value, &ty, encoding);
        prop_assert!(payload.len() >= ty.min_bytes());
        let again = read(&payload, &ty, encoding).expect("it can be read");
        // As text, since NaN does not equal itself.
        prop_assert_eq!(format!("{again:?}"), format!("{value:?}"));
        prop_assert_eq!(write(&again, &ty, encoding), payload);
    }

    #[test]
    fn a_value_is_skipped_to_its_end((ty, value) in typed_values(), encoding in encodings()) {
        let payload = write(&value, &ty, encoding);
        let mut cache = ReceivedMetaObjects::new();
        let mut context = DecodeContext::new(encoding, Limits::default());
        context.cache = Some(&mut cache);
        let mut decoder = Decoder::new(&payload, context);
        prop_assert_eq!(decoder.skip(&ty), Ok(()));
        prop_assert_eq!(decoder.finish(), Ok(()));
    }

    #[test]
    fn a_payload_cut_short_is_refused((ty, value) in typed_values(), encoding in encodings()) {
        let payload = write(&value, &ty, encoding);
        if let Some(last) = payload.len().checked_sub(1) {
            let error = read(&payload.slice(..last), &ty, encoding).unwrap_err();
            let read = matches!(error, DecodeError::Read(ReadError::Truncated { .. }));
            prop_assert!(read, "{}", error);
        }
    }

    #[test]
    fn random_bytes_are_read_or_refused(ty in types(), bytes in vec(any::<u8>(), 0..256)) {
        let payload = Bytes::from(bytes);
        if let Ok(value) = read(&payload, &ty, ObjectEncoding::default()) {
            let again = write(&value, &ty, ObjectEncoding::default());
            prop_assert_eq!(again.len() >= ty.min_bytes(), true);
        }
    }

    #[test]
    fn meta_objects_are_read_as_written(meta in meta_objects()) {
        let mut writer = Writer::new();
        encode_meta_object(&meta, &mut writer).expect("it can be written");
        let payload = writer.finish();
        let decoded = decode_meta_object(&payload, &Limits::default()).expect("it can be read");
        prop_assert_eq!(decoded.refused, []);
        prop_assert_eq!(decoded.meta, meta);
        // The signature describes what the typed code writes.
        let ty: Type = META_OBJECT_SIGNATURE.parse().expect("a signature");
        let value = decode(&ty, &payload, DecodeContext::default()).expect("it can be read");
        prop_assert_eq!(write(&value, &ty, ObjectEncoding::default()), payload);
    }
}

#[test]
fn the_signature_of_meta_objects_is_that_of_libqi() {
    let signature: Signature = META_OBJECT_SIGNATURE.parse().expect("a signature");
    assert_eq!(signature.ty().to_string(), META_OBJECT_SIGNATURE);
}

/// What the tree of values costs is what the limits count on.
#[test]
fn a_value_takes_forty_bytes() {
    assert_eq!(size_of::<Value>(), 40);
}

#[test]
fn strings_share_the_memory_of_the_payload() {
    let ty: Type = "(sr)".parse().unwrap();
    let value = Value::Tuple(vec![
        Value::text("hello"),
        Value::Raw(Bytes::from_static(b"raw")),
    ]);
    let payload = write(&value, &ty, ObjectEncoding::default());
    let Ok(Value::Tuple(items)) = read(&payload, &ty, ObjectEncoding::default()) else {
        panic!("a tuple");
    };
    let range = payload.as_ptr_range();
    for item in &items {
        let (Value::String(bytes) | Value::Raw(bytes)) = item else {
            panic!("bytes");
        };
        assert!(range.contains(&bytes.as_ptr()));
    }
}

#[test]
fn the_signature_of_a_dynamic_value_keeps_its_text() {
    let payload = Bytes::from_static(b"\x07\0\0\0i<note>\x03\0\0\0");
    let value = read(&payload, &Type::Dynamic, ObjectEncoding::default()).unwrap();
    assert_eq!(
        write(&value, &Type::Dynamic, ObjectEncoding::default()),
        payload
    );
}

#[test]
fn a_type_without_encoding_is_neither_read_nor_written() {
    let error = read(&Bytes::new(), &Type::Unknown, ObjectEncoding::default());
    assert_eq!(error, Err(DecodeError::NoEncoding { offset: 0 }));
    let mut writer = Writer::new();
    let context = &mut EncodeContext::default();
    let error = encode(&Value::Void, &Type::Unknown, context, &mut writer);
    assert_eq!(error, Err(EncodeError::NoEncoding));
}

#[test]
fn a_value_of_another_type_is_not_written() {
    let mut writer = Writer::new();
    writer.u8(7);
    let ty: Type = "(ii)".parse().unwrap();
    let mut refused = |value: &Value| {
        let context = &mut EncodeContext::default();
        let error = encode(value, &ty, context, &mut writer).unwrap_err();
        assert_eq!(writer.as_slice(), [7], "nothing is left behind");
        error
    };
    assert_eq!(
        refused(&Value::Tuple(vec![Value::Int32(1), Value::Int64(2)])),
        EncodeError::Mismatch {
            expected: "a signed 32 bit integer",
            found: "a signed 64 bit integer"
        }
    );
    assert_eq!(
        refused(&Value::Tuple(vec![Value::Int32(1)])),
        EncodeError::TupleLength {
            expected: 2,
            found: 1
        }
    );
}

fn object(uid: Option<ObjectUid>) -> Value {
    Value::Object(Box::new(ObjectReference {
        meta: Arc::new(MetaObject::default()),
        service: ServiceId(2),
        object: ObjectId(3),
        uid,
    }))
}

#[test]
fn what_fails_leaves_no_trace_in_the_cache() {
    let encoding = ObjectEncoding {
        meta_object_cache: true,
        object_uid: false,
    };
    let mut cache = SentMetaObjects::new();
    let mut context = EncodeContext::new(encoding, Limits::default());
    context.cache = Some(&mut cache);
    let ty: Type = "(oi)".parse().unwrap();
    let value = Value::Tuple(vec![object(None), Value::Void]);
    assert!(encode(&value, &ty, &mut context, &mut Writer::new()).is_err());
    assert!(cache.is_empty());
}

#[test]
fn an_object_needs_an_identity_where_the_connection_has_them() {
    let encoding = ObjectEncoding {
        meta_object_cache: false,
        object_uid: true,
    };
    let mut context = EncodeContext::new(encoding, Limits::default());
    let mut writer = Writer::new();
    let error = encode(&object(None), &Type::Object, &mut context, &mut writer);
    assert_eq!(error, Err(EncodeError::MissingUid));
    let null = ObjectReference {
        meta: Arc::default(),
        service: ServiceId(2),
        object: ObjectId::NONE,
        uid: None,
    };
    encode_object(&null, &mut context, &mut writer).unwrap();
    assert_eq!(writer.len(), 16 + 4 + 4 + 20);
}

#[test]
fn a_meta_object_that_did_not_come_is_unknown() {
    let encoding = ObjectEncoding {
        meta_object_cache: true,
        object_uid: false,
    };
    let payload = Bytes::from_static(&[0, 7, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0]);
    let error = read(&payload, &Type::Object, encoding);
    assert_eq!(
        error,
        Err(DecodeError::UnknownMetaObject { id: 7, offset: 1 })
    );
}

/// A method of a real robot whose signature libqi itself could not describe must not hide the
/// others.
#[test]
fn a_member_without_a_signature_is_left_out() {
    let mut writer = Writer::new();
    writer.u32(2);
    for (uid, returned, name) in [(100, "v", "good"), (101, "[", "bad")] {
        writer.u32(uid);
        writer.u32(uid);
        for text in [returned, name, "(i)", "caf\u{e9}"] {
            writer.sized(text.as_bytes()).unwrap();
        }
        writer.u32(0);
        writer.sized(b"\xff").unwrap();
    }
    writer.u32(1);
    writer.u32(102);
    writer.u32(102);
    writer.sized(b"signal").unwrap();
    writer.sized(b"").unwrap();
    writer.u32(0);
    writer.sized(b"").unwrap();
    let decoded = decode_meta_object(&writer.finish(), &Limits::default()).unwrap();
    let names: Vec<_> = decoded
        .meta
        .methods
        .values()
        .map(|method| &method.name)
        .collect();
    assert_eq!(names, ["good"]);
    let good = &decoded.meta.methods[&ActionId(100)];
    assert_eq!(good.description, "caf\u{e9}");
    assert_eq!(good.return_description, "\u{fffd}");
    let refused = |kind, uid, name: &str| RefusedMember {
        kind,
        uid: ActionId(uid),
        name: name.into(),
        source: SignatureError::Incomplete,
    };
    assert_eq!(
        decoded.refused,
        [
            refused(MemberKind::Method, 101, "bad"),
            refused(MemberKind::Signal, 102, "signal"),
        ]
    );
}

#[test]
fn numbers_in_a_list_are_a_level_also_where_they_are_skipped() {
    // Blocks of numbers were passed over without a look at the depth.
    let limits = Limits {
        value_depth: 1,
        ..Limits::default()
    };
    let too_deep = DecodeError::TooDeep { limit: 1 };
    let ty = Type::list(Type::UInt8);
    for (payload, expected) in [
        (&b"\x01\0\0\0\x07"[..], Err(too_deep)),
        (b"\0\0\0\0", Ok(())),
    ] {
        let payload = Bytes::from_static(payload);
        let decoder = || {
            Decoder::new(
                &payload,
                DecodeContext::new(ObjectEncoding::default(), limits),
            )
        };
        assert_eq!(decoder().value(&ty).map(drop), expected);
        assert_eq!(decoder().skip(&ty), expected);
    }
}
