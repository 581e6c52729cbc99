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
    /// The platforms of each image below it
    #[arg(long)]
    pub tree: bool,
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
    /// Remove only what is for this platform, as os/arch or os/arch/variant; may be repeated
    #[arg(long, value_name = "strings", value_delimiter = ',')]
    pub platform: Vec<String>,
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

/// `pull`.
#[derive(Debug, Clone, Default, Args)]
pub struct PullArgs {
    /// Pull every tag of the repository
    #[arg(short, long)]
    pub all_tags: bool,
    /// Pull every platform of the image, not only this machine's
    #[arg(long)]
    pub all_platforms: bool,
    /// Accepted and ignored: no content trust is asked for (default true)
    #[arg(long, default_value = "true")]
    pub disable_content_trust: bool,
    /// Platform of the image, as os/arch or os/arch/variant
    #[arg(long, value_name = "string")]
    pub platform: Option<String>,
    /// Say nothing on the way
    #[arg(short, long)]
    pub quiet: bool,
    /// The image.
    #[arg(hide = true)]
    pub names: Vec<String>,
}

/// `push`.
#[derive(Debug, Clone, Args)]
pub struct PushArgs {
    /// Push every tag of the repository
    #[arg(short, long)]
    pub all_tags: bool,
    /// Accepted and ignored: no content trust is asked for (default true)
    #[arg(long, default_value = "true")]
    pub disable_content_trust: bool,
    /// Push only the manifest for this platform, as os/arch or os/arch/variant
    #[arg(long, value_name = "string")]
    pub platform: Option<String>,
    /// Say nothing on the way
    #[arg(short, long)]
    pub quiet: bool,
    /// The image.
    #[arg(hide = true)]
    pub names: Vec<String>,
}

/// `history`.
#[derive(Debug, Clone, Args)]
pub struct HistoryArgs {
    /// How to print
    #[arg(long, value_name = "string", help = FORMAT_LIST)]
    pub format: Option<String>,
    /// Sizes and times for people (default true)
    #[arg(short = 'H', long, default_value = "true")]
    pub human: bool,
    /// Do not shorten anything
    #[arg(long)]
    pub no_trunc: bool,
    /// Platform of the image, as os/arch or os/arch/variant
    #[arg(long, value_name = "string")]
    pub platform: Option<String>,
    /// Only ids
    #[arg(short, long)]
    pub quiet: bool,
    /// The image.
    #[arg(hide = true)]
    pub names: Vec<String>,
}

/// `image prune`.
#[derive(Debug, Clone, Args)]
pub struct ImagePruneArgs {
    /// Those with a name too, if no container uses them
    #[arg(short, long)]
    pub all: bool,
    /// Only images of which this holds, NAME=value
    #[arg(long, value_name = "filter", value_parser = filter)]
    pub filter: Vec<KeyValue>,
    /// Do not ask first
    #[arg(short, long)]
    pub force: bool,
    /// Nothing may stand here.
    #[arg(hide = true)]
    pub names: Vec<String>,
}

/// `load`.
#[derive(Debug, Clone, Args)]
pub struct LoadArgs {
    /// File to read instead of standard input
    #[arg(short, long, value_name = "string")]
    pub input: Option<String>,
    /// Only what is for this platform, as os/arch or os/arch/variant; may be repeated
    #[arg(long, value_name = "string", value_delimiter = ',')]
    pub platform: Vec<String>,
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
    /// Only what is for this platform, as os/arch or os/arch/variant; may be repeated
    #[arg(long, value_name = "string", value_delimiter = ',')]
    pub platform: Vec<String>,
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
    /// Platform of the image, as os/arch or os/arch/variant
    #[arg(long, value_name = "string")]
    pub platform: Option<String>,
    /// The images.
    #[arg(hide = true)]
    pub names: Vec<String>,
}

/// `image mount`.
#[derive(Debug, Clone, Args)]
pub struct ImageMountArgs {
    /// Platform of the image, as os/arch or os/arch/variant
    #[arg(long, value_name = "string")]
    pub platform: Option<String>,
    /// The images.
    #[arg(hide = true)]
    pub names: Vec<String>,
}

/// `image unmount`.
#[derive(Debug, Clone, Args)]
pub struct ImageUnmountArgs {
    /// Every image that is mounted
    #[arg(short, long)]
    pub all: bool,
    /// The images.
    #[arg(hide = true)]
    pub names: Vec<String>,
}

/// `system check`.
#[derive(Debug, Clone, Args)]
pub struct CheckArgs {
    /// Mend what can be mended, by pulling again if need be
    #[arg(long)]
    pub repair: bool,
    /// Say nothing on the way
    #[arg(short, long)]
    pub quiet: bool,
    /// Nothing may stand here.
    #[arg(hide = true)]
    pub names: Vec<String>,
}

/// `system df`.
#[derive(Debug, Clone, Args)]
pub struct DfArgs {
    /// How to print
    #[arg(long, value_name = "string", help = FORMAT_LIST)]
    pub format: Option<String>,
    /// Each image and each container
    #[arg(short, long)]
    pub verbose: bool,
    /// Nothing may stand here.
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
