//! `top`

use super::Context;
use crate::args::containers::TopArgs;
use crate::error::CliError;
use crate::print;

pub(super) async fn run(args: TopArgs, context: Context) -> Result<u8, CliError> {
    let Some((name, options)) = args.words.split_first() else {
        return super::top_live::run(context).await;
    };
    let options = (!options.is_empty()).then(|| options.join(" "));
    context.daemon.connect().await?;
    let processes = context
        .daemon
        .client
        .container_top(name, options.as_deref())
        .await?;
    print::out(&print::containers::top(&processes))?;
    Ok(0)
}
