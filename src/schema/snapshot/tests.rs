use proptest::{collection::vec, prelude::*};

use super::*;
use crate::qi::{
    value::{MetaMethod, MetaMethodParameter, MetaProperty, MetaSignal, Signature},
    wire::ActionId,
};

proptest! {
    #[test]
    fn what_is_written_is_read_again(
        services in vec((text(), meta()), 0..4),
        bus in vec(text(), 0..4),
    ) {
        let snapshot = Snapshot::new(services, bus.iter().map(String::as_str));
        let json = snapshot.to_json();
        let again = parse(&json).unwrap();
        prop_assert_eq!(&again, &snapshot);
        prop_assert_eq!(again.to_json(), json);
    }

    #[test]
    fn no_file_makes_the_parser_panic(
        services in vec((text(), meta()), 0..4),
        at: prop::sample::Index,
        length in 0..4_usize,
        with in "[\\[\\]{}\",:(<a0-]{0,3}",
    ) {
        // Random text is no JSON, and nothing but its parser would be asked.
        let mut json: Vec<char> = Snapshot::new(services, []).to_json().chars().collect();
        let at = at.index(json.len());
        let end = json.len().min(at + length);
        json.splice(at..end, with.chars());
        let _ = parse(&json.into_iter().collect::<String>());
    }
}

#[test]
fn a_file_looks_like_this() {
    let mut meta = MetaObject {
        description: "A \"quoted\" thing.".into(),
        ..MetaObject::default()
    };
    let method = MetaMethod {
        // That of the list is the one that counts.
        uid: ActionId(7),
        return_signature: "s".parse().unwrap(),
        name: "say".into(),
        parameters_signature: "(si)".parse().unwrap(),
        description: "Says it.\nTwice.".into(),
        parameters: vec![
            MetaMethodParameter {
                name: "text".into(),
                description: "What.".into(),
            },
            MetaMethodParameter::default(),
        ],
        return_description: "It.".into(),
    };
    meta.methods.insert(ActionId(100), method);
    let signal = MetaSignal {
        uid: ActionId(101),
        name: "said".into(),
        signature: "(s)".parse().unwrap(),
    };
    meta.signals.insert(ActionId(101), signal);
    let services = [("foo".to_owned(), meta)];
    let snapshot = Snapshot::new(services, ["bar", "foo", "Foo"]);
    assert_eq!(snapshot.to_json(), EXAMPLE);
    assert_eq!(parse(EXAMPLE).unwrap(), snapshot);
}

const EXAMPLE: &str = r#"{
  "formatVersion": 1,
  "neighbours": [
    "Foo"
  ],
  "services": [
    {
      "name": "foo",
      "description": "A \"quoted\" thing.",
      "methods": [
        {
          "uid": 100,
          "name": "say",
          "parametersSignature": "(si)",
          "returnSignature": "s",
          "description": "Says it.\nTwice.",
          "parameters": [
            {
              "name": "text",
              "description": "What."
            },
            {
              "name": ""
            }
          ],
          "returnDescription": "It."
        }
      ],
      "signals": [
        {
          "uid": 101,
          "name": "said",
          "signature": "(s)"
        }
      ],
      "properties": []
    }
  ]
}
"#;

#[test]
fn what_may_be_missing_is_empty() {
    let snapshot = parse(r#"{"services": [{"name": "foo", "exposePrivate": 1}]}"#).unwrap();
    assert_eq!(snapshot.services()["foo"], MetaObject::default());
}

#[test]
fn a_selection_keeps_the_packages() {
    let names = ["Foo", "foo", "bar"];
    let services = names.map(|name| (name.to_owned(), MetaObject::default()));
    let whole = Snapshot::new(services, []);
    let options = SchemaOptions::default();
    let package = |snapshot: &Snapshot, name: &str| {
        let schemas = snapshot.schemas(&options);
        let mut schemas = schemas.into_iter();
        schemas.find(|it| it.qi_name == name).unwrap().package
    };
    let selected = whole.clone().select(&["foo".to_owned()].into());
    assert_eq!(selected.services().len(), 1);
    assert_eq!(package(&selected, "foo"), package(&whole, "foo"));
    let saved = parse(&selected.to_json()).unwrap();
    assert_eq!(package(&saved, "foo"), package(&whole, "foo"));
    assert_ne!(package(&whole, "foo"), "qi.foo.v1");
}

#[test]
fn what_is_no_snapshot_is_refused() {
    let of = |members: &str| format!(r#"{{"services": [{{"name": "foo", {members}}}]}}"#);
    let method = r#"{"uid": 1, "name": "a", "parametersSignature": "()", "returnSignature": "v"}"#;
    for (text, expected) in [
        ("[]".to_owned(), "the file: an object expected"),
        ("{}".to_owned(), "services: a list expected"),
        (
            r#"{"formatVersion": 2, "services": []}"#.to_owned(),
            "the format has version 2, the newest that is known is 1",
        ),
        (
            r#"{"services": [{"name": 3}]}"#.to_owned(),
            "services[0].name: a text expected",
        ),
        (
            r#"{"services": [{"name": "a"}, {"name": "a"}]}"#.to_owned(),
            "services[1]: already there before",
        ),
        (
            of(r#""methods": [{"uid": 4294967296}]"#),
            "services[0].methods[0].uid: a number below 2^32 expected",
        ),
        (
            of(r#""signals": [{"uid": 1, "name": "a", "signature": "(("}]"#),
            "services[0].signals[0].signature: the signature ends inside of a type",
        ),
        (
            of(&format!(r#""methods": [{method}, {method}]"#)),
            "services[0].methods[1]: already there before",
        ),
    ] {
        let error = parse(&text).unwrap_err().to_string();
        assert_eq!(error, expected, "{text}");
    }
    assert!(matches!(parse("{"), Err(SnapshotError::Json(_))));
    let deep = "[".repeat(100_000);
    assert!(matches!(parse(&deep), Err(SnapshotError::Json(_))));
}

#[test]
fn limits_hold() {
    let limits = SnapshotLimits {
        bytes: 400,
        services: 2,
        signatures: Limits {
            values: 10,
            ..Limits::default()
        },
    };
    let parse = |text: &str| Snapshot::parse(text.as_bytes(), &limits);
    let large = " ".repeat(401);
    assert!(matches!(
        parse(&large),
        Err(SnapshotError::TooLarge {
            bytes: 401,
            limit: 400
        })
    ));
    let many = r#"{"services": [{"name": "a"}, {"name": "b"}, {"name": "c"}]}"#;
    assert!(matches!(
        parse(many),
        Err(SnapshotError::TooManyServices { limit: 2 })
    ));
    let long = r#"{"services": [{"name": "a", "properties": [
        {"uid": 1, "name": "a", "signature": "(iiii)"}, {"uid": 2, "name": "b", "signature": "(iii)"}
    ]}]}"#;
    assert!(matches!(
        parse(long),
        Err(SnapshotError::TooManyTypes { limit: 10 })
    ));
}

fn parse(text: &str) -> Result<Snapshot, SnapshotError> {
    Snapshot::parse(text.as_bytes(), &SnapshotLimits::default())
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof!["[a-c\"\\\\\n\u{1}\u{e9}]{0,3}", Just("foo".to_owned())]
}

fn signature() -> impl Strategy<Value = Signature> {
    let texts = ["()", "(s)", "[m]", "{sf}", "(if)<Pair,a,b>", "m", "+i"];
    proptest::sample::select(texts.to_vec()).prop_map(|text| text.parse().unwrap())
}

fn meta() -> impl Strategy<Value = MetaObject> {
    let method = (
        (text(), text(), text()),
        (signature(), signature()),
        vec((text(), text()), 0..3),
    );
    let method = method.prop_map(|(texts, signatures, parameters)| MetaMethod {
        uid: ActionId(0),
        return_signature: signatures.0,
        name: texts.0,
        parameters_signature: signatures.1,
        description: texts.1,
        parameters: parameters
            .into_iter()
            .map(|(name, description)| MetaMethodParameter { name, description })
            .collect(),
        return_description: texts.2,
    });
    let methods = prop::collection::btree_map(any::<u32>().prop_map(ActionId), method, 0..3);
    let named = || {
        let member = (text(), signature());
        prop::collection::btree_map(any::<u32>().prop_map(ActionId), member, 0..3)
    };
    (methods, named(), named(), text()).prop_map(|(methods, signals, properties, description)| {
        let signals = signals.into_iter().map(|(uid, (name, signature))| {
            let signal = MetaSignal {
                uid,
                name,
                signature,
            };
            (uid, signal)
        });
        let properties = properties.into_iter().map(|(uid, (name, signature))| {
            let property = MetaProperty {
                uid,
                name,
                signature,
            };
            (uid, property)
        });
        MetaObject {
            methods,
            signals: signals.collect(),
            properties: properties.collect(),
            description,
        }
    })
}
