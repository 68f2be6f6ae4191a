//! What `schema diff` says of two versions of a service, and what the laws of the schema promise,
//! held against `buf breaking` on the exported files.
#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

#[path = "support/members.rs"]
mod members;
mod support;

use std::{collections::BTreeMap, fs, path::Path};

use members::{Member, member, numbered, object, ty};
use proptest::{collection::vec, prelude::*, strategy::ValueTree as _, test_runner::TestRunner};
use qi_grpc_gateway::{
    qi::value::{MetaObject, Type},
    schema::{
        SchemaOptions, ServiceSchema,
        diff::Diff,
        export::{BUF_YAML, proto_files},
        text::proto_text,
    },
};
use serde_json::Value;
use support::buf_in;

/// How many services one run of buf compares.
const SERVICES: usize = 60;

/// What buf exits with if it finds something.
const BUF_FOUND: i32 = 100;

#[tokio::test]
async fn what_comes_at_the_end_breaks_nothing_for_buf_either() {
    let pairs = pairs(grown());
    let found = buf_breaking(&pairs).await;
    assert!(found.is_empty(), "{}", describe(&pairs, &found));
    for pair in &pairs {
        let diff = pair.diff();
        assert!(!diff.services.is_empty(), "nothing was added");
        assert!(!diff.is_breaking(), "{diff}");
    }
}

#[tokio::test]
async fn the_diff_and_buf_agree_on_what_breaks() {
    let pairs = pairs(changed());
    let found = buf_breaking(&pairs).await;
    for pair in &pairs {
        let ours = pair.diff().is_breaking();
        let theirs = found.contains_key(&pair.new.file_name);
        let agree = match pair.change {
            Change::Removed | Change::ParameterRetyped => ours && theirs,
            Change::Retyped => ours == theirs,
            // The one rule that buf does not have: the robot takes the default for what is meant.
            Change::ArgumentAdded => ours,
            Change::Grown => unreachable!("compared above"),
        };
        assert!(agree, "{}", describe(std::slice::from_ref(pair), &found));
    }
    let of = |change| pairs.iter().filter(move |pair| pair.change == change);
    for change in [Change::Removed, Change::ParameterRetyped, Change::Retyped] {
        assert!(of(change).count() > 0, "{change:?}");
    }
    let only_ours = of(Change::ArgumentAdded);
    let only_ours = only_ours.filter(|pair| !found.contains_key(&pair.new.file_name));
    assert!(only_ours.count() > 0, "buf knows the rule now");
}

/// buf took the rpc `FooRequest` for the request of `Foo`, which protoc passes over, and refused
/// the file.
#[tokio::test]
async fn an_rpc_may_have_the_name_of_a_request() {
    let method = |name: &str, parameters: &str| {
        let parameters = parameters.parse().unwrap();
        Member::Method(name.into(), parameters, Type::Void, Vec::new())
    };
    let members = [method("foo", "(i)"), method("fooRequest", "((s)<Foo,a>)")];
    let members = members.into_iter().chain([Member::Signal(
        "fooResponse".into(),
        Type::tuple(Vec::new()),
    )]);
    let members: Vec<_> = members.collect();
    let object = object(members.iter());
    let schema = ServiceSchema::new("foo", "qi.foo.v1", &object, &SchemaOptions::default());
    let folder = tempfile::tempdir().unwrap();
    export(folder.path(), [schema].into_iter());
    buf_in(folder.path(), &["build"]).await.success();
}

/// What sets the second version of a service apart.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Change {
    /// Members came at the end, and all texts are others.
    Grown,
    /// A member is gone.
    Removed,
    /// A parameter has a type that protobuf tells from the old one.
    ParameterRetyped,
    /// A type, of whatever it is, is any other.
    Retyped,
    /// A method takes one argument more.
    ArgumentAdded,
}

/// Two versions of a service.
struct Pair {
    change: Change,
    old: ServiceSchema,
    new: ServiceSchema,
}

impl Pair {
    fn diff(&self) -> Diff {
        let (old, new) = (
            std::slice::from_ref(&self.old),
            std::slice::from_ref(&self.new),
        );
        Diff::between(old, new).unwrap()
    }
}

/// Random versions of as many services.
fn pairs(versions: impl Strategy<Value = (Change, MetaObject, MetaObject)>) -> Vec<Pair> {
    let mut runner = TestRunner::default();
    let pairs = (0..SERVICES).map(|number| {
        let (change, old, new) = versions.new_tree(&mut runner).unwrap().current();
        let schema = |object| {
            let (name, package) = (format!("Case{number}"), format!("qi.case{number}.v1"));
            ServiceSchema::new(&name, &package, object, &SchemaOptions::default())
        };
        Pair {
            change,
            old: schema(&old),
            new: schema(&new),
        }
    });
    pairs.collect()
}

fn grown() -> impl Strategy<Value = (Change, MetaObject, MetaObject)> {
    let later = vec((member(), any::<bool>()), 1..5);
    let versions = (vec(member(), 0..10), later).prop_map(|(members, later)| {
        let old = object(members.iter());
        let names = members.iter().filter_map(|member| match member {
            Member::Method(name, ..) => Some(name),
            Member::Signal(..) | Member::Property(..) => None,
        });
        let mut names = names.cycle();
        let mut all = members.clone();
        for (mut member, overloads) in later {
            if let (Member::Method(name, ..), true) = (&mut member, overloads)
                && let Some(other) = names.next()
            {
                name.clone_from(other);
            }
            all.push(member);
        }
        let mut new = object(all.iter());
        new.description = "Another text.".into();
        for method in new.methods.values_mut() {
            method.description = "Another text.".into();
            method.return_description = "Another text.".into();
        }
        let is_seen = all[members.len()..].iter().any(is_public);
        (is_seen, (Change::Grown, old, new))
    });
    versions.prop_filter_map("hidden", |(is_seen, versions)| is_seen.then_some(versions))
}

fn changed() -> impl Strategy<Value = (Change, MetaObject, MetaObject)> {
    let change = prop_oneof![
        Just(Change::Removed),
        Just(Change::ParameterRetyped),
        Just(Change::Retyped),
        Just(Change::ArgumentAdded),
    ];
    let versions = (
        change,
        vec(member(), 1..10),
        any::<prop::sample::Index>(),
        ty(),
    );
    versions.prop_filter_map("nothing to change", |(change, members, at, ty)| {
        let at = at.index(members.len());
        let mut changed = members.clone();
        if !is_public(&members[at]) || !apply(change, &mut changed[at], ty) {
            return None;
        }
        let left = changed.iter().enumerate();
        let left = left.filter(|(number, _)| change != Change::Removed || *number != at);
        Some((change, object(members.iter()), numbered(left)))
    })
}

fn is_public(member: &Member) -> bool {
    !member.name().starts_with('_')
}

/// Changes a member; false if it cannot be changed so.
fn apply(change: Change, member: &mut Member, ty: Type) -> bool {
    match (change, member) {
        (Change::Removed, _) => true,
        (Change::ParameterRetyped, Member::Method(_, parameters, ..)) => match parameters {
            Type::Tuple(tuple) => tuple.elements.first_mut().is_some_and(|first| {
                let other = match first {
                    Type::String => Type::Int32,
                    _ => Type::String,
                };
                *first = other;
                true
            }),
            any => {
                *any = Type::tuple(vec![Type::String]);
                true
            }
        },
        (Change::Retyped, Member::Method(_, _, returned, _)) => {
            *returned = ty;
            true
        }
        (Change::Retyped, Member::Signal(_, arguments)) => {
            *arguments = Type::tuple(vec![ty]);
            true
        }
        (Change::Retyped, Member::Property(_, held)) => {
            *held = ty;
            true
        }
        (Change::ArgumentAdded, Member::Method(_, Type::Tuple(parameters), ..)) => {
            parameters.elements.push(without_presence(ty));
            true
        }
        _ => false,
    }
}

/// A new argument that can be left out breaks nobody.
fn without_presence(ty: Type) -> Type {
    match ty {
        Type::Optional(_) => Type::Bool,
        other => other,
    }
}

/// What buf says of the files of the second versions, by their paths.
async fn buf_breaking(pairs: &[Pair]) -> BTreeMap<String, Vec<String>> {
    let folder = tempfile::tempdir().unwrap();
    let (old, new) = (folder.path().join("old"), folder.path().join("new"));
    export(&old, pairs.iter().map(|pair| pair.old.clone()));
    let texts = export(&new, pairs.iter().map(|pair| pair.new.clone()));
    let args = ["breaking", "--against", "../old", "--error-format", "json"];
    let finished = buf_in(&new, &args).await;
    let code = finished.status.code();
    let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for line in finished.stdout.lines() {
        let told: Value = serde_json::from_str(line).unwrap();
        let [path, kind, message] = ["path", "type", "message"].map(|key| {
            let text = told[key].as_str();
            text.unwrap_or_else(|| panic!("{line}")).to_owned()
        });
        assert_ne!(kind, "COMPILE", "{message}\n{}", texts[&path]);
        found
            .entry(path)
            .or_default()
            .push(format!("{kind}: {message}"));
    }
    let expected = if found.is_empty() { 0 } else { BUF_FOUND };
    assert_eq!(code, Some(expected), "{finished:#?}");
    found
}

/// Writes what `schema export` writes.
fn export(folder: &Path, schemas: impl Iterator<Item = ServiceSchema>) -> BTreeMap<String, String> {
    let schemas: Vec<_> = schemas.collect();
    let texts = proto_files(&schemas).unwrap();
    for (path, text) in &texts {
        let path = folder.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    assert!(BUF_YAML.contains("breaking:\n  use:\n    - FILE\n"));
    fs::write(folder.join("buf.yaml"), BUF_YAML).unwrap();
    texts
}

/// All that is needed to see who is wrong.
fn describe(pairs: &[Pair], found: &BTreeMap<String, Vec<String>>) -> String {
    let mut text = String::new();
    for pair in pairs {
        let told = found.get(&pair.new.file_name);
        if pairs.len() > 1 && told.is_none() {
            continue;
        }
        let [old, new] = [&pair.old, &pair.new].map(|it| proto_text(&it.descriptor).unwrap());
        text += &format!(
            "--- {:?}\ndiff: {}\nbuf: {told:#?}\n--- old:\n{old}\n--- new:\n{new}\n",
            pair.change,
            pair.diff()
        );
    }
    text
}
