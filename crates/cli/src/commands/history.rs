//! `history`

use super::Context;
use crate::args::images::HistoryArgs;
use crate::error::CliError;
use crate::print;
use crate::print::images::HistoryStyle;
use crate::print::template::Format;

pub(super) async fn run(args: HistoryArgs, context: Context) -> Result<u8, CliError> {
    context.daemon.connect().await?;
    let client = &context.daemon.client;
    let history = client.image_history(&args.names[0], args.platform.as_deref());
    let steps = history.await?;
    let style = HistoryStyle {
        format: Format::parse(args.format.as_deref()),
        quiet: args.quiet,
        no_trunc: args.no_trunc,
        human: args.human,
        now: Context::now(),
    };
    print::out(&print::images::history(&steps, &style)?)?;
    Ok(0)
}
