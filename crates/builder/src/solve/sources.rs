//! Where files come from: images, directories of the client, the web, repositories.

use std::ffi::OsStr;
use std::io::Read;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use engine::image::{self, Stage, Transfer, pull};
use sha2::{Digest as _, Sha256};
use storage::Image;
use sys::dir::Dir;
use types::{Digest, ErrorKind, ImageRef, Platform};

use super::copy::{self, Marks};
use super::files::{Files, Kind, with_mounts};
use super::progress::{Event, Status};
use super::run::{Run, now};
use super::{Failure, tree};
use crate::graph::{CopyFiles, Git, Http, Operand, Origin, Pull, Vertex};

pub(super) fn load(run: &Run<'_>, vertex: &Vertex, origin: &Origin) -> Result<Files, Failure> {
    match origin {
        Origin::Image(image) => {
            let reference = parse(&image.reference)?;
            let platform = vertex.platform.clone().unwrap_or_else(Platform::host);
            let found = resolve(run, vertex.digest(), &reference, &platform, image.pull)?;
            let mut layers = run.store().image_layers(&found)?;
            if image.layers > 0 {
                layers = layers.first(image.layers);
            }
            Ok(run.files(Kind::Layers(layers)))
        }
        Origin::Local(local) => {
            let tree = run.ask.client.files(local)?;
            Ok(run.files(Kind::Tree(Arc::new(tree))))
        }
        Origin::Http(http) => web(run, http),
        Origin::Git(git) => repository(run, git),
        Origin::Layout(layout) => Err(unsupported(&format!(
            "the image layout {} of the client",
            layout.reference
        ))),
        Origin::Other { identifier, .. } => Err(unsupported(&format!("the source {identifier}"))),
    }
}

fn unsupported(what: &str) -> Failure {
    let sentence = format!(
        "{what} cannot be built from: images, directories, web addresses and repositories can"
    );
    Failure::new(ErrorKind::Unsupported, sentence)
}

pub(super) fn parse(reference: &str) -> Result<ImageRef, Failure> {
    reference
        .parse()
        .map_err(|error| Failure::invalid(format!("{error}")))
}

/// An image, here or brought here.
pub(super) fn resolve(
    run: &Run<'_>,
    vertex: &Digest,
    reference: &ImageRef,
    platform: &Platform,
    wish: Pull,
) -> Result<Image, Failure> {
    let name = reference.to_string();
    let here = || run.store().image_on(&name, platform);
    if wish != Pull::Always
        && let Ok(image) = here()
    {
        return Ok(image);
    }
    let request = pull::Request {
        reference: reference.clone(),
        platform: Some(platform.clone()),
        all_platforms: false,
        credentials: run.ask.client.credentials(reference)?,
    };
    let pulled = pull::pull(&run.solver.engine, request)
        .map_err(Failure::from)
        .and_then(|transfer| follow(run, vertex, transfer));
    pulled.map_err(|failure| failure.within(&reference.familiar()))?;
    Ok(here()?)
}

/// Waits for a pull, and tells of it.
fn follow(run: &Run<'_>, vertex: &Digest, mut transfer: Transfer) -> Result<(), Failure> {
    let started = now();
    loop {
        let progress = transfer.now();
        for part in &progress.parts {
            let (current, completed) = match &part.stage {
                Stage::Waiting => continue,
                Stage::Moving(bytes) => (*bytes, None),
                Stage::Moved => (part.size, None),
                _ => (part.size, Some(now())),
            };
            run.tell(Event::Status(Status {
                id: part.digest.to_string(),
                vertex: vertex.clone(),
                current,
                total: part.size,
                started: Some(started),
                completed,
            }));
        }
        if let Some(end) = progress.end {
            return end.map(drop).map_err(Failure::from);
        }
        run.check()?;
        const LOOK: std::time::Duration = std::time::Duration::from_millis(100);
        let handle = run.solver.engine.runtime();
        // Either something has happened, or it is time to see whether the build was given up.
        let _ = handle.block_on(async { tokio::time::timeout(LOOK, transfer.changed()).await });
    }
}

/// One file.
fn web(run: &Run<'_>, http: &Http) -> Result<Files, Failure> {
    if http.auth_secret.is_some() || !http.headers.is_empty() {
        let sentence = "headers of one's own cannot be sent for a file from the web";
        return Err(Failure::new(ErrorKind::Unsupported, sentence));
    }
    let key = format!("web {http:?}");
    let key = format!("{}#0", super::digest::text(&key));
    if http.checksum.is_some()
        && let Some(kept) = run.store().result(&key)?
    {
        return Ok(run.files(Kind::Layers(kept.layers)));
    }
    let draft = run.store().scratch()?;
    let failed =
        |error: std::io::Error| Failure::internal(format!("cannot fetch {}: {error}", http.url));
    let name = http.filename.as_deref().unwrap_or("__unnamed__");
    let path = draft.upper().join(name);
    let file = std::fs::File::create_new(&path).map_err(failed)?;
    let fetch = image::fetch(&run.solver.engine, &http.url, file);
    run.solver.engine.runtime().block_on(async {
        tokio::select! {
            fetched = fetch => fetched.map_err(Failure::from),
            () = given_up(run) => Err(Failure::cancelled()),
        }
    })?;
    let found = hash(&path).map_err(failed)?;
    if let Some(wanted) = &http.checksum
        && *wanted != found.to_string()
    {
        let sentence = format!("digest mismatch {found}: {wanted}");
        return Err(Failure::invalid(sentence));
    }
    let upper = Dir::open(&draft.upper()).map_err(tree::failed("open", name))?;
    let name = OsStr::new(name);
    let owner = (http.uid.unwrap_or(0), http.gid.unwrap_or(0));
    upper
        .set_owner(name, owner.0, owner.1)
        .and_then(|()| upper.set_mode(name, http.mode.unwrap_or(0o600)))
        .and_then(|()| upper.set_modified(name, (0, 0)))
        .map_err(tree::failed("describe", &http.url))?;
    let layers = draft.commit()?;
    if http.checksum.is_some() {
        let body = super::cache::body(&http.url, 1);
        run.store().keep_result(&key, &body, &layers, 1)?;
    }
    Ok(run.files(Kind::Layers(layers)))
}

async fn given_up(run: &Run<'_>) {
    const LOOK: std::time::Duration = std::time::Duration::from_millis(100);
    while !run.ask.cancel.is_cancelled() {
        tokio::time::sleep(LOOK).await;
    }
}

fn hash(path: &Path) -> std::io::Result<Digest> {
    let mut file = std::fs::File::open(path)?;
    let mut sum = Sha256::new();
    let mut buffer = vec![0; 128 << 10];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(Digest::sha256(sum.finalize().into())),
            count => sum.update(&buffer[..count]),
        }
    }
}

/// A repository's files, by git(1).
fn repository(run: &Run<'_>, git: &Git) -> Result<Files, Failure> {
    if git.ssh.is_some() && git.remote.starts_with("ssh://") {
        let sentence = "repositories by ssh cannot be fetched: https is expected";
        return Err(Failure::new(ErrorKind::Unsupported, sentence));
    }
    let work = run.store().scratch()?;
    let dir = work.upper();
    let git_in = |args: &[&str]| git_command(run, &dir, args);
    git_in(&["init", "--quiet", "."])?;
    git_in(&["remote", "add", "origin", "--", &git.remote])?;
    let reference = match git.reference.as_str() {
        "" => "HEAD",
        reference => reference,
    };
    let fetch = ["fetch", "--quiet", "--depth=1", "--", "origin", reference];
    if git_in(&fetch).is_err() {
        // A server that gives no commit by its name gives all of them.
        git_in(&["fetch", "--quiet", "--tags", "--", "origin"])?;
        let commit = [reference.to_owned(), format!("origin/{reference}")];
        let found = commit
            .iter()
            .any(|name| git_in(&["checkout", "--quiet", "--detach", name, "--"]).is_ok());
        if !found {
            let sentence = format!("{} has no {reference}", git.remote);
            return Err(Failure::new(ErrorKind::NotFound, sentence));
        }
    } else {
        git_in(&["checkout", "--quiet", "--detach", "FETCH_HEAD"])?;
    }
    if let Some(wanted) = &git.checksum {
        let commit = git_in(&["rev-parse", "HEAD"])?;
        if !commit.starts_with(wanted.as_str()) {
            let sentence = format!(
                "{}: expected checksum to match {wanted}, got {commit}",
                git.remote
            );
            return Err(Failure::invalid(sentence));
        }
    }
    if !git.skip_submodules {
        git_in(&[
            "submodule",
            "update",
            "--quiet",
            "--init",
            "--recursive",
            "--depth=1",
        ])?;
    }
    take(run, git, &dir)
}

/// What is asked for of a repository's files.
fn take(run: &Run<'_>, git: &Git, dir: &Path) -> Result<Files, Failure> {
    let result = run.store().scratch()?;
    let subdirectory = match git.subdirectory.as_str() {
        "" => "/".to_owned(),
        path => format!("/{}", path.trim_start_matches('/')),
    };
    let exclude = match git.keep_git_dir {
        true => Vec::new(),
        false => vec![".git".to_owned()],
    };
    let what = CopyFiles {
        contents: true,
        make_target: true,
        exclude,
        ..CopyFiles::plain(Operand::Empty, subdirectory, "/")
    };
    let from = run.store().mount_dirs(vec![dir.to_owned()]);
    let owner = Marks {
        owner: Some((0, 0)),
        time: None,
    };
    with_mounts(&[from, result.mount()], &run.solver.place(), |roots| {
        copy::copy(&roots[0], &roots[1], &what, owner)
    })?;
    Ok(run.files(Kind::Layers(result.commit()?)))
}

/// Runs git without any configuration, prompt or hook of this machine.
fn git_command(run: &Run<'_>, dir: &Path, args: &[&str]) -> Result<String, Failure> {
    run.check()?;
    let mut command = Command::new("git");
    command
        .args([
            "-c",
            "protocol.ext.allow=never",
            "-c",
            "core.hooksPath=/dev/null",
        ])
        // A server that says nothing holds nobody up.
        .args(["-c", "http.lowSpeedLimit=1", "-c", "http.lowSpeedTime=60"])
        .args(args)
        .current_dir(dir)
        .env_clear()
        .env("PATH", crate::plan::DEFAULT_PATH)
        .env("HOME", dir)
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_TERMINAL_PROMPT", "0")
        .stdin(std::process::Stdio::null());
    let output = command.output().map_err(|error| {
        let sentence = format!("a repository needs the program git, which cannot be run: {error}");
        Failure::new(ErrorKind::Unsupported, sentence)
    })?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let sentence = format!("git {} failed: {}", args[0], said.trim());
    Err(Failure::new(ErrorKind::Invalid, sentence))
}
