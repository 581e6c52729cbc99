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

/// `manifest annotate`.
#[derive(Debug, Clone, Args)]
pub struct ManifestAnnotateArgs {
    /// Processor the image is for
    #[arg(long, value_name = "string")]
    pub arch: Option<String>,
    /// Operating system the image is for
    #[arg(long, value_name = "string")]
    pub os: Option<String>,
    /// What the operating system has to have
    #[arg(long, value_name = "strings", value_delimiter = ',')]
    pub os_features: Vec<String>,
    /// Version of the operating system
    #[arg(long, value_name = "string")]
    pub os_version: Option<String>,
    /// Variant of the processor
    #[arg(long, value_name = "string")]
    pub variant: Option<String>,
    /// The list and the image.
    #[arg(hide = true)]
    pub names: Vec<String>,
}

/// `manifest create`.
#[derive(Debug, Clone, Args)]
pub struct ManifestCreateArgs {
    /// Add to a list that is here already
    #[arg(short, long)]
    pub amend: bool,
    /// Trust the registry whatever its certificate, and speak plain http to it
    #[arg(long)]
    pub insecure: bool,
    /// The list and the images.
    #[arg(hide = true)]
    pub names: Vec<String>,
}

/// `manifest inspect`.
#[derive(Debug, Clone, Args)]
pub struct ManifestInspectArgs {
    /// Trust the registry whatever its certificate, and speak plain http to it
    #[arg(long)]
    pub insecure: bool,
    /// Show descriptors and platforms too
    #[arg(short, long)]
    pub verbose: bool,
    /// The list, and the image of it.
    #[arg(hide = true)]
    pub names: Vec<String>,
}

/// `manifest push`.
#[derive(Debug, Clone, Args)]
pub struct ManifestPushArgs {
    /// Trust the registry whatever its certificate, and speak plain http to it
    #[arg(long)]
    pub insecure: bool,
    /// Forget the list here once it is there
    #[arg(short, long)]
    pub purge: bool,
    /// The list.
    #[arg(hide = true)]
    pub names: Vec<String>,
}
