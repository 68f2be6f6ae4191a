//! Logs: to standard error, so that standard output is left to what a command prints.

use std::io::{self, IsTerminal as _};

use tracing_subscriber::{EnvFilter, filter::LevelFilter};

/// Starts to log. `RUST_LOG` chooses what, in the syntax of `tracing_subscriber::EnvFilter`;
/// without it the gateway's own messages from `info` on, and warnings of all others.
pub fn init() {
    let filter = EnvFilter::builder()
        .with_default_directive(LevelFilter::WARN.into())
        .try_from_env()
        .unwrap_or_else(|_| EnvFilter::new("warn,qi_grpc_gateway=info"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal())
        .init();
}
