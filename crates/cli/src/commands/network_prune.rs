//! `network prune`

use super::image_prune::sure;
use super::{Context, ps};
use crate::args::networks::NetworkPruneArgs;
use crate::error::CliError;
use crate::print;

const WARNING: &str =
    "WARNING! This will remove all custom networks not used by at least one container.";

pub(super) async fn run(args: NetworkPruneArgs, context: Context) -> Result<u8, CliError> {
    if !args.force && !sure(WARNING)? {
        return Err(CliError::Invalid(
            "network prune has been cancelled".to_owned(),
        ));
    }
    context.daemon.connect().await?;
    let filters = ps::filters(&args.filter);
    let pruned = context.daemon.client.networks_prune(&filters).await?;
    let names = pruned.networks_deleted.unwrap_or_default();
    if !names.is_empty() {
        print::out(&format!("Deleted Networks:\n{}\n\n", names.join("\n")))?;
    }
    Ok(0)
}
