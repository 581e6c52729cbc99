//! `volume ls`

use super::{Context, ps};
use crate::args::volumes::VolumeLsArgs;
use crate::error::CliError;
use crate::print;
use crate::print::template::Format;

pub(super) async fn run(args: VolumeLsArgs, context: Context) -> Result<u8, CliError> {
    context.daemon.connect().await?;
    let filters = ps::filters(&args.filter);
    let list = context.daemon.client.volume_list(&filters).await?;
    let format = Format::parse(args.format.as_deref());
    let volumes = list.volumes.unwrap_or_default();
    print::out(&print::volumes::list(&volumes, &format, args.quiet)?)?;
    Ok(0)
}
