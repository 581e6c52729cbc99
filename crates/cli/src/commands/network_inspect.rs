//! `network inspect`

use super::Context;
use crate::args::networks::NetworkInspectArgs;
use crate::error::CliError;
use crate::print::shapes::Shape;
use crate::print::system;

pub(super) async fn run(args: NetworkInspectArgs, context: Context) -> Result<u8, CliError> {
    context.daemon.connect().await?;
    let mut found = Vec::new();
    let mut failures = Vec::new();
    for name in &args.names {
        let client = &context.daemon.client;
        match client.network_inspect_raw(name, args.verbose).await {
            Ok(object) => found.push((object, Shape::Network)),
            Err(error) => failures.push(CliError::from(error).to_string()),
        }
    }
    system::shaped(&found, &failures, args.format.as_deref())
}
