//! The command `qi-grpc-gateway`.

use std::process::ExitCode;

use clap::Parser as _;
use qi_grpc_gateway::{cli, telemetry};

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = cli::Cli::parse();
    telemetry::init();
    match cli::run(arguments).await {
        Ok(code) => code,
        Err(failure) => {
            eprintln!("{failure}");
            failure.exit_code()
        }
    }
}
