//! Signatures: the text that describes a type (section 6).

use std::{
    fmt,
    hash::{Hash, Hasher},
    str::FromStr,
    sync::Arc,
};

use super::{Annotation, Type};
use crate::qi::wire::Limits;

/// A type together with the text that described it, kept so that it can be sent on unchanged.
///
/// Equality is that of the types; the text may differ in annotations that mean nothing.
#[derive(Clone)]
pub struct Signature {
    text: Arc<str>,
    ty: Type,
}

/// Why a text is no signature.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum SignatureError {
    /// The text is longer than is accepted.
    #[error("a signature of {bytes} bytes is over the limit of {limit}")]
    TooLong {
        /// Its length.
        bytes: usize,
        /// The limit.
        limit: u32,
    },
    /// Types nest deeper than is accepted.
    #[error("a signature nests deeper than {limit} types")]
    TooDeep {
        /// The limit.
        limit: u16,
    },
    /// A character that no type begins with, where one must begin.
    #[error("no type begins with {found:?} at offset {offset}")]
    UnknownType {
        /// The byte, as a character.
        found: char,
        /// Where in the text.
        offset: usize,
    },
    /// The text ends inside of a type.
    #[error("the signature ends inside of a type")]
    Incomplete,
    /// A list with more than one element, a map with more than two.
    #[error("{expected:?} expected at offset {offset}, found {found:?}")]
    Unbalanced {
        /// What must stand there.
        expected: char,
        /// The byte that does, as a character.
        found: char,
        /// Where in the text.
        offset: usize,
    },
    /// The text goes on after its type.
    #[error("{left} bytes follow the type")]
    TrailingBytes {
        /// How many.
        left: usize,
    },
    /// The text is not UTF-8. It may be no ASCII either, in annotations.
    #[error("the signature is not UTF-8")]
    NotText,
}

impl Signature {
    /// Parses a signature within `limits`.
    ///
    /// # Errors
    ///
    /// [`SignatureError`].
    pub fn parse(text: &str, limits: &Limits) -> Result<Self, SignatureError> {
        let ty = Type::parse(text, limits)?;
        Ok(Self {
            text: text.into(),
            ty,
        })
    }

    /// Parses the bytes of a signature within `limits`.
    ///
    /// # Errors
    ///
    /// [`SignatureError`].
    pub fn parse_bytes(bytes: &[u8], limits: &Limits) -> Result<Self, SignatureError> {
        let text = std::str::from_utf8(bytes).map_err(|_| SignatureError::NotText)?;
        Self::parse(text, limits)
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The type.
    #[must_use]
    pub const fn ty(&self) -> &Type {
        &self.ty
    }

    /// The type, without its text.
    #[must_use]
    pub fn into_type(self) -> Type {
        self.ty
    }
}

impl From<Type> for Signature {
    fn from(ty: Type) -> Self {
        Self {
            text: ty.to_string().into(),
            ty,
        }
    }
}

impl FromStr for Signature {
    type Err = SignatureError;

    /// Parses within the default limits.
    fn from_str(text: &str) -> Result<Self, SignatureError> {
        Self::parse(text, &Limits::default())
    }
}

impl PartialEq for Signature {
    fn eq(&self, other: &Self) -> bool {
        self.ty == other.ty
    }
}

impl Eq for Signature {}

impl Hash for Signature {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.ty.hash(state);
    }
}

impl fmt::Display for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signature({:?})", self.text)
    }
}

impl Type {
    /// Parses a signature within `limits`.
    ///
    /// # Errors
    ///
    /// [`SignatureError`].
    pub fn parse(text: &str, limits: &Limits) -> Result<Self, SignatureError> {
        if text.len() > limits.signature_bytes as usize {
            return Err(SignatureError::TooLong {
                bytes: text.len(),
                limit: limits.signature_bytes,
            });
        }
        let mut parser = Parser {
            text,
            offset: 0,
            depth: limits.signature_depth,
            limit: limits.signature_depth,
        };
        let ty = parser.element()?;
        match text.len() - parser.offset {
            0 => Ok(ty),
            left => Err(SignatureError::TrailingBytes { left }),
        }
    }
}

impl FromStr for Type {
    type Err = SignatureError;

    /// Parses within the default limits.
    fn from_str(text: &str) -> Result<Self, SignatureError> {
        Self::parse(text, &Limits::default())
    }
}

struct Parser<'a> {
    text: &'a str,
    offset: usize,
    /// How many more levels may open.
    depth: u16,
    limit: u16,
}

impl Parser<'_> {
    fn element(&mut self) -> Result<Type, SignatureError> {
        self.depth = self
            .depth
            .checked_sub(1)
            .ok_or(SignatureError::TooDeep { limit: self.limit })?;
        let mut ty = self.bare()?;
        if self.peek() == Some(b'<') {
            let text = self.annotation()?;
            if let Type::Tuple(tuple) = &mut ty {
                tuple.annotation = Annotation::parse(text, tuple.elements.len());
            }
        }
        self.depth += 1;
        Ok(ty)
    }

    fn bare(&mut self) -> Result<Type, SignatureError> {
        let letter = self.peek().ok_or(SignatureError::Incomplete)?;
        let offset = self.offset;
        self.offset += 1;
        Ok(match letter {
            b'v' => Type::Void,
            b'_' => Type::None,
            b'X' => Type::Unknown,
            b'b' => Type::Bool,
            b'c' => Type::Int8,
            b'C' => Type::UInt8,
            b'w' => Type::Int16,
            b'W' => Type::UInt16,
            b'i' => Type::Int32,
            b'I' => Type::UInt32,
            b'l' => Type::Int64,
            b'L' => Type::UInt64,
            b'f' => Type::Float,
            b'd' => Type::Double,
            b's' => Type::String,
            b'r' => Type::Raw,
            b'm' => Type::Dynamic,
            b'o' => Type::Object,
            b'#' => Type::VarArgs(Box::new(self.element()?)),
            b'~' => Type::KwArgs(Box::new(self.element()?)),
            b'+' => Type::Optional(Box::new(self.element()?)),
            b'[' => {
                let element = self.element()?;
                self.expect(b']')?;
                Type::list(element)
            }
            b'{' => {
                let key = self.element()?;
                let value = self.element()?;
                self.expect(b'}')?;
                Type::map(key, value)
            }
            b'(' => {
                let mut elements = Vec::new();
                while self.peek() != Some(b')') {
                    elements.push(self.element()?);
                }
                self.offset += 1;
                Type::tuple(elements)
            }
            _ => {
                return Err(SignatureError::UnknownType {
                    found: self.char_at(offset),
                    offset,
                });
            }
        })
    }

    /// The text between `<` and its `>`. libqi finds the end by counting both.
    fn annotation(&mut self) -> Result<&str, SignatureError> {
        let start = self.offset + 1;
        let mut open = 0_u32;
        for (at, byte) in self.text.as_bytes().iter().enumerate().skip(self.offset) {
            match byte {
                b'<' => open += 1,
                b'>' => open -= 1,
                _ => {}
            }
            if open == 0 {
                self.offset = at + 1;
                return Ok(&self.text[start..at]);
            }
        }
        Err(SignatureError::Incomplete)
    }

    fn expect(&mut self, expected: u8) -> Result<(), SignatureError> {
        match self.peek() {
            Some(found) if found == expected => {
                self.offset += 1;
                Ok(())
            }
            Some(_) => Err(SignatureError::Unbalanced {
                expected: expected.into(),
                found: self.char_at(self.offset),
                offset: self.offset,
            }),
            None => Err(SignatureError::Incomplete),
        }
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.offset).copied()
    }

    fn char_at(&self, offset: usize) -> char {
        self.text
            .get(offset..)
            .and_then(|rest| rest.chars().next())
            .unwrap_or(char::REPLACEMENT_CHARACTER)
    }
}

impl Annotation {
    /// Takes `Name,field,...` apart; none where the number of fields is not `fields`, as libqi
    /// then forgets it (section 6). Field names hold no comma, the name may.
    fn parse(text: &str, fields: usize) -> Option<Self> {
        if fields == 0 {
            return (!text.is_empty() && !text.contains(',')).then(|| Self {
                name: text.into(),
                fields: Vec::new(),
            });
        }
        let mut parts: Vec<&str> = text.rsplitn(fields + 1, ',').collect();
        if parts.len() != fields + 1 {
            return None;
        }
        let name = parts.pop()?;
        if has_comma_outside_brackets(name) {
            return None;
        }
        Some(Self {
            name: name.into(),
            fields: parts.into_iter().rev().map(Into::into).collect(),
        })
    }
}

/// A name such as `Pair<int,float>` holds a comma that separates nothing.
fn has_comma_outside_brackets(name: &str) -> bool {
    let mut open = 0_i32;
    name.bytes().any(|byte| {
        match byte {
            b'<' => open += 1,
            b'>' => open -= 1,
            _ => {}
        }
        byte == b',' && open == 0
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn parses(text: &str) -> Type {
        text.parse().expect("a signature")
    }

    #[test]
    fn every_signature_is_written_as_it_was_read() {
        for text in [
            "b",
            "c",
            "C",
            "w",
            "W",
            "i",
            "I",
            "l",
            "L",
            "f",
            "d",
            "s",
            "r",
            "m",
            "o",
            "v",
            "X",
            "_",
            "[i]",
            "{si}",
            "()",
            "(i[s]{I(dd)})",
            "#i",
            "~m",
            "++i",
            "(dd)<Point,x,y>",
            "(is)<,n,t>",
            "((is)<A,n,t>[(dd)<P::Q r,x,y>])<Outer,head,points>",
            "(ff)<ValueConfidence<float>,value,confidence>",
            "(i)<Pair<int,float>,a>",
        ] {
            assert_eq!(parses(text).to_string(), text);
        }
    }

    #[test]
    fn annotations_that_mean_nothing_are_dropped() {
        assert_eq!(parses("(is)<Only>").to_string(), "(is)");
        assert_eq!(parses("i<note>").to_string(), "i");
        assert_eq!(parses("(is)<A,b,c,d>").to_string(), "(is)");
    }

    #[test]
    fn what_is_no_signature_is_refused() {
        use SignatureError::*;
        let error = |text: &str| text.parse::<Type>().unwrap_err();
        assert_eq!(error(""), Incomplete);
        assert_eq!(error("["), Incomplete);
        assert_eq!(error("(i"), Incomplete);
        assert_eq!(error("(i)<A"), Incomplete);
        assert!(matches!(error("[ii]"), Unbalanced { expected: ']', .. }));
        assert!(matches!(error("{i}"), UnknownType { found: '}', .. }));
        assert!(matches!(error("é"), UnknownType { found: 'é', .. }));
        assert_eq!(error("ii"), TrailingBytes { left: 1 });
        assert_eq!(error(&"[".repeat(10_000)), TooDeep { limit: 64 });
        assert!(matches!(error(&"(".repeat(70_000)), TooLong { .. }));
    }

    #[test]
    fn layout_ignores_names() {
        assert!(parses("(ii)<A,a,b>").same_layout(&parses("(ii)")));
        assert!(!parses("(ii)").same_layout(&parses("(il)")));
    }
}
