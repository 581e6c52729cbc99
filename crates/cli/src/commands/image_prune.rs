//! `image prune`

use super::{Context, ps};
use crate::args::images::ImagePruneArgs;
use crate::error::CliError;
use crate::print::{self, units};
use crate::terminal;

const ALL: &str =
    "WARNING! This will remove all images without at least one container associated to them.";
const DANGLING: &str = "WARNING! This will remove all dangling images.";

pub(super) async fn run(args: ImagePruneArgs, context: Context) -> Result<u8, CliError> {
    let warning = if args.all { ALL } else { DANGLING };
    if !args.force && !sure(warning)? {
        return Err(CliError::Invalid(
            "image prune has been cancelled".to_owned(),
        ));
    }
    let mut filters = ps::filters(&args.filter);
    let dangling = vec![(!args.all).to_string()];
    filters.insert("dangling".to_owned(), dangling);
    context.daemon.connect().await?;
    let pruned = context.daemon.client.images_prune(&filters).await?;
    let mut text = String::new();
    let items = pruned.images_deleted.unwrap_or_default();
    if !items.is_empty() {
        text.push_str("Deleted Images:\n");
        for item in items {
            text.push_str(&match item.untagged.as_str() {
                "" => format!("deleted: {}\n", item.deleted),
                name => format!("untagged: {name}\n"),
            });
        }
        text.push('\n');
    }
    let bytes = i64::try_from(pruned.space_reclaimed).unwrap_or(i64::MAX);
    text.push_str(&format!("Total reclaimed space: {}\n", units::size(bytes)));
    print::out(&text)?;
    Ok(0)
}

/// Asks the person; anything but yes is no.
pub(super) fn sure(warning: &str) -> Result<bool, CliError> {
    print::out(&format!(
        "{warning}\nAre you sure you want to continue? [y/N] "
    ))?;
    let answer = terminal::line(true).map_err(|source| CliError::Io {
        what: "read the answer",
        source,
    })?;
    let answer = answer.unwrap_or_default().trim().to_lowercase();
    Ok(matches!(answer.as_str(), "y" | "yes"))
}
