//! `builder prune`, `buildx prune`

use api::client::BuildPruneQuery;

use super::container_prune::{reclaimed, section};
use super::image_prune::sure;
use super::{Context, ps};
use crate::args::builds::{BuilderPruneArgs, BuildxPruneArgs};
use crate::error::CliError;
use crate::print;

const SOME: &str = "WARNING! This will remove all dangling build cache.";
const ALL: &str = "WARNING! This will remove all build cache.";

pub(super) async fn run(args: BuilderPruneArgs, context: Context) -> Result<u8, CliError> {
    let query = BuildPruneQuery {
        all: args.all,
        filters: ps::filters(&args.filter),
        reserved_space: args.keep_storage,
        ..BuildPruneQuery::default()
    };
    prune(&query, args.force, &context).await
}

pub(super) async fn buildx(args: BuildxPruneArgs, context: Context) -> Result<u8, CliError> {
    let query = BuildPruneQuery {
        all: args.all,
        filters: ps::filters(&args.filter),
        reserved_space: args.reserved_space,
        max_used_space: args.max_used_space,
        min_free_space: args.min_free_space,
    };
    prune(&query, args.force, &context).await
}

async fn prune(query: &BuildPruneQuery, force: bool, context: &Context) -> Result<u8, CliError> {
    let warning = if query.all { ALL } else { SOME };
    if !force && !sure(warning)? {
        return Err(CliError::Invalid(
            "builder prune has been cancelled".to_owned(),
        ));
    }
    context.daemon.connect().await?;
    let pruned = context.daemon.client.build_prune(query).await?;
    let objects = pruned.caches_deleted.unwrap_or_default();
    print::out(&section("build cache objects", &objects))?;
    print::out(&reclaimed(pruned.space_reclaimed))?;
    Ok(0)
}
