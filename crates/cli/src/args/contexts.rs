//! Flags of `context` and its kin.

use clap::Args;

use super::containers::{FORMAT_LIST, FORMAT_ONE};

/// `context create`.
#[derive(Debug, Clone, Args)]
pub struct ContextCreateArgs {
    /// What it is for
    #[arg(long, value_name = "string")]
    pub description: Option<String>,
    /// Where its daemon is ("host=tcp://there:2376,ca=...,cert=...,key=...,skip-tls-verify=true")
    #[arg(long, value_name = "stringToString")]
    pub docker: Vec<String>,
    /// Make it as this one is
    #[arg(long, value_name = "string")]
    pub from: Option<String>,
    /// Its name.
    #[arg(hide = true)]
    pub names: Vec<String>,
}

/// `context update`.
#[derive(Debug, Clone, Args)]
pub struct ContextUpdateArgs {
    /// What it is for
    #[arg(long, value_name = "string")]
    pub description: Option<String>,
    /// Where its daemon is ("host=tcp://there:2376,ca=...,cert=...,key=...,skip-tls-verify=true")
    #[arg(long, value_name = "stringToString")]
    pub docker: Vec<String>,
    /// Its name.
    #[arg(hide = true)]
    pub names: Vec<String>,
}

/// `context ls`.
#[derive(Debug, Clone, Args)]
pub struct ContextLsArgs {
    /// How to print
    #[arg(long, value_name = "string", help = FORMAT_LIST)]
    pub format: Option<String>,
    /// Only names
    #[arg(short, long)]
    pub quiet: bool,
    /// Nothing may stand here.
    #[arg(hide = true)]
    pub names: Vec<String>,
}

/// `context inspect`.
#[derive(Debug, Clone, Args)]
pub struct ContextInspectArgs {
    /// How to print
    #[arg(short, long, value_name = "string", help = FORMAT_ONE)]
    pub format: Option<String>,
    /// Their names.
    #[arg(hide = true)]
    pub names: Vec<String>,
}

/// `context rm`.
#[derive(Debug, Clone, Args)]
pub struct ContextRmArgs {
    /// Remove even the one that is used
    #[arg(short, long)]
    pub force: bool,
    /// Their names.
    #[arg(hide = true)]
    pub names: Vec<String>,
}
