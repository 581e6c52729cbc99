//! The flags of the verbs about images.

use clap::Args;

use super::containers::{FORMAT_LIST, FORMAT_ONE};
use super::values::{KeyValue, filter};

/// `images`.
#[derive(Debug, Clone, Default, Args)]
pub struct ImagesArgs {
    /// List all images
    #[arg(short, long)]
    pub all: bool,
    /// Show digests
    #[arg(long)]
    pub digests: bool,
    /// Only images of which this holds, NAME=value
    #[arg(short, long, value_name = "filter", value_parser = filter)]
    pub filter: Vec<KeyValue>,
    /// How to print
    #[arg(long, value_name = "string", help = FORMAT_LIST)]
    pub format: Option<String>,
    /// Do not shorten anything
    #[arg(long)]
    pub no_trunc: bool,
    /// Only ids
    #[arg(short, long)]
    pub quiet: bool,
    /// A repository, perhaps with a tag.
    #[arg(hide = true)]
    pub names: Vec<String>,
}

/// `rmi`.
#[derive(Debug, Clone, Args)]
pub struct RmiArgs {
    /// Remove it even if it has other names or a stopped container uses it
    #[arg(short, long)]
    pub force: bool,
    /// Keep parents that have no name
    #[arg(long)]
    pub no_prune: bool,
    /// The images.
    #[arg(hide = true)]
    pub names: Vec<String>,
}

/// `import`.
#[derive(Debug, Clone, Args)]
pub struct ImportArgs {
    /// Dockerfile instruction to apply to the image
    #[arg(short, long, value_name = "list")]
    pub change: Vec<String>,
    /// Comment kept in the image's history
    #[arg(short, long, value_name = "string")]
    pub message: Option<String>,
    /// Platform the image is for, as os/arch or os/arch/variant
    #[arg(long, value_name = "string")]
    pub platform: Option<String>,
    /// The file and the name.
    #[arg(hide = true)]
    pub names: Vec<String>,
}

/// `load`.
#[derive(Debug, Clone, Args)]
pub struct LoadArgs {
    /// File to read instead of standard input
    #[arg(short, long, value_name = "string")]
    pub input: Option<String>,
    /// Say nothing
    #[arg(short, long)]
    pub quiet: bool,
    /// Nothing may stand here.
    #[arg(hide = true)]
    pub names: Vec<String>,
}

/// `save`.
#[derive(Debug, Clone, Args)]
pub struct SaveArgs {
    /// File to write instead of standard output
    #[arg(short, long, value_name = "string")]
    pub output: Option<String>,
    /// The images.
    #[arg(hide = true)]
    pub names: Vec<String>,
}

/// `image inspect`.
#[derive(Debug, Clone, Args)]
pub struct ImageInspectArgs {
    /// How to print
    #[arg(short, long, value_name = "string", help = FORMAT_ONE)]
    pub format: Option<String>,
    /// The images.
    #[arg(hide = true)]
    pub names: Vec<String>,
}

/// `version` and `info`.
#[derive(Debug, Clone, Args)]
pub struct FormatArgs {
    /// How to print
    #[arg(short, long, value_name = "string", help = FORMAT_ONE)]
    pub format: Option<String>,
    /// Nothing may stand here.
    #[arg(hide = true)]
    pub names: Vec<String>,
}
