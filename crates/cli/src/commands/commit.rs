//! `commit`

use api::client::CommitQuery;

use super::Context;
use crate::args::containers::CommitArgs;
use crate::error::CliError;
use crate::print;

pub(super) async fn run(args: CommitArgs, context: Context) -> Result<u8, CliError> {
    let query = CommitQuery {
        container: args.names[0].clone(),
        reference: args.names.get(1).cloned(),
        author: args.author,
        comment: args.message,
        pause: args.pause && !args.no_pause,
        changes: args.change,
    };
    context.daemon.connect().await?;
    let id = context.daemon.client.container_commit(&query).await?;
    print::out(&format!("{id}\n"))?;
    Ok(0)
}
