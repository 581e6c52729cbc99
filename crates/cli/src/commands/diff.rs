//! `diff`

use super::Context;
use crate::args::containers::NamesArgs;
use crate::error::CliError;
use crate::print;

pub(super) async fn run(args: NamesArgs, context: Context) -> Result<u8, CliError> {
    context.daemon.connect().await?;
    let changes = context.daemon.client.container_changes(&args.names[0]);
    let lines = changes.await?.into_iter().map(|change| {
        let letter = match change.kind {
            0 => "C",
            1 => "A",
            _ => "D",
        };
        format!("{letter} {}\n", change.path)
    });
    print::out(&lines.collect::<String>())?;
    Ok(0)
}
