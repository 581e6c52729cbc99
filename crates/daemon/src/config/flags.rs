//! The command line.

use std::path::PathBuf;

use clap::Parser;

use super::settings::{SettingFlags, Settings};

/// The daemon of Brig: runs containers behind Docker's API.
///
/// Settings are taken from the command line, then from variables BRIGD_<KEY>, then from the file,
/// then from the defaults.
#[derive(Debug, Default, Parser)]
#[command(name = "brigd", version)]
pub(crate) struct Flags {
    /// Configuration file, TOML or JSON by its ending [default: /etc/brig/brigd.toml if it exists]
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,

    #[command(flatten)]
    settings: SettingFlags,

    /// One more runtime, which containers may ask for: NAME=PATH; may be repeated
    #[arg(long, value_name = "NAME=PATH")]
    add_runtime: Vec<String>,

    /// Check the configuration, say so, and end
    #[arg(long)]
    pub(crate) validate: bool,

    /// For tests: the step of create or start that fails; `list` prints them all
    #[arg(long, value_name = "STEP", hide = true)]
    pub(crate) fail_at: Option<String>,
}

impl Flags {
    /// What was said.
    pub(crate) fn settings(&self) -> Settings {
        Settings {
            add_runtime: (!self.add_runtime.is_empty()).then(|| self.add_runtime.clone()),
            fail_at: self.fail_at.clone(),
            ..self.settings.settings()
        }
    }
}
