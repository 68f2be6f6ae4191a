//! What robots can get wrong, and what is done with objects.

use serde_json::Value as Json;

use super::*;
use crate::qi::value::codec::ReceivedMetaObjects;

fn answer(returns: &str, bytes: &str) -> Result<String, ResponseError> {
    response(&ResponsePlan::compile(&payload(returns)), &from_hex(bytes)).map(hex::encode)
}

#[track_caller]
fn gives(returns: &str, bytes: &str, expected: &str) {
    assert_eq!(
        answer(returns, bytes),
        Ok(expected.replace(' ', "")),
        "{bytes}"
    );
}

#[track_caller]
fn refuses(returns: &str, bytes: &str, expected: &str) {
    assert_eq!(answer(returns, bytes).unwrap_err().to_string(), expected);
}

fn unwrap(declared: &str, holds: Holds, bytes: &str) -> Result<String, ResponseError> {
    let plan = ResponsePlan::compile(&payload(declared));
    let payload = from_hex(bytes);
    respond(|context, out| plan.dynamic_to_protobuf(&payload, holds, context, out)).map(hex::encode)
}

#[test]
fn zeros_are_left_out_where_there_is_no_presence() {
    gives("(bi+ifs)", "00 00000000 00 00000000 00000000", "");
    gives(
        "(bi+ifs)",
        "01 ffffffff 01 00000000 0000c03f 01000000 61",
        "0801 10ffffffffffffffffff01 1800 250000c03f 2a0161",
    );
    // Negative zero is no zero; elements and entries are always written.
    gives("(f)", "00000080", "0d00000080");
    gives(
        "([s]{sb}[w])",
        "01000000 00000000 01000000 00000000 00 02000000 0000 0100",
        "0a00 1204 0a00 1000 1a02 0001",
    );
    // A struct is there even if all of it is zero.
    gives("((i))", "00000000", "0a00");
}

#[test]
fn numbers_and_structs_have_minimal_lengths() {
    gives(
        "([f])",
        "02000000 0000c03f 00000000",
        "0a08 0000c03f 00000000",
    );
    gives("([(s)])", "01000000 01000000 61", "0a03 0a0161");
    let text = "61".repeat(200);
    gives(
        "((s))",
        &format!("c8000000{text}"),
        &format!("0acb01 0ac801 {text}"),
    );
}

#[test]
fn strings_that_are_no_text_are_counted() {
    let plan = ResponsePlan::compile(&payload("(ss)"));
    let mut shelf = Shelf::default();
    let mut context = ResponseContext::new(&mut shelf, ObjectEncoding::default());
    let mut out = Vec::new();
    let qi = from_hex("03000000 61fffe 01000000 62");
    plan.to_protobuf(&qi, &mut context, &mut out).unwrap();
    assert_eq!(out, "\n\x07a\u{fffd}\u{fffd}\x12\x01b".as_bytes());
    assert_eq!(context.replaced_strings, 1);
}

#[test]
fn what_does_not_hold_what_was_declared_says_where() {
    refuses(
        "(bi)",
        "01 0000",
        "f2: a signed 32 bit integer takes 4 bytes, 2 are left at offset 1",
    );
    refuses("(b)", "02", "f1: the byte 0x02 is no boolean");
    refuses(
        "([b])",
        "02000000 0107",
        "f1[1]: the byte 0x07 is no boolean",
    );
    refuses(
        "([i])",
        "ffffffff 00",
        "f1: a list takes 17179869180 bytes, 1 are left at offset 4",
    );
    refuses(
        "({s(i)})",
        "01000000 00000000 00",
        "f1: a map takes 8 bytes, 5 are left at offset 4",
    );
    refuses(
        "(s)",
        "05000000 61",
        "f1: a string takes 5 bytes, 1 are left at offset 4",
    );
    refuses("(+s)", "03", "f1: the byte 0x03 is no boolean");
    refuses(
        "(m)",
        "01000000 3f",
        "f1: no type begins with '?' at offset 0",
    );
    refuses(
        "(m)",
        "01000000 58",
        "f1: the robot does not say what it sends",
    );
    refuses("(X)", "", "f1: the robot does not say what it sends");
    refuses(
        "m",
        "01000000 69 00000000",
        "the robot declared m and sent i",
    );
}

#[test]
fn elements_that_take_no_byte_are_bounded() {
    let two = |count: u32| format!("03000000 5b765d {}", hex::encode(count.to_le_bytes()));
    let dynamic = from_hex(&two(65_535));
    assert!(to_value(&dynamic).is_ok());
    let error = to_value(&from_hex(&two(65_537))).unwrap_err();
    assert_eq!(
        error.to_string(),
        "[65536]: more than 65536 values take no byte"
    );
    refuses(
        "([()])",
        "ffffffff",
        "f1[65536]: more than 65536 values take no byte",
    );
}

#[test]
fn names_that_repeat_do_not_fill_the_memory() {
    // A list of structs of one byte, each to be written with a name of 60 000.
    let signature = format!("[(b)<P,{}>]", "n".repeat(60_000));
    let mut dynamic = Writer::new();
    dynamic.sized(signature.as_bytes()).unwrap();
    dynamic.u32(100_000);
    dynamic.raw(&[1; 100_000]);
    let dynamic = dynamic.finish();
    let mut shelf = Shelf::default();
    let mut context = ResponseContext::new(&mut shelf, ObjectEncoding::default());
    context.message_bytes = 1_000_000;
    let mut out = b"frame".to_vec();
    let error = dynamic_to_value(&dynamic, &mut context, &mut out).unwrap_err();
    assert_eq!(
        error.to_string(),
        "[16][0]: the message is over the limit of 1000000 bytes"
    );
    assert_eq!(out, b"frame", "nothing of it is left");
}

#[test]
fn values_end_at_a_depth() {
    // Dynamics in lists of dynamics.
    let deep =
        |levels: usize| from_hex(&("03000000 5b6d5d 01000000".repeat(levels) + "01000000 76"));
    assert!(to_value(&deep(40)).is_ok());
    let error = respond(|context, out| dynamic_to_value(&deep(64), context, out)).unwrap_err();
    assert!(
        error.to_string().ends_with("values nest deeper than 64"),
        "{error}"
    );
    let wrapped = from_hex(&("01000000 6d".repeat(64) + "01000000 76"));
    assert!(to_value(&wrapped).is_err());
}

#[test]
fn the_deepest_values_fit_on_the_stack() {
    // As deep as signatures may be, twice in one another.
    for (open, close, count) in [("[", "]", "01000000"), ("(", ")", ""), ("+", "", "01")] {
        let signature = format!("{}m{}", open.repeat(62), close.repeat(62));
        let level = format!(
            "{}{}{}",
            hex::encode((signature.len() as u32).to_le_bytes()),
            hex::encode(signature),
            count.repeat(62)
        );
        let value = respond(|context, out| {
            dynamic_to_value(&from_hex(&(level.repeat(2) + "0100000076")), context, out)
        });
        assert!(value.is_ok(), "{value:?}");
        let error = respond(|context, out| {
            dynamic_to_value(&from_hex(&(level.repeat(3) + "0100000076")), context, out)
        });
        assert!(matches!(
            error,
            Err(ResponseError::TooDeep { limit: 128, .. })
        ));
    }
}

#[test]
fn many_empty_lists_of_a_large_type_are_read_fast() {
    // 100 000 lists without an element, of a type that takes long to measure.
    let signature = format!("[[({})]]", "b".repeat(60_000));
    let mut dynamic = Writer::new();
    dynamic.sized(signature.as_bytes()).unwrap();
    dynamic.u32(100_000);
    dynamic.raw(&[0; 400_000]);
    let dynamic = dynamic.finish();
    let begun = std::time::Instant::now();
    assert!(respond(|context, out| dynamic_to_value(&dynamic, context, out)).is_ok());
    assert!(begun.elapsed().as_secs() < 20, "{:?}", begun.elapsed());
}

#[test]
fn a_property_is_taken_out_of_its_dynamic() {
    let value = |declared, bytes| unwrap(declared, Holds::Value, bytes);
    assert_eq!(value("(i)", "01000000 69 05000000").unwrap(), "0805");
    assert_eq!(value("()", "01000000 76").unwrap(), "");
    assert_eq!(value("()", "00000000").unwrap(), "");
    // Python peers wrap once more.
    assert_eq!(
        value("(i)", "01000000 6d 01000000 69 05000000").unwrap(),
        "0805"
    );
    // Annotations do not matter.
    assert_eq!(
        value("((i))", "08000000 2869293c502c613e 05000000").unwrap(),
        "0a020805"
    );
    // What is declared `m` is taken as it is.
    assert_eq!(
        value("(m)", "01000000 69 05000000").unwrap(),
        "0a0518057a0169"
    );
    let error = value("(i)", "01000000 73 00000000").unwrap_err();
    assert_eq!(error.to_string(), "the robot declared i and sent s");
    assert_eq!(
        value("(i)", "00000000").unwrap_err().to_string(),
        "the robot declared i and sent "
    );
}

#[test]
fn arguments_are_taken_out_of_their_dynamic() {
    let arguments = |declared, bytes| unwrap(declared, Holds::Arguments, bytes);
    assert_eq!(
        arguments("(ib)", "04000000 28696229 05000000 01").unwrap(),
        "08051001"
    );
    assert_eq!(arguments("()", "02000000 2829").unwrap(), "");
    // One that is declared `m` may be of any type.
    assert_eq!(
        arguments("(m)", "03000000 286929 05000000").unwrap(),
        "0a0518057a0169"
    );
    assert_eq!(
        arguments("(m)", "03000000 286d29 01000000 6205")
            .unwrap_err()
            .to_string(),
        "f1: the byte 0x05 is no boolean"
    );
    let error = arguments("(ib)", "03000000 286929 05000000").unwrap_err();
    assert_eq!(error.to_string(), "the robot declared (ib) and sent (i)");
    // Declared as bare `m`: each argument says what it is.
    assert_eq!(
        unwrap(
            "m",
            Holds::Arguments,
            "04000000 28696c29 05000000 0600000000000000"
        )
        .unwrap(),
        "0a0518057a0169 0a021806".replace(' ', "")
    );
}

/// The payload of a frame of `tests/data/vectors`.
fn recorded(scenario: &str, frame: usize) -> Bytes {
    let text = std::fs::read_to_string(format!("tests/data/vectors/{scenario}.json")).unwrap();
    let json: Json = serde_json::from_str(&text).unwrap();
    from_hex(json["frames"][frame]["payload_hex"].as_str().unwrap())
}

#[test]
fn objects_are_adopted_in_every_encoding() {
    let scenarios = [
        ("objects_metaobject_cache", true, true),
        ("objects_cache_no_uid", true, false),
        ("returned_object", false, true),
        ("objects_bare", false, false),
    ];
    for (scenario, meta_object_cache, object_uid) in scenarios {
        let plan = ResponsePlan::compile(&payload("(o)"));
        let mut shelf = Shelf::default();
        let mut cache = ReceivedMetaObjects::new();
        let encoding = ObjectEncoding {
            meta_object_cache,
            object_uid,
        };
        let frames: &[usize] = if meta_object_cache { &[15, 17] } else { &[15] };
        for (count, &frame) in (1..).zip(frames) {
            let mut context = ResponseContext::new(&mut shelf, encoding);
            context.cache = Some(&mut cache);
            let mut out = Vec::new();
            plan.to_protobuf(&recorded(scenario, frame), &mut context, &mut out)
                .unwrap();
            assert_eq!(out, format!("\n\x0a\n\x08object {count}").as_bytes());
        }
        assert_eq!(shelf.0.len(), frames.len());
        for (object, id) in shelf.0.iter().zip(3..) {
            assert_eq!(object.object.0, id, "{scenario}");
            assert!(
                object
                    .meta
                    .methods
                    .values()
                    .any(|method| method.name == "terminate")
            );
            assert_eq!(object.uid.is_some(), object_uid);
        }
    }
}

#[test]
fn lists_and_dynamics_hold_objects_too() {
    // [o] with both meta objects cached before, in `objects_cache_no_uid`.
    let mut shelf = Shelf::default();
    let mut cache = ReceivedMetaObjects::new();
    let encoding = ObjectEncoding {
        meta_object_cache: true,
        object_uid: false,
    };
    let mut first = ResponseContext::new(&mut shelf, encoding);
    first.cache = Some(&mut cache);
    let single = ResponsePlan::compile(&payload("(o)"));
    let first_payload = recorded("objects_cache_no_uid", 15);
    single
        .to_protobuf(&first_payload, &mut first, &mut Vec::new())
        .unwrap();

    let mut context = ResponseContext::new(&mut shelf, encoding);
    context.cache = Some(&mut cache);
    let list = ResponsePlan::compile(&payload("([o])"));
    let mut out = Vec::new();
    let objects = recorded("objects_cache_no_uid", 35);
    list.to_protobuf(&objects, &mut context, &mut out).unwrap();
    assert_eq!(out, b"\n\x0a\n\x08object 2\n\x0a\n\x08object 3");

    // A reference to what was never sent.
    let mut context = ResponseContext::new(&mut shelf, encoding);
    let error = list
        .to_protobuf(&objects, &mut context, &mut out)
        .unwrap_err();
    assert!(
        error.to_string().starts_with("f1[0]: the meta object 1"),
        "{error}"
    );

    // The null object has no id, in a dynamic as well.
    let null = format!("01000000 6f {} 01000000 00000000", "00".repeat(16));
    let value = to_value(&from_hex(&null)).unwrap();
    let id = String::new();
    assert_eq!(
        value.kind,
        Some(v1::value::Kind::ObjectValue(v1::ObjectRef {
            id,
            ..v1::ObjectRef::default()
        }))
    );
}

#[test]
fn arguments_of_known_types_become_values() {
    let types = ["i", "m", "s"].map(|text| signature(text).into_type());
    let qi = from_hex("05000000 01000000 6201 01000000 61");
    let values = respond(|context, out| arguments_to_values(&qi, &types, 3, context, out));
    assert_eq!(
        hex::encode(values.unwrap()),
        "1a0518057a01691a0210011a033a0161"
    );
    let values = respond(|context, out| {
        context.json = true;
        arguments_to_values(&qi, &types, 3, context, out)
    });
    // Each is the `json` arm: a number, a boolean, a string.
    assert_eq!(
        hex::encode(values.unwrap()),
        "1a0b 7209 110000000000001440 1a04 7202 2001 1a05 7203 1a0161".replace(' ', "")
    );
    // A value declared `m` says by itself what it is.
    let dynamic = from_hex("01000000 6205");
    let declared = signature("m");
    let error = respond(|context, out| typed_to_value(&dynamic, &declared, context, out));
    assert!(matches!(error, Err(ResponseError::Bool { byte: 5, .. })));
    let dynamic = from_hex("01000000 6201");
    let value = respond(|context, out| typed_to_value(&dynamic, &declared, context, out));
    assert_eq!(value, Ok(vec![0x10, 1]));
}

#[test]
fn nothing_in_a_dynamic_is_paid_for_by_its_signature() {
    // A list of more Nones of Python than values may take no byte did not come through.
    let list = |element: &str, item: &[u8], count: u32| {
        let mut out = Writer::new();
        out.sized(format!("[{element}]").as_bytes()).unwrap();
        out.u32(count);
        out.raw(&item.repeat(count as usize));
        out.finish()
    };
    let limit = Limits::default().empty_elements;
    for json in [false, true] {
        let read = |dynamic: &Bytes| {
            respond(|context, out| {
                context.json = json;
                dynamic_to_value(dynamic, context, out)
            })
        };
        for item in [&b"\x01\0\0\0v"[..], b"\x02\0\0\0()", b"\0\0\0\0"] {
            assert!(read(&list("m", item, limit + 1)).is_ok(), "{item:?}");
        }
        for element in ["v", "()", "(v)"] {
            let error = read(&list(element, b"", limit + 1)).unwrap_err();
            assert!(
                matches!(error, ResponseError::TooManyEmpty { .. }),
                "{error}"
            );
        }
    }
}
