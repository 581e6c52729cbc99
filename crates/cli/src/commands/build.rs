//! `build`

use super::Context;
use crate::args::build::BuildArgs;
use crate::build;
use crate::error::CliError;

pub(super) async fn run(args: BuildArgs, context: Context) -> Result<u8, CliError> {
    let plan = Context::surroundings(|around| build::plan(&args, around));
    let plan = plan.map_err(CliError::of_build)?;
    let built = build::solve::run(&context.daemon, plan, context.debug).await;
    built.map_err(CliError::of_build)
}
