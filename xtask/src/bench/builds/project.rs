//! A Rust project with dependencies, whose compiler keeps what it has made in a cache mount: cold, when there is
//! nothing in it, and warm, after a line of the project's own has changed. What it depends on lies in the
//! context, so that no registry is measured.

#![expect(
    clippy::disallowed_methods,
    reason = "what is measured with need not survive a crash"
)]

use std::cell::Cell;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use super::Builder;
use crate::bench::measure::{Series, Trial, quiet, rounds};
use crate::bench::subject::Subject;
use crate::paths;

/// Rounds: each is some ten seconds of compiling for everybody.
const ROUNDS: usize = 2;
/// The image with a compiler.
const BASE: &str = "bench-rust";
const MANIFEST: &str = "[package]\nname = \"app\"\nversion = \"0.1.0\"\nedition = \"2021\"\n\
    [dependencies]\nserde_json = \"1\"\n[workspace]\n";
/// Where cargo finds what the project depends on.
const VENDORED: &str = "[source.crates-io]\nreplace-with = \"vendored\"\n\
    [source.vendored]\ndirectory = \"vendor\"\n";
/// Debian 12 has a newer compiler under another name.
const PACKAGES: &str = "FROM bench-debian\nRUN apt-get update -q && apt-get install -y -q \
    --no-install-recommends gcc libc6-dev $(apt-cache show cargo-web >/dev/null 2>&1 && \
    echo cargo-web rustc-web || echo cargo rustc)\n";

/// The project of one measurement.
#[derive(Debug)]
pub(super) struct Project {
    context: PathBuf,
}

impl Project {
    /// Writes the project and gives everybody a compiler.
    pub(super) fn new(work: &Path, all: &[Subject]) -> Result<Self> {
        let brig = all.first().context("nobody to build with")?;
        let base = base(brig, work)?;
        for subject in all {
            subject
                .import(&base, BASE)
                .with_context(|| subject.name.clone())?;
        }
        let context = work.join("project");
        write(&context)?;
        Ok(Self { context })
    }

    /// Both rows: their names and what was measured.
    pub(super) fn measure(
        &self,
        builders: &[Builder<'_>],
    ) -> Result<[(&'static str, Vec<Series>); 2]> {
        let names = [
            "a Rust project, empty cache mount",
            "a Rust project, a line changed",
        ];
        let [cold, warm] = [true, false].map(|cold| self.rounds(builders, cold));
        Ok([(names[0], cold?), (names[1], warm?)])
    }

    fn rounds(&self, builders: &[Builder<'_>], cold: bool) -> Result<Vec<Series>> {
        let mut trials = Vec::new();
        for (index, builder) in builders.iter().enumerate() {
            let place = builder.place(&self.context)?;
            let there = builder.there(&place);
            let round = Cell::new(0);
            trials.push(Trial {
                name: &builder.name,
                timed: Box::new(move || {
                    round.set(round.get() + 1);
                    let cache = match cold {
                        true => format!("cold-{index}-{}", round.get()),
                        false => format!("warm-{index}"),
                    };
                    let said = format!("{cold} {index} {}", round.get());
                    match change(&there, &cache, &said) {
                        Ok(()) => builder.command(&place, false),
                        Err(error) => failing(&error),
                    }
                }),
                after: None,
            });
        }
        rounds(&trials, ROUNDS)
    }
}

/// An archive with a Debian that has a compiler; made by Brig, once.
fn base(brig: &Subject, work: &Path) -> Result<PathBuf> {
    let tar = paths::cache().join("images/rust.tar");
    if tar.exists() {
        return Ok(tar);
    }
    let debian = paths::cache().join("images/debian.tar");
    if !debian.exists() {
        bail!("no Debian to put a compiler into: run scripts/images.sh test");
    }
    brig.import(&debian, "bench-debian")?;
    let context = work.join("compiler");
    fs::create_dir_all(&context)?;
    fs::write(context.join("Dockerfile"), PACKAGES)?;
    brig.run(&["build", "-q", "-t", BASE, &context.display().to_string()])?;
    brig.run(&["create", "--name", BASE, BASE, "true"])?;
    let made = work.join("rust.tar").display().to_string();
    brig.run(&["export", "-o", &made, BASE])?;
    brig.run(&["rm", BASE])?;
    // Only one that is whole has the name.
    let beside = tar.with_extension("new");
    fs::copy(&made, &beside).context("cannot keep the image with a compiler")?;
    fs::rename(&beside, &tar)?;
    Ok(tar)
}

fn write(context: &Path) -> Result<()> {
    fs::create_dir_all(context.join("src"))?;
    fs::create_dir_all(context.join(".cargo"))?;
    fs::write(context.join("Cargo.toml"), MANIFEST)?;
    change(context, "none", "none")?;
    let mut vendor = Command::new("cargo");
    vendor.arg("vendor").arg("--quiet").current_dir(context);
    quiet(&mut vendor).context("the project's dependencies")?;
    fs::write(context.join(".cargo/config.toml"), VENDORED)?;
    Ok(())
}

/// A command that says why there is none to be timed.
fn failing(error: &anyhow::Error) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", "echo \"$0\" >&2; exit 1"]);
    command.arg(format!("{error:#}"));
    command
}

/// What differs from round to round.
fn change(context: &Path, cache: &str, said: &str) -> Result<()> {
    fs::write(
        context.join("src/main.rs"),
        format!(
            "fn main() {{ println!(\"{{}}\", serde_json::json!({{ \"said\": \"{said}\" }})) }}\n"
        ),
    )?;
    let file = format!(
        "FROM {BASE}\nWORKDIR /src\nCOPY . .\n\
         RUN --mount=type=cache,id={cache},target=/src/target \
         cargo build --release --offline --quiet && cp target/release/app /app\n"
    );
    fs::write(context.join("Dockerfile"), file)?;
    Ok(())
}
