//! What can be wrong with bytes that should hold a value, or with a value that should be sent.

use crate::qi::{
    value::SignatureError,
    wire::{ReadError, TooLong},
};

/// Why bytes are no value of a type.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum DecodeError {
    /// Bytes are missing, or left over.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// A boolean that is neither 0 nor 1, which libqi refuses too (section 7).
    #[error("a boolean is {byte} at offset {offset}, neither 0 nor 1")]
    Bool {
        /// The byte.
        byte: u8,
        /// Where in the payload.
        offset: usize,
    },
    /// The signature of a dynamic value is none.
    #[error("the dynamic value at offset {offset}: {source}")]
    Signature {
        /// Where in the payload the dynamic value begins.
        offset: usize,
        /// What is wrong with it.
        source: SignatureError,
    },
    /// The type is `X`, which has no encoding (section 6).
    #[error("a value of unknown type X at offset {offset}")]
    NoEncoding {
        /// Where in the payload.
        offset: usize,
    },
    /// Values nest too deep.
    #[error("values nest deeper than {limit}")]
    TooDeep {
        /// [`crate::qi::wire::Limits::value_depth`]
        limit: u16,
    },
    /// Dynamic values nest too deep.
    #[error("dynamic values nest deeper than {limit}")]
    DynamicsTooDeep {
        /// [`crate::qi::wire::Limits::dynamic_depth`]
        limit: u16,
    },
    /// Too many elements that take no byte.
    #[error("more than {limit} values without a byte")]
    TooManyEmpty {
        /// [`crate::qi::wire::Limits::empty_elements`]
        limit: u32,
    },
    /// Too many values.
    #[error("more than {limit} values")]
    TooManyValues {
        /// [`crate::qi::wire::Limits::values`]
        limit: u32,
    },
    /// An object refers to a meta object that did not come before.
    #[error("the meta object {id}, referred to at offset {offset}, did not come before")]
    UnknownMetaObject {
        /// Its number in the cache.
        id: u32,
        /// Where in the payload.
        offset: usize,
    },
}

/// Why a value cannot be encoded as a type.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum EncodeError {
    /// The value is of another type.
    #[error("{expected} expected, found {found}")]
    Mismatch {
        /// What the type wants.
        expected: &'static str,
        /// What the value is.
        found: &'static str,
    },
    /// A tuple has another number of elements than its type.
    #[error("a tuple of {expected} expected, found one of {found}")]
    TupleLength {
        /// How many elements the type has.
        expected: usize,
        /// How many the value has.
        found: usize,
    },
    /// The type is `X`, which has no encoding (section 6).
    #[error("a value of unknown type X cannot be sent")]
    NoEncoding,
    /// Values nest too deep.
    #[error("values nest deeper than {limit}")]
    TooDeep {
        /// [`crate::qi::wire::Limits::value_depth`]
        limit: u16,
    },
    /// A string, list or map is too long for the protocol.
    #[error(transparent)]
    TooLong(#[from] TooLong),
    /// An object of this process, which has to get an address on the connection first (section 13).
    #[error("an object without an address cannot be sent")]
    NoAddress,
    /// The connection wants the identity of objects, and the reference has none.
    #[error("an object without an identity cannot be sent")]
    MissingUid,
}
