//! The layers import downwards only, as the table in `src/lib.rs` says.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

/// What each part may import of the others.
fn allowed() -> BTreeMap<&'static str, &'static [&'static str]> {
    BTreeMap::from([
        ("qi", &[][..]),
        ("schema", &["qi", "proto"]),
        ("transcode", &["qi", "schema"]),
        ("bridge", &["qi", "schema", "transcode"]),
        ("gateway", &["bridge", "qi", "schema", "transcode", "proto"]),
        ("demo", &["qi"]),
        ("telemetry", &[]),
        ("app", &["bridge", "gateway"]),
        ("cli", &["app", "bridge", "demo", "gateway", "qi", "schema"]),
    ])
}

fn sources(root: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder)? {
            let path = entry?.path();
            // Tests may compare with whatever they like.
            if path.file_stem().is_some_and(|stem| stem == "tests") {
                continue;
            }
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

/// The parts of the crate that a file names: `crate::part` or, in a `use crate::{...}` group, each
/// `part::` or `part,` at its top level.
fn imports(text: &str) -> Vec<String> {
    let is_code = |line: &&str| !line.trim_start().starts_with("//");
    let text: String = text.split_inclusive('\n').filter(is_code).collect();
    let mut parts = Vec::new();
    for (at, found) in text.match_indices("crate::") {
        let rest = &text[at + found.len()..];
        if let Some(group) = rest.strip_prefix('{') {
            let (mut depth, mut word, mut named) = (0, String::new(), false);
            for c in group.chars() {
                match c {
                    '}' if depth == 0 => break,
                    '{' => depth += 1,
                    '}' => depth -= 1,
                    _ if depth > 0 => {}
                    ',' => {
                        parts.push(std::mem::take(&mut word));
                        named = false;
                    }
                    ':' => named = true,
                    c if !named && (c.is_alphanumeric() || c == '_') => word.push(c),
                    _ => {}
                }
            }
            parts.push(word);
        } else {
            let word = rest
                .chars()
                .take_while(|c| c.is_alphanumeric() || *c == '_');
            parts.push(word.collect());
        }
    }
    parts.retain(|part| !part.is_empty());
    parts
}

#[test]
fn layers_import_downwards_only() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let allowed = allowed();
    let mut wrong = Vec::new();
    let mut seen = 0;
    for file in sources(&src).expect("readable sources") {
        let relative = file.strip_prefix(&src).expect("under src");
        let first = relative.iter().next().expect("a name");
        let part = Path::new(first).file_stem().expect("a stem");
        let part = part.to_str().expect("a text");
        let Some(downwards) = allowed.get(part) else {
            assert!(
                matches!(part, "lib" | "main"),
                "{part} has no place in the layers"
            );
            continue;
        };
        let text = fs::read_to_string(&file).expect("a readable file");
        for import in imports(&text) {
            seen += 1;
            if import != part
                && allowed.contains_key(import.as_str()) | (import == "proto")
                && !downwards.contains(&import.as_str())
            {
                wrong.push(format!("{} imports {import}", relative.display()));
            }
        }
    }
    assert!(seen > 100, "the imports were not found");
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn imports_are_found_in_every_form() {
    let text = "use crate::qi::wire; use crate::{\n bridge::{A, service::B},\n schema::C, app,\n};";
    assert_eq!(imports(text), ["qi", "bridge", "schema", "app"]);
}
