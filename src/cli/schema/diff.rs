//! `qi-grpc-gateway schema diff`

use std::{
    collections::BTreeSet,
    io::{self, Write as _},
    path::PathBuf,
    process::ExitCode,
    str::FromStr,
};

use clap::{Args, ValueEnum};
use serde_json::{Value, json};

use super::{Failure, Selection, Source, SourceError};
use crate::{
    qi::session::EndpointError,
    schema::{
        SchemaOptions, ServiceSchema,
        diff::{Change, Diff, What},
        snapshot::Snapshot,
    },
};

/// What `diff` takes.
#[derive(Debug, Args)]
#[command(after_help = "Exit code: 0 clients of OLD go on with NEW, 1 they break, 2 an error.")]
pub(super) struct Arguments {
    /// The version that clients were built for: a snapshot, or the URL of a robot (tcp://host:port).
    old: Source,

    /// The version that they are to work with: a snapshot, or the URL of a robot.
    new: Source,

    #[command(flatten)]
    selection: Selection,

    /// How to tell the differences.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,

    /// Show members that tools usually hide: names that begin with `_`, and object management.
    #[arg(long)]
    expose_private: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
enum Format {
    Text,
    Json,
}

/// Clients break.
const BREAKING: u8 = 1;

/// The versions could not be compared.
const ERROR: u8 = 2;

impl FromStr for Source {
    type Err = EndpointError;

    fn from_str(text: &str) -> Result<Self, EndpointError> {
        if text.contains("://") {
            text.parse().map(Self::Robot)
        } else {
            Ok(Self::File(PathBuf::from(text)))
        }
    }
}

pub(super) async fn run(arguments: Arguments) -> Result<ExitCode, Failure> {
    let diff = compare(&arguments).await.map_err(|it| it.code(ERROR))?;
    let text = match arguments.format {
        Format::Text => diff.to_string(),
        Format::Json => format!("{:#}\n", json(&diff)),
    };
    io::stdout()
        .write_all(text.as_bytes())
        .map_err(|error| Failure::new(&error).code(ERROR))?;
    Ok(ExitCode::from(if diff.is_breaking() {
        BREAKING
    } else {
        0
    }))
}

async fn compare(arguments: &Arguments) -> Result<Diff, Failure> {
    // A service that only one version has is what the comparison is about.
    let whole = Selection {
        services: None,
        skip_unreachable: arguments.selection.skip_unreachable,
    };
    let old = arguments.old.read(&whole).await?;
    let new = arguments.new.read(&whole).await?;
    let wanted = arguments.selection.names();
    if let Some(names) = &wanted {
        let is_in = |name, snapshot: &Snapshot| snapshot.services().contains_key(name);
        let missing = names
            .iter()
            .filter(|it| !is_in(*it, &old) && !is_in(*it, &new));
        let names: Vec<String> = missing.cloned().collect();
        if !names.is_empty() {
            return Err(SourceError::NoSuchService { names }.into());
        }
    }
    let schemas = |snapshot| schemas(snapshot, wanted.as_ref(), arguments.expose_private);
    Diff::between(&schemas(old), &schemas(new)).map_err(|error| Failure::new(&error))
}

fn schemas(
    snapshot: Snapshot,
    names: Option<&BTreeSet<String>>,
    expose_private: bool,
) -> Vec<ServiceSchema> {
    let snapshot = match names {
        Some(names) => snapshot.select(names),
        None => snapshot,
    };
    snapshot.schemas(&SchemaOptions { expose_private })
}

fn json(diff: &Diff) -> Value {
    let services = diff.services.iter().map(|service| {
        let changes: Vec<_> = service.changes.iter().map(change).collect();
        json!({"service": service.service, "qiService": service.qi_name, "changes": changes})
    });
    let services: Vec<_> = services.collect();
    json!({"breaking": diff.is_breaking(), "services": services})
}

fn change(change: &Change) -> Value {
    let mut json = json!({
        "element": change.element.to_string(),
        "name": change.name,
        "breaking": change.breaking,
    });
    if !change.origin.is_empty() {
        json["qi"] = change.origin.as_str().into();
    }
    match &change.what {
        What::Added => json["change"] = "added".into(),
        What::Removed => json["change"] = "removed".into(),
        What::Changed { aspect, old, new } => {
            json["change"] = "changed".into();
            json["aspect"] = aspect.to_string().into();
            json["old"] = old.as_str().into();
            json["new"] = new.as_str().into();
        }
    }
    json
}
