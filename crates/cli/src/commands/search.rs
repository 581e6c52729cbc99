//! `search`

use super::pull::credentials;
use super::{Context, ps};
use crate::args::registry::SearchArgs;
use crate::credentials::{DOCKER_HUB, server_of};
use crate::error::CliError;
use crate::print;
use crate::print::template::Format;

pub(super) async fn run(args: SearchArgs, context: Context) -> Result<u8, CliError> {
    let term = &args.names[0];
    let limit =
        args.limit.map(u32::try_from).transpose().map_err(|_| {
            CliError::Invalid("the limit is outside the range of [1, 100]".to_owned())
        })?;
    let auth = credentials()?.of_server(&server(term))?;
    context.daemon.connect().await?;
    let found = context
        .daemon
        .client
        .image_search(term, limit, &ps::filters(&args.filter), &auth)
        .await?;
    let format = Format::parse(args.format.as_deref());
    print::out(&print::registry::found(&found, &format, args.no_trunc)?)?;
    Ok(0)
}

/// The registry that a term names: a first word that can only be a host.
fn server(term: &str) -> String {
    match term.split_once('/') {
        Some((host, _)) if host.contains(['.', ':']) || host == "localhost" => server_of(host),
        _ => DOCKER_HUB.to_owned(),
    }
}
