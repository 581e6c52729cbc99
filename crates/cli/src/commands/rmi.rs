//! `rmi`

use super::Context;
use super::push::platform;
use crate::args::images::RmiArgs;
use crate::error::CliError;
use crate::print;

pub(super) async fn run(args: RmiArgs, context: Context) -> Result<u8, CliError> {
    let platforms = args.platform.iter().map(|text| platform(text));
    let platforms = platforms.collect::<Result<Vec<_>, _>>()?;
    context.daemon.connect().await?;
    let mut code = 0;
    for name in &args.names {
        let removed = context
            .daemon
            .client
            .image_remove(name, args.force, args.no_prune, &platforms)
            .await;
        match removed {
            Ok(items) => {
                for item in items {
                    print::out(&match item.untagged.as_str() {
                        "" => format!("Deleted: {}\n", item.deleted),
                        name => format!("Untagged: {name}\n"),
                    })?;
                }
            }
            Err(error) if args.force && error.status() == Some(404) => {
                // Forced: what is not there need not be removed, but it is said.
                print::complain(&CliError::from(error).to_string());
            }
            Err(error) => {
                print::complain(&CliError::from(error).to_string());
                code = 1;
            }
        }
    }
    Ok(code)
}
