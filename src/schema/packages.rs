//! The packages of services: the one thing about a generated file where its neighbours matter.

use std::collections::{BTreeMap, BTreeSet};

use super::names;

/// Assigns a package to each service. Of two that want the same one, the name that sorts first
/// gets it, and the other a suffix from a hash of its name; those of `first` go before `others`, which
/// may name them again.
#[must_use]
pub fn packages<'a>(
    first: impl IntoIterator<Item = &'a str>,
    others: impl IntoIterator<Item = &'a str>,
) -> BTreeMap<String, String> {
    let first: BTreeSet<&str> = first.into_iter().collect();
    let others: BTreeSet<&str> = others.into_iter().collect();
    let mut taken = BTreeSet::new();
    first
        .iter()
        .chain(others.difference(&first))
        .map(|service| {
            let word = names::candidates(&package_word(service), "_x", &[service], 0)
                .find(|word| taken.insert(word.clone()))
                .unwrap_or_default();
            ((*service).to_owned(), format!("qi.{word}.v1"))
        })
        .collect()
}

/// The package of a service that has no neighbours.
#[must_use]
pub fn package(service: &str) -> String {
    format!("qi.{}.v1", package_word(service))
}

fn package_word(service: &str) -> String {
    let word = names::snake(service).unwrap_or_else(|| format!("x{}", names::hash(&[service])));
    if RESERVED.contains(&word.as_str()) {
        format!("{word}_service")
    } else {
        word
    }
}

/// `gateway` is the static API's. `qi.qi` or `qi.google` would hide the first part of names such as
/// `qi.gateway.v1.Value` and `google.protobuf.Empty` in every file. The others are keywords of Java or Python, where no package can
/// have such a name.
const RESERVED: [&str; 76] = [
    "gateway",
    "google",
    "qi",
    "abstract",
    "and",
    "as",
    "assert",
    "async",
    "await",
    "boolean",
    "break",
    "byte",
    "case",
    "catch",
    "char",
    "class",
    "const",
    "continue",
    "def",
    "default",
    "del",
    "do",
    "double",
    "elif",
    "else",
    "enum",
    "except",
    "extends",
    "false",
    "final",
    "finally",
    "float",
    "for",
    "from",
    "global",
    "goto",
    "if",
    "implements",
    "import",
    "in",
    "instanceof",
    "int",
    "interface",
    "is",
    "lambda",
    "long",
    "native",
    "new",
    "nonlocal",
    "not",
    "null",
    "or",
    "package",
    "pass",
    "private",
    "protected",
    "public",
    "raise",
    "return",
    "short",
    "static",
    "strictfp",
    "super",
    "switch",
    "synchronized",
    "this",
    "throw",
    "throws",
    "transient",
    "true",
    "try",
    "void",
    "volatile",
    "while",
    "with",
    "yield",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_package_is_named_after_its_service() {
        for (service, expected) in [
            ("ALTextToSpeech", "qi.al_text_to_speech.v1"),
            ("foo", "qi.foo.v1"),
            ("my-service.v2", "qi.my_service_v2.v1"),
            ("Gateway", "qi.gateway_service.v1"),
            ("import", "qi.import_service.v1"),
            ("qi", "qi.qi_service.v1"),
            ("3D", "qi.x3d.v1"),
        ] {
            assert_eq!(package(service), expected);
        }
        assert_ne!(package("\u{e9}"), package("\u{e8}"));
    }

    #[test]
    fn no_package_is_a_keyword() {
        // A service `void` had a package that javac refuses, `yield` a module that Python cannot import.
        let python = "and as assert async await break class continue def del elif else except \
             finally for from global if import in is lambda nonlocal not or pass raise return try \
             while with yield";
        let java = "abstract assert boolean break byte case catch char class const continue default \
             do double else enum extends false final finally float for goto if implements import \
             instanceof int interface long native new null package private protected public return \
             short static strictfp super switch synchronized this throw throws transient true try \
             void volatile while";
        for keyword in python.split_whitespace().chain(java.split_whitespace()) {
            assert_eq!(package(keyword), format!("qi.{keyword}_service.v1"));
        }
    }

    #[test]
    fn the_name_that_sorts_first_keeps_the_package() {
        let assigned = packages([], ["foo", "Foo", "bar", "gateway", "gateway_service"]);
        assert_eq!(assigned["Foo"], "qi.foo.v1");
        assert!(assigned["foo"].starts_with("qi.foo_x"), "{assigned:?}");
        assert_eq!(assigned["bar"], "qi.bar.v1");
        assert_eq!(assigned["gateway"], "qi.gateway_service.v1");
        assert!(assigned["gateway_service"].starts_with("qi.gateway_service_x"));
        let distinct: BTreeSet<_> = assigned.values().collect();
        assert_eq!(distinct.len(), assigned.len());
        assert_eq!(
            assigned,
            packages([], ["gateway_service", "gateway", "bar", "foo", "Foo"])
        );
    }

    #[test]
    fn names_of_the_first_kind_keep_their_packages() {
        let assigned = packages(["foo", "foo_"], ["Foo", "foo", "bar"]);
        assert_eq!(assigned["foo"], "qi.foo.v1");
        assert_eq!(assigned["foo_"], packages([], ["foo", "foo_"])["foo_"]);
        assert!(assigned["Foo"].starts_with("qi.foo_x"), "{assigned:?}");
        assert_eq!(assigned["bar"], "qi.bar.v1");
    }
}
