//! Values to bytes and back (protocol text, sections 7, 8 and 11).
//!
//! ```text
//!   payload --Decoder--> Value --encode--> payload      the same bytes, whatever libqi sends
//! ```
//!
//! | module | what |
//! | --- | --- |
//! | [`context`] | what a connection agreed on, and what is accepted from it |
//! | [`cache`] | meta objects that were sent before (`MetaObjectCache`) |
//! | [`decode`](mod@decode) | bytes to values, and over them |
//! | [`encode`](mod@encode) | values to bytes |
//! | [`meta`] | meta objects and object references, typed |
//! | [`error`] | what can be wrong |

pub mod cache;
pub mod context;
pub mod decode;
pub mod encode;
pub mod error;
pub mod meta;

#[cfg(test)]
mod tests;

pub use cache::{ReceivedMetaObjects, SentMetaObjects};
pub use context::{DecodeContext, EncodeContext};
pub use decode::{Decoder, decode};
pub use encode::{encode, encode_dynamic};
pub use error::{DecodeError, EncodeError};
pub use meta::{
    DecodedMetaObject, META_OBJECT_SIGNATURE, MemberKind, RefusedMember, decode_meta_object,
    encode_meta_object, encode_object,
};
