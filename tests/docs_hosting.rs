//! The guide to hosting shows the examples as they are, which other tests run.
#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

const GUIDE: &str = include_str!("../docs/hosting.md");

/// The examples, by the language of their code blocks.
const EXAMPLES: [(&str, &str); 3] = [
    ("rust", include_str!("../examples/foo.rs")),
    ("python", include_str!("../examples/hosting/foo.py")),
    ("js", include_str!("../examples/hosting/foo.mjs")),
];

/// How many lines the guide allows a whole program.
const SHORT: usize = 40;

#[test]
fn code_blocks_are_those_of_the_examples() {
    for (language, example) in EXAMPLES {
        let fence = format!("```{language}\n");
        let blocks = GUIDE.split(&fence).skip(1);
        let blocks: Vec<&str> = blocks
            .map(|rest| rest.split("```").next().unwrap())
            .collect();
        assert!(blocks.len() >= 5, "{language}: the blocks are found");
        for block in blocks {
            assert!(example.contains(block), "{language}: no such code\n{block}");
        }
    }
}

#[test]
fn examples_are_short() {
    for (language, example) in EXAMPLES {
        let lines = example.lines().count();
        assert!(lines < SHORT, "{language}: {lines} lines");
    }
}
