//! `qi-grpc-gateway schema snapshot`

use std::{
    io::{self, Write as _},
    path::PathBuf,
};

use clap::Args;

use super::{Failure, Selection, Source, write};
use crate::qi::session::Endpoint;

/// What `snapshot` takes.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The robot's service directory [env: QI_URL] [default: tcp://127.0.0.1:9559].
    #[arg(long, value_name = "URL")]
    qi_url: Option<Endpoint>,

    #[command(flatten)]
    selection: Selection,

    /// Where to save it. Default: standard output.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

pub(super) async fn run(arguments: Arguments) -> Result<(), Failure> {
    let source = Source::new(arguments.qi_url, None)?;
    let text = source.read(&arguments.selection).await?.to_json();
    match arguments.out {
        Some(file) => write(&file, text.as_bytes()).map_err(|error| Failure::new(&error)),
        None => io::stdout()
            .write_all(text.as_bytes())
            .map_err(|error| Failure::new(&error)),
    }
}
