//! Robots and gRPC clients that mean harm, or are broken: the gateway lives, says what is wrong,
//! stays small, and serves everyone else.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a failure here is the failure of a test"
)]

mod clients;
mod robot;
mod robots;
mod rpc;
#[path = "../support/mod.rs"]
mod support;
