//! `volume export` and `volume import`

use api::client::Body;

use super::Context;
use super::load::{open, stdin};
use super::save::{check, write};
use crate::args::volumes::{VolumeExportArgs, VolumeImportArgs};
use crate::error::CliError;

pub(super) async fn export(args: VolumeExportArgs, context: Context) -> Result<u8, CliError> {
    let daemon = &context.daemon;
    let archive = async {
        daemon.connect().await?;
        Ok(daemon.client.volume_export(&args.names[0]).await?)
    };
    check(args.output.as_deref(), "export volume")?;
    write(args.output.as_deref(), archive).await?;
    Ok(0)
}

pub(super) async fn import(args: VolumeImportArgs, context: Context) -> Result<u8, CliError> {
    let body = match args.names.get(1).map(String::as_str) {
        None | Some("-") => Body::reader(stdin()?),
        Some(path) => Body::reader(open(path).await?),
    };
    context.daemon.connect().await?;
    let client = &context.daemon.client;
    client
        .volume_import(&args.names[0], args.replace, body)
        .await?;
    Ok(0)
}
