//! The gRPC server in front of a robot.
//!
//! ```text
//!  request ──▶ Router ──path──▶ Catalogue ──▶ unary: call, property ──▶ one message
//!                │                      └───▶ stream: signal, watch ──▶ many, shared between streams
//!                └──other──▶ static services: dynamic calls, reflection v1 and v1alpha, health
//! ```
//!
//! | module | what |
//! | --- | --- |
//! | [`server`] | binds, serves, shuts down |
//! | `router` | picks the handler of a path |
//! | `unary`, `streaming` | the two kinds of generated methods |
//! | `services` | the static API of the gateway itself |
//! | `message` | gRPC's length-prefixed messages as bytes |
//! | `deadline`, `duration` | the time that a client gives a call, and other times |
//! | `reflection`, `health` | standard services over the live catalogue |
//! | [`status`] | the one table from errors to status codes |

mod deadline;
mod duration;
mod health;
mod message;
mod reflection;
mod router;
pub mod server;
mod services;
pub mod status;
mod streaming;
mod unary;

pub use message::RequestBodyError;
pub use server::{Gateway, GatewayConfig};
