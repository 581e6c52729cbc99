//! The flags of the verbs about volumes.

use clap::Args;

use super::containers::{FORMAT_LIST, FORMAT_ONE};
use super::values::{KeyValue, filter};

/// `volume create`.
#[derive(Debug, Clone, Args)]
pub struct VolumeCreateArgs {
    /// Driver of the volume (default "local")
    #[arg(short, long, value_name = "string")]
    pub driver: Option<String>,
    /// Label, NAME or NAME=value
    #[arg(long, value_name = "list")]
    pub label: Vec<String>,
    /// The name, as Docker's old clients say it.
    #[arg(long, hide = true)]
    pub name: Option<String>,
    /// Option of the driver: type, o, device, size
    #[arg(short, long, value_name = "map")]
    pub opt: Vec<String>,
    /// Bytes the volume may take on disk, as 512m or 10g
    #[arg(long, value_name = "bytes")]
    pub size: Option<String>,
    /// The name.
    #[arg(hide = true)]
    pub names: Vec<String>,
}

/// `volume ls`.
#[derive(Debug, Clone, Args)]
pub struct VolumeLsArgs {
    /// Accepted and ignored: there are no cluster volumes
    #[arg(long)]
    pub cluster: bool,
    /// Only volumes of which this holds, NAME=value
    #[arg(short, long, value_name = "filter", value_parser = filter)]
    pub filter: Vec<KeyValue>,
    /// How to print
    #[arg(long, value_name = "string", help = FORMAT_LIST)]
    pub format: Option<String>,
    /// Only names
    #[arg(short, long)]
    pub quiet: bool,
}

/// `volume inspect`.
#[derive(Debug, Clone, Args)]
pub struct VolumeInspectArgs {
    /// How to print
    #[arg(short, long, value_name = "string", help = FORMAT_ONE)]
    pub format: Option<String>,
    /// The volumes.
    #[arg(hide = true)]
    pub names: Vec<String>,
}

/// `volume rm`.
#[derive(Debug, Clone, Args)]
pub struct VolumeRmArgs {
    /// Do not complain of volumes that are not there
    #[arg(short, long)]
    pub force: bool,
    /// The volumes.
    #[arg(hide = true)]
    pub names: Vec<String>,
}

/// `volume prune`.
#[derive(Debug, Clone, Args)]
pub struct VolumePruneArgs {
    /// Those with a name too
    #[arg(short, long)]
    pub all: bool,
    /// Only volumes of which this holds, NAME=value
    #[arg(long, value_name = "filter", value_parser = filter)]
    pub filter: Vec<KeyValue>,
    /// Do not ask first
    #[arg(short, long)]
    pub force: bool,
}

/// `volume export`.
#[derive(Debug, Clone, Args)]
pub struct VolumeExportArgs {
    /// Write to a file instead of standard output
    #[arg(short, long, value_name = "string")]
    pub output: Option<String>,
    /// The volume.
    #[arg(hide = true)]
    pub names: Vec<String>,
}

/// `volume import`.
#[derive(Debug, Clone, Args)]
pub struct VolumeImportArgs {
    /// Replace what the volume has
    #[arg(long)]
    pub replace: bool,
    /// The volume and the archive.
    #[arg(hide = true)]
    pub names: Vec<String>,
}

/// `volume snapshot`.
#[derive(Debug, Clone, Args)]
pub struct VolumeSnapshotArgs {
    /// Forget the snapshot
    #[arg(long)]
    pub rm: bool,
    /// The volume and the snapshot's name.
    #[arg(hide = true)]
    pub names: Vec<String>,
}
