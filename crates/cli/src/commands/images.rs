//! `images`

use std::io::IsTerminal;

use api::client::ImageListQuery;

use super::{Context, ps};
use crate::args::images::ImagesArgs;
use crate::error::CliError;
use crate::print::images::Style;
use crate::print::template::Format;
use crate::print::tree;
use crate::{print, terminal};

pub(super) async fn run(args: ImagesArgs, context: Context) -> Result<u8, CliError> {
    let mut filters = ps::filters(&args.filter);
    if let Some(name) = args.names.first() {
        filters
            .entry("reference".to_owned())
            .or_default()
            .push(name.clone());
    }
    let mut query = ImageListQuery {
        all: args.all,
        filters,
        ..ImageListQuery::default()
    };
    if args.tree {
        query.manifests = true;
        no_other(&args)?;
    }
    context.daemon.connect().await?;
    let images = context.daemon.client.image_list(&query).await?;
    if args.tree {
        let style = tree::Style {
            width: terminal::window().map_or(80, |(_, columns)| usize::from(columns)),
            color: std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none(),
        };
        print::out(&tree::tree(&images, style))?;
        return Ok(0);
    }
    let style = Style {
        format: Format::parse(args.format.as_deref()),
        quiet: args.quiet,
        no_trunc: args.no_trunc,
        digests: args.digests,
        now: Context::now(),
    };
    print::out(&print::images::list(&images, &style)?)?;
    Ok(0)
}

/// A tree is printed in one way.
fn no_other(args: &ImagesArgs) -> Result<(), CliError> {
    let given = [
        (args.quiet, "--quiet"),
        (args.no_trunc, "--no-trunc"),
        (args.digests, "--show-digest"),
        (args.format.is_some(), "--format"),
    ];
    match given.iter().find(|(given, _)| *given) {
        None => Ok(()),
        Some((_, flag)) => Err(CliError::Invalid(format!(
            "{flag} is not yet supported with --tree"
        ))),
    }
}
