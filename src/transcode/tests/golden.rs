//! Recorded bytes of libqi.

use serde_json::Value as Json;

use super::*;

/// The values that libqi was given, each in the encoding that it took.
fn recorded_values() -> Vec<(String, Bytes)> {
    let text = std::fs::read_to_string("tests/data/vectors/values.json").expect("recorded values");
    let json: Json = serde_json::from_str(&text).expect("JSON");
    let entries = ["values", "in_dynamic"]
        .into_iter()
        .flat_map(|list| json[list].as_array().expect("a list").iter());
    entries
        .map(|entry| {
            let field = |name: &str| entry[name].as_str().expect("a text");
            (
                field("signature").to_owned(),
                from_hex(field("payload_hex")),
            )
        })
        .collect()
}

fn dynamic(signature: &str, payload: &[u8]) -> Bytes {
    let mut out = Writer::new();
    out.sized(signature.as_bytes()).expect("short");
    out.raw(payload);
    out.finish()
}

/// The empty dynamic is never sent: it becomes void, at the top and in the one recorded list that
/// holds it.
fn without_empty(dynamic: &[u8]) -> String {
    match hex::encode(dynamic) {
        empty if empty == "00000000" => "0100000076".into(),
        other => other.replace("7879000000000100000076", "787901000000760100000076"),
    }
}

#[test]
fn recorded_dynamics_come_back_byte_for_byte() {
    let mut count = 0;
    for (signature, payload) in recorded_values() {
        if signature != "m" {
            continue;
        }
        count += 1;
        let value = to_value(&payload).unwrap();
        let back = to_dynamic(&value).unwrap();
        assert_eq!(hex::encode(&back), without_empty(&payload), "{value:?}");
    }
    assert!(count > 80, "{count} dynamics");
}

#[test]
fn recorded_values_come_back_with_their_signature() {
    let mut count = 0;
    for (text, payload) in recorded_values() {
        // A boolean byte of 2, and what is no map from strings: libqi does not read them either.
        if text == "m" || text == "~i" || (text == "b" && payload[..] == [2]) {
            continue;
        }
        count += 1;
        let signature = signature(&text);
        let value = respond(|context, out| typed_to_value(&payload, &signature, context, out));
        let back = bytes_to_dynamic(&value.unwrap()).unwrap();
        let expected = without_empty(&dynamic(&text, &payload));
        assert_eq!(hex::encode(&back), expected, "{text}");
    }
    assert!(count > 60, "{count} values");
}

#[test]
fn any_arguments_are_sent_as_libqi_sends_them() {
    // calls_plain.json, `p.var()` and `p.var(1, 'x', [2])`.
    let none = from_hex("020000002829");
    let three = from_hex(
        "05000000286d6d6d29010000006c010000000000000001000000730100000078030000005b6d5d01000000
         010000006c0200000000000000"
            .replace(char::is_whitespace, "")
            .as_str(),
    );
    let payload = payload("m");
    let requests = RequestPlan::compile(&payload);
    let responses = ResponsePlan::compile(&payload);
    for bytes in [none, three] {
        let message = response(&responses, &bytes).unwrap();
        assert_eq!(request(&requests, &message).unwrap(), bytes);
    }
}

#[test]
fn what_each_arm_stands_for_alone_needs_no_signature() {
    for text in ["v", "b", "l", "L", "f", "d", "s", "r", "[m]", "{mm}", "()"] {
        let zeros = dynamic(text, &[0; 8]);
        assert_eq!(to_value(&zeros).unwrap().signature, "", "{text}");
    }
    for text in [
        "c", "i", "I", "[i]", "{sm}", "+i", "#m", "(i)", "i<note>", "()<>",
    ] {
        let zeros = dynamic(text, &[0; 8]);
        assert_eq!(to_value(&zeros).unwrap().signature, text);
    }
    assert_eq!(
        to_value(&from_hex("010000006d 0100000069 05000000"))
            .unwrap()
            .signature,
        "mi"
    );
    assert_eq!(
        to_value(&from_hex("010000006d 0100000076"))
            .unwrap()
            .signature,
        "mv"
    );
    assert_eq!(
        to_value(&from_hex("0100000073 02000000 fffe"))
            .unwrap()
            .signature,
        "s"
    );
}
