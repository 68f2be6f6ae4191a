//! The commands, each a thin shell over the library.

#[cfg(feature = "demo")]
mod demo;
mod schema;
mod serve;
mod signals;

use std::{fmt, process::ExitCode};

use clap::{Parser, Subcommand};

/// A gateway that exposes the services of a NAO or Pepper robot as typed gRPC.
#[derive(Debug, Parser)]
#[command(version, about, propagate_version = true)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve the services of a robot.
    Serve(serve::Arguments),
    /// Serve an embedded robot: no robot is needed.
    #[cfg(feature = "demo")]
    Demo(demo::Arguments),
    /// The API that a robot's services make: export it, keep it, compare it.
    Schema(schema::Arguments),
}

/// Why a command failed, for people.
#[derive(Debug)]
pub struct Failure {
    text: String,
    hint: Option<&'static str>,
    code: u8,
}

impl Failure {
    /// Takes the text of an error and those of its sources.
    fn new(error: &dyn std::error::Error) -> Self {
        let mut text = error.to_string();
        let mut source = error.source();
        while let Some(error) = source {
            let cause = error.to_string();
            // Many errors repeat their source in their own text.
            if !text.contains(&cause) {
                text = format!("{text}: {cause}");
            }
            source = error.source();
        }
        Self {
            text,
            hint: None,
            code: 1,
        }
    }

    fn hint(self, hint: &'static str) -> Self {
        Self {
            hint: Some(hint),
            ..self
        }
    }

    /// For a command that says something else with the usual code.
    fn code(self, code: u8) -> Self {
        Self { code, ..self }
    }

    /// What the process ends with.
    #[must_use]
    pub fn exit_code(&self) -> ExitCode {
        ExitCode::from(self.code)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error: {}", self.text)?;
        match self.hint {
            Some(hint) => write!(f, "\n  {hint}"),
            None => Ok(()),
        }
    }
}

/// Runs the command that the arguments name, and gives what the process ends with.
///
/// # Errors
///
/// A [`Failure`] to print.
pub async fn run(cli: Cli) -> Result<ExitCode, Failure> {
    match cli.command {
        Command::Serve(arguments) => serve::run(arguments).await?,
        #[cfg(feature = "demo")]
        Command::Demo(arguments) => demo::run(arguments).await?,
        Command::Schema(arguments) => return schema::run(arguments).await,
    }
    Ok(ExitCode::SUCCESS)
}
