//! `rm`

use api::client::RemoveQuery;

use super::{Context, many};
use crate::args::containers::RmArgs;
use crate::error::CliError;

pub(super) async fn run(args: RmArgs, context: Context) -> Result<u8, CliError> {
    context.daemon.connect().await?;
    let query = RemoveQuery {
        force: args.force,
        volumes: args.volumes,
        link: args.link,
    };
    many::at_once(
        context.daemon,
        &args.names,
        move |daemon, name| async move {
            match daemon.client.container_remove(&name, query).await {
                // What is not there need not be removed by force, but is told.
                Err(error) if query.force && error.status() == Some(404) => {
                    Ok(many::Done::Passed(error.into()))
                }
                other => other.map(|()| many::Done::Named).map_err(CliError::from),
            }
        },
    )
    .await
}
