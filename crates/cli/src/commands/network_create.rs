//! `network create`

use api::convert::network_request;

use super::Context;
use crate::args::networks::NetworkCreateArgs;
use crate::error::CliError;
use crate::{print, resolve};

pub(super) async fn run(args: NetworkCreateArgs, context: Context) -> Result<u8, CliError> {
    let spec = resolve::networks::create(&args)?;
    context.daemon.connect().await?;
    let client = &context.daemon.client;
    let created = client.network_create(&network_request(&spec)).await?;
    if !created.warning.is_empty() {
        print::complain(&format!("WARNING: {}", created.warning));
    }
    print::out(&format!("{}\n", created.id))?;
    Ok(0)
}
