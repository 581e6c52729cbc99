//! `volume clone`, `rename`, `restore` and `snapshot`

use super::Context;
use crate::args::containers::NamesArgs;
use crate::args::volumes::VolumeSnapshotArgs;
use crate::error::CliError;
use crate::print;

pub(super) async fn clone(args: NamesArgs, context: Context) -> Result<u8, CliError> {
    let [from, to] = two(&args.names);
    context.daemon.connect().await?;
    context.daemon.client.volume_clone(from, to).await?;
    print::out(&format!("{to}\n"))?;
    Ok(0)
}

pub(super) async fn rename(args: NamesArgs, context: Context) -> Result<u8, CliError> {
    let [from, to] = two(&args.names);
    context.daemon.connect().await?;
    context.daemon.client.volume_rename(from, to).await?;
    Ok(0)
}

pub(super) async fn restore(args: NamesArgs, context: Context) -> Result<u8, CliError> {
    let [volume, snapshot] = two(&args.names);
    context.daemon.connect().await?;
    context
        .daemon
        .client
        .volume_restore(volume, snapshot)
        .await?;
    Ok(0)
}

pub(super) async fn snapshot(args: VolumeSnapshotArgs, context: Context) -> Result<u8, CliError> {
    let [volume, snapshot] = two(&args.names);
    context.daemon.connect().await?;
    let client = &context.daemon.client;
    if args.rm {
        client.volume_snapshot_remove(volume, snapshot).await?;
    } else {
        client.volume_snapshot(volume, snapshot).await?;
    }
    print::out(&format!("{snapshot}\n"))?;
    Ok(0)
}

/// What the verb's arity has counted.
fn two(names: &[String]) -> [&str; 2] {
    let name = |n: usize| names.get(n).map(String::as_str).unwrap_or_default();
    [name(0), name(1)]
}
