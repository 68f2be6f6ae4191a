//! What the recorded table does not show.

use super::*;

fn ty(signature: &str) -> Type {
    signature.parse().expect("a signature")
}

#[test]
fn numbers_at_the_ends_of_their_ranges() {
    let to = |value: Value, from: &str, to: &str| convert(&value, &ty(from), &ty(to));
    let refused = |to| Err(ConvertError::OutOfRange { to });
    assert_eq!(to(Value::Double(127.9), "d", "c"), Ok(Value::Int8(127)));
    assert_eq!(
        to(Value::Double(128.0), "d", "c"),
        refused("a signed 8 bit integer")
    );
    assert_eq!(
        to(Value::Double(-0.5), "d", "C"),
        refused("an 8 bit integer")
    );
    assert_eq!(
        to(Value::Double(f64::NAN), "d", "l"),
        refused("a signed 64 bit integer")
    );
    assert_eq!(
        to(Value::Double(f64::INFINITY), "d", "L"),
        refused("a 64 bit integer")
    );
    assert_eq!(
        to(Value::Double(1e300), "d", "f"),
        refused("a 32 bit float")
    );
    assert_eq!(
        to(Value::Double(f64::INFINITY), "d", "f"),
        Ok(Value::Float(f32::INFINITY))
    );
    assert_eq!(to(Value::Float(0.995), "f", "b"), Ok(Value::Bool(true)));
    assert_eq!(to(Value::Float(0.98), "f", "b"), refused("a boolean"));
    let most = Value::UInt64(u64::MAX);
    assert_eq!(
        to(most.clone(), "L", "l"),
        refused("a signed 64 bit integer")
    );
    assert_eq!(
        to(most, "L", "d"),
        Ok(Value::Double(18_446_744_073_709_551_616.0))
    );
}

#[test]
fn an_empty_dynamic_is_void() {
    let empty = Value::Dynamic(Box::new(Dynamic::empty()));
    assert_eq!(
        convert(&empty, &Type::Dynamic, &ty("+i")),
        Ok(Value::Optional(None))
    );
    assert_eq!(
        convert(&empty, &Type::Dynamic, &Type::Void),
        Ok(Value::Void)
    );
    let error = convert(&empty, &Type::Dynamic, &Type::Int32).unwrap_err();
    assert!(matches!(error, ConvertError::Refused { .. }));
}

#[test]
fn dynamics_are_unwrapped_however_deep() {
    let mut value = Value::text("x");
    let mut from = Type::String;
    for _ in 0..3 {
        value = Value::Dynamic(Box::new(Dynamic::new(from.into(), value)));
        from = Type::Dynamic;
    }
    assert_eq!(convert(&value, &from, &Type::String), Ok(Value::text("x")));
}

#[test]
fn a_struct_lacks_no_field() {
    let from = ty("{mi}");
    let key = |name| {
        let dynamic = Dynamic::new(Type::String.into(), Value::text(name));
        Value::Dynamic(Box::new(dynamic))
    };
    let map = Value::Map(vec![
        (key("x"), Value::Int32(1)),
        (key("y"), Value::Int32(2)),
        (key("x"), Value::Int32(3)),
    ]);
    let point = Value::Tuple(vec![Value::Int64(3), Value::Int64(2)]);
    assert_eq!(convert(&map, &from, &ty("(ll)<Point,x,y>")), Ok(point));
    let error = convert(&map, &from, &ty("(ll)<Point,x,z>"));
    assert_eq!(error, Err(ConvertError::MissingField { name: "z".into() }));
}

#[test]
fn an_empty_optional_must_be_able_to_hold_something() {
    let empty = Value::Optional(None);
    for (from, to) in [("+i", "+d"), ("+i", "++m"), ("+[i]", "+{ss}"), ("+s", "+r")] {
        assert_eq!(
            convert(&empty, &ty(from), &ty(to)),
            Ok(empty.clone()),
            "{from} {to}"
        );
    }
    for (from, to) in [
        ("+i", "+s"),
        ("+(i)", "+(s)"),
        ("+(i)", "+{sm}"),
        ("+{si}", "+(i)"),
    ] {
        let error = convert(&empty, &ty(from), &ty(to)).unwrap_err();
        assert!(matches!(error, ConvertError::Refused { .. }), "{from} {to}");
    }
}

#[test]
fn keyword_arguments_are_a_map() {
    let map = Value::Map(vec![(Value::text("k"), Value::Int32(1))]);
    let wide = Value::Map(vec![(Value::text("k"), Value::Int64(1))]);
    assert_eq!(convert(&map, &ty("~i"), &ty("{sl}")), Ok(wide.clone()));
    assert_eq!(convert(&map, &ty("{si}"), &ty("~l")), Ok(wide));
}

#[test]
fn a_value_that_is_not_of_its_type_is_refused() {
    for (from, to) in [
        ("[i]", "[l]"),
        ("{si}", "{sl}"),
        ("(i)", "(l)"),
        ("+i", "+l"),
        ("m", "i"),
    ] {
        let error = convert(&Value::Bool(true), &ty(from), &ty(to)).unwrap_err();
        assert!(
            matches!(error, ConvertError::Mismatch { .. }),
            "{from}: {error}"
        );
    }
}

#[test]
fn values_of_a_byte_do_not_become_dynamics_of_thousands() {
    // Every element got a copy of its type, and a message of two megabytes took all the memory that
    // there is.
    let optional = format!("+({})", "i".repeat(5000));
    let empty = |count| Value::List(vec![Value::Optional(None); count]);
    let (from, to) = (ty(&format!("[{optional}]")), ty("[m]"));
    assert!(convert(&empty(300), &from, &to).is_ok());
    let limit = 2_000_000;
    let too_large = Err(ConvertError::TooLarge { limit });
    assert_eq!(convert(&empty(500), &from, &to), too_large);
    let (from, to) = (ty(&format!("[[{optional}]]")), ty("[[m]]"));
    let nested = Value::List(vec![empty(1); 500]);
    assert_eq!(convert(&nested, &from, &to), too_large);
}

#[test]
fn entries_come_from_pairs_alone() {
    let pairs = |items: Vec<Value>| Value::List(vec![Value::List(items)]);
    let two = pairs(vec![Value::Int32(1), Value::Int32(2)]);
    let entry = (Value::Int64(1), Value::Double(2.0));
    let map = Ok(Value::Map(vec![entry]));
    assert_eq!(convert(&two, &ty("[[i]]"), &ty("{ld}")), map);
    let dynamic = Dynamic::new(
        ty("(ii)<P,a,b>").into(),
        Value::Tuple(vec![Value::Int32(1), Value::Int32(2)]),
    );
    let dynamic = Value::List(vec![Value::Dynamic(Box::new(dynamic))]);
    assert_eq!(convert(&dynamic, &ty("[m]"), &ty("{ld}")), map);
    let length = |found| Err(ConvertError::Length { expected: 2, found });
    let one = pairs(vec![Value::Int32(1)]);
    assert_eq!(convert(&one, &ty("[[i]]"), &ty("{ld}")), length(1));
    let three = Value::List(vec![Value::Tuple(vec![Value::Int32(1); 3])]);
    assert_eq!(convert(&three, &ty("[(iii)]"), &ty("{ld}")), length(3));
    let scalar = convert(&Value::List(vec![Value::Int32(1)]), &ty("[i]"), &ty("{ld}"));
    assert!(matches!(scalar, Err(ConvertError::Refused { .. })));
}
