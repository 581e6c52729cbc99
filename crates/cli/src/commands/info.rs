//! `info`

use super::Context;
use crate::args::images::FormatArgs;
use crate::error::CliError;
use crate::print::{self, system};

pub(super) async fn run(args: FormatArgs, context: Context) -> Result<u8, CliError> {
    let info = async {
        context.daemon.connect().await?;
        Ok::<_, CliError>(context.daemon.client.info().await?)
    };
    let info = info.await;
    print::out(&system::info(info.as_ref().ok(), args.format.as_deref())?)?;
    let info = info?;
    if args.format.is_none() {
        for warning in &info.warnings {
            print::complain(warning);
        }
    }
    Ok(0)
}
