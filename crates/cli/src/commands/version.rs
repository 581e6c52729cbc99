//! `version`

use super::Context;
use crate::args::images::FormatArgs;
use crate::error::CliError;
use crate::print::{self, system};

pub(super) async fn run(args: FormatArgs, context: Context) -> Result<u8, CliError> {
    let server = async {
        context.daemon.connect().await?;
        Ok::<_, CliError>(context.daemon.client.daemon_version().await?)
    };
    let server = server.await;
    let client = system::client_version(&context.daemon.client.version().to_string());
    let text = system::version(&client, server.as_ref().ok(), args.format.as_deref())?;
    print::out(&text)?;
    server.map(|_| 0)
}
