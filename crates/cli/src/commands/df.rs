//! `system df`

use super::Context;
use crate::args::images::DfArgs;
use crate::error::CliError;
use crate::print;
use crate::print::template::Format;

pub(super) async fn run(args: DfArgs, context: Context) -> Result<u8, CliError> {
    let format = Format::parse(args.format.as_deref());
    if args.verbose && format != Format::Table {
        return Err(CliError::Invalid(
            "--verbose and --format cannot be used together".to_owned(),
        ));
    }
    context.daemon.connect().await?;
    let usage = context.daemon.client.disk_usage(args.verbose).await?;
    let text = match args.verbose {
        true => print::disk::details(&usage, Context::now()),
        false => print::disk::sums(&usage, &format)?,
    };
    print::out(&text)?;
    Ok(0)
}
