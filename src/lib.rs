//! A gateway that exposes the services of a NAO or Pepper robot as typed gRPC.
//!
//! ```text
//!  any gRPC client --HTTP/2--> gateway --> transcode --> qi session --TCP--> directory + services
//!  any gRPC client <--stream-- gateway <-- transcode <-- qi session <-events- signals, properties
//! ```
//!
//! Nothing is written by hand per robot service: descriptors, plans and routes are made at run
//! time from what the robot says about itself.
//!
//! | module | what |
//! | --- | --- |
//! | [`qi`] | native qimessaging: wire, values, client sessions, hosting |
//! | [`schema`] | what a robot says about itself as protobuf descriptors |
//! | [`transcode`] | protobuf bytes to qi bytes and back, by compiled plans |
//! | [`bridge`] | a robot as the gateway sees it: supervised session, catalogue, events, objects |
//! | [`gateway`] | the gRPC server: router, calls, streams, reflection, health, status table |
//! | [`app`] | wiring and graceful shutdown |
//! | [`cli`] | the commands |
//! | `demo` | the embedded robot of the demo (feature `demo`) |
//! | [`telemetry`] | logs |
//! | [`proto`] | the static API, generated from `proto/` |
//!
//! Imports go downwards only: `qi` knows nothing of gRPC, `schema` and `transcode` nothing of
//! connections, `bridge` nothing of tonic's server, `gateway` nothing of sockets to robots.

pub mod app;
pub mod bridge;
pub mod cli;
#[cfg(feature = "demo")]
pub mod demo;
pub mod gateway;
pub mod qi;
pub mod schema;
pub mod telemetry;
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

    macro_rules! static_file {
        ($name:literal) => {
            (
                concat!("qi/gateway/v1/", $name, ".proto"),
                include_str!(concat!("../proto/qi/gateway/v1/", $name, ".proto")),
            )
        };
    }

    /// The .proto files of the static API, by path: the path by which others import each, and its
    /// text.
    pub const STATIC_FILES: [(&str, &str); 7] = [
        static_file!("directory"),
        static_file!("dynamic"),
        static_file!("event"),
        static_file!("hosting"),
        static_file!("object"),
        static_file!("options"),
        static_file!("value"),
    ];

    /// The encoded `FileDescriptorSet` of the static API and all that it imports, with comments
    /// and custom options.
    pub const FILE_DESCRIPTOR_SET: &[u8] =
        include_bytes!(concat!(env!("OUT_DIR"), "/static_api.bin"));
}
