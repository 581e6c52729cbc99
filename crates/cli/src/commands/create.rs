//! `create`

use super::Context;
use super::run::{announce, claim_cidfile, create};
use crate::args::Refusal;
use crate::args::container::CreateArgs;
use crate::error::CliError;
use crate::{print, resolve};

pub(super) async fn run(args: CreateArgs, context: Context) -> Result<u8, CliError> {
    let plan = Context::surroundings(|around| resolve::create(&args.container, around));
    let plan = plan.map_err(misunderstood)?;
    let cidfile = claim_cidfile(plan.cidfile.as_deref())?;
    context.daemon.connect().await?;
    let created = create(&context, &plan).await?;
    announce(&created, cidfile)?;
    print::out(&format!("{}\n", created.id))?;
    Ok(0)
}

/// Flags that contradict each other or their own grammar are as those that do not exist.
fn misunderstood(error: CliError) -> CliError {
    match error {
        CliError::Invalid(why) => CliError::Refused(Refusal {
            text: format!("brig: {why}\n\nRun 'brig create --help' for more information"),
            code: 125,
        }),
        other => other,
    }
}
