//! The command `qi-grpc-gateway`.

fn main() {}
