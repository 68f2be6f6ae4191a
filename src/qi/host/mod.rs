//! Serving objects to others (protocol text, sections 5, 9, 11 to 15 and 17).
//!
//! ```text
//!   ObjectBuilder -> HostedObject --register--> Host -> Registration, of one session
//!                                 --publish---> Host -> Publication, of whatever session there is
//!
//!   socket -> Server -> accept -> Connection --+
//!                                              +--> Table -> Service -> special members, at once
//!   connection to the directory (Dispatch) ----+      |         |
//!                                                   Peer      Call -> queue -> Method -> answer
//! ```
//!
//! Objects are values too (section 13). One of ours that is returned, emitted or passed as an argument
//! gets a number on that connection, and answers there until the peer gives it back or the connection
//! ends. One of a peer reaches a handler as a [`RemoteObject`](crate::qi::session::RemoteObject), and
//! is given back when that is dropped; passed on, it is forwarded.
//!
//! ```text
//!   HostedObject --into--> Value --result, event, argument--> Exports of the Peer -> Service
//!   RemoteObject --into--> Value -----------------------------> the same, forwarding to it
//!                          Value --argument, from_value-------> RemoteObject
//! ```
//!
//! A service, its calls and its tasks end with its [`Registration`] or [`Publication`]; everything
//! ends with the [`Host`].
//!
//! | module | what |
//! | --- | --- |
//! | [`server`], [`doors`], [`accept`] | listening; where; who is let in |
//! | [`object`], [`method`], [`property`] | what can be hosted |
//! | [`typed`] | the same made of plain Rust functions and types |
//! | [`cancellation`] | what a method that blocks can know |
//! | [`forward`] | objects that answer for others |
//! | [`registration`], [`publication`] | services in the directory, once or kept there |
//! | [`limits`], [`error`] | what is accepted, what fails |

pub mod accept;
pub mod cancellation;
pub mod doors;
pub mod error;
pub mod forward;
pub mod limits;
pub mod method;
pub mod object;
pub mod property;
pub mod publication;
pub mod registration;
pub mod server;
pub mod typed;

mod arguments;
mod call;
mod exports;
mod identity;
mod manage;
mod peer;
mod resources;
mod runner;
mod service;
mod special;
mod subscribers;
mod table;
mod turns;

#[cfg(test)]
mod tests;

pub use accept::{Authenticator, Presented, Verdict};
pub use cancellation::Cancellation;
pub use doors::Doors;
pub use error::{BuildError, HostError, LeaveError, RegisterError, ValueError};
pub use forward::Origin;
pub use limits::HostLimits;
pub use method::{Handler, Method, MethodError};
pub use object::{HostedObject, ObjectBuilder, Threading};
pub use property::{PropertyHandle, SignalHandle};
pub use publication::{Publication, PublicationState};
pub use registration::Registration;
pub use server::{Host, HostOptions};
pub use typed::{TypedProperty, TypedSignal};
