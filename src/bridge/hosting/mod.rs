//! Services and objects that the gateway serves on the robot's bus.
//!
//! | module | what |
//! | --- | --- |
//! | [`doors`] | where others on the bus reach what is hosted |

pub mod doors;

pub use doors::{Doors, HostingConfig};
