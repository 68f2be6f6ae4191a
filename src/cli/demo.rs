//! `qi-grpc-gateway demo`

use std::net::SocketAddr;

use clap::Args;

use super::Failure;

/// What `demo` takes.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[arg(long, default_value = "127.0.0.1:50051")]
    listen: SocketAddr,
}

pub(super) async fn run(_arguments: Arguments) -> Result<(), Failure> {
    Ok(())
}
