//! Types, values and their binary encoding (protocol text, sections 6 to 8, 11 and 16).
//!
//! | module | what |
//! | --- | --- |
//! | [`signature`] | the text that describes a type |
//! | [`ty`] | the type that it describes |
//! | [`dynamic`] | a value of any type |
//! | [`meta`] | what an object says about itself |
//! | [`object`] | objects passed as values |
//! | [`codec`] | values to bytes and back |
//! | [`convert`](mod@convert) | values of one type to another |
//! | [`typed`] | Rust types that stand for qi types |

pub mod codec;
pub mod convert;
pub mod dynamic;
pub mod meta;
pub mod object;
pub mod signature;
pub mod ty;
pub mod typed;

pub use convert::{ConvertError, convert};
pub use dynamic::{Dynamic, Value};
pub use meta::{MetaMethod, MetaMethodParameter, MetaObject, MetaProperty, MetaSignal};
pub use object::{AsObject, LiveObject, ObjectEncoding, ObjectReference, ObjectUid};
pub use signature::{Signature, SignatureError};
pub use ty::{Annotation, TupleType, Type};
