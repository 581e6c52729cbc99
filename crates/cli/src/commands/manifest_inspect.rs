//! `manifest inspect`

use super::Context;
use super::pull::{credentials, parse};
use crate::args::registry::ManifestInspectArgs;
use crate::error::CliError;
use crate::print;

pub(super) async fn run(args: ManifestInspectArgs, context: Context) -> Result<u8, CliError> {
    let reference = parse(&args.names[0])?;
    let auth = credentials()?.of(&reference)?;
    context.daemon.connect().await?;
    let name = reference.to_string();
    let manifest = context.daemon.client.manifest(&name, &auth).await?;
    print::out(&print::registry::manifest(&name, &manifest, args.verbose)?)?;
    Ok(0)
}
