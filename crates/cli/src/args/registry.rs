//! The flags of the verbs about registries.

use clap::Args;

use super::containers::FORMAT_LIST;
use super::values::{KeyValue, filter, go_int};

/// `login`.
#[derive(Debug, Clone, Args)]
pub struct LoginArgs {
    /// Password, or a personal access token
    #[arg(short, long, value_name = "string")]
    pub password: Option<String>,
    /// Read the password from standard input
    #[arg(long)]
    pub password_stdin: bool,
    /// Name of the user
    #[arg(short, long, value_name = "string")]
    pub username: Option<String>,
    /// The server.
    #[arg(hide = true)]
    pub names: Vec<String>,
}

/// `search`.
#[derive(Debug, Clone, Args)]
pub struct SearchArgs {
    /// Only images of which this holds, NAME=value
    #[arg(short, long, value_name = "filter", value_parser = filter)]
    pub filter: Vec<KeyValue>,
    /// How to print
    #[arg(long, value_name = "string", help = FORMAT_LIST)]
    pub format: Option<String>,
    /// Most results (default 25)
    #[arg(long, value_name = "int", value_parser = go_int)]
    pub limit: Option<i64>,
    /// Do not shorten anything
    #[arg(long)]
    pub no_trunc: bool,
    /// The words.
    #[arg(hide = true)]
    pub names: Vec<String>,
}

/// `manifest inspect`.
#[derive(Debug, Clone, Args)]
pub struct ManifestInspectArgs {
    /// Accepted as Docker's; which hosts are insecure is the daemon's configuration
    #[arg(long)]
    pub insecure: bool,
    /// Show descriptors and platforms too
    #[arg(short, long)]
    pub verbose: bool,
    /// The image.
    #[arg(hide = true)]
    pub names: Vec<String>,
}
