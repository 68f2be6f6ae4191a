//! What a connection agreed on, and what is accepted from it.

use super::{ReceivedMetaObjects, SentMetaObjects};
use crate::qi::{value::ObjectEncoding, wire::Limits};

/// What a payload is decoded with.
///
/// The default serves every payload without objects. A connection that shares `MetaObjectCache`
/// has to decode, or skip, all payloads in the order they came in, or it misses meta objects that
/// later ones refer to.
#[derive(Debug, Default)]
pub struct DecodeContext<'a> {
    /// How the sender encodes objects.
    pub encoding: ObjectEncoding,
    /// The meta objects that came before on this connection; needed with `MetaObjectCache` only.
    pub cache: Option<&'a mut ReceivedMetaObjects>,
    /// What is accepted.
    pub limits: Limits,
}

/// What a payload is encoded with.
///
/// The default serves every payload without objects. A connection that shares `MetaObjectCache`
/// has to send payloads in the order in which they were encoded.
#[derive(Debug, Default)]
pub struct EncodeContext<'a> {
    /// How the receiver expects objects.
    pub encoding: ObjectEncoding,
    /// The meta objects that were sent before on this connection. Without it every object goes
    /// with its meta object, which is right in any case.
    pub cache: Option<&'a mut SentMetaObjects>,
    /// How deep the value may nest: [`Limits::value_depth`].
    pub limits: Limits,
}

impl DecodeContext<'_> {
    /// The context of a connection whose objects are encoded so, without a cache.
    #[must_use]
    pub const fn new(encoding: ObjectEncoding, limits: Limits) -> Self {
        Self {
            encoding,
            cache: None,
            limits,
        }
    }
}

impl EncodeContext<'_> {
    /// The context of a connection whose objects are encoded so, without a cache.
    #[must_use]
    pub const fn new(encoding: ObjectEncoding, limits: Limits) -> Self {
        Self {
            encoding,
            cache: None,
            limits,
        }
    }
}
