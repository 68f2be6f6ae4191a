//! `qi-grpc-gateway schema export`

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use clap::{Args, ValueEnum};

use super::{Failure, Selection, Source, tell_left_out, write};
use crate::{
    qi::session::Endpoint,
    schema::{
        SchemaOptions, ServiceSchema,
        export::{BUF_YAML, descriptor_set, proto_files},
    },
};

/// What `export` takes.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The folder for .proto files, or the file for a descriptor set. It is made if there is none.
    #[arg(long, value_name = "PATH")]
    out: PathBuf,

    /// The robot's service directory [env: QI_URL] [default: tcp://127.0.0.1:9559].
    #[arg(long, value_name = "URL", conflicts_with = "from")]
    qi_url: Option<Endpoint>,

    /// A snapshot, in place of a robot.
    #[arg(long, value_name = "FILE")]
    from: Option<PathBuf>,

    #[command(flatten)]
    selection: Selection,

    /// What to write: .proto files with a buf.yaml, or one descriptor set with all that they import.
    #[arg(long, value_enum, default_value_t = Format::Proto)]
    format: Format,

    /// Show members that tools usually hide: names that begin with `_`, and object management.
    #[arg(long)]
    expose_private: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
enum Format {
    Proto,
    DescriptorSet,
}

pub(super) async fn run(arguments: Arguments) -> Result<(), Failure> {
    let source = Source::new(arguments.qi_url, arguments.from)?;
    let snapshot = source.read(&arguments.selection).await?;
    let schemas = snapshot.schemas(&SchemaOptions {
        expose_private: arguments.expose_private,
    });
    tell_left_out(&schemas);
    match arguments.format {
        Format::Proto => export_files(&schemas, &arguments.out)?,
        Format::DescriptorSet => {
            let set = descriptor_set(&schemas).map_err(|error| Failure::new(&error))?;
            write(&arguments.out, &set).map_err(|error| Failure::new(&error))?;
        }
    }
    let count = schemas.len();
    eprintln!("services: {count}, written to {}", arguments.out.display());
    Ok(())
}

fn export_files(schemas: &[ServiceSchema], out: &Path) -> Result<(), Failure> {
    let files = proto_files(schemas).map_err(|error| Failure::new(&error))?;
    let is_of_now = |path: &Path| {
        let path = path.to_str();
        path.is_some_and(|path| files.contains_key(path))
    };
    // What earlier exports left behind would be compiled with the rest; but it is not ours to remove.
    for path in exported(out).into_iter().filter(|path| !is_of_now(path)) {
        let file = out.join(path);
        eprintln!("warning: {} is not of this export", file.display());
    }
    for (path, text) in &files {
        write(&out.join(path), text.as_bytes()).map_err(|error| Failure::new(&error))?;
    }
    let buf_yaml = out.join("buf.yaml");
    if !buf_yaml.exists() {
        write(&buf_yaml, BUF_YAML.as_bytes()).map_err(|error| Failure::new(&error))?;
    }
    Ok(())
}

/// The files where generated ones are written, `qi/*/v1/*.proto`. What cannot be read is passed over.
fn exported(out: &Path) -> Vec<PathBuf> {
    let names = |folder: PathBuf| -> io::Result<Vec<PathBuf>> {
        let entries = fs::read_dir(out.join(&folder))?;
        entries
            .map(|entry| Ok(folder.join(entry?.file_name())))
            .collect()
    };
    let mut files: Vec<_> = names(PathBuf::from("qi"))
        .unwrap_or_default()
        .into_iter()
        .flat_map(|service| names(service.join("v1")).unwrap_or_default())
        .filter(|file| file.extension().is_some_and(|it| it == "proto"))
        .collect();
    files.sort();
    files
}
