//! The types of the protocol (section 6).

use std::fmt;

/// A type. Equality includes annotations; see [`Type::same_layout`].
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Type {
    /// `v`, no value.
    Void,
    /// `_`, only in empty containers of libqi; decodes as void.
    None,
    /// `X`, a type that the peer could not describe; it has no encoding.
    Unknown,
    /// `b`
    Bool,
    /// `c`
    Int8,
    /// `C`
    UInt8,
    /// `w`
    Int16,
    /// `W`
    UInt16,
    /// `i`
    Int32,
    /// `I`
    UInt32,
    /// `l`
    Int64,
    /// `L`
    UInt64,
    /// `f`
    Float,
    /// `d`
    Double,
    /// `s`, bytes that are UTF-8 by convention.
    String,
    /// `r`, bytes.
    Raw,
    /// `m`, a value that carries its own signature.
    Dynamic,
    /// `o`, a reference to an object.
    Object,
    /// `[T]`
    List(Box<Self>),
    /// `{KV}`, key and value.
    Map(Box<(Self, Self)>),
    /// `(T...)`
    Tuple(TupleType),
    /// `#T`, variable arguments; encoded as a list.
    VarArgs(Box<Self>),
    /// `~T`, keyword arguments; encoded as a map from `s`. libqi can neither send nor receive them.
    KwArgs(Box<Self>),
    /// `+T`, a value that may be missing.
    Optional(Box<Self>),
}

/// A tuple, or a struct when it is annotated.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct TupleType {
    /// The types of the members, in order.
    pub elements: Vec<Type>,
    /// The names of struct and members. Has as many fields as there are elements.
    pub annotation: Option<Annotation>,
}

/// The names of a struct: `<Name,field,...>`.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Annotation {
    /// The name of the struct. May be empty, may hold anything but a comma outside of brackets.
    pub name: String,
    /// The names of the members.
    pub fields: Vec<String>,
}

impl Type {
    /// A list of `element`.
    #[must_use]
    pub fn list(element: Self) -> Self {
        Self::List(Box::new(element))
    }

    /// A map from `key` to `value`.
    #[must_use]
    pub fn map(key: Self, value: Self) -> Self {
        Self::Map(Box::new((key, value)))
    }

    /// A tuple without names.
    #[must_use]
    pub const fn tuple(elements: Vec<Self>) -> Self {
        Self::Tuple(TupleType {
            elements,
            annotation: None,
        })
    }

    /// Whether both are encoded alike: equality without annotations, the only one that libqi
    /// knows (section 6).
    #[must_use]
    pub fn same_layout(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::List(a), Self::List(b))
            | (Self::VarArgs(a), Self::VarArgs(b))
            | (Self::KwArgs(a), Self::KwArgs(b))
            | (Self::Optional(a), Self::Optional(b)) => a.same_layout(b),
            (Self::Map(a), Self::Map(b)) => a.0.same_layout(&b.0) && a.1.same_layout(&b.1),
            (Self::Tuple(a), Self::Tuple(b)) => {
                a.elements.len() == b.elements.len()
                    && a.elements
                        .iter()
                        .zip(&b.elements)
                        .all(|(a, b)| a.same_layout(b))
            }
            (a, b) => a == b,
        }
    }

    /// What a value of this type is, for messages.
    #[must_use]
    pub const fn kind_name(&self) -> &'static str {
        match self {
            Self::Void | Self::None => "nothing",
            Self::Unknown => "a value of unknown type",
            Self::Bool => "a boolean",
            Self::Int8 => "a signed 8 bit integer",
            Self::UInt8 => "an 8 bit integer",
            Self::Int16 => "a signed 16 bit integer",
            Self::UInt16 => "a 16 bit integer",
            Self::Int32 => "a signed 32 bit integer",
            Self::UInt32 => "a 32 bit integer",
            Self::Int64 => "a signed 64 bit integer",
            Self::UInt64 => "a 64 bit integer",
            Self::Float => "a 32 bit float",
            Self::Double => "a 64 bit float",
            Self::String => "a string",
            Self::Raw => "a raw value",
            Self::Dynamic => "a dynamic value",
            Self::Object => "an object",
            Self::List(_) | Self::VarArgs(_) => "a list",
            Self::Map(_) | Self::KwArgs(_) => "a map",
            Self::Tuple(_) => "a tuple",
            Self::Optional(_) => "an optional value",
        }
    }

    /// Whether a value of this type may hold an object.
    #[must_use]
    pub fn may_hold_objects(&self) -> bool {
        match self {
            Self::Object | Self::Dynamic => true,
            Self::List(element)
            | Self::VarArgs(element)
            | Self::KwArgs(element)
            | Self::Optional(element) => element.may_hold_objects(),
            Self::Map(entry) => entry.0.may_hold_objects() || entry.1.may_hold_objects(),
            Self::Tuple(tuple) => tuple.elements.iter().any(Self::may_hold_objects),
            _ => false,
        }
    }

    /// The fewest bytes that a value of this type takes on the wire (section 7).
    #[must_use]
    pub fn min_bytes(&self) -> usize {
        match self {
            Self::Void | Self::None | Self::Unknown => 0,
            Self::Bool | Self::Int8 | Self::UInt8 | Self::Optional(_) => 1,
            Self::Int16 | Self::UInt16 => 2,
            Self::Int32
            | Self::UInt32
            | Self::Float
            | Self::String
            | Self::Raw
            | Self::Dynamic
            | Self::List(_)
            | Self::Map(_)
            | Self::VarArgs(_)
            | Self::KwArgs(_) => 4,
            Self::Int64 | Self::UInt64 | Self::Double => 8,
            // Of a meta object that came before: 1 + 4 + 4 + 4. One that comes along takes more.
            Self::Object => 13,
            Self::Tuple(tuple) => tuple.elements.iter().map(Self::min_bytes).sum(),
        }
    }

    /// The size of every value of this type, where all have the same and none needs a check.
    #[must_use]
    pub const fn fixed_bytes(&self) -> Option<usize> {
        match self {
            Self::Int8 | Self::UInt8 => Some(1),
            Self::Int16 | Self::UInt16 => Some(2),
            Self::Int32 | Self::UInt32 | Self::Float => Some(4),
            Self::Int64 | Self::UInt64 | Self::Double => Some(8),
            _ => None,
        }
    }
}

impl fmt::Display for Type {
    /// Writes the signature.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let letter = match self {
            Self::Void => 'v',
            Self::None => '_',
            Self::Unknown => 'X',
            Self::Bool => 'b',
            Self::Int8 => 'c',
            Self::UInt8 => 'C',
            Self::Int16 => 'w',
            Self::UInt16 => 'W',
            Self::Int32 => 'i',
            Self::UInt32 => 'I',
            Self::Int64 => 'l',
            Self::UInt64 => 'L',
            Self::Float => 'f',
            Self::Double => 'd',
            Self::String => 's',
            Self::Raw => 'r',
            Self::Dynamic => 'm',
            Self::Object => 'o',
            Self::List(element) => return write!(f, "[{element}]"),
            Self::Map(entry) => return write!(f, "{{{}{}}}", entry.0, entry.1),
            Self::VarArgs(element) => return write!(f, "#{element}"),
            Self::KwArgs(element) => return write!(f, "~{element}"),
            Self::Optional(element) => return write!(f, "+{element}"),
            Self::Tuple(tuple) => return tuple.fmt(f),
        };
        fmt::Write::write_char(f, letter)
    }
}

impl fmt::Display for TupleType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(")?;
        for element in &self.elements {
            element.fmt(f)?;
        }
        f.write_str(")")?;
        if let Some(annotation) = &self.annotation {
            write!(f, "<{}", annotation.name)?;
            for field in &annotation.fields {
                write!(f, ",{field}")?;
            }
            f.write_str(">")?;
        }
        Ok(())
    }
}
