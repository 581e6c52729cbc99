//! `create`

use super::Context;
use super::run::{announce, claim_cidfile, create};
use crate::args::container::CreateArgs;
use crate::error::CliError;
use crate::{print, resolve};

pub(super) async fn run(args: CreateArgs, context: Context) -> Result<u8, CliError> {
    let plan = Context::surroundings(|around| resolve::create(&args.container, around))?;
    let cidfile = claim_cidfile(plan.cidfile.as_deref())?;
    context.daemon.connect().await?;
    let created = create(&context, &plan).await?;
    announce(&created, cidfile)?;
    print::out(&format!("{}\n", created.id))?;
    Ok(0)
}
