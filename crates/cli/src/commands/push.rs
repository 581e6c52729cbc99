//! `push`

use api::client::PushQuery;
use api::wire::OciPlatform;
use types::Platform;

use super::Context;
use super::pull::{chosen, credentials};
use crate::args::images::PushArgs;
use crate::error::CliError;
use crate::print;
use crate::print::progress::{self, To};

pub(super) async fn run(args: PushArgs, context: Context) -> Result<u8, CliError> {
    let reference = chosen(&args.names[0], args.all_tags, args.quiet)?;
    let platform = args.platform.as_deref().map(platform).transpose()?;
    let query = PushQuery {
        repository: reference.familiar_name(),
        tag: reference
            .tag()
            .filter(|_| !args.all_tags)
            .map(str::to_owned),
        platform,
    };
    let auth = credentials()?.of(&reference)?;
    context.daemon.connect().await?;
    let messages = context.daemon.client.image_push(&query, &auth).await?;
    let to = if args.quiet { To::Nowhere } else { To::Out };
    progress::show(messages, to).await?;
    if args.quiet {
        print::out(&format!("{reference}\n"))?;
    }
    Ok(0)
}

/// As the API takes it.
pub(super) fn platform(text: &str) -> Result<String, CliError> {
    let platform: Platform = text
        .parse()
        .map_err(|error: types::InvalidPlatform| CliError::Invalid(error.to_string()))?;
    // A map with string keys always serializes.
    Ok(serde_json::to_string(&OciPlatform::from(&platform)).unwrap_or_default())
}
