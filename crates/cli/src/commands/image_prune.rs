//! `image prune`

use super::container_prune::{reclaimed, section};
use super::{Context, ps};
use api::wire::ImageDeleteItem;

use crate::args::images::ImagePruneArgs;
use crate::error::CliError;
use crate::print;
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
    let mut text = removed(pruned.images_deleted.unwrap_or_default());
    text.push_str(&reclaimed(pruned.space_reclaimed));
    print::out(&text)?;
    Ok(0)
}

/// What of images went.
pub(super) fn removed(items: Vec<ImageDeleteItem>) -> String {
    let lines = items.into_iter().map(|item| match item.untagged.as_str() {
        "" => format!("deleted: {}", item.deleted),
        name => format!("untagged: {name}"),
    });
    section("Images", &lines.collect::<Vec<_>>())
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
