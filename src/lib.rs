//! A gateway that exposes the services of a NAO or Pepper robot as typed gRPC.
//!
//! ```text
//!  any gRPC client --HTTP/2--> gateway --> transcode --> qi session --TCP--> directory + services
//!  any gRPC client <--stream-- gateway <-- transcode <-- qi session <-events- signals, properties
//! ```
//!
//! | module | what |
//! | --- | --- |
//! | [`qi`] | native qimessaging: wire, values, client sessions, hosting |
//! | [`schema`] | what a robot says about itself as protobuf descriptors |
//! | [`transcode`] | protobuf bytes to qi bytes and back, by compiled plans |
//! | `demo` | the embedded robot, behind the feature `demo` |

#[cfg(feature = "demo")]
pub mod demo;
pub mod qi;
pub mod schema;
pub mod transcode;

/// The static API, generated from `proto/`.
#[allow(missing_docs, reason = "generated from proto/, which documents it")]
#[allow(
    clippy::pedantic,
    clippy::use_self,
    clippy::allow_attributes_without_reason,
    reason = "generated"
)]
pub mod proto {
    /// `qi.gateway.v1`
    pub mod v1 {
        tonic::include_proto!("qi.gateway.v1");
    }

    /// The encoded `FileDescriptorSet` of the static API and all that it imports, with comments
    /// and custom options.
    pub const FILE_DESCRIPTOR_SET: &[u8] =
        include_bytes!(concat!(env!("OUT_DIR"), "/static_api.bin"));
}
