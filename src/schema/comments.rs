//! Free text of a robot as comments.

/// The longest comment, in bytes. 16 384: many pages, and a reflection answer with
/// hundreds of them still passes gRPC's usual limit of 4 MiB.
const COMMENT_BYTES: usize = 16_384;

/// Puts paragraphs together to a comment as protoc keeps it: each line begins with a space and
/// ends with a line feed. None if there is nothing to say.
pub(super) fn comment<'a>(paragraphs: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let mut comment = String::new();
    for paragraph in paragraphs {
        let text = clean(paragraph);
        if text.is_empty() {
            continue;
        }
        if !comment.is_empty() {
            comment.push('\n');
        }
        for line in text.lines() {
            if !line.is_empty() {
                comment.push(' ');
                comment.push_str(line);
            }
            comment.push('\n');
        }
    }
    (!comment.is_empty()).then_some(comment)
}

/// The text without what would end a comment, move a cursor or turn the direction of writing.
fn clean(text: &str) -> String {
    let mut cut = text.len().min(COMMENT_BYTES);
    while !text.is_char_boundary(cut) {
        cut -= 1;
    }
    let (kept, rest) = text.split_at(cut);
    let mut clean = String::with_capacity(kept.len());
    for line in kept.replace("\r\n", "\n").split(is_line_end) {
        let line: String = line
            .chars()
            .filter(|c| !is_direction(*c))
            .map(|c| if c.is_control() { ' ' } else { c })
            .collect();
        clean.push_str(line.trim_end());
        clean.push('\n');
    }
    // Generators for many languages copy comments into `/* */`.
    let mut clean = clean.replace("*/", "* /").replace("/*", "/ *");
    clean.truncate(clean.trim_end().len());
    if !rest.is_empty() {
        clean.push_str(" ...");
    }
    clean.trim_start_matches('\n').to_owned()
}

const fn is_line_end(c: char) -> bool {
    matches!(
        c,
        '\n' | '\r' | '\u{b}' | '\u{c}' | '\u{85}' | '\u{2028}' | '\u{2029}'
    )
}

/// The bidirectional controls, which make text read otherwise than it is.
const fn is_direction(c: char) -> bool {
    matches!(c, '\u{200e}' | '\u{200f}' | '\u{61c}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_kept_and_nothing_breaks_out() {
        assert_eq!(
            comment(["a\r\nb\u{2028}c"]).as_deref(),
            Some(" a\n b\n c\n")
        );
        assert_eq!(
            comment(["a\n\nb", "", "c"]).as_deref(),
            Some(" a\n\n b\n\n c\n")
        );
        assert_eq!(
            comment(["x */ y /* z"]).as_deref(),
            Some(" x * / y / * z\n")
        );
        assert_eq!(
            comment(["\u{1b}[31mred\u{202e}"]).as_deref(),
            Some("  [31mred\n")
        );
        assert_eq!(comment(["", " \n\t "]), None);
    }

    #[test]
    fn long_texts_are_cut_between_characters() {
        let text = comment([format!("x{}", "\u{e9}".repeat(COMMENT_BYTES)).as_str()]);
        let text = text.unwrap();
        assert!(text.len() < COMMENT_BYTES + 10 && text.ends_with(" ...\n"));
    }
}
