//! What libqi converts to what, measured: every row of the recorded table.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test")]

mod golden;

use qi_grpc_gateway::qi::value::{Dynamic, Signature, Type, Value, convert};

/// What the table holds: conversions that libqi makes, refuses, and does not survive.
const CONVERTED: usize = 387;
const REFUSED: usize = 1071;
const CRASHED: usize = 2;

/// How many of those that libqi makes turn NaN into an integer or a boolean. What comes out is
/// whatever the compiler made of it: 0, true, or the least number.
const ACCIDENTS: usize = 8;

#[test]
fn values_are_converted_as_libqi_does() {
    let table = golden::table("conversions");
    let (mut converted, mut refused, mut crashed, mut accidents) = (0, 0, 0, 0);
    for row in table["conversions"].as_array().unwrap() {
        let to: Signature = row["to"].as_str().unwrap().parse().unwrap();
        let from = match row["from"].as_str().unwrap() {
            "" => Dynamic::empty(),
            signature => golden::dynamic(signature, &row["value"]),
        };
        let Some(signature) = from.signature.clone() else {
            assert_eq!(row["crash"], true, "{row}");
            crashed += 1;
            let empty = Value::Dynamic(Box::new(from));
            let result = convert(&empty, &Type::Dynamic, to.ty());
            assert_eq!(result.is_ok(), *to.ty() == Type::Dynamic, "{row}");
            continue;
        };
        let result = convert(&from.value, signature.ty(), to.ty());
        if *to.ty() != Type::Dynamic {
            let wrapped = Value::Dynamic(Box::new(from));
            let unwrapped = convert(&wrapped, &Type::Dynamic, to.ty());
            assert_eq!(format!("{unwrapped:?}"), format!("{result:?}"), "{row}");
        }
        if row.get("error").is_some() {
            assert!(result.is_err(), "{row}: {result:?}");
            refused += 1;
            continue;
        }
        converted += 1;
        if row["value"] == "nan" && !["f", "d", "m", "+m"].contains(&to.as_str()) {
            assert!(result.is_err(), "{row}: {result:?}");
            accidents += 1;
            continue;
        }
        let wanted = match to.ty() {
            Type::Dynamic => golden::value(&Type::Dynamic, &row["result"]),
            ty => {
                assert_eq!(row["result"]["dynamic"], to.as_str());
                golden::value(ty, &row["result"]["value"])
            }
        };
        // As text, since NaN does not equal itself.
        let result = result.unwrap_or_else(|error| panic!("{row}: {error}"));
        assert_eq!(format!("{result:?}"), format!("{wanted:?}"), "{row}");
    }
    assert_eq!(
        (converted, refused, crashed, accidents),
        (CONVERTED, REFUSED, CRASHED, ACCIDENTS)
    );
}
