//! `save`

use std::fs::{File, OpenOptions};
use std::future::Future;
use std::io::{IsTerminal, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use api::client::Download;

use super::Context;
use crate::args::images::SaveArgs;
use crate::error::{CliError, plain};

pub(super) async fn run(args: SaveArgs, context: Context) -> Result<u8, CliError> {
    let daemon = &context.daemon;
    let archive = async {
        daemon.connect().await?;
        Ok(daemon
            .client
            .image_save(&args.names, &args.platform)
            .await?)
    };
    check(args.output.as_deref(), "save image")?;
    write(args.output.as_deref(), archive).await?;
    Ok(0)
}

/// Whether a file may come to be where it is wanted; before anybody is asked for what is to be in it.
pub(super) fn check(output: Option<&str>, what: &str) -> Result<(), CliError> {
    let Some(path) = output.filter(|path| !path.is_empty()) else {
        return Ok(());
    };
    let refused = |why: String| Err(CliError::Invalid(format!("failed to {what}: {why}")));
    if std::fs::metadata(path).is_ok_and(|found| found.is_dir()) {
        return refused("cannot write to a directory".to_owned());
    }
    let parent = Path::new(path).parent();
    let parent = parent.filter(|parent| !parent.as_os_str().is_empty());
    let Some(parent) = parent else { return Ok(()) };
    let why = match std::fs::metadata(parent) {
        Ok(found) if found.is_dir() => return Ok(()),
        Ok(_) => "not a directory".to_owned(),
        Err(error) => plain(&error),
    };
    let parent = parent.display();
    refused(format!("invalid output path: stat {parent}: {why}"))
}

/// Writes an archive where it is wanted; it is asked for once that is known.
pub(super) async fn write(
    output: Option<&str>,
    archive: impl Future<Output = Result<Download, CliError>>,
) -> Result<(), CliError> {
    let output = output.filter(|path| !path.is_empty());
    if output.is_none() && std::io::stdout().is_terminal() {
        return Err(CliError::Invalid(
            "cowardly refusing to save to a terminal. Use the -o flag or redirect".to_owned(),
        ));
    }
    let archive = archive.await?;
    match output {
        Some(path) => to_file(archive, path).await,
        None => {
            let out = std::io::stdout().as_fd().try_clone_to_owned();
            let out = out.map(File::from).map_err(written)?;
            copy(archive, out).await
        }
    }
}

fn written(source: std::io::Error) -> CliError {
    CliError::Io {
        what: "write the archive",
        source,
    }
}

/// Under another name until it is whole: half an archive never has the name that was asked for.
async fn to_file(archive: Download, path: &str) -> Result<(), CliError> {
    let at = |source| CliError::File {
        path: path.to_owned(),
        source,
    };
    let part = format!("{path}.part-{}", std::process::id());
    // For nobody else: there may be secrets in it.
    let mut options = OpenOptions::new();
    let file = options.write(true).create_new(true).mode(0o600).open(&part);
    let file = file.map_err(at)?;
    let done = match copy(archive, file).await {
        Ok(()) => std::fs::rename(&part, path).map_err(at),
        Err(error) => Err(error),
    };
    if done.is_err() {
        // The failure itself is what matters.
        let _ = std::fs::remove_file(&part);
    }
    done
}

async fn copy(mut archive: Download, mut to: File) -> Result<(), CliError> {
    while let Some(bytes) = archive.chunks.next().await? {
        to.write_all(&bytes).map_err(written)?;
    }
    Ok(())
}
