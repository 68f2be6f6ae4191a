//! Names of qi as names of protobuf.

use std::{borrow::Cow, collections::BTreeSet};

use sha2::{Digest as _, Sha256};

/// The longest name made from one of the robot, in bytes. Files are named after services, and file
/// systems end at 255.
const NAME_BYTES: usize = 120;

/// Field names that break generated code: accessors of these names exist in every C++ message,
/// `self` cannot be a keyword argument in Python, `constructor` hides that of a JavaScript object.
const REFUSED_FIELDS: [&str; 6] = [
    "constructor",
    "default_instance",
    "descriptor",
    "mutable_unknown_fields",
    "self",
    "unknown_fields",
];

/// Names of rpcs, as [`Scope`] compares them, that break generated code: `None`, `True` and `False` cannot
/// be attributes in Python, where grpcio puts the methods; the others are functions of every client
/// that tonic generates.
const REFUSED_RPCS: [&str; 11] = [
    "none",
    "true",
    "false",
    "new",
    "connect",
    "withinterceptor",
    "withorigin",
    "sendcompressed",
    "acceptcompressed",
    "maxdecodingmessagesize",
    "maxencodingmessagesize",
];

/// Names of services that break generated code: grpcio makes a class of the name, tonic a trait, which
/// hides what it uses itself by these names.
const REFUSED_SERVICES: [&str; 20] = [
    "Arc",
    "B",
    "Body",
    "Box",
    "BoxFuture",
    "Clone",
    "CompressionEncoding",
    "Context",
    "Default",
    "EnabledCompressionEncodings",
    "False",
    "InterceptedService",
    "Into",
    "None",
    "Option",
    "Poll",
    "Self",
    "StdError",
    "T",
    "True",
];

/// Takes a name apart into lower-case words; `ALTextToSpeech` is al, text, to, speech. What is no
/// ASCII letter or digit separates.
fn words(name: &str) -> Vec<String> {
    let mut words = Vec::new();
    for part in name.split(|c: char| !c.is_ascii_alphanumeric()) {
        let bytes = part.as_bytes();
        let mut word = String::new();
        for (at, &byte) in bytes.iter().enumerate() {
            let before = at.checked_sub(1).and_then(|at| bytes.get(at));
            let after = bytes.get(at + 1);
            if before.is_some_and(|&before| starts_word(before, byte, after.copied())) {
                words.push(std::mem::take(&mut word));
            }
            word.push(byte.to_ascii_lowercase().into());
        }
        if !word.is_empty() {
            words.push(word);
        }
    }
    words
}

/// A capital begins a word after a small letter, and before one: `textTo`, `ALText`, `3DMap`.
fn starts_word(before: u8, byte: u8, after: Option<u8>) -> bool {
    byte.is_ascii_uppercase()
        && (before.is_ascii_lowercase() || after.is_some_and(|after| after.is_ascii_lowercase()))
}

/// The name in snake_case; none if nothing of it is usable.
pub(super) fn snake(name: &str) -> Option<String> {
    let name_in_snake = words(name).join("_");
    identifier(name_in_snake, 'x', "_x", name)
}

/// The name in UpperCamelCase, with its inner capitals; none if nothing of it is usable.
pub(super) fn upper_camel(name: &str) -> Option<String> {
    let mut camel = String::new();
    for part in name.split(|c: char| !c.is_ascii_alphanumeric()) {
        let mut chars = part.chars();
        camel.extend(chars.next().map(|first| first.to_ascii_uppercase()));
        camel.push_str(chars.as_str());
    }
    identifier(camel, 'X', "X", name)
}

/// As [`upper_camel`], with a name from the hash where nothing is usable.
pub(super) fn upper_camel_or_hash(name: &str) -> String {
    upper_camel(name).unwrap_or_else(|| format!("X{}", hash(&[name])))
}

/// The name of the gRPC service for a service.
pub(super) fn service(name: &str) -> String {
    let wanted = upper_camel_or_hash(name);
    if REFUSED_SERVICES.contains(&wanted.as_str()) {
        format!("{wanted}Service")
    } else {
        wanted
    }
}

/// The name of an rpc, or one like it where generated code cannot have that.
pub(super) fn rpc(wanted: &str) -> Cow<'_, str> {
    if REFUSED_RPCS.contains(&Scope::key(wanted).as_str()) {
        format!("{wanted}Method").into()
    } else {
        wanted.into()
    }
}

/// Makes an identifier of a name: no digit in front, not longer than [`NAME_BYTES`].
fn identifier(mut name: String, letter: char, separator: &str, original: &str) -> Option<String> {
    if name.chars().next()?.is_ascii_digit() {
        name.insert(0, letter);
    }
    if name.len() > NAME_BYTES {
        // All ASCII by now, so any cut is between characters.
        name.truncate(NAME_BYTES - 10);
        name = format!(
            "{}{separator}{}",
            name.trim_end_matches('_'),
            hash(&[original])
        );
    }
    Some(name)
}

/// Shortens a name that was put together from others.
pub(super) fn shorten(name: String) -> String {
    let original = name.clone();
    identifier(name, 'X', "X", &original).unwrap_or(original)
}

/// Eight hexadecimal digits that depend on the texts alone.
pub(super) fn hash(texts: &[&str]) -> String {
    let mut hasher = Sha256::new();
    for text in texts {
        hasher.update((text.len() as u64).to_le_bytes());
        hasher.update(text);
    }
    let digest: [u8; 32] = hasher.finalize().into();
    let [a, b, c, d, ..] = digest;
    format!("{:08x}", u32::from_be_bytes([a, b, c, d]))
}

/// A name, then the same with hashes of what it stands for, to choose the first free from, without
/// the first `tried` of them.
pub(super) fn candidates(
    wanted: &str,
    separator: &str,
    identity: &[&str],
    tried: u32,
) -> impl Iterator<Item = String> {
    let plain = (tried == 0).then(|| wanted.to_owned());
    let suffixed = (tried.saturating_sub(1)..).map(move |round| {
        let round = round.to_string();
        let texts: Vec<&str> = identity.iter().copied().chain([round.as_str()]).collect();
        format!("{wanted}{separator}{}", hash(&texts))
    });
    plain.into_iter().chain(suffixed)
}

/// The name of a field in JSON, as protoc makes it (`ToJsonName` in descriptor.cc).
pub(super) fn json_name(field: &str) -> String {
    let mut json = String::with_capacity(field.len());
    let mut capital = false;
    for c in field.chars() {
        if c == '_' {
            capital = true;
        } else if std::mem::take(&mut capital) {
            json.push(c.to_ascii_uppercase());
        } else {
            json.push(c);
        }
    }
    json
}

/// The name of a field in UpperCamelCase, as protoc begins the names of map entries (`MapEntryName`
/// in parser.cc).
pub(super) fn camel_field(field: &str) -> String {
    let mut camel = json_name(field);
    if let Some(first) = camel.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    camel
}

/// The names of the fields of one message: what the robot calls them, else `fallback` with the
/// position.
pub(super) fn fields<'a>(
    given: impl Iterator<Item = Option<&'a str>>,
    fallback: &str,
) -> Vec<String> {
    let mut scope = Scope::default();
    let mut names = Vec::new();
    for (at, given) in given.enumerate() {
        let position = at + 1;
        let wanted = match given.and_then(snake) {
            Some(name) if REFUSED_FIELDS.contains(&name.as_str()) => format!("{name}_value"),
            Some(name) => name,
            None => format!("{fallback}{position}"),
        };
        let mut name = wanted.clone();
        while !scope.claim(&name) {
            name = format!("{name}_{position}");
        }
        names.push(name);
    }
    names
}

/// Names in use in one place.
///
/// Names that differ only in case or underscores count as equal: fields then have one JSON name,
/// which protoc refuses, and messages and methods have one name in languages that change the case.
#[derive(Debug, Default)]
pub(super) struct Scope(BTreeSet<String>);

impl Scope {
    /// Takes a name unless it is in use.
    pub(super) fn claim(&mut self, name: &str) -> bool {
        self.0.insert(Self::key(name))
    }

    fn key(name: &str) -> String {
        name.chars()
            .filter(|c| *c != '_')
            .map(|c| c.to_ascii_lowercase())
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_taken_apart_at_capitals_and_separators() {
        for (name, in_snake, in_camel) in [
            ("ALTextToSpeech", "al_text_to_speech", "ALTextToSpeech"),
            ("foo", "foo", "Foo"),
            ("my-service.v2", "my_service_v2", "MyServiceV2"),
            ("ALSegmentation3D", "al_segmentation3d", "ALSegmentation3D"),
            ("position3DMap", "position3d_map", "Position3DMap"),
            ("SLMFile", "slm_file", "SLMFile"),
            ("UserID", "user_id", "UserID"),
            ("_ALFoo_bar", "al_foo_bar", "ALFooBar"),
            ("P::Q r", "p_q_r", "PQR"),
            ("3d", "x3d", "X3d"),
            ("caf\u{e9}Bar", "caf_bar", "CafBar"),
            ("a__b", "a_b", "AB"),
        ] {
            assert_eq!(snake(name).as_deref(), Some(in_snake), "{name}");
            assert_eq!(upper_camel(name).as_deref(), Some(in_camel), "{name}");
        }
        for name in ["", "_", "\u{65e5}\u{672c}", "- -"] {
            assert_eq!(snake(name), None);
            assert_eq!(upper_camel(name), None);
        }
    }

    #[test]
    fn long_names_are_cut_and_stay_apart() {
        let [a, b] = ["a", "b"].map(|end| snake(&format!("{}{end}", "x".repeat(5000))));
        assert_ne!(a, b);
        assert!(a.is_some_and(|a| a.len() <= NAME_BYTES));
    }

    #[test]
    fn json_names_are_those_of_protoc() {
        for (field, json) in [("foo_bar", "fooBar"), ("arg1", "arg1"), ("a_1", "a1")] {
            assert_eq!(json_name(field), json);
        }
    }

    #[test]
    fn names_that_generated_code_cannot_have_are_changed() {
        for (wanted, name) in [
            ("Connect", "ConnectMethod"),
            ("NEW", "NEWMethod"),
            ("WithOrigin", "WithOriginMethod"),
            ("None", "NoneMethod"),
            ("Connected", "Connected"),
        ] {
            assert_eq!(rpc(wanted), name);
        }
        assert_eq!(service("default"), "DefaultService");
        assert_eq!(service("Defaults"), "Defaults");
    }

    #[test]
    fn field_names_are_unique_without_case_and_underscores() {
        let given = ["fooBar", "foobar", "", "foo_bar", "arg3", "self"].map(Some);
        assert_eq!(
            fields(given.into_iter(), "arg"),
            [
                "foo_bar",
                "foobar_2",
                "arg3",
                "foo_bar_4",
                "arg3_5",
                "self_value"
            ]
        );
    }
}
