//! `export`

use super::Context;
use super::save::{check, write};
use crate::args::containers::ExportArgs;
use crate::error::CliError;

pub(super) async fn run(args: ExportArgs, context: Context) -> Result<u8, CliError> {
    let daemon = &context.daemon;
    let archive = async {
        daemon.connect().await?;
        Ok(daemon.client.container_export(&args.names[0]).await?)
    };
    check(args.output.as_deref(), "export container")?;
    write(args.output.as_deref(), archive).await?;
    Ok(0)
}
