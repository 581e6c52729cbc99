//! `secret create`, `secret update`

use std::collections::BTreeMap;
use std::io::Read;

use api::wire::SecretRequest;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::Context;
use crate::args::secrets::{SecretCreateArgs, SecretUpdateArgs};
use crate::error::CliError;
use crate::print;

pub(super) async fn run(args: SecretCreateArgs, context: Context) -> Result<u8, CliError> {
    let (name, source) = split(&args.names);
    let pair = |text: &String| {
        let (name, value) = text.split_once('=').unwrap_or((text, ""));
        (name.to_owned(), value.to_owned())
    };
    let labels: BTreeMap<_, _> = args.label.iter().map(pair).collect();
    let request = SecretRequest {
        name: name.to_owned(),
        data: read(source)?,
        labels: Some(labels).filter(|labels| !labels.is_empty()),
    };
    context.daemon.connect().await?;
    let made = context.daemon.client.secret_create(&request).await?;
    print::out(&format!("{}\n", made.id))?;
    Ok(0)
}

/// What runs is given the new one at once.
pub(super) async fn update(args: SecretUpdateArgs, context: Context) -> Result<u8, CliError> {
    let (name, source) = split(&args.names);
    let request = SecretRequest {
        data: read(source)?,
        ..SecretRequest::default()
    };
    context.daemon.connect().await?;
    context.daemon.client.secret_update(name, &request).await?;
    print::out(&format!("{name}\n"))?;
    Ok(0)
}

/// The name, and where to read; standard input if that is not said.
fn split(names: &[String]) -> (&str, &str) {
    let name = |index: usize| names.get(index).map(String::as_str);
    (name(0).unwrap_or_default(), name(1).unwrap_or("-"))
}

/// What a file or standard input says, in base64.
fn read(source: &str) -> Result<String, CliError> {
    let failed = |source| CliError::Io {
        what: "read the secret",
        source,
    };
    let mut data = Vec::new();
    match source {
        "-" => drop(
            std::io::stdin()
                .lock()
                .read_to_end(&mut data)
                .map_err(failed)?,
        ),
        file => data = std::fs::read(file).map_err(failed)?,
    }
    Ok(STANDARD.encode(data))
}
