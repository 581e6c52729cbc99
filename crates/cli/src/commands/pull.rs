//! `pull`

use api::client::PullQuery;
use types::ImageRef;

use super::Context;
use crate::args::images::PullArgs;
use crate::credentials::Credentials;
use crate::error::CliError;
use crate::print;
use crate::print::progress::{self, To};

pub(super) async fn run(args: PullArgs, context: Context) -> Result<u8, CliError> {
    let reference = chosen(&args.names[0], args.all_tags, args.quiet)?;
    let platform = args.platform.clone().or_else(default_platform);
    let to = if args.quiet { To::Nowhere } else { To::Out };
    let mut query = query(&reference, platform);
    query.all_platforms = args.all_platforms;
    if args.all_tags {
        query.tag = None;
    }
    context.daemon.connect().await?;
    pull(&context, &reference, &query, to).await?;
    let shown = match args.all_tags {
        true => reference.repository(),
        false => reference.to_string(),
    };
    print::out(&format!("{shown}\n"))?;
    Ok(0)
}

/// Pulls what `run` and `create` lack; standard output is the command's.
pub(super) async fn for_container(
    context: &Context,
    reference: &ImageRef,
    platform: Option<String>,
    quiet: bool,
) -> Result<(), CliError> {
    let query = query(reference, platform.or_else(default_platform));
    let to = if quiet { To::Nowhere } else { To::Err };
    pull(context, reference, &query, to).await
}

async fn pull(
    context: &Context,
    reference: &ImageRef,
    query: &PullQuery,
    to: To,
) -> Result<(), CliError> {
    let auth = credentials()?.of(reference)?;
    let messages = context.daemon.client.image_pull(query, &auth).await?;
    progress::show(messages, to).await.map(drop)
}

fn query(reference: &ImageRef, platform: Option<String>) -> PullQuery {
    let digest = reference.digest().map(ToString::to_string);
    PullQuery {
        repository: reference.familiar_name(),
        tag: digest.or_else(|| reference.tag().map(str::to_owned)),
        platform,
        all_platforms: false,
    }
}

/// The credentials of whoever calls.
pub(super) fn credentials() -> Result<Credentials, CliError> {
    Ok(Credentials::open(&|name| std::env::var(name).ok())?)
}

pub(super) fn parse(name: &str) -> Result<ImageRef, CliError> {
    name.parse()
        .map_err(|error: types::InvalidReference| CliError::Invalid(error.to_string()))
}

/// What a name stands for; says which tag is taken where none was typed.
pub(super) fn chosen(name: &str, all_tags: bool, quiet: bool) -> Result<ImageRef, CliError> {
    let reference = parse(name)?;
    match (all_tags, names_one(name)) {
        (true, true) => {
            let reason = "tag can't be used with --all-tags/-a";
            return Err(CliError::Invalid(reason.to_owned()));
        }
        (false, false) if !quiet => {
            let tag = reference.tag().unwrap_or_default();
            print::out(&format!("Using default tag: {tag}\n"))?;
        }
        _ => {}
    }
    Ok(reference)
}

/// Whether a name has a tag or a digest.
fn names_one(name: &str) -> bool {
    let last = name.rfind('/').map_or(name, |slash| &name[slash..]);
    last.contains([':', '@'])
}

fn default_platform() -> Option<String> {
    std::env::var("DOCKER_DEFAULT_PLATFORM")
        .ok()
        .filter(|platform| !platform.is_empty())
}
