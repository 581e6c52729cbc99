//! `network ls`

use super::{Context, ps};
use crate::args::networks::NetworkLsArgs;
use crate::error::CliError;
use crate::print;
use crate::print::networks::Style;
use crate::print::template::Format;

pub(super) async fn run(args: NetworkLsArgs, context: Context) -> Result<u8, CliError> {
    context.daemon.connect().await?;
    let filters = ps::filters(&args.filter);
    let networks = context.daemon.client.network_list(&filters).await?;
    let style = Style {
        format: Format::parse(args.format.as_deref()),
        quiet: args.quiet,
        no_trunc: args.no_trunc,
    };
    print::out(&print::networks::list(&networks, &style)?)?;
    Ok(0)
}
