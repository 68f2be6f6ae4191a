//! Meta objects and the .proto files they give: one folder a case in `tests/data/schema`.
//!
//! `UPDATE_GOLDEN=1 cargo test --test schema_golden` writes the expected files anew.

#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

#[path = "support/compile.rs"]
mod compile;
#[path = "support/meta_json.rs"]
mod meta_json;

use std::{
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

use prost_reflect::{DynamicMessage, Value};
use qi_grpc_gateway::{
    qi::{
        value::{MetaMethod, MetaObject, Signature, Type},
        wire::ActionId,
    },
    schema::{Problem, SchemaOptions, ServiceSchema, package},
};

#[test]
fn every_case_gives_what_is_expected() {
    let mut cases: Vec<PathBuf> = fs::read_dir(data())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    cases.sort();
    assert!(!cases.is_empty());
    for case in cases {
        let schema = schema(&case);
        compile::static_pool()
            .decode_file_descriptor_proto(&schema.descriptor[..])
            .unwrap_or_else(|error| panic!("{}: {error}", case.display()));
        expect(&case.join("expected.proto"), &compile::round_trip(&schema));
        expect(&case.join("report.txt"), &report(&schema));
    }
}

#[test]
fn options_are_there_for_a_reader_who_knows_only_the_descriptors() {
    let schema = schema(&data().join("tutorial"));
    let mut pool = compile::static_pool();
    pool.decode_file_descriptor_proto(&schema.descriptor[..])
        .unwrap();
    let service = pool.get_service_by_name("qi.foo.v1.Foo").unwrap();
    let option = |message: DynamicMessage, name: &str, field: &str| {
        let extension = pool.get_extension_by_name(name).unwrap();
        let origin = message.get_extension(&extension).into_owned();
        let origin = origin.as_message().unwrap();
        origin.get_field_by_name(field).unwrap().into_owned()
    };
    let name = option(service.options(), "qi.gateway.v1.service", "name");
    assert_eq!(name, Value::String("foo".into()));

    let method = |name: &str| service.methods().find(|it| it.name() == name).unwrap();
    let on_bang = method("SubscribeOnBang");
    assert!(on_bang.is_server_streaming());
    let kind = option(on_bang.options(), "qi.gateway.v1.method", "kind");
    assert_eq!(kind, Value::EnumNumber(2));
    let info = on_bang.output().get_field_by_name("info").unwrap();
    assert_eq!(info.number(), 1000);

    let bar = method("Bar").input().get_field(1).unwrap();
    let signature = option(bar.options(), "qi.gateway.v1.field", "signature");
    assert_eq!(signature, Value::String("m".into()));
}

#[test]
fn the_deepest_type_still_makes_a_valid_file() {
    for open in ["[", "{s", "{f", "+", "(", "(b", "#", "~"] {
        let close = match open.as_bytes()[0] {
            b'[' => "]",
            b'{' => "}",
            b'(' => ")",
            _ => "",
        };
        let nested = |depth: usize| format!("({}v{})", open.repeat(depth), close.repeat(depth));
        let deepest = nested(28);
        let schema = method_schema(Signature::from(deepest.parse::<Type>().unwrap()));
        assert_eq!(schema.findings, [], "{deepest}");
        // A field has one dot more than the package and messages around it.
        let dots = schema.symbols.iter().map(|it| it.matches('.').count());
        assert!(dots.max() <= Some(3 + PROTOC_MESSAGE_DEPTH), "{deepest}");
        compile::static_pool()
            .decode_file_descriptor_proto(&schema.descriptor[..])
            .unwrap_or_else(|error| panic!("{deepest}: {error}"));
        compile::round_trip(&schema);
    }
}

#[test]
fn what_is_too_large_is_left_out() {
    let wide = |fields: usize| Signature::from(Type::tuple(vec![Type::Int32; fields]));
    assert_eq!(method_schema(wide(999)).methods.len(), 1);
    let schema = method_schema(wide(1000));
    assert_eq!(schema.methods, []);
    assert_eq!(
        schema.findings[0].problem,
        Problem::TooManyFields {
            fields: 1000,
            limit: 999
        }
    );

    let deep = (0..30).fold(Type::Int32, |inner, _| Type::list(inner));
    let schema = method_schema(Signature::from(Type::tuple(vec![deep])));
    assert_eq!(schema.methods, []);
    assert_eq!(schema.findings[0].problem, Problem::TooDeep { limit: 30 });

    let many = vec![Type::tuple(vec![Type::tuple(vec![]); 500]); 500];
    let schema = method_schema(Signature::from(Type::tuple(many)));
    assert_eq!(schema.methods, []);
    assert!(matches!(
        schema.findings[0].problem,
        Problem::TooLarge { .. }
    ));
}

fn method_schema(parameters_signature: Signature) -> ServiceSchema {
    let method = MetaMethod {
        uid: ActionId(100),
        return_signature: Signature::from(Type::Void),
        name: "take".into(),
        parameters_signature,
        description: String::new(),
        parameters: Vec::new(),
        return_description: String::new(),
    };
    let object = MetaObject {
        methods: [(method.uid, method)].into(),
        ..MetaObject::default()
    };
    ServiceSchema::new("Deep", "qi.deep.v1", &object, &SchemaOptions::default())
}

fn schema(case: &Path) -> ServiceSchema {
    let text = fs::read_to_string(case.join("meta.json")).unwrap();
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    let (service, object) = meta_json::service(&json);
    let options = SchemaOptions {
        expose_private: json["exposePrivate"] == true,
    };
    ServiceSchema::new(&service, &package(&service), &object, &options)
}

fn report(schema: &ServiceSchema) -> String {
    let mut report = format!("{}\n{}\n\n", schema.file_name, schema.full_name);
    for method in &schema.methods {
        let uid = method.uid;
        writeln!(report, "{uid} {:?} {}", method.kind, method.path).unwrap();
    }
    report.push('\n');
    for finding in &schema.findings {
        writeln!(report, "{finding}").unwrap();
    }
    report
}

#[track_caller]
fn expect(file: &Path, actual: &str) {
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(file, actual).unwrap();
        return;
    }
    let expected = fs::read_to_string(file).unwrap_or_default();
    assert!(
        expected == actual,
        "{} differs; UPDATE_GOLDEN=1 accepts this:\n{actual}",
        file.display()
    );
}

fn data() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/schema")
}

/// How deep messages may nest in one another. protoc stops at 32
/// (`MaxMessageDeclarationNestingDepth` in port.h); the compiler used here does not.
const PROTOC_MESSAGE_DEPTH: usize = 31;
