//! `qi-grpc-gateway schema`

mod diff;
mod export;
mod snapshot;

use std::{
    collections::BTreeSet,
    fs::File,
    io::{self, Read as _},
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::{Args, Subcommand};

use super::Failure;
use crate::{
    bridge::introspect::{IntrospectError, IntrospectOptions, Introspection, introspect},
    qi::{
        session::{Endpoint, EndpointError},
        value::codec::RefusedMember,
    },
    schema::{
        ServiceSchema,
        snapshot::{Snapshot, SnapshotError, SnapshotLimits},
    },
};

/// What `schema` takes.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Write the .proto files of the API, for code generators.
    Export(export::Arguments),
    /// Save what a robot's services say about themselves, as JSON that compares well.
    Snapshot(snapshot::Arguments),
    /// Tell what sets two versions of the API apart, and whether clients break.
    Diff(diff::Arguments),
}

pub(super) async fn run(arguments: Arguments) -> Result<ExitCode, Failure> {
    match arguments.command {
        Command::Export(arguments) => export::run(arguments).await?,
        Command::Snapshot(arguments) => snapshot::run(arguments).await?,
        Command::Diff(arguments) => return diff::run(arguments).await,
    }
    Ok(ExitCode::SUCCESS)
}

/// Which services, for every command.
#[derive(Debug, Args)]
struct Selection {
    /// Only these services, by their names at the robot.
    #[arg(long, value_name = "NAME,...", value_delimiter = ',')]
    services: Option<Vec<String>>,

    /// Go on without the services that cannot be reached; they are still named.
    #[arg(long)]
    skip_unreachable: bool,
}

impl Selection {
    fn names(&self) -> Option<BTreeSet<String>> {
        Some(self.services.as_ref()?.iter().cloned().collect())
    }
}

/// Where a snapshot comes from.
#[derive(Clone, Debug)]
enum Source {
    Robot(Endpoint),
    File(PathBuf),
}

/// Where the robot is if nothing says otherwise.
const DEFAULT_URL: &str = "tcp://127.0.0.1:9559";

impl Source {
    /// What the arguments say, or `QI_URL`, or the default. clap knows the variable for other
    /// commands; here it would be in conflict with a file.
    fn new(url: Option<Endpoint>, file: Option<PathBuf>) -> Result<Self, SourceError> {
        if let Some(file) = file {
            return Ok(Self::File(file));
        }
        if let Some(url) = url {
            return Ok(Self::Robot(url));
        }
        let text = std::env::var("QI_URL").unwrap_or_else(|_| DEFAULT_URL.to_owned());
        Ok(Self::Robot(text.parse()?))
    }

    /// Reads the services. Names on standard error what is not as it should be.
    async fn read(&self, selection: &Selection) -> Result<Snapshot, SourceError> {
        match self {
            Self::Robot(url) => ask(url, selection).await,
            Self::File(file) => {
                let snapshot = read_file(file)?;
                let Some(names) = selection.names() else {
                    return Ok(snapshot);
                };
                let missing = names
                    .iter()
                    .filter(|it| !snapshot.services().contains_key(*it));
                let missing: Vec<_> = missing.cloned().collect();
                if missing.is_empty() {
                    Ok(snapshot.select(&names))
                } else {
                    Err(SourceError::NoSuchService { names: missing })
                }
            }
        }
    }
}

/// Why there is no snapshot to work with.
#[derive(Debug, thiserror::Error)]
pub(super) enum SourceError {
    #[error("QI_URL: {0}")]
    Url(#[from] EndpointError),
    #[error(transparent)]
    Robot(#[from] IntrospectError),
    #[error("{count} of the services cannot be reached")]
    Unreachable { count: usize },
    #[error("no such service: {}", names.join(", "))]
    NoSuchService { names: Vec<String> },
    #[error("{}: {source}", file.display())]
    Read { file: PathBuf, source: io::Error },
    #[error("{}: {source}", file.display())]
    Snapshot {
        file: PathBuf,
        source: SnapshotError,
    },
}

impl From<SourceError> for Failure {
    fn from(error: SourceError) -> Self {
        let failure = Self::new(&error);
        match error {
            SourceError::Unreachable { .. } => {
                failure.hint("They are named above. --skip-unreachable goes on without them.")
            }
            SourceError::Snapshot { .. } => {
                failure.hint("A snapshot is what `qi-grpc-gateway schema snapshot` writes.")
            }
            _ => failure,
        }
    }
}

async fn ask(url: &Endpoint, selection: &Selection) -> Result<Snapshot, SourceError> {
    let options = IntrospectOptions {
        services: selection.names(),
        ..IntrospectOptions::default()
    };
    let Introspection {
        snapshot,
        unreachable,
        refused,
    } = introspect(url, options).await?;
    for (service, member) in refused {
        let RefusedMember {
            kind, name, source, ..
        } = member;
        eprintln!("warning: service {service:?}: left out: {kind} {name:?}: {source}");
    }
    for (service, error) in &unreachable {
        eprintln!("warning: service {service:?} cannot be reached: {error}");
    }
    if unreachable.is_empty() || selection.skip_unreachable {
        Ok(snapshot)
    } else {
        Err(SourceError::Unreachable {
            count: unreachable.len(),
        })
    }
}

/// Reads a snapshot that was kept in a file.
pub(super) fn read_file(file: &Path) -> Result<Snapshot, SourceError> {
    let limits = SnapshotLimits::default();
    let mut text = Vec::new();
    // One byte more than is accepted, for the parser to refuse.
    let most = u64::try_from(limits.bytes).unwrap_or(u64::MAX);
    File::open(file)
        .and_then(|opened| opened.take(most.saturating_add(1)).read_to_end(&mut text))
        .map_err(|source| SourceError::Read {
            file: file.to_owned(),
            source,
        })?;
    Snapshot::parse(&text, &limits).map_err(|source| SourceError::Snapshot {
        file: file.to_owned(),
        source,
    })
}

/// Names on standard error the members that are not part of the API.
fn tell_left_out(schemas: &[ServiceSchema]) {
    for schema in schemas {
        for finding in schema.findings.iter().filter(|finding| finding.left_out()) {
            eprintln!("warning: service {:?}: {finding}", schema.qi_name);
        }
    }
}

/// What went wrong with a file or folder that is written.
#[derive(Debug, thiserror::Error)]
#[error("{}: {source}", path.display())]
struct WriteError {
    path: PathBuf,
    source: io::Error,
}

fn write(path: &Path, content: &[u8]) -> Result<(), WriteError> {
    let parent = path.parent().filter(|it| !it.as_os_str().is_empty());
    parent
        .map_or(Ok(()), std::fs::create_dir_all)
        .and_then(|()| std::fs::write(path, content))
        .map_err(|source| WriteError {
            path: path.to_owned(),
            source,
        })
}
