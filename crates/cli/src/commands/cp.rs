//! `cp`: between this machine and a container, or two containers, always as an archive on its way.

use std::fs::Metadata;
use std::io;
use std::path::Path;

use api::client::{Body, Client, Download};
use api::wire::PathStat;
use tokio::io::AsyncWriteExt;

use super::Context;
use super::load::stdin;
use super::save::write;
use crate::archive::{self, Counted};
use crate::args::containers::CpArgs;
use crate::error::CliError;
use crate::print::{self, units};

/// One of the two ends.
#[derive(Debug, PartialEq, Eq)]
enum End {
    /// Standard input or output.
    Standard,
    /// A path of this machine.
    Local(String),
    /// A path of a container.
    Inside(String, String),
}

impl End {
    /// `CONTAINER:PATH`; a path of this machine that has a colon begins with `/` or `.`.
    fn parse(text: &str) -> Self {
        match text.split_once(':') {
            _ if text == "-" => Self::Standard,
            Some((who, path)) if !text.starts_with(['/', '.']) => {
                Self::Inside(who.to_owned(), path.to_owned())
            }
            _ => Self::Local(text.to_owned()),
        }
    }
}

/// Where something is put: a directory that is there, and the name it gets in it.
#[derive(Debug, PartialEq, Eq)]
struct Target {
    directory: String,
    name: String,
}

/// What is at an end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum There {
    Nothing,
    File,
    Directory,
}

pub(super) async fn run(args: CpArgs, context: Context) -> Result<u8, CliError> {
    let (from, to) = (&args.names[0], &args.names[1]);
    for (text, what) in [(from, "source"), (to, "destination")] {
        if text.is_empty() {
            return Err(CliError::Invalid(format!("{what} can not be empty")));
        }
    }
    context.daemon.connect().await?;
    let client = &context.daemon.client;
    let done = match (End::parse(from), End::parse(to)) {
        (End::Inside(who, path), End::Standard) => return out(client, &args, &who, &path).await,
        (End::Inside(who, path), End::Local(to)) => fetch(client, &args, &who, &path, &to).await?,
        (End::Inside(who, path), End::Inside(other, to)) => {
            across(client, &args, (&who, &path), (&other, &to)).await?
        }
        (End::Standard, End::Inside(who, to)) => {
            let (to, there) = inside(client, &who, &to).await?;
            if there != There::Directory {
                return Err(CliError::Invalid(format!(
                    "destination \"{who}:{to}\" must be a directory"
                )));
            }
            let archive = Body::reader(stdin()?);
            client
                .container_unpack(&who, &to, args.archive, archive)
                .await?;
            return Ok(0);
        }
        (End::Local(from), End::Inside(who, to)) => bring(client, &args, &from, &who, &to).await?,
        (End::Local(_) | End::Standard, End::Local(_) | End::Standard) => {
            return Err(CliError::Invalid(
                "must specify at least one container source".to_owned(),
            ));
        }
    };
    if !args.quiet {
        let size = units::exact_size(i64::try_from(done).unwrap_or(i64::MAX));
        print::complain(&format!("Successfully copied {size} to {to}"));
    }
    Ok(0)
}

/// What is at a path of a container, a link followed if that is wanted; and what it is called.
async fn source(
    client: &Client,
    args: &CpArgs,
    who: &str,
    path: &str,
) -> Result<(PathStat, String), CliError> {
    let stat = stat(client, who, path).await?;
    if args.follow_link && stat.is_symlink() {
        let path = stat.link_target.clone();
        let led = self::stat(client, who, &path).await?;
        let name = stat.name;
        return Ok((PathStat { name, ..led }, path));
    }
    Ok((stat, path.to_owned()))
}

/// What is at a path.
async fn stat(client: &Client, who: &str, path: &str) -> Result<PathStat, CliError> {
    match client.container_stat(who, path).await {
        Ok(stat) => return Ok(stat),
        // An answer without a body does not say what is missing.
        Err(error) if error.status() == Some(404) => {}
        Err(error) => return Err(error.into()),
    }
    client.container_inspect_raw(who, false).await?;
    Err(CliError::Invalid(format!(
        "Error response from daemon: Could not find the file {path} in container {who}"
    )))
}

/// Where a path of a container leads, and what is there.
async fn inside(client: &Client, who: &str, path: &str) -> Result<(String, There), CliError> {
    let mut path = path.to_owned();
    let mut stat = client.container_stat(who, &path).await;
    if let Ok(link) = &stat
        && link.is_symlink()
    {
        path.clone_from(&link.link_target);
        stat = client.container_stat(who, &path).await;
    }
    let there = match stat {
        Ok(stat) if stat.is_dir() => There::Directory,
        Ok(_) => There::File,
        Err(error) if error.status() == Some(404) => There::Nothing,
        Err(error) => return Err(error.into()),
    };
    Ok((path, there))
}

/// Where what is called `name` goes.
fn target(name: &str, is_dir: bool, to: &str, there: There) -> Result<Target, CliError> {
    let invalid = |text: &str| Err(CliError::Invalid(text.to_owned()));
    let put = |directory: &str, name: &str| {
        Ok(Target {
            directory: directory.to_owned(),
            name: name.to_owned(),
        })
    };
    let ends_with_slash = to.ends_with('/') || to.ends_with("/.");
    match there {
        There::Directory => put(to, name),
        There::File if is_dir => invalid("cannot copy directory"),
        There::Nothing if !is_dir && ends_with_slash => invalid("no such directory"),
        There::File | There::Nothing => {
            let plain = to.trim_end_matches("/.").trim_end_matches('/');
            match plain.rsplit_once('/') {
                Some(("", name)) => put("/", name),
                Some((directory, name)) => put(directory, name),
                None => put(".", plain),
            }
        }
    }
}

/// To standard output, as it comes.
async fn out(client: &Client, args: &CpArgs, who: &str, path: &str) -> Result<u8, CliError> {
    let archive = async {
        let (stat, path) = source(client, args, who, path).await?;
        let (_, archive) = client
            .container_archive(who, &path, Some(&stat.name))
            .await?;
        Ok(archive)
    };
    write(None, archive).await?;
    Ok(0)
}

async fn fetch(
    client: &Client,
    args: &CpArgs,
    who: &str,
    path: &str,
    to: &str,
) -> Result<u64, CliError> {
    let (stat, path) = source(client, args, who, path).await?;
    let there = match std::fs::metadata(to) {
        Ok(metadata) if metadata.is_dir() => There::Directory,
        Ok(metadata) if metadata.is_file() => There::File,
        // It would be replaced: nobody means that of /dev/null.
        Ok(_) => {
            return Err(CliError::Invalid(format!(
                "invalid output path: {to:?} must be a directory or a regular file"
            )));
        }
        Err(_) => There::Nothing,
    };
    let target = target(&stat.name, stat.is_dir(), to, there)?;
    if !Path::new(&target.directory).is_dir() {
        return Err(CliError::Invalid(format!(
            "invalid output path: directory {:?} does not exist",
            target.directory
        )));
    }
    let archive = client
        .container_archive(who, &path, Some(&target.name))
        .await;
    let (_, archive) = archive?;
    let (reader, writer) = pipe()?;
    let work = tokio::task::spawn_blocking(move || archive::unpack(reader, &target.directory));
    let sent = send(archive, writer).await;
    let unpacked = work
        .await
        .map_err(|error| CliError::Connection(error.to_string()))?;
    unpacked.map_err(failed("unpack what was copied"))?;
    sent
}

async fn bring(
    client: &Client,
    args: &CpArgs,
    from: &str,
    who: &str,
    to: &str,
) -> Result<u64, CliError> {
    let (metadata, name) = local(from, args.follow_link)?;
    let (to, there) = inside(client, who, to).await?;
    let target = target(&name, metadata.is_dir(), &to, there)?;
    let (reader, writer) = pipe()?;
    let (from, follow, name) = (from.to_owned(), args.follow_link, target.name);
    let work = tokio::task::spawn_blocking(move || {
        let mut counted = Counted::new(writer);
        archive::pack(&from, follow, &name, &mut counted).map(|()| counted.bytes())
    });
    let reader = tokio::fs::File::from_std(std::fs::File::from(std::os::fd::OwnedFd::from(reader)));
    let directory = in_root(&target.directory);
    let sent = client
        .container_unpack(who, &directory, args.archive, Body::reader(reader))
        .await;
    let packed = work
        .await
        .map_err(|error| CliError::Connection(error.to_string()))?;
    match (sent, packed) {
        // The daemon has stopped reading, for the reason that it gave.
        (Err(error), Err(broken)) if broken.kind() == io::ErrorKind::BrokenPipe => {
            Err(error.into())
        }
        (_, Err(error)) => Err(failed("pack what is to be copied")(error)),
        (Err(error), _) => Err(error.into()),
        (Ok(()), Ok(bytes)) => Ok(bytes),
    }
}

async fn across(
    client: &Client,
    args: &CpArgs,
    (who, path): (&str, &str),
    (other, to): (&str, &str),
) -> Result<u64, CliError> {
    let (stat, path) = source(client, args, who, path).await?;
    let (to, there) = inside(client, other, to).await?;
    let target = target(&stat.name, stat.is_dir(), &to, there)?;
    let (_, archive) = client
        .container_archive(who, &path, Some(&target.name))
        .await?;
    let (reader, writer) = pipe()?;
    let reader = tokio::fs::File::from_std(std::fs::File::from(std::os::fd::OwnedFd::from(reader)));
    let directory = in_root(&target.directory);
    let put = client.container_unpack(other, &directory, args.archive, Body::reader(reader));
    let (put, sent) = tokio::join!(put, send(archive, writer));
    put?;
    sent
}

/// Containers know no working directory of ours.
fn in_root(path: &str) -> String {
    match path {
        "." => "/".to_owned(),
        path => path.to_owned(),
    }
}

/// What is at a path of this machine, and what it is called: `.` if what is in it is meant.
fn local(path: &str, follow: bool) -> Result<(Metadata, String), CliError> {
    let at = |source| CliError::File {
        path: path.to_owned(),
        source,
    };
    let metadata = match follow || path.ends_with('/') {
        true => std::fs::metadata(path),
        false => std::fs::symlink_metadata(path),
    };
    let metadata = metadata.map_err(at)?;
    if path.ends_with("/.") || path == "." {
        return Ok((metadata, ".".to_owned()));
    }
    let whole = Path::new(path)
        .file_name()
        .map(|name| name.to_string_lossy().into_owned());
    let name = match whole {
        Some(name) => name,
        // `..` and `/`
        None => std::fs::canonicalize(path)
            .map_err(at)?
            .file_name()
            .map_or_else(
                || ".".to_owned(),
                |name| name.to_string_lossy().into_owned(),
            ),
    };
    Ok((metadata, name))
}

fn pipe() -> Result<(io::PipeReader, io::PipeWriter), CliError> {
    io::pipe().map_err(failed("make a pipe"))
}

fn failed(what: &'static str) -> impl FnOnce(io::Error) -> CliError {
    move |source| CliError::Io { what, source }
}

/// Writes an archive into a pipe as it comes; how much it was.
async fn send(mut archive: Download, pipe: io::PipeWriter) -> Result<u64, CliError> {
    let file = std::fs::File::from(std::os::fd::OwnedFd::from(pipe));
    let mut file = tokio::fs::File::from_std(file);
    let mut bytes = 0;
    while let Some(chunk) = archive.chunks.next().await? {
        bytes += chunk.len() as u64;
        match file.write_all(&chunk).await {
            // Who reads it says why it does not.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(bytes),
            answer => answer.map_err(failed("pass on what is copied"))?,
        }
    }
    file.flush()
        .await
        .map_err(failed("pass on what is copied"))?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends() {
        let inside = |who: &str, path: &str| End::Inside(who.to_owned(), path.to_owned());
        assert_eq!(End::parse("web:/etc"), inside("web", "/etc"));
        assert_eq!(End::parse("web:a:b"), inside("web", "a:b"));
        assert_eq!(End::parse("./a:b"), End::Local("./a:b".to_owned()));
        assert_eq!(End::parse("/a:b"), End::Local("/a:b".to_owned()));
        assert_eq!(End::parse("-"), End::Standard);
    }

    #[test]
    fn where_things_go() {
        let show = |name: &str, is_dir: bool, to: &str, there: There| match target(
            name, is_dir, to, there,
        ) {
            Ok(target) => format!("{} {}", target.directory, target.name),
            Err(error) => error.to_string(),
        };
        use There::{Directory, File, Nothing};
        assert_eq!(show("f", false, "/d", Directory), "/d f");
        assert_eq!(show(".", true, "/d", Directory), "/d .");
        assert_eq!(show("f", false, "/d/g", File), "/d g");
        assert_eq!(show("f", false, "g", Nothing), ". g");
        assert_eq!(show("f", false, "/g", Nothing), "/ g");
        assert_eq!(show("a", true, "/d/new/", Nothing), "/d new");
        assert_eq!(show("a", true, "/d/g", File), "cannot copy directory");
        assert_eq!(show("f", false, "/d/new/", Nothing), "no such directory");
    }
}
