//! `network explain`

use super::Context;
use crate::args::networks::NetworkExplainArgs;
use crate::error::CliError;
use crate::print;

pub(super) async fn run(args: NetworkExplainArgs, context: Context) -> Result<u8, CliError> {
    context.daemon.connect().await?;
    let from = args.from.map(|from| from.to_string());
    let port = &args.names[0];
    let explained = context.daemon.client.network_explain(port, from.as_deref());
    let explained = explained.await?;
    print::out(&print::networks::explained(port, &explained))?;
    Ok(0)
}
