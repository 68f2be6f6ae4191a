use serde_json::{Value, json};

use super::*;
use crate::schema::{
    SchemaOptions,
    snapshot::{Snapshot, SnapshotLimits},
};

/// What is told of two versions of the service `foo`, line by line, and whether clients break.
fn diff(old: &Value, new: &Value) -> (Vec<String>, bool) {
    let [old, new] = [old, new].map(|service| schemas(&json!({"services": [service]})));
    let diff = Diff::between(&old, &new).unwrap();
    let lines = diff.to_string();
    let lines = lines.lines().map(|line| line.trim().to_owned());
    (lines.collect(), diff.is_breaking())
}

fn schemas(snapshot: &Value) -> Vec<ServiceSchema> {
    let text = snapshot.to_string();
    let snapshot = Snapshot::parse(text.as_bytes(), &SnapshotLimits::default()).unwrap();
    snapshot.schemas(&SchemaOptions::default())
}

fn foo(methods: &Value) -> Value {
    json!({"name": "foo", "methods": methods})
}

/// A service with one method.
fn method(parameters: &str, returned: &str) -> Value {
    foo(&json!([{
        "uid": 100, "name": "say", "parametersSignature": parameters, "returnSignature": returned,
    }]))
}

const FOO: &str = "qi.foo.v1.Foo (qi service \"foo\")";

#[track_caller]
fn expect(old: &Value, new: &Value, lines: &[&str], breaking: bool) {
    let expected: Vec<_> = [FOO].iter().chain(lines).copied().collect();
    let (told, breaks) = diff(old, new);
    assert_eq!(told, expected);
    assert_eq!(breaks, breaking);
}

#[test]
fn the_same_has_no_difference() {
    let same = method("(s)", "v");
    assert_eq!(diff(&same, &same), (Vec::new(), false));
    let told = json!({"name": "foo", "description": "new text", "methods": same["methods"]});
    assert_eq!(diff(&same, &told), (Vec::new(), false));
}

#[test]
fn a_method_that_comes_breaks_nothing_and_one_that_goes_does() {
    let (with, without) = (method("(s)", "v"), foo(&json!([])));
    let come = "+ rpc Say (qi: method say(s) -> v)";
    expect(&without, &with, &[come], false);
    let gone = "- rpc Say (qi: method say(s) -> v) [breaks clients]";
    expect(&with, &without, &[gone], true);
}

#[test]
fn services_come_and_go() {
    let (none, some) = (json!({"services": []}), method("()", "v"));
    let [none, some] = [none, json!({"services": [some]})].map(|it| schemas(&it));
    let come = Diff::between(&none, &some).unwrap();
    assert!(!come.is_breaking());
    assert!(come.to_string().contains("+ service Foo (qi: service foo)"));
    let gone = Diff::between(&some, &none).unwrap();
    assert!(gone.is_breaking());
    assert!(
        gone.to_string()
            .contains("- service Foo (qi: service foo) [")
    );
}

#[test]
fn an_argument_that_comes_breaks_unless_it_is_optional() {
    let old = method("(s)", "v");
    let origin = |new: &str| format!("~ rpc Say, qi: method say(s) -> v => method say{new} -> v");
    let breaks = "+ field SayRequest.arg2 (qi: method say(si) -> v) [breaks clients]";
    expect(&old, &method("(si)", "v"), &[&origin("(si)"), breaks], true);
    let goes_on = "+ field SayRequest.arg2 (qi: method say(s+i) -> v)";
    expect(
        &old,
        &method("(s+i)", "v"),
        &[&origin("(s+i)"), goes_on],
        false,
    );
    let gone = "- field SayRequest.arg1 (qi: method say() -> v) [breaks clients]";
    expect(&old, &method("()", "v"), &[&origin("()"), gone], true);
}

#[test]
fn a_result_that_comes_breaks_nothing() {
    let origin = "~ rpc Say, qi: method say() -> v => method say() -> s";
    let come = "+ field SayResponse.value (qi: method say() -> s)";
    expect(
        &method("()", "v"),
        &method("()", "s"),
        &[origin, come],
        false,
    );
}

#[test]
fn another_type_breaks_and_another_signature_of_the_same_type_does_not() {
    let old = method("(i)", "v");
    let breaks = [
        "~ rpc Say, qi: method say(i) -> v => method say([i]) -> v",
        "~ field SayRequest.arg1, type: int32 => repeated int32 (qi: method say([i]) -> v) \
         [breaks clients]",
    ];
    expect(&old, &method("([i])", "v"), &breaks, true);
    let goes_on = [
        "~ rpc Say, qi: method say(i) -> v => method say(w) -> v",
        "~ field SayRequest.arg1, qi: i => w",
    ];
    expect(&old, &method("(w)", "v"), &goes_on, false);
}

#[test]
fn a_parameter_with_another_name_breaks() {
    let named = |name: &str| {
        let mut service = method("(i)", "v");
        service["methods"][0]["parameters"] = json!([{"name": name}]);
        service
    };
    let renamed = "~ field SayRequest.volume, name: text => volume (qi: method say(i) -> v) \
         [breaks clients]";
    let origin = "~ field SayRequest.volume, qi: text i => volume i";
    expect(&named("text"), &named("volume"), &[renamed, origin], true);
}

#[test]
fn members_of_structs_count_as_arguments_where_clients_send_them() {
    let pair = "(ii)<Pair,a,b>";
    let triple = "(iii)<Pair,a,b,c>";
    let (_, breaks) = diff(
        &method(&format!("([{pair}])"), "v"),
        &method(&format!("([{triple}])"), "v"),
    );
    assert!(breaks);
    let (lines, breaks) = diff(&method("()", pair), &method("()", triple));
    assert!(!breaks, "{lines:?}");
    assert!(
        lines.contains(&"+ field Pair.c (qi: c i)".to_owned()),
        "{lines:?}"
    );
}

#[test]
fn a_method_in_the_place_of_a_signal_breaks() {
    let called = foo(&json!([{
        "uid": 100, "name": "subscribeBang", "parametersSignature": "()", "returnSignature": "v",
    }]));
    let emitted =
        json!({"name": "foo", "signals": [{"uid": 100, "name": "bang", "signature": "()"}]});
    let (lines, breaks) = diff(&emitted, &called);
    assert!(breaks);
    let ty = "~ rpc SubscribeBang, type: (SubscribeBangRequest) returns (stream SubscribeBangResponse) \
         => (SubscribeBangRequest) returns (SubscribeBangResponse) \
         (qi: method subscribeBang() -> v) [breaks clients]";
    assert!(lines.contains(&ty.to_owned()), "{lines:#?}");
}
