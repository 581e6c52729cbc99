//! Builds: five steps on a small base, without and with a cache, and a context of many files that have not
//! changed; and a Rust project. The same Dockerfile for all; Brig and Docker are asked by the same client, with its plugin, and
//! Brig by its own, too; podman's builds are buildah's.

#![expect(
    clippy::disallowed_methods,
    reason = "what is measured with need not survive a crash"
)]

mod project;

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};

use super::Args;
use super::measure::{Series, Trial, quiet, rounds};
use super::report::{Page, Table};
use super::subject::{self, IMAGE, Subject};
use crate::paths;

/// Files of the big context.
const FILES: usize = 100_000;
/// So many of them in a directory.
const EACH: usize = 1000;

/// Who builds, and from where it can read a context.
struct Builder<'a> {
    name: String,
    subject: &'a Subject,
    /// Another client than the subject's own.
    client: Option<Vec<String>>,
    /// The tree that it lives in; none is the machine's.
    root: Option<PathBuf>,
}

/// Measures all that are there.
pub(crate) fn measure(args: &Args, page: &mut Page) -> Result<()> {
    let work = paths::target().join("bench-builds");
    let _ = fs::remove_dir_all(&work);
    fs::create_dir_all(work.join("home/cli-plugins"))?;
    let plugin =
        paths::cache().join("tools/docker-plugins/usr/libexec/docker/cli-plugins/docker-buildx");
    let docker = paths::cache().join("tools/docker-28/usr/bin/docker");
    let with_plugin = plugin.exists() && docker.exists();
    if with_plugin {
        symlink(&plugin, work.join("home/cli-plugins/docker-buildx"))?;
    } else {
        page.absent(
            "builds by docker's plugin",
            "docker-buildx is not on this machine (scripts/setup.sh test)",
        );
    }
    let mut all = subject::brig()?;
    all.truncate(1);
    let mut roots = vec![None];
    if !args.alone {
        for suite in ["bookworm", "sid"] {
            let (there, absent) = subject::peers(suite);
            roots.extend(there.iter().map(|_| {
                let root = paths::cache().join("peers").join(suite);
                Some(root)
            }));
            all.extend(there);
            absent
                .into_iter()
                .for_each(|a| page.absent(&a.name, &a.why));
        }
    }
    let client = with_plugin.then(|| {
        let home = work.join("home").display().to_string();
        vec![docker.display().to_string(), "--config".to_owned(), home]
    });
    let mut builders = Vec::new();
    for (subject, root) in all.iter().zip(roots) {
        builders.extend(builders_of(subject, root, client.as_deref()));
    }
    let steps = context(&work.join("steps"), 0)?;
    let many = context(&work.join("many"), FILES)?;
    let slow = (args.rounds / 4).max(3);
    let mut table = Table::new("Builds, milliseconds (median, 90th percentile)");
    table.add(
        "five steps, no cache",
        build(&builders, &steps, true, slow)?,
    );
    table.add(
        "five steps, all cached",
        build(&builders, &steps, false, slow)?,
    );
    table.add(
        "a context of 100,000 files, none changed",
        build(&builders, &many, false, slow.min(5))?,
    );
    // The other figures are there already, and took long.
    match project::Project::new(&work, &all).and_then(|project| project.measure(&builders)) {
        Ok(rows) => {
            for (name, series) in rows {
                table.add(name, series);
            }
        }
        Err(error) => page.absent("builds of a Rust project", &format!("{error:#}")),
    }
    page.table(table);
    page.versions(all.iter().map(|s| (s.name.as_str(), s.version.as_str())));
    fs::remove_dir_all(&work).context("cannot remove what was measured with")
}

/// By whom a subject is asked: Docker by its newest client, if there is one, and Brig by its own, too.
fn builders_of<'a>(
    subject: &'a Subject,
    root: Option<PathBuf>,
    client: Option<&[String]>,
) -> Vec<Builder<'a>> {
    let socket = match (&root, subject.name.starts_with("podman")) {
        (_, true) => None,
        (None, _) => Some(paths::target().join("bench/brig.sock")),
        (Some(root), _) => Some(root.join("run/docker.sock")),
    };
    let by_client = socket.zip(client).map(|(socket, client)| {
        let mut client = client.to_vec();
        client.push("--host".to_owned());
        client.push(format!("unix://{}", socket.display()));
        Builder {
            name: match root {
                None => format!("{}, docker's client", subject.name),
                Some(_) => subject.name.clone(),
            },
            subject,
            client: Some(client),
            root: None,
        }
    });
    let own = (by_client.is_none() || root.is_none()).then(|| Builder {
        name: subject.name.clone(),
        subject,
        client: None,
        root,
    });
    own.into_iter().chain(by_client).collect()
}

/// A directory with five steps, and so many files that they copy.
fn context(dir: &Path, files: usize) -> Result<PathBuf> {
    fs::create_dir_all(dir.join("tree"))?;
    fs::write(dir.join("tree/first"), "first\n")?;
    for number in 0..files {
        let into = dir.join(format!("tree/{}", number / EACH));
        if number % EACH == 0 {
            fs::create_dir(&into)?;
        }
        fs::write(into.join(number.to_string()), number.to_string())?;
    }
    let text = match files {
        0 => format!(
            "FROM {IMAGE}\nRUN echo 1 >/one\nRUN echo 2 >/two\nRUN echo 3 >/three\n\
             COPY tree /tree\nRUN cat /one /two /three /tree/first >/all\n"
        ),
        _ => format!("FROM {IMAGE}\nCOPY tree /tree\n"),
    };
    fs::write(dir.join("Dockerfile"), text)?;
    Ok(dir.to_owned())
}

fn build(
    builders: &[Builder<'_>],
    context: &Path,
    no_cache: bool,
    count: usize,
) -> Result<Vec<Series>> {
    let mut trials = Vec::new();
    for builder in builders {
        let place = builder.place(context)?;
        trials.push(Trial {
            name: &builder.name,
            timed: Box::new(move || builder.command(&place, no_cache)),
            after: None,
        });
    }
    rounds(&trials, count)
}

impl Builder<'_> {
    /// Where it finds the context.
    fn place(&self, context: &Path) -> Result<String> {
        let Some(root) = &self.root else {
            return Ok(context.display().to_string());
        };
        let name = context.file_name().unwrap_or_default().to_string_lossy();
        let place = format!("/var/tmp/bench-{name}");
        let there = root.join(place.trim_start_matches('/'));
        let _ = fs::remove_dir_all(&there);
        quiet(Command::new("cp").arg("-a").arg(context).arg(&there))?;
        Ok(place)
    }

    /// Where this program finds what the builder finds at a place.
    fn there(&self, place: &str) -> PathBuf {
        match &self.root {
            Some(root) => root.join(place.trim_start_matches('/')),
            None => PathBuf::from(place),
        }
    }

    fn command(&self, context: &str, no_cache: bool) -> Command {
        // Docker runs without a bridge here.
        let mut words = vec!["build", "-q", "--network", "none", "-t", "built"];
        if no_cache {
            words.push("--no-cache");
        }
        if self.subject.name.starts_with("podman") {
            // As the others do it; else it keeps no intermediate images.
            words.extend(["--layers", "--isolation", "oci"]);
        }
        words.push(context);
        match &self.client {
            None => self.subject.command(&words),
            Some(client) => {
                let mut command = Command::new(&client[0]);
                command.args(&client[1..]).args(words);
                subject::environment(&mut command);
                command
            }
        }
    }
}
