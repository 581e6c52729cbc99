//! `container prune`

use api::client::Filters;

use super::image_prune::sure;
use super::{Context, ps};
use crate::args::containers::ContainerPruneArgs;
use crate::connect::Daemon;
use crate::error::CliError;
use crate::print::{self, units};

const WARNING: &str = "WARNING! This will remove all stopped containers.";

pub(super) async fn run(args: ContainerPruneArgs, context: Context) -> Result<u8, CliError> {
    if !args.force && !sure(WARNING)? {
        return Err(CliError::Invalid(
            "container prune has been cancelled".to_owned(),
        ));
    }
    context.daemon.connect().await?;
    let (mut text, bytes) = prune(&context.daemon, &ps::filters(&args.filter)).await?;
    text.push_str(&reclaimed(bytes));
    print::out(&text)?;
    Ok(0)
}

/// What went, as text, and the bytes it had.
pub(super) async fn prune(daemon: &Daemon, filters: &Filters) -> Result<(String, u64), CliError> {
    let pruned = daemon.client.containers_prune(filters).await?;
    let ids = pruned.containers_deleted.unwrap_or_default();
    Ok((section("Containers", &ids), pruned.space_reclaimed))
}

/// `Deleted Containers:` with what they are.
pub(super) fn section(of: &str, names: &[String]) -> String {
    match names {
        [] => String::new(),
        names => format!("Deleted {of}:\n{}\n\n", names.join("\n")),
    }
}

/// The last line of every prune.
pub(super) fn reclaimed(bytes: u64) -> String {
    let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
    format!("Total reclaimed space: {}\n", units::exact_size(bytes))
}
