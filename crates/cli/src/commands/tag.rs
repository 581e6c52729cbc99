//! `tag`

use types::ImageRef;

use super::Context;
use crate::args::containers::NamesArgs;
use crate::error::CliError;

pub(super) async fn run(args: NamesArgs, context: Context) -> Result<u8, CliError> {
    let target: ImageRef = args.names[1].parse().map_err(|error| {
        CliError::Invalid(format!(
            "Error parsing reference: {:?} is not a valid repository/tag: {error}",
            args.names[1]
        ))
    })?;
    if target.digest().is_some() {
        return Err(CliError::Invalid(
            "refusing to create a tag with a digest reference".to_owned(),
        ));
    }
    let familiar = target.familiar();
    let (repository, tag) = familiar
        .rsplit_once(':')
        .unwrap_or((familiar.as_str(), "latest"));
    context.daemon.connect().await?;
    context
        .daemon
        .client
        .image_tag(&args.names[0], repository, tag)
        .await?;
    Ok(0)
}
