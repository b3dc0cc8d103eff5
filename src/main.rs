//! `mcp-gate`: what an operator runs beside Envoy.
//!
//! `check` holds a configuration against the very code that the module runs in
//! `on_configure`, so that a ConfigMap is known to be good before it is pushed.
//! `rego` prints the Rego that `policy.rules` stands for.
//! `pin` writes down what a server lists, as it is approved.
//! `key` makes an API key, of which the configuration gets the digest alone.

#[path = "main/check.rs"]
mod check;
#[path = "main/file.rs"]
mod file;
#[path = "main/header.rs"]
mod header;
#[path = "main/key.rs"]
mod key;
#[path = "main/pin.rs"]
mod pin;
#[path = "main/server.rs"]
mod server;
#[path = "main/yaml.rs"]
mod yaml;

use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use file::{Plugin, rules};
use mcp_gate::config::{self, Finding};

/// A policy gate for the Model Context Protocol.
#[derive(Parser)]
#[command(version, about)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Validate and compile a configuration, and report every finding.
    Check {
        /// The plugin's configuration, an ECDS file, or a ConfigMap that holds one; YAML or JSON.
        config: PathBuf,
    },
    /// Print the Rego that the rules of a configuration stand for.
    Rego {
        /// As for `check`.
        config: PathBuf,
    },
    /// Print what a server's lists hold, as a catalogue for the configuration.
    Pin {
        /// The server's own URL. Or a file of its answers to `tools/list` and the other lists, one
        /// after another, every page: JSON, or streams of events. `-` is the standard input.
        #[arg(value_name = "URL|FILE")]
        source: String,
        /// The `url` of the resource that the server is behind.
        #[arg(long, value_name = "URL")]
        resource: Option<String>,
        /// A header for the server: 'NAME: VALUE' in single quotes, with `$VARIABLE` in the value
        /// for one of the environment, or `@FILE` with one such line for each, as they are.
        #[arg(long = "header", value_name = "HEADER")]
        headers: Vec<String>,
    },
    /// Make an API key, and print it once, with the YAML that has its digest.
    Key {
        /// What resources call it.
        name: String,
        /// Whom it stands for; NAME where nothing is said.
        #[arg(long)]
        subject: Option<String>,
    },
}

fn main() -> ExitCode {
    match Arguments::parse().command {
        Command::Check { config } => report(&config.to_string_lossy(), check::check(&config)),
        Command::Rego { config } => report(&config.to_string_lossy(), rego(&config)),
        Command::Pin { source, resource, headers } => report(&source, pin::pin(&source, resource.as_deref(), &headers)),
        Command::Key { name, subject } => report(&name, Ok(key::key(&name, subject.as_deref()))),
    }
}

fn report(source: &str, outcome: Result<String, Vec<Finding>>) -> ExitCode {
    match outcome {
        Ok(summary) => {
            match writeln!(std::io::stdout(), "{summary}") {
                Ok(()) => ExitCode::SUCCESS,
                // Whoever reads it, such as `head`, has enough.
                Err(error) if error.kind() == ErrorKind::BrokenPipe => ExitCode::SUCCESS,
                Err(error) => {
                    eprintln!("{source}: expected to write the answer, found {error}");
                    ExitCode::FAILURE
                }
            }
        }
        Err(findings) => {
            for finding in &findings {
                eprintln!("{source}: {finding}");
            }
            match findings.len() {
                1 => eprintln!("1 finding; mend it before this goes on"),
                count => eprintln!("{count} findings; mend them before this goes on"),
            }
            ExitCode::FAILURE
        }
    }
}

/// The Rego for the one configuration in a file that has rules.
fn rego(file: &Path) -> Result<String, Vec<Finding>> {
    let found = file::read(file)?.found;
    let mut found: Vec<Plugin> = found.into_iter().filter(|plugin| rules(&plugin.configuration).is_some()).collect();
    match (found.pop(), found.len()) {
        (Some(Plugin { place, configuration, .. }), 0) => config::rego(&configuration)
            .map_err(|findings| findings.into_iter().map(|finding| finding.within(&place)).collect()),
        (_, more) => {
            let problem =
                format!("expected one configuration with `policy.rules`, found {}", more + usize::from(more > 0));
            Err(vec![Finding { path: "file".into(), problem }])
        }
    }
}
