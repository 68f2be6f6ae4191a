//! Everything that others can make a host hold.

use std::time::Duration;

use tokio::sync::Semaphore;

use crate::qi::session::ConnectionLimits;

/// The limits of one host.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct HostLimits {
    /// How many connections are accepted at the same time; more are closed at once. Default 64: a
    /// bus has a few dozen processes, each of which opens one connection to another.
    pub connections: usize,
    /// The limits of each connection after authentication.
    pub connection: ConnectionLimits,
    /// The largest payload before authentication, in bytes. Default 64 KiB: capabilities and
    /// credentials take a few hundred.
    pub unauthenticated_payload_bytes: u32,
    /// How long a peer may take to authenticate. Default 10 s: it takes milliseconds.
    pub authentication_time: Duration,
    /// How often a peer may call authenticate until it is accepted. Default 3: the token protocol
    /// of NAOqi takes two (section 9).
    pub authentication_attempts: u32,
    /// How many calls of one connection may wait or run. Default 1024: more than any client has
    /// threads for, and four of them may fill a service.
    pub calls_per_connection: usize,
    /// How many calls of one service may wait or run. Default 4096: at a microsecond a call this is
    /// a burst of some milliseconds, at a second a call nobody waits for the last one.
    pub calls_per_service: usize,
    /// How many bytes of arguments may wait in one service. Default 64 MiB: one of the largest
    /// payload, or very many of the usual size.
    pub argument_bytes_per_service: usize,
    /// How many registrations with signals one connection may have at one object. Default 1024:
    /// a libqi client makes one for each signal.
    pub registrations: usize,
    /// How many bytes the registrations of one connection may take, at all objects together. Default
    /// 4 MiB: about 16 000 without a signature of their own; or ten with the longest known one, of
    /// under 4 000 bytes, since a parsed signature counts as a hundred times its text.
    pub registration_bytes_per_connection: usize,
    /// How many objects one connection may hold that it got as results, in events or as arguments.
    /// Default 4096: a libqi peer gives each back when it needs it no more. Each costs less than a
    /// KiB here. One that is passed on for another process keeps the meta object that came with it,
    /// which objects of one kind share, and counts as one more for each 4 KiB of that: all of them
    /// together are below 16 MiB as they were sent, some ten times that here and at worst a hundred.
    pub objects_per_connection: usize,
    /// How many threads blocking methods may occupy, of all services together. Default 64: a
    /// thread costs some 100 KiB, and methods that block are rare.
    pub blocking_threads: usize,
}

impl Default for HostLimits {
    fn default() -> Self {
        Self {
            connections: 64,
            connection: ConnectionLimits::default(),
            unauthenticated_payload_bytes: 64 * 1024,
            authentication_time: Duration::from_secs(10),
            authentication_attempts: 3,
            calls_per_connection: 1024,
            calls_per_service: 4096,
            argument_bytes_per_service: 64 * 1024 * 1024,
            registrations: 1024,
            registration_bytes_per_connection: 4 * 1024 * 1024,
            objects_per_connection: 4096,
            blocking_threads: 64,
        }
    }
}

/// A limit as a number of permits, of which tokio has an upper bound.
pub(super) fn permits(limit: usize) -> usize {
    limit.min(Semaphore::MAX_PERMITS)
}
