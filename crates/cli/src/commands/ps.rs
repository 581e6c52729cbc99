//! `ps`

use api::client::{Filters, ListQuery};

use super::Context;
use crate::args::containers::PsArgs;
use crate::args::values::KeyValue;
use crate::error::CliError;
use crate::print;
use crate::print::containers::Style;
use crate::print::template::Format;

pub(super) async fn run(args: PsArgs, context: Context) -> Result<u8, CliError> {
    let format = Format::parse(args.format.as_deref());
    let sized = |format: &str| format.contains(".Size") || format.contains("json .}}");
    let wants_size = args.size || args.format.as_deref().is_some_and(sized);
    let last = if args.latest { Some(1) } else { args.last };
    let query = ListQuery {
        all: args.all,
        limit: last.and_then(|n| u32::try_from(n).ok()).filter(|n| *n > 0),
        size: wants_size,
        filters: filters(&args.filter),
    };
    context.daemon.connect().await?;
    let containers = context.daemon.client.container_list(&query).await?;
    let style = Style {
        format,
        quiet: args.quiet,
        no_trunc: args.no_trunc,
        size: args.size,
        now: Context::now(),
    };
    print::out(&print::containers::list(&containers, &style)?)?;
    Ok(0)
}

/// Filters as the API takes them.
pub(super) fn filters(pairs: &[KeyValue]) -> Filters {
    let mut filters = Filters::new();
    for (name, value) in pairs {
        filters.entry(name.clone()).or_default().push(value.clone());
    }
    filters
}
