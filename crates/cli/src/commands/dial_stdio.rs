//! `system dial-stdio`: the daemon's connection on standard input and output, for whoever comes by ssh.

use tokio::io::{AsyncWriteExt as _, copy};

use super::Context;
use crate::args::containers::NamesArgs;
use crate::error::CliError;

pub(super) async fn run(_: NamesArgs, context: Context) -> Result<u8, CliError> {
    let failed = |source| CliError::Io {
        what: "pass the daemon's connection on",
        source,
    };
    let connection = context.daemon.raw().await?;
    let (mut read, mut write) = tokio::io::split(connection);
    let mut stdin = super::stdin()?;
    let mut stdout = tokio::fs::File::from_std(super::stdout().map_err(failed)?);
    let inward = async move {
        // The end of what comes is the end of one half only.
        let copied = copy(&mut stdin, &mut write).await;
        write.shutdown().await.ok();
        copied
    };
    tokio::spawn(inward);
    copy(&mut read, &mut stdout).await.map_err(failed)?;
    stdout.flush().await.map_err(failed)?;
    Ok(0)
}
