//! Flags of `builder prune` and of what Docker's plugin calls `buildx du`, `prune`, `ls`, ...

use clap::Args;

use super::values::{self, KeyValue, filter};

/// `builder prune`.
#[derive(Debug, Clone, Args)]
pub struct BuilderPruneArgs {
    /// What images have, too
    #[arg(short, long)]
    pub all: bool,
    /// Only what this holds of, NAME=value
    #[arg(long, value_name = "filter", value_parser = filter)]
    pub filter: Vec<KeyValue>,
    /// Do not ask
    #[arg(short, long)]
    pub force: bool,
    /// How much is to stay
    #[arg(long, value_name = "bytes", value_parser = values::bytes)]
    pub keep_storage: Option<i64>,
    /// Nothing may stand here.
    #[arg(hide = true)]
    pub names: Vec<String>,
}

/// `buildx prune`.
#[derive(Debug, Clone, Args)]
pub struct BuildxPruneArgs {
    /// What images have, too
    #[arg(short, long)]
    pub all: bool,
    /// Who builds (there is one: "default")
    #[arg(long, value_name = "string")]
    pub builder: Option<String>,
    /// Only what this holds of, NAME=value
    #[arg(long, value_name = "filter", value_parser = filter)]
    pub filter: Vec<KeyValue>,
    /// Do not ask
    #[arg(short, long)]
    pub force: bool,
    /// How much may stay
    #[arg(long, value_name = "bytes", value_parser = values::bytes)]
    pub max_used_space: Option<i64>,
    /// How much is to be free then
    #[arg(long, value_name = "bytes", value_parser = values::bytes)]
    pub min_free_space: Option<i64>,
    /// How much is to stay
    #[arg(long, value_name = "bytes", value_parser = values::bytes)]
    pub reserved_space: Option<i64>,
    /// How long to wait for the builder
    #[arg(long, value_name = "duration")]
    pub timeout: Option<String>,
    /// More of each
    #[arg(long)]
    pub verbose: bool,
    /// Nothing may stand here.
    #[arg(hide = true)]
    pub names: Vec<String>,
}

/// `buildx du`.
#[derive(Debug, Clone, Args)]
pub struct BuildxDuArgs {
    /// Who builds (there is one: "default")
    #[arg(long, value_name = "string")]
    pub builder: Option<String>,
    /// Only what this holds of, NAME=value
    #[arg(long, value_name = "filter", value_parser = filter)]
    pub filter: Vec<KeyValue>,
    /// How to print
    #[arg(long, value_name = "string", help = super::containers::FORMAT_LIST)]
    pub format: Option<String>,
    /// How long to wait for the builder
    #[arg(long, value_name = "duration")]
    pub timeout: Option<String>,
    /// More of each
    #[arg(long)]
    pub verbose: bool,
    /// Nothing may stand here.
    #[arg(hide = true)]
    pub names: Vec<String>,
}

/// `buildx ls`, `buildx inspect`, `buildx use`.
#[derive(Debug, Clone, Args)]
pub struct BuildxArgs {
    /// Nothing: the builder is the daemon
    #[arg(long)]
    pub bootstrap: bool,
    /// Nothing: there is no other
    #[arg(long)]
    pub default: bool,
    /// Nothing: it is the same everywhere
    #[arg(long)]
    pub global: bool,
    /// Do not shorten anything
    #[arg(long)]
    pub no_trunc: bool,
    /// How long to wait for the builder
    #[arg(long, value_name = "duration")]
    pub timeout: Option<String>,
    /// The builder.
    #[arg(hide = true)]
    pub names: Vec<String>,
}
