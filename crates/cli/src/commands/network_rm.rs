//! `network rm`

use super::Context;
use crate::args::networks::NetworkRmArgs;
use crate::error::CliError;
use crate::print;

pub(super) async fn run(args: NetworkRmArgs, context: Context) -> Result<u8, CliError> {
    context.daemon.connect().await?;
    let mut code = 0;
    for name in &args.names {
        match context.daemon.client.network_remove(name).await {
            Ok(()) => print::out(&format!("{name}\n"))?,
            Err(error) if args.force && error.status() == Some(404) => {}
            Err(error) => {
                print::complain(&CliError::from(error).to_string());
                code = 1;
            }
        }
    }
    Ok(code)
}
