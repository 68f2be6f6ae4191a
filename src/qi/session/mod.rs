//! Connections, and the client's view of a bus (protocol text, sections 9 to 15).
//!
//! ```text
//!   Session ---- directory client, endpoint choice, connections by endpoint
//!      |
//!   RemoteObject, RemoteSignal ---- one object of one connection
//!      |
//!   Connection ---- call, post, answer, emit, subscribe        (a handle)
//!      |
//!   State ---- ids, pending calls, routes, queue               (no IO, behind a lock)
//!      |
//!   Driver ---- one task: socket <-> State, EventSink, Dispatch
//! ```
//!
//! | module | what |
//! | --- | --- |
//! | [`auth_map`], [`handshake`] | opening a connection |
//! | [`framed`] | a stream of messages, until a connection takes it over |
//! | [`connection`], [`call`] | the handle of a connection, a call on its way |
//! | [`event`] | where messages go that the peer sends on its own |
//! | [`signal`] | registering with remote signals |
//! | [`object`], [`export`] | objects on the other side of a connection, and of this side on it |
//! | [`endpoint`], [`mod@dial`] | where processes listen, opening connections to them |
//! | [`directory`], [`changes`] | the service directory, services that come and go |
//! | [`client`] | a robot's bus: directory, services and the connections that reach them |
//! | [`backoff`] | pauses between attempts |
//! | [`capabilities`], [`limits`], [`error`] | what both sides can do, what is accepted, what fails |

pub mod auth_map;
pub mod backoff;
pub mod call;
pub mod capabilities;
pub mod changes;
pub mod client;
pub mod connection;
pub mod dial;
pub mod directory;
pub mod endpoint;
pub mod error;
pub mod event;
pub mod export;
pub mod framed;
pub mod handshake;
pub mod limits;
pub mod object;
pub mod signal;

mod batch;
mod driver;
mod id_map;
mod known;
mod metas;
mod pool;
mod state;

#[cfg(test)]
mod tests;

pub use auth_map::{AuthMap, RemoteCapabilities};
pub use backoff::Backoff;
pub use call::{Call, Reply};
pub use capabilities::Capabilities;
pub use changes::{DirectoryChange, DirectoryChanges};
pub use client::{ConnectError, ServiceError, Session};
pub use connection::{Connection, ConnectionOptions, Subscription, WeakConnection};
pub use dial::{DialError, DialOptions, Dialed, dial};
pub use directory::{Directory, DirectoryError, ServiceInfo, ServiceInfoLayout};
pub use endpoint::{Endpoint, EndpointError, Scheme, ServiceEndpoint};
pub use error::{CallError, CloseReason, ExportError, SendError};
pub use event::{ConnectionId, Dispatch, EventSink, NoObjects, UNHANDLED_CALL, error_payload};
pub use export::Export;
pub use framed::Framed;
pub use handshake::{Authenticated, Credentials, HandshakeError, HandshakeOptions, authenticate};
pub use limits::ConnectionLimits;
pub use object::{ObjectError, RemoteObject};
pub use pool::ReachError;
pub use signal::RemoteSignal;
