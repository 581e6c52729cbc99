//! `create`

use super::Context;
use super::run::{announce, claim_cidfile, create};
use crate::args::Refusal;
use crate::args::container::CreateArgs;
use crate::error::CliError;
use crate::resolve::MALFORMED_POLICY;
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

/// A policy that is none by its grammar is as a flag that does not exist; whatever else makes no sense Docker's daemon
/// refuses, and not its client.
fn misunderstood(error: CliError) -> CliError {
    match error {
        CliError::Invalid(why) if why.starts_with(MALFORMED_POLICY) => CliError::Refused(Refusal {
            text: format!("brig: {why}\n\nRun 'brig create --help' for more information"),
            code: 125,
        }),
        other => other,
    }
}
