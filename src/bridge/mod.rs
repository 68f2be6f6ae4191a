//! A robot as the gateway sees it: supervised session, catalogue, calls, events, objects.
//!
//! ```text
//!             Supervisor ── connects, lists, follows ──▶ qi session
//!                 │ publishes
//!                 ▼
//!  Robot ──▶ Catalogue ──▶ Service ──▶ Method: plans
//!                             │  └────▶ Hub: one registration at the robot, many streams
//!                             └───────▶ link: the remote object, none while it is away
//!  Dynamic ──name──▶ Service or held object ──▶ the same links and hubs
//! ```
//!
//! | module | what |
//! | --- | --- |
//! | [`robot`] | the handle: what a gateway holds of a robot |
//! | [`supervisor`] | keeps the session and the catalogue up |
//! | `links` | keep each service linked |
//! | `known` | the services, up to limits, and which make way for others |
//! | `expected` | what a snapshot says of a robot before it is there |
//! | [`catalogue`] | what can be called now: services, routes, descriptors |
//! | [`service`] | one service: its methods and its link |
//! | [`events`] | signals and properties as streams |
//! | [`objects`] | objects that methods returned, with their leases |
//! | [`hosting`] | services and objects that the gateway serves on the bus |
//! | [`introspect`] | what all services say about themselves, asked once |
//! | [`dynamic`] | members by name, with values of any type |
//! | `arguments` | what is sent, with objects that clients hold |
//! | `borrowed` | objects that the gateway asked for itself |
//! | [`error`] | why a call or subscription failed |

mod arguments;
pub mod catalogue;
pub mod dynamic;
pub mod error;
pub mod events;
mod expected;
pub mod hosting;
pub mod introspect;
mod known;
mod links;
pub mod objects;
pub mod robot;
#[cfg(test)]
pub(crate) mod sample;
pub mod service;
pub mod supervisor;

mod borrowed;

pub use catalogue::{Catalogue, Route};
pub use dynamic::Dynamic;
pub use error::BridgeError;
pub use robot::{Robot, RobotConfig};
pub use service::{Method, Service};
