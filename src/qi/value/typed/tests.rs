//! Rust types and what becomes of them on the wire.

use std::{
    collections::{BTreeMap, HashMap},
    fmt::Debug,
};

use bytes::Bytes;

use super::*;
use crate::{
    qi::{
        value::codec::{DecodeContext, EncodeContext, decode, encode},
        wire::Writer,
    },
    qi_struct,
};

#[derive(Clone, PartialEq, Debug)]
struct Point {
    x: f32,
    y: i32,
}
qi_struct!(Point { x, y });

#[derive(Clone, PartialEq, Debug)]
struct Track {
    track_name: String,
    points: Vec<Point>,
    end: Option<Point>,
}
qi_struct!(Track as "ALTrack" { track_name as "trackName", points, end });

#[derive(Clone, PartialEq, Debug)]
struct Kind {
    r#type: i32,
}

qi_struct!(Kind { r#type });

/// Sends a value over the wire and back.
fn travels<T: IntoQi + FromQi + Clone + PartialEq + Debug>(value: T, signature: &str) {
    assert_eq!(T::ty().to_string(), signature);
    // What a peer would read.
    let parsed: Signature = signature.parse().unwrap();
    assert_eq!(*parsed.ty(), T::ty());
    let mut writer = Writer::new();
    let sent = value.clone().into_qi();
    encode(&sent, &T::ty(), &mut EncodeContext::default(), &mut writer).unwrap();
    let received = decode(parsed.ty(), &writer.finish(), DecodeContext::default()).unwrap();
    assert_eq!(T::from_qi(received), Ok(value));
}

#[test]
fn every_type_travels() {
    travels(Kind { r#type: 1 }, "(i)<Kind,type>");
    travels(true, "b");
    travels(i8::MIN, "c");
    travels(u8::MAX, "C");
    travels(i16::MIN, "w");
    travels(u16::MAX, "W");
    travels(i32::MIN, "i");
    travels(u32::MAX, "I");
    travels(i64::MIN, "l");
    travels(u64::MAX, "L");
    travels(1.5_f32, "f");
    travels(f64::MIN_POSITIVE, "d");
    travels("grüß".to_owned(), "s");
    travels(Bytes::from_static(b"\xff\0"), "r");
    travels(vec![1_u8, 2], "[C]");
    travels(Vec::<Vec<String>>::new(), "[[s]]");
    travels(BTreeMap::from([("a".to_owned(), 1_i64)]), "{sl}");
    travels(HashMap::from([(1_i32, vec![0.5_f64])]), "{i[d]}");
    travels(Some(7_u16), "+W");
    travels(None::<String>, "+s");
    travels((1_i32,), "(i)");
    travels(
        (1_i8, 2_i16, 3_i32, 4_i64, 5_u8, 6_u16, 7_u32, 8_u64),
        "(cwilCWIL)",
    );
    travels(Dynamic::of(vec![(1_i32, "x".to_owned())]), "m");
    travels((), "v");
    travels(Point { x: 0.5, y: -1 }, "(fi)<Point,x,y>");
    let track = Track {
        track_name: "home".to_owned(),
        points: vec![Point { x: 1.0, y: 2 }, Point { x: 3.0, y: 4 }],
        end: None,
    };
    let signature = "(s[(fi)<Point,x,y>]+(fi)<Point,x,y>)<ALTrack,trackName,points,end>";
    travels(track, signature);
    assert_eq!(<&str>::ty(), String::ty());
    assert_eq!("x".into_qi(), Value::text("x"));
}

#[test]
fn arguments_are_a_tuple_without_its_type() {
    assert_eq!(<()>::types(), []);
    assert_eq!(().into_values(), []);
    assert_eq!(<()>::from_values(Vec::new()), Ok(()));
    let length = |expected, found| Err(FromQiError::Length { expected, found });
    assert_eq!(<()>::from_values(vec![Value::Void]), length(0, 1));
    assert_eq!(<(i32, String)>::types(), [Type::Int32, Type::String]);
    let values = (1_i32, "a").into_values();
    assert_eq!(values, [Value::Int32(1), Value::text("a")]);
    assert_eq!(
        <(i32, String)>::from_values(values),
        Ok((1, "a".to_owned()))
    );
}

#[test]
fn other_values_are_refused() {
    let error = i32::from_qi(Value::Int64(1)).unwrap_err();
    assert_eq!(
        error.to_string(),
        "a signed 32 bit integer expected, found a signed 64 bit integer"
    );
    let error = Point::from_qi(Value::Tuple(vec![Value::Float(1.0)])).unwrap_err();
    assert_eq!(error.to_string(), "2 elements expected, found 1");
    let error = Point::from_qi(Value::Int32(1)).unwrap_err();
    assert_eq!(
        error.to_string(),
        "a tuple expected, found a signed 32 bit integer"
    );
    let points = Value::List(vec![Value::Void]);
    assert!(Vec::<Point>::from_qi(points.clone()).is_err());
    assert!(BTreeMap::<i32, i32>::from_qi(points.clone()).is_err());
    assert!(Option::<i32>::from_qi(points).is_err());
    let torn = Value::String(Bytes::from_static(b"a\xff"));
    assert_eq!(String::from_qi(torn), Ok("a\u{fffd}".to_owned()));
}

#[test]
fn dynamics_are_converted() {
    let dynamic = Dynamic::of(Point { x: 2.0, y: 3 });
    assert_eq!(dynamic.to::<(f64, f64)>(), Ok((2.0, 3.0)));
    assert_eq!(dynamic.to::<Point>(), Ok(Point { x: 2.0, y: 3 }));
    assert!(matches!(dynamic.to::<bool>(), Err(FromQiError::Convert(_))));
    assert_eq!(Dynamic::empty().to::<()>(), Ok(()));
    assert_eq!(Dynamic::of(Dynamic::of(1_i32)).to::<i64>(), Ok(1));
}
