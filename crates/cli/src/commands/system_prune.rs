//! `system prune`: containers, networks, volumes, images and what builds keep, in this order, as each frees the
//! next.

use api::client::BuildPruneQuery;

use super::container_prune::{self, reclaimed, section};
use super::image_prune::{removed, sure};
use super::{Context, ps};
use crate::args::containers::SystemPruneArgs;
use crate::connect::Daemon;
use crate::error::CliError;
use crate::print;

pub(super) async fn run(args: SystemPruneArgs, context: Context) -> Result<u8, CliError> {
    let filters = ps::filters(&args.filter);
    if args.volumes && filters.contains_key("until") {
        return Err(CliError::Invalid(
            "ERROR: The \"until\" filter is not supported with \"--volumes\"".to_owned(),
        ));
    }
    if !args.force && !sure(&warning(&args))? {
        return Err(CliError::Invalid(
            "system prune has been cancelled".to_owned(),
        ));
    }
    let daemon = &context.daemon;
    daemon.connect().await?;
    let (text, mut bytes) = container_prune::prune(daemon, &filters).await?;
    print::out(&text)?;
    let networks = daemon.client.networks_prune(&filters).await?;
    let names = networks.networks_deleted.unwrap_or_default();
    print::out(&section("Networks", &names))?;
    if args.volumes {
        let volumes = daemon.client.volumes_prune(&filters).await?;
        bytes += volumes.space_reclaimed;
        let names = volumes.volumes_deleted.unwrap_or_default();
        print::out(&section("Volumes", &names))?;
    }
    let mut of_images = filters;
    let dangling = vec![(!args.all).to_string()];
    of_images.insert("dangling".to_owned(), dangling);
    let images = daemon.client.images_prune(&of_images).await?;
    bytes += images.space_reclaimed;
    print::out(&removed(images.images_deleted.unwrap_or_default()))?;
    let (text, of_builds) = builds(&args, daemon).await?;
    bytes += of_builds;
    print::out(&text)?;
    print::out(&reclaimed(bytes))?;
    Ok(0)
}

/// What builds keep and nothing uses.
async fn builds(args: &SystemPruneArgs, daemon: &Daemon) -> Result<(String, u64), CliError> {
    let mut filters = ps::filters(&args.filter);
    // Of the others the cache of builds knows none.
    filters.retain(|name, _| name == "until");
    if filters.is_empty() && !args.filter.is_empty() {
        return Ok((String::new(), 0));
    }
    let query = BuildPruneQuery {
        all: args.all,
        filters,
        ..BuildPruneQuery::default()
    };
    let pruned = daemon.client.build_prune(&query).await?;
    let objects = pruned.caches_deleted.unwrap_or_default();
    Ok((
        section("build cache objects", &objects),
        pruned.space_reclaimed,
    ))
}

fn warning(args: &SystemPruneArgs) -> String {
    let mut what = vec![
        "all stopped containers",
        "all networks not used by at least one container",
    ];
    if args.volumes {
        what.push("all anonymous volumes not used by at least one container");
    }
    what.push(match args.all {
        true => "all images without at least one container associated to them",
        false => "all dangling images",
    });
    what.push(match args.all {
        true => "all build cache",
        false => "unused build cache",
    });
    let mut text = "WARNING! This will remove:\n".to_owned();
    for what in what {
        text.push_str(&format!("  - {what}\n"));
    }
    if !args.filter.is_empty() {
        text.push_str("\n  Items to be pruned will be filtered with:\n");
        for (name, value) in &args.filter {
            text.push_str(&format!("  - {name}={value}\n"));
        }
    }
    text
}
