//! The stubs of all services. No library: that would keep the code of every generic function for others.
#![deny(warnings)]

#[allow(dead_code, reason = "nothing is called")]
mod api {
    tonic::include_proto!("api");
}

fn main() {}
