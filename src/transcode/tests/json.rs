//! The `json` arm.

use proptest::prelude::*;

use super::{generate::Source, *};

fn json(text: &str, signature: &str) -> v1::Value {
    // The `Value` as a client writes it, by way of prost-reflect's JSON.
    let pool = prost_reflect::DescriptorPool::decode(crate::proto::FILE_DESCRIPTOR_SET).unwrap();
    let descriptor = pool.get_message_by_name("qi.gateway.v1.Value").unwrap();
    let text = format!("{{\"json\":{text},\"signature\":\"{signature}\"}}");
    let mut deserializer = serde_json::Deserializer::from_str(&text);
    let message = prost_reflect::DynamicMessage::deserialize(descriptor, &mut deserializer);
    v1::Value::decode(&*message.unwrap().encode_to_vec()).unwrap()
}

/// The `json` arm of a dynamic as a text, none where it has another arm.
fn as_json(dynamic: &str) -> Option<String> {
    let dynamic = from_hex(dynamic);
    let bytes = respond(|context, out| {
        context.json = true;
        dynamic_to_value(&dynamic, context, out)
    });
    let pool = prost_reflect::DescriptorPool::decode(crate::proto::FILE_DESCRIPTOR_SET).unwrap();
    let descriptor = pool.get_message_by_name("qi.gateway.v1.Value").unwrap();
    let message = prost_reflect::DynamicMessage::decode(descriptor, &*bytes.unwrap()).unwrap();
    let value = serde_json::to_value(&message).unwrap();
    value.get("json").map(ToString::to_string)
}

#[track_caller]
fn sends(text: &str, signature: &str, expected: &str) {
    let dynamic = to_dynamic(&json(text, signature)).unwrap();
    assert_eq!(hex::encode(&dynamic), expected.replace(' ', ""));
}

#[test]
fn json_alone_is_sent_as_python_would() {
    sends("null", "", "01000000 76");
    sends("true", "", "01000000 62 01");
    sends("42", "", "01000000 6c 2a00000000000000");
    sends("2.5", "", "01000000 64 0000000000000440");
    sends("1e300", "", "01000000 64 9c7500883ce4377e");
    sends("\"hi\"", "", "01000000 73 02000000 6869");
    sends(
        "[1,\"a\"]",
        "",
        "03000000 5b6d5d 02000000 01000000 6c 0100000000000000 01000000 73 01000000 61",
    );
    sends(
        "{\"a\":null}",
        "",
        "04000000 7b736d7d 01000000 01000000 61 01000000 76",
    );
}

#[test]
fn json_takes_the_type_that_is_told() {
    sends("[1,2]", "[w]", "03000000 5b775d 02000000 0100 0200");
    sends("[1,2]", "(fi)", "04000000 28666929 0000803f 02000000");
    sends(
        "{\"y\":2,\"x\":1}",
        "(dd)<P,x,y>",
        "0b000000 2864 64293c502c782c793e 000000000000f03f 0000000000000040",
    );
    sends(
        "{\"a\":[]}",
        "{s[i]}",
        "06000000 7b735b695d7d 01000000 01000000 61 00000000",
    );
    sends("null", "+i", "02000000 2b69 00");
    sends("5", "+i", "02000000 2b69 01 05000000");
    sends("5", "mi", "01000000 6d 01000000 69 05000000");
}

#[test]
fn json_that_does_not_fit_says_where() {
    let error = |text: &str, signature: &str| {
        let error = to_dynamic(&json(text, signature)).unwrap_err();
        error.to_string()
    };
    assert_eq!(
        error("[1,300]", "[C]"),
        "json[1]: takes an integer from 0 to 255, not 300"
    );
    assert_eq!(
        error("1.5", "i"),
        "json: takes an integer from -2^31 to 2^31-1, not 1.5"
    );
    assert_eq!(error("[1]", "(ii)"), "json: takes 2 members, not 1");
    assert_eq!(
        error("{\"x\":1}", "(dd)<P,x,y>"),
        "json: the member y is missing"
    );
    assert_eq!(
        error("\"\"", "r"),
        "json: takes the qi type r, not a string"
    );
}

#[test]
fn values_become_json_where_they_have_a_json_form() {
    assert_eq!(as_json("01000000 76").unwrap(), "null");
    assert_eq!(as_json("01000000 62 01").unwrap(), "true");
    assert_eq!(as_json("01000000 69 ffffffff").unwrap(), "-1.0");
    assert_eq!(as_json("01000000 73 02000000 6869").unwrap(), "\"hi\"");
    assert_eq!(
        as_json("03000000 5b775d 02000000 0100 0200").unwrap(),
        "[1.0,2.0]"
    );
    assert_eq!(
        as_json("0b000000 286464293c502c782c793e 000000000000f03f 0000000000000040").unwrap(),
        "{\"x\":1.0,\"y\":2.0}"
    );
    // A map whose keys are dynamics that hold texts.
    assert_eq!(
        as_json("04000000 7b6d6d7d 01000000 01000000 73 01000000 61 01000000 62 00").unwrap(),
        "{\"a\":false}"
    );
}

#[test]
fn what_has_no_json_form_comes_with_its_arm() {
    for dynamic in [
        "01000000 72 00000000",
        "01000000 73 02000000 fffe",
        "01000000 64 000000000000f07f",
        "01000000 6c ffffffffffffff7f",
        "04000000 7b69697d 01000000 01000000 01000000",
        // A list with raw bytes at its end.
        "03000000 5b6d5d 02000000 01000000 6c 0100000000000000 01000000 72 00000000",
    ] {
        assert_eq!(as_json(dynamic), None, "{dynamic}");
    }
}

/// Any JSON, without whole numbers between 2^53 and 2^64, which come back with another arm.
fn any_json(source: &mut Source<'_>, depth: usize) -> prost_types::Value {
    use prost_types::{ListValue, Struct, value::Kind};
    let kind = match source.below(if depth == 0 { 5 } else { 7 }) {
        0 => Kind::NullValue(0),
        1 => Kind::BoolValue(source.byte() % 2 == 1),
        2 => Kind::NumberValue(f64::from(source.byte()) - 128.0),
        3 => Kind::NumberValue([0.1, -1e300, 5e-324, 1e20][source.below(4)]),
        4 => Kind::StringValue(["", "a", "世"][source.below(3)].into()),
        5 => Kind::ListValue(ListValue {
            values: (0..source.below(4))
                .map(|_| any_json(source, depth - 1))
                .collect(),
        }),
        _ => Kind::StructValue(Struct {
            fields: (0..source.below(4))
                .map(|_| (source.byte().to_string(), any_json(source, depth - 1)))
                .collect(),
        }),
    };
    prost_types::Value { kind: Some(kind) }
}

proptest! {
    #[test]
    fn json_comes_back_as_it_was(choices: Vec<u8>) {
        let json = any_json(&mut Source(&choices), 4);
        let value = v1::Value {
            kind: Some(v1::value::Kind::Json(json)),
            signature: String::new(),
        };
        let dynamic = to_dynamic(&value).unwrap();
        let back = respond(|context, out| {
            context.json = true;
            dynamic_to_value(&dynamic, context, out)
        });
        prop_assert_eq!(v1::Value::decode(&*back.unwrap()).unwrap(), value);
    }

    #[test]
    fn whole_numbers_stay_what_they_are(number in -(1_i64 << 53)..=(1_i64 << 53)) {
        let dynamic = to_dynamic(&json(&number.to_string(), "")).unwrap();
        prop_assert_eq!(to_value(&dynamic).unwrap().kind, Some(v1::value::Kind::IntValue(number)));
    }
}
