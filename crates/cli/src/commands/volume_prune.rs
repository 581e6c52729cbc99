//! `volume prune`

use super::image_prune::sure;
use super::{Context, ps};
use crate::args::volumes::VolumePruneArgs;
use crate::error::CliError;
use crate::print::{self, units};

const ALL: &str = "WARNING! This will remove all local volumes not used by at least one container.";
const ANONYMOUS: &str =
    "WARNING! This will remove anonymous local volumes not used by at least one container.";

pub(super) async fn run(args: VolumePruneArgs, context: Context) -> Result<u8, CliError> {
    let warning = if args.all { ALL } else { ANONYMOUS };
    if !args.force && !sure(warning)? {
        return Err(CliError::Invalid(
            "volume prune has been cancelled".to_owned(),
        ));
    }
    let mut filters = ps::filters(&args.filter);
    if args.all {
        filters.insert("all".to_owned(), vec!["true".to_owned()]);
    }
    context.daemon.connect().await?;
    let pruned = context.daemon.client.volumes_prune(&filters).await?;
    let mut text = String::new();
    let names = pruned.volumes_deleted.unwrap_or_default();
    if !names.is_empty() {
        text.push_str("Deleted Volumes:\n");
        for name in names {
            text.push_str(&format!("{name}\n"));
        }
        text.push('\n');
    }
    let bytes = i64::try_from(pruned.space_reclaimed).unwrap_or(i64::MAX);
    text.push_str(&format!(
        "Total reclaimed space: {}\n",
        units::exact_size(bytes)
    ));
    print::out(&text)?;
    Ok(0)
}
