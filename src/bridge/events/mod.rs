//! Signals and properties as streams.
//!
//! One registration at the robot serves any number of streams. An event is transcoded once and
//! shared; each stream has a bounded queue of its own, and a slow one costs only itself.
//!
//! | module | what |
//! | --- | --- |
//! | [`queue`] | between a signal and one stream |
//! | [`hub`] | between the robot and all streams of a signal |

pub mod hub;
pub mod queue;

pub use hub::Subscription;
pub use queue::{Delivery, End, EventQueue, OnDisconnect, Overflow, Pace, Policy};
