//! What a robot says about itself as protobuf descriptors.
//!
//! [`ServiceSchema::new`] is a pure function of a service's name, its package, its meta object and
//! the options. It works in passes:
//!
//! | module | pass |
//! | --- | --- |
//! | `members` | which members are exposed and can be |
//! | `claims` | names of rpcs and structs, each member after the other |
//! | `types` | types to shapes |
//! | `service` | messages, methods, comments and options to a file |
//!
//! | module | what |
//! | --- | --- |
//! | [`shape`] | the protobuf form of types, which transcoding plans are compiled from |
//! | [`descriptor`] | descriptors with the custom options as typed fields |
//! | [`text`] | descriptors as .proto text |
//! | [`snapshot`] | what services say about themselves, kept in a file |
//! | [`export`] | schemas as files for compilers |
//! | [`diff`] | what sets two versions of an API apart |

pub mod descriptor;
pub mod diff;
pub mod export;
pub mod shape;
pub mod snapshot;
pub mod text;

mod claims;
mod comments;
mod emit;
mod files;
mod finding;
mod members;
mod names;
mod packages;
mod service;
mod source;
mod symbols;
mod types;

pub use files::{FilesError, ProtoFile};
pub use finding::{Finding, MemberKind, Problem};
pub use members::is_private;
pub use packages::{package, packages};
pub use service::{MethodKind, MethodSchema, Request, ServiceSchema};
pub use shape::{FieldShape, MessageShape, Payload, Scalar, Shape};

/// What a schema shows.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct SchemaOptions {
    /// Whether to show members whose names begin with `_`, those that manage the object (numbers
    /// below 100) and the registration methods of the service directory. Default: no.
    pub expose_private: bool,
}
