//! What a connection accepts before it refuses.

use crate::qi::wire::Limits;

/// The limits of one connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ConnectionLimits {
    /// What is accepted from the peer. [`Limits::payload_bytes`] is kept towards it as well: older
    /// peers drop the connection over more (protocol text, section 2).
    pub wire: Limits,
    /// How many calls may wait for their answers. Default 16 384: a robot runs a few dozen at a
    /// time, so whoever gets here queues faster than it will ever answer; each costs about 100
    /// bytes here.
    pub pending_calls: usize,
    /// How many bytes may wait to be written. Default 64 MiB: more than the largest payload, so
    /// that one of those never blocks small calls behind it. Answers, which the peer asked for, and
    /// what gives something back to it may take as much again before the connection is closed.
    pub outgoing_bytes: usize,
}

impl Default for ConnectionLimits {
    fn default() -> Self {
        Self {
            wire: Limits::default(),
            pending_calls: 16_384,
            outgoing_bytes: 64 * 1024 * 1024,
        }
    }
}
