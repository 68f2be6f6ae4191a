//! The stubs of all services. No library: that would keep the code of every generic function for others.
#![deny(warnings)]

#[allow(dead_code, reason = "nothing is called")]
mod clients {
    include!(concat!(env!("OUT_DIR"), "/clients/api.rs"));
}

#[allow(dead_code, reason = "nothing is called")]
mod both {
    include!(concat!(env!("OUT_DIR"), "/both/api.rs"));
}

fn main() {}
