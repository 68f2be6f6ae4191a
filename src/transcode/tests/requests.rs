//! What clients can get wrong, and what they may leave out.

use super::*;
use crate::proto::v1::{ListValue, MapValue, TupleValue, map_value, tuple_value, value::Kind};

fn call(parameters: &str, message: &str) -> Result<String, RequestError> {
    request(
        &RequestPlan::compile(&payload(parameters)),
        &from_hex(message),
    )
    .map(hex::encode)
}

#[track_caller]
fn takes(parameters: &str, message: &str, expected: &str) {
    assert_eq!(
        call(parameters, message),
        Ok(expected.replace(' ', "")),
        "{message}"
    );
}

#[track_caller]
fn refuses(parameters: &str, message: &str, expected: &str) {
    let error = call(parameters, message).unwrap_err();
    assert_eq!(error.to_string(), expected);
    let (path, _) = expected.split_once(": ").expect("a path");
    assert_eq!(error.field_path().to_string(), path);
}

fn value(kind: Kind, signature: &str) -> v1::Value {
    v1::Value {
        kind: Some(kind),
        signature: signature.into(),
    }
}

#[test]
fn an_empty_message_is_all_defaults() {
    takes(
        "(bcwilfdsr)",
        "",
        &"00".repeat(1 + 1 + 2 + 4 + 8 + 4 + 8 + 4 + 4),
    );
    takes("([i]{si}+i)", "", "00000000 00000000 00");
    takes("((is)m)", "", "00000000 00000000 01000000 76");
    takes("()", "", "");
}

#[test]
fn out_of_range_names_the_field() {
    refuses(
        "(c)",
        "08ac02",
        "f1: takes an integer from -128 to 127, not 300",
    );
    refuses(
        "(iw)",
        "0801 10fffffdffffffffffff01",
        "f2: takes an integer from -32768 to 32767, not -32769",
    );
    refuses(
        "(C)",
        "088002",
        "f1: takes an integer from 0 to 255, not 256",
    );
    refuses(
        "(W)",
        "08808004",
        "f1: takes an integer from 0 to 65535, not 65536",
    );
    // The third element of a packed list, and one in a list of structs.
    refuses(
        "([C])",
        "0a04 0102 8002",
        "f1[2]: takes an integer from 0 to 255, not 256",
    );
    refuses(
        "([(ic)])",
        "0a00 0a03 10ac02",
        "f1[1].f2: takes an integer from -128 to 127, not 300",
    );
    refuses(
        "({sc})",
        "0a06 0a0161 10ac02",
        "f1[0].value: takes an integer from -128 to 127, not 300",
    );
    refuses(
        "({cs})",
        "0a03 08ac02",
        "f1[0].key: takes an integer from -128 to 127, not 300",
    );
}

#[test]
fn numbers_are_truncated_as_protobuf_does() {
    // -1 as an int32 comes in ten bytes; a bool of any value but 0 is true.
    takes("(i)", "08ffffffffffffffffff01", "ffffffff");
    takes("(I)", "08ffffffffffffffffff01", "ffffffff");
    takes("(c)", "08ffffffffffffffffff01", "ff");
    takes("(b)", "08ffffffffffffffffff01", "01");
    takes("(b)", "0802", "01");
}

#[test]
fn the_last_of_equal_keys_wins_and_keys_are_sorted() {
    takes(
        "({si})",
        "0a05 0a0162 1001  0a05 0a0161 1002  0a05 0a0162 1003",
        "02000000 01000000 61 02000000 01000000 62 03000000",
    );
    takes(
        "({ib})",
        "0a02 0801  0a0b 08ffffffffffffffffff01",
        "02000000 ffffffff 00 01000000 00",
    );
    // An entry without key or value.
    takes("({si})", "0a00", "01000000 00000000 00000000");
}

#[test]
fn what_is_no_message_is_malformed() {
    refuses("(i)", "08", "message: the message ends inside of a field");
    refuses(
        "(i)",
        "0a00",
        "f1: the field has wire type 2, which its type is not encoded with",
    );
    refuses(
        "(i)",
        "0b0c",
        "f1: the field has wire type 3, which its type is not encoded with",
    );
    refuses(
        "(s)",
        "0801",
        "f1: the field has wire type 0, which its type is not encoded with",
    );
    refuses("(s)", "0a02fffe", "f1: the string is not UTF-8");
    refuses(
        "([f])",
        "0a03000000",
        "f1: 3 bytes of packed numbers of 4 bytes",
    );
    refuses("((i))", "0a0108", "f1: the message ends inside of a field");
    refuses(
        "(m)",
        "0a0208",
        "message: the message ends inside of a field",
    );
    takes("(r)", "0a02fffe", "02000000 fffe");
    // The end of a group that did not begin.
    refuses("(i)", "0c", "message: a group ends that did not begin");
}

fn reference(id: &str, service: &str) -> v1::ObjectRef {
    v1::ObjectRef {
        id: id.to_owned(),
        service: service.to_owned(),
    }
}

#[test]
fn x_and_unknown_objects_cannot_be_sent() {
    refuses(
        "(X)",
        "",
        "f1: the robot does not say what it takes, so nothing can be sent",
    );
    refuses("(o)", "0a03 0a0161", "f1: there is no object \"a\"");
    refuses("(o)", "", "f1: there is no object \"\"");
    let object = value(Kind::ObjectValue(reference("b", "")), "");
    let error = to_dynamic(&object).unwrap_err();
    assert_eq!(error.to_string(), "object_value: there is no object \"b\"");
    let service = value(Kind::ObjectValue(reference("", "c")), "");
    let error = to_dynamic(&service).unwrap_err();
    assert_eq!(
        error.to_string(),
        "object_value: no client hosts a service \"c\""
    );
}

#[test]
fn objects_are_written_by_their_source() {
    struct One;
    impl ObjectSource for One {
        fn write(&mut self, name: ObjectName<'_>, out: &mut Writer) -> Result<(), UnknownObject> {
            match name {
                ObjectName::Null => out.raw(b"null"),
                ObjectName::Id(id) => out.raw(id.as_bytes()),
                ObjectName::Service(name) => out.raw(format!("service {name}").as_bytes()),
            }
            Ok(())
        }
    }
    let plan = RequestPlan::compile(&payload("(ob)"));
    let mut out = Writer::new();
    let mut context = RequestContext {
        objects: &mut One,
        limits: Limits::default(),
    };
    // The id comes in the second of two occurrences, which merge.
    let message = from_hex("0a00 1001 0a04 0a026964");
    plan.to_qi(&message, &mut context, &mut out).unwrap();
    assert_eq!(out.as_slice(), b"id\x01");
    // Where there are both, the id counts.
    for (message, written) in [
        ("0a03 120161 1001", &b"service a\x01"[..]),
        ("0a06 0a0162 120161 1001", b"b\x01"),
        ("0a00 1001", b"null\x01"),
    ] {
        let mut out = Writer::new();
        plan.to_qi(&from_hex(message), &mut context, &mut out)
            .unwrap();
        assert_eq!(out.as_slice(), written, "{message}");
    }
}

#[test]
fn nested_messages_end_at_a_depth() {
    let list = |inner| value(Kind::ListValue(ListValue { items: vec![inner] }), "");
    let deep = |levels| (0..levels).fold(value(Kind::BoolValue(true), ""), |inner, _| list(inner));
    assert!(to_dynamic(&deep(49)).is_ok());
    let error = to_dynamic(&deep(50)).unwrap_err();
    assert!(
        error.to_string().ends_with("messages nest deeper than 100"),
        "{error}"
    );
    let wrapped = value(Kind::BoolValue(true), &"m".repeat(65));
    let error = to_dynamic(&wrapped).unwrap_err();
    assert_eq!(
        error.to_string(),
        "signature: a signature nests deeper than 64 types"
    );
}

#[test]
fn a_small_message_is_no_large_payload() {
    // 1000 structs of defaults in 2 bytes each, 8000 bytes each in qi.
    let plan = RequestPlan::compile(&payload(&format!("([({})])", "d".repeat(1000))));
    let mut context = RequestContext {
        objects: &mut NoObjects,
        limits: Limits {
            payload_bytes: 1_000_000,
            ..Limits::default()
        },
    };
    let mut out = Writer::new();
    out.u8(7);
    let error = plan
        .to_qi(&[0x0a, 0].repeat(1000), &mut context, &mut out)
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "f1[124]: the arguments are over the limit of 1000000 bytes"
    );
    assert_eq!(out.as_slice(), [7], "nothing of it is left");
}

#[test]
fn values_take_the_type_that_is_told() {
    #[track_caller]
    fn sends(kind: Kind, signature: &str, expected: &str) {
        let dynamic = to_dynamic(&value(kind, signature)).unwrap();
        assert_eq!(hex::encode(dynamic), expected.replace(' ', ""));
    }
    sends(Kind::IntValue(-2), "w", "01000000 77 feff");
    sends(Kind::IntValue(2), "L", "01000000 4c 0200000000000000");
    sends(Kind::UintValue(2), "c", "01000000 63 02");
    sends(Kind::IntValue(2), "f", "01000000 66 00000040");
    sends(Kind::UintValue(2), "d", "01000000 64 0000000000000040");
    sends(Kind::DoubleValue(1.5), "f", "01000000 66 0000c03f");
    sends(Kind::FloatValue(1.5), "d", "01000000 64 000000000000f83f");
    sends(
        Kind::StringValue("a".into()),
        "r",
        "01000000 72 01000000 61",
    );
    sends(Kind::IntValue(2), "+i", "02000000 2b69 01 02000000");
    sends(
        Kind::IntValue(2),
        "+m",
        "02000000 2b6d 01 01000000 6c 0200000000000000",
    );
    sends(Kind::VoidValue(()), "+i", "02000000 2b69 00");
    sends(Kind::VoidValue(()), "_", "01000000 5f");
    let items = vec![value(Kind::IntValue(1), ""), value(Kind::UintValue(2), "L")];
    sends(
        Kind::ListValue(ListValue {
            items: items.clone(),
        }),
        "[i]",
        "03000000 5b695d 02000000 01000000 02000000",
    );
    // Names make a struct.
    let fields = ["x", "y"]
        .into_iter()
        .zip(items)
        .map(|(name, value)| tuple_value::Field {
            name: name.into(),
            value: Some(value),
        });
    let point = TupleValue {
        name: "P".into(),
        fields: fields.collect(),
    };
    sends(
        Kind::TupleValue(point.clone()),
        "",
        "0b000000 286d6d293c502c782c793e 01000000 6c 0100000000000000 01000000 4c 0200000000000000",
    );
    sends(
        Kind::TupleValue(point),
        "(ii)",
        "04000000 28696929 01000000 02000000",
    );
    let empty = TupleValue {
        name: "P".into(),
        fields: Vec::new(),
    };
    sends(Kind::TupleValue(empty), "", "05000000 28293c503e");
    // An unset value is void.
    assert_eq!(hex::encode(bytes_to_dynamic(&[]).unwrap()), "0100000076");
}

#[test]
fn values_that_do_not_fit_say_where() {
    #[track_caller]
    fn refused(kind: Kind, signature: &str, expected: &str) {
        assert_eq!(
            to_dynamic(&value(kind, signature)).unwrap_err().to_string(),
            expected
        );
    }
    refused(
        Kind::IntValue(300),
        "C",
        "int_value: takes an integer from 0 to 255, not 300",
    );
    refused(
        Kind::IntValue(-1),
        "L",
        "int_value: takes an integer from 0 to 2^64-1, not -1",
    );
    refused(
        Kind::DoubleValue(1.0),
        "i",
        "double_value: takes an integer from -2^31 to 2^31-1, not 1.0",
    );
    refused(
        Kind::BoolValue(true),
        "s",
        "bool_value: takes the qi type s, not a boolean",
    );
    refused(
        Kind::RawValue("".into()),
        "[s]",
        "raw_value: takes the qi type [s], not raw bytes",
    );
    refused(
        Kind::VoidValue(()),
        "i",
        "void_value: takes an integer from -2^31 to 2^31-1, not no value",
    );
    refused(
        Kind::BoolValue(true),
        "[",
        "signature: the signature ends inside of a type",
    );
    refused(
        Kind::VoidValue(()),
        "X",
        "void_value: the robot does not say what it takes, so nothing can be sent",
    );
    let entry = map_value::Entry {
        key: Some(value(Kind::IntValue(1), "")),
        value: None,
    };
    let map = MapValue {
        entries: vec![entry],
    };
    refused(
        Kind::MapValue(map),
        "{is}",
        "map_value.entries[0].value.void_value: takes the qi type s, not no value",
    );
    let field = |name: &str| tuple_value::Field {
        name: name.into(),
        value: None,
    };
    let tuple = |name: &str| TupleValue {
        name: String::new(),
        fields: vec![field(name)],
    };
    refused(
        Kind::TupleValue(tuple("a,b")),
        "",
        "tuple_value: \"a,b\" is no name of a struct or member",
    );
    refused(
        Kind::TupleValue(tuple("")),
        "(vv)",
        "tuple_value: takes 2 members, not 1",
    );
}

#[test]
fn the_last_arm_wins_and_equal_ones_merge() {
    // int_value, then list_value twice: the items of both.
    let merged = from_hex("1805 4a04 0a02 1001 4a04 0a02 1000");
    let expected = "030000005b6d5d 02000000 01000000 62 01 01000000 62 00".replace(' ', "");
    assert_eq!(hex::encode(bytes_to_dynamic(&merged).unwrap()), expected);
    // Another arm between them empties the list.
    let cleared = from_hex("4a04 0a02 1001 1805 4a04 0a02 1000");
    let expected = "030000005b6d5d 01000000 01000000 62 00".replace(' ', "");
    assert_eq!(hex::encode(bytes_to_dynamic(&cleared).unwrap()), expected);
    let replaced = from_hex("4a04 0a02 1001 1805");
    assert_eq!(
        hex::encode(bytes_to_dynamic(&replaced).unwrap()),
        "010000006c0500000000000000"
    );
}

#[test]
fn any_arguments_name_the_one_to_blame() {
    refuses(
        "m",
        "0a00 0a05 18ac027a01",
        "args[1]: the message ends inside of a field",
    );
    refuses(
        "m",
        "0a00 0a06 18ac02 7a0143",
        "args[1].int_value: takes an integer from 0 to 255, not 300",
    );
}

#[test]
fn a_property_is_sent_as_a_dynamic_of_its_type() {
    let dynamic = |declared: &str, message: &str| {
        let mut context = RequestContext {
            objects: &mut NoObjects,
            limits: Limits::default(),
        };
        let mut out = Writer::new();
        RequestPlan::compile(&payload(declared))
            .to_dynamic(&from_hex(message), &mut context, &mut out)
            .map(|()| hex::encode(out.as_slice()))
    };
    assert_eq!(dynamic("(i)", "0805").unwrap(), "010000006905000000");
    assert_eq!(dynamic("()", "").unwrap(), "0100000076");
    assert_eq!(dynamic("(m)", "0a021001").unwrap(), "010000006201");
    assert_eq!(
        dynamic("((i)<P,a>)", "").unwrap(),
        "080000002869293c502c613e00000000"
    );
    assert_eq!(dynamic("(ib)", "").unwrap(), "04000000286962290000000000");
    assert!(dynamic("(c)", "08ac02").is_err());
}

#[test]
fn values_can_be_arguments_of_a_known_type() {
    let typed = |value: &v1::Value, ty: &str| {
        let mut context = RequestContext {
            objects: &mut NoObjects,
            limits: Limits::default(),
        };
        let mut out = Writer::new();
        value_to_typed(
            &value.encode_to_vec(),
            signature(ty).ty(),
            &mut context,
            &mut out,
        )
        .map(|()| hex::encode(out.as_slice()))
    };
    let number = value(Kind::IntValue(5), "");
    assert_eq!(typed(&number, "w").unwrap(), "0500");
    assert_eq!(typed(&number, "m").unwrap(), "010000006c0500000000000000");
    let error = typed(&number, "s").unwrap_err();
    assert_eq!(error.to_string(), "int_value: takes the qi type s, not 5");
}

#[test]
fn no_finite_number_becomes_infinite() {
    // A double beyond the range of `f` reached the robot as infinity, which libqi cannot even pass on.
    let json = |number| prost_types::Value {
        kind: Some(prost_types::value::Kind::NumberValue(number)),
    };
    let most = f64::from(f32::MAX);
    for (kind, given) in [
        (
            Kind::DoubleValue(1e300),
            "double_value: takes the qi type f, not 1e300",
        ),
        (
            Kind::DoubleValue(-most * 2.0),
            "double_value: takes the qi type f, not -6.805646932770577e38",
        ),
        (
            Kind::Json(json(1e300)),
            "json: takes the qi type f, not 1e300",
        ),
    ] {
        assert_eq!(
            to_dynamic(&value(kind, "f")).unwrap_err().to_string(),
            given
        );
    }
    let written = |kind| to_dynamic(&value(kind, "f")).map(hex::encode);
    let float = |number: f32| Ok(format!("0100000066{}", hex::encode(number.to_le_bytes())));
    assert_eq!(written(Kind::DoubleValue(most)), float(f32::MAX));
    assert_eq!(
        written(Kind::DoubleValue(f64::NEG_INFINITY)),
        float(f32::NEG_INFINITY)
    );
    assert_eq!(written(Kind::Json(json(0.5))), float(0.5));
}

#[test]
fn a_path_names_each_field_once() {
    // What stood for an optional dynamic had its arm in the path twice.
    let nameless = TupleValue {
        name: "a,b".into(),
        fields: Vec::new(),
    };
    let error = to_dynamic(&value(Kind::TupleValue(nameless), "+m")).unwrap_err();
    assert_eq!(error.field_path().as_str(), "tuple_value");
}
