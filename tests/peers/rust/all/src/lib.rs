//! The stubs of all services.
#![deny(warnings)]

tonic::include_proto!("api");
