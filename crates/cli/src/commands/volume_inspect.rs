//! `volume inspect`

use super::Context;
use crate::args::volumes::VolumeInspectArgs;
use crate::error::CliError;
use crate::print::shapes::Shape;
use crate::print::system;

pub(super) async fn run(args: VolumeInspectArgs, context: Context) -> Result<u8, CliError> {
    context.daemon.connect().await?;
    let mut found = Vec::new();
    let mut failures = Vec::new();
    for name in &args.names {
        match context.daemon.client.volume_inspect_raw(name).await {
            Ok(object) => found.push((object, Shape::Volume)),
            Err(error) => failures.push(CliError::from(error).to_string()),
        }
    }
    system::shaped(&found, &failures, args.format.as_deref())
}
