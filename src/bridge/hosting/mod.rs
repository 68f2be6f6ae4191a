//! Services that clients host on the robot's bus.
//!
//! ```text
//!   Declaration ──▶ HostedObject ──publish──▶ qi host ◀── calls of others
//!                       │ methods                              │
//!                       ▼                                      │
//!                  Switchboard ◀───────────────────────────────┘
//!                    │      ▲
//!             Notice │      │ Outcome, events, values
//!                    ▼      │
//!                  whoever hosts the service
//! ```
//!
//! | module | what |
//! | --- | --- |
//! | [`declaration`] | what is declared, and the object that becomes of it |
//! | [`service`] | hosted services, as their hosts have them |
//! | `switchboard`, `desk` | where calls wait for answers: with and without IO |
//! | `names` | names on the bus, until their services have left it |
//! | `objects` | objects in the values of hosted members |
//! | `offers` | hosted services that clients pass as objects, by name |
//! | `values` | values of the host to qi and back |
//! | [`config`] | how services are hosted |
//! | [`error`] | why a service is not hosted |

pub mod config;
pub mod declaration;
pub mod error;
pub mod service;

mod desk;
mod names;
mod objects;
pub(super) mod offers;
mod switchboard;
mod values;

#[cfg(test)]
mod tests;

pub use config::HostingConfig;
pub use declaration::{Declaration, DeclaredMethod, DeclaredProperty, DeclaredSignal};
pub use desk::CallId;
pub use error::{HostingError, Problem};
pub use service::{HostedService, Hosting, Notice, Voice};
pub use switchboard::Outcome;
