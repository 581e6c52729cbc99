//! `volume create`

use std::collections::BTreeMap;

use api::wire::VolumeCreateRequest;

use super::Context;
use crate::args::volumes::VolumeCreateArgs;
use crate::error::CliError;
use crate::print;

pub(super) async fn run(args: VolumeCreateArgs, context: Context) -> Result<u8, CliError> {
    let mut options = pairs(&args.opt);
    if let Some(size) = args.size {
        options.insert("size".to_owned(), size);
    }
    let name = match (args.names.first(), args.name) {
        (Some(_), Some(_)) => {
            return Err(CliError::Invalid(
                "conflicting options: cannot specify a volume-name through both --name and as a \
                 positional arg"
                    .to_owned(),
            ));
        }
        (name, flag) => name.cloned().or(flag).unwrap_or_default(),
    };
    let request = VolumeCreateRequest {
        name,
        driver: args.driver.unwrap_or_else(|| "local".to_owned()),
        driver_opts: Some(options),
        labels: Some(pairs(&args.label)),
        cluster_volume_spec: None,
    };
    context.daemon.connect().await?;
    let made = context.daemon.client.volume_create(&request).await?;
    print::out(&format!("{}\n", made.name))?;
    Ok(0)
}

/// `NAME=value`, or a name alone.
fn pairs(texts: &[String]) -> BTreeMap<String, String> {
    let pair = |text: &String| {
        let (name, value) = text.split_once('=').unwrap_or((text, ""));
        (name.to_owned(), value.to_owned())
    };
    texts.iter().map(pair).collect()
}
