//! Signals and properties as streams.
//!
//! One registration at the robot serves any number of streams. An event is transcoded once and
//! shared; each stream has a bounded queue of its own, and a slow one costs only itself.
//!
//! | module | what |
//! | --- | --- |
//! | [`queue`] | between a signal and one stream |
//! | [`hub`] | between the robot and all streams of a signal |
//! | `hubs` | the signals of one object that have streams |
//! | `source` | where the events of a hub come from |

pub mod hub;
pub mod queue;

mod hubs;
pub(crate) mod source;

pub use hub::Subscription;
pub(crate) use hubs::{HubKey, Hubs};
pub use queue::{Delivery, End, EventQueue, OnDisconnect, Overflow, Pace, Policy};
