//! A map by message id, on the way of every call.

use std::{
    collections::HashMap,
    hash::{BuildHasherDefault, Hasher},
};

use crate::qi::wire::MessageId;

/// A map whose keys we count ourselves.
pub(super) type IdMap<T> = HashMap<MessageId, T, BuildHasherDefault<IdHasher>>;

/// Spreads message ids over the whole hash. They are counted by us, so no peer can make them
/// collide.
#[derive(Default)]
pub(super) struct IdHasher(u64);

impl Hasher for IdHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u32((*byte).into());
        }
    }

    fn write_u32(&mut self, id: u32) {
        // 2^64 divided by the golden ratio: neighbours end up far apart.
        self.0 = (self.0.rotate_left(32) ^ u64::from(id)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
}
