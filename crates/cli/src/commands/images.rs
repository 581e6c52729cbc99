//! `images`

use api::client::ImageListQuery;

use super::{Context, ps};
use crate::args::images::ImagesArgs;
use crate::error::CliError;
use crate::print;
use crate::print::images::Style;
use crate::print::template::Format;

pub(super) async fn run(args: ImagesArgs, context: Context) -> Result<u8, CliError> {
    let mut filters = ps::filters(&args.filter);
    if let Some(name) = args.names.first() {
        filters
            .entry("reference".to_owned())
            .or_default()
            .push(name.clone());
    }
    let query = ImageListQuery {
        all: args.all,
        filters,
        ..ImageListQuery::default()
    };
    context.daemon.connect().await?;
    let images = context.daemon.client.image_list(&query).await?;
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
