//! Repositories, by git(1). Whose they are nobody knows: of what is in one nothing is run, and no
//! configuration, key or host of this machine's users is used.

use std::fs::DirBuilder;
use std::io::Read;
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use types::ErrorKind;

use super::copy::{self, Marks, Target};
use super::files::{Files, Kind, with_mounts};
use super::run::Run;
use super::{Client, Failure};
use crate::attest::{self, Material};
use crate::graph::{CopyFiles, Git, Operand};

/// How long a command is let be before it is looked whether the build was given up.
const LOOK: Duration = Duration::from_millis(20);

/// What no repository can change, for the command line wins over its files.
const SETTINGS: [&str; 7] = [
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "protocol.ext.allow=never",
    "protocol.file.allow=never",
    // A server that says nothing holds nobody up.
    "http.lowSpeedLimit=1",
    "http.lowSpeedTime=60",
    "advice.detachedHead=false",
];
/// Repositories, and submodules in them, are elsewhere: never files of this machine.
const PROTOCOLS: &str = "http:https:ssh:git";

/// A repository's files.
pub(super) fn repository(run: &Run<'_>, git: &Git) -> Result<Files, Failure> {
    let scratch = run.store().scratch()?;
    let place = Place::make(run, git, &scratch.upper())?;
    check_out(&place, git)?;
    let commit = place.git(&["rev-parse", "HEAD"])?;
    run.ask.memory.made_of(material(git, commit.trim()));
    if let Some(wanted) = &git.checksum
        && !commit.starts_with(wanted.as_str())
    {
        let remote = &git.remote;
        let sentence = format!("{remote}: expected checksum to match {wanted}, got {commit}");
        return Err(Failure::invalid(sentence));
    }
    if !git.skip_submodules {
        let update = ["submodule", "update", "--quiet", "--init", "--recursive"];
        let shallow = [update.as_slice(), &["--depth=1"]].concat();
        if place.git(&shallow).is_err() {
            // A server that gives no part of the history gives all of it.
            place.run.check()?;
            place.git(&update)?;
        }
    }
    take(run, git, &place.tree)
}

/// What was asked for, and what it was.
fn material(git: &Git, commit: &str) -> Material {
    let mut url = attest::without_password(&git.remote);
    let subdirectory = match git.subdirectory.as_str() {
        "" => String::new(),
        below => format!(":{below}"),
    };
    if !git.reference.is_empty() || !subdirectory.is_empty() {
        url = format!("{url}#{}{subdirectory}", git.reference);
    }
    Material::Repository {
        url,
        commit: commit.to_owned(),
    }
}

fn check_out(place: &Place<'_>, git: &Git) -> Result<(), Failure> {
    place.git(&["init", "--quiet", "."])?;
    place.git(&["remote", "add", "origin", "--", &git.remote])?;
    let reference = match git.reference.as_str() {
        "" => "HEAD",
        reference => reference,
    };
    // Where a name stands alone git would take it for a flag.
    if reference.starts_with('-') {
        let sentence =
            format!("{reference} is no name of a branch, tag or commit: it begins with -");
        return Err(Failure::invalid(sentence));
    }
    let fetch = ["fetch", "--quiet", "--depth=1", "--", "origin", reference];
    if place.git(&fetch).is_ok() {
        return place
            .git(&["checkout", "--quiet", "--detach", "FETCH_HEAD"])
            .map(drop);
    }
    // A server that gives no commit by its name, or no part of the history, gives all of it.
    place.run.check()?;
    place.git(&["fetch", "--quiet", "--tags", "--", "origin"])?;
    let by_default =
        reference == "HEAD" && place.git(&["fetch", "--quiet", "origin", "HEAD"]).is_ok();
    let names = match by_default {
        true => vec!["FETCH_HEAD".to_owned()],
        false => vec![format!("origin/{reference}"), reference.to_owned()],
    };
    let mut names = names.iter();
    if names.any(|name| {
        place
            .git(&["checkout", "--quiet", "--detach", name, "--"])
            .is_ok()
    }) {
        return Ok(());
    }
    let sentence = format!("{} has no {reference}", git.remote);
    Err(Failure::new(ErrorKind::NotFound, sentence))
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
        copy::copy(&roots[0], Target::plain(&roots[1]), &what, owner)
    })?;
    Ok(run.files(Kind::Layers(result.commit()?)))
}

/// Where a repository is fetched to, and as whom.
struct Place<'a> {
    run: &'a Run<'a>,
    /// The work tree.
    tree: PathBuf,
    /// Nothing is in it but what was put there here.
    home: PathBuf,
    agent: Option<PathBuf>,
    strict: bool,
    /// Settings that are seen by git alone: they hold what the client keeps secret.
    secret: Vec<(String, String)>,
}

impl<'a> Place<'a> {
    fn make(run: &'a Run<'a>, git: &Git, dir: &Path) -> Result<Self, Failure> {
        let (tree, home) = (dir.join("tree"), dir.join("home"));
        for path in [&tree, &home] {
            let made = DirBuilder::new().mode(0o700).create(path);
            made.map_err(|error| {
                Failure::internal(format!("cannot make {}: {error}", path.display()))
            })?;
        }
        if let Some(hosts) = &git.known_hosts {
            let path = home.join("known_hosts");
            let written = sys::file::replace_unsynced(&path, hosts.as_bytes(), 0o600);
            written.map_err(super::tree::failed("write", "the known hosts"))?;
        }
        Ok(Self {
            run,
            agent: agent(run.ask.client, git)?,
            strict: git.known_hosts.is_some(),
            secret: header(run.ask.client, git)?.into_iter().collect(),
            tree,
            home,
        })
    }

    /// Runs git without any configuration, prompt, hook or key of this machine.
    fn git(&self, args: &[&str]) -> Result<String, Failure> {
        self.run.check()?;
        let mut command = Command::new("git");
        for setting in SETTINGS {
            command.args(["-c", setting]);
        }
        command
            .args(args)
            .current_dir(&self.tree)
            .env_clear()
            .env("PATH", crate::plan::DEFAULT_PATH)
            .env("HOME", &self.home)
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_CONFIG_SYSTEM", "/dev/null")
            .env("GIT_TERMINAL_PROMPT", "0")
            .env("GIT_ALLOW_PROTOCOL", PROTOCOLS)
            .env("GIT_SSH_COMMAND", self.ssh())
            .env("GIT_CONFIG_COUNT", self.secret.len().to_string())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0);
        for (number, (key, value)) in self.secret.iter().enumerate() {
            command.env(format!("GIT_CONFIG_KEY_{number}"), key);
            command.env(format!("GIT_CONFIG_VALUE_{number}"), value);
        }
        if let Some(agent) = &self.agent {
            command.env("SSH_AUTH_SOCK", agent);
        }
        let child = command.spawn().map_err(|error| {
            let sentence =
                format!("a repository needs the program git, which cannot be run: {error}");
            Failure::new(ErrorKind::Unsupported, sentence)
        })?;
        let output = self.output(child)?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned());
        }
        let said = String::from_utf8_lossy(&output.stderr);
        let sentence = format!("git {} failed: {}", args[0], said.trim());
        Err(Failure::new(ErrorKind::Invalid, sentence))
    }

    /// ssh(1) as nobody: without configuration and keys but those of the client's agent. Which key a host
    /// has is known when the client has said it; else the first answer is believed, as by other builders.
    fn ssh(&self) -> String {
        let hosts = match self.strict {
            true => format!("{}", self.home.join("known_hosts").display()),
            false => "/dev/null".to_owned(),
        };
        let strict = if self.strict { "yes" } else { "no" };
        format!(
            "ssh -F /dev/null -o BatchMode=yes -o IdentityFile=none -o GlobalKnownHostsFile=/dev/null \
             -o UserKnownHostsFile={hosts} -o StrictHostKeyChecking={strict} -o ConnectTimeout=30 \
             -o ServerAliveInterval=20"
        )
    }

    /// What it says, unless the build is given up before: then it is killed with all it has started.
    fn output(&self, mut child: Child) -> Result<Output, Failure> {
        let broken =
            |error: std::io::Error| Failure::internal(format!("cannot wait for git: {error}"));
        let group = child.id();
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        std::thread::scope(|scope| {
            let stdout = scope.spawn(move || all(stdout));
            let stderr = scope.spawn(move || all(stderr));
            let status = loop {
                match child.try_wait() {
                    Ok(Some(status)) => break Ok(status),
                    Ok(None) if self.run.ask.cancel.is_cancelled() => {
                        // What cannot be killed has ended.
                        let _ = sys::process::kill_group(group);
                        let _ = child.wait();
                        break Err(Failure::cancelled());
                    }
                    Ok(None) => std::thread::sleep(LOOK),
                    Err(error) => break Err(broken(error)),
                }
            };
            let read = |said: std::thread::ScopedJoinHandle<'_, Vec<u8>>| {
                said.join()
                    .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            };
            let (stdout, stderr) = (read(stdout), read(stderr));
            status.map(|status| Output {
                status,
                stdout,
                stderr,
            })
        })
    }
}

/// What git says, as far as anybody wants to know.
fn all(from: Option<impl Read>) -> Vec<u8> {
    const MOST: u64 = 1 << 20;
    let mut bytes = Vec::new();
    if let Some(mut from) = from {
        // A pipe whose other end is gone is at its end.
        let _ = from.by_ref().take(MOST).read_to_end(&mut bytes);
        let _ = std::io::copy(&mut from, &mut std::io::sink());
    }
    bytes
}

/// Whether an address is reached by ssh: `ssh://...`, or `user@host:path`.
fn is_ssh(remote: &str) -> bool {
    match remote.split_once("://") {
        Some((scheme, _)) => scheme == "ssh",
        None => true,
    }
}

/// The client's agent, where the address needs one.
fn agent(client: &dyn Client, git: &Git) -> Result<Option<PathBuf>, Failure> {
    if !is_ssh(&git.remote) {
        return Ok(None);
    }
    let id = git.ssh.as_deref().unwrap_or("default");
    let agent = client.agent(id)?.ok_or_else(|| {
        let remote = &git.remote;
        let sentence = format!(
            "{remote} is reached by ssh, and the client lends no agent {id}: say --ssh {id}"
        );
        Failure::new(ErrorKind::Invalid, sentence)
    })?;
    Ok(Some(agent))
}

/// The header that the client has for the host, as a setting for that host alone: submodules may be others'.
fn header(client: &dyn Client, git: &Git) -> Result<Option<(String, String)>, Failure> {
    let Some((scheme, rest)) = git.remote.split_once("://") else {
        return Ok(None);
    };
    if !matches!(scheme, "http" | "https") {
        return Ok(None);
    }
    let host = rest.split('/').next().unwrap_or_default();
    let host = host.rsplit('@').next().unwrap_or_default();
    let secret = |name: &Option<String>| -> Result<Option<String>, Failure> {
        let Some(name) = name else { return Ok(None) };
        for id in [format!("{name}.{host}"), name.clone()] {
            if let Some(value) = client.secret(&id)? {
                let value = String::from_utf8_lossy(&value).trim().to_owned();
                return Ok(Some(value));
            }
        }
        Ok(None)
    };
    let value = match secret(&git.header_secret)? {
        Some(value) => Some(value),
        None => secret(&git.token_secret)?.map(|token| {
            let pair = BASE64_STANDARD.encode(format!("x-access-token:{token}"));
            format!("basic {pair}")
        }),
    };
    Ok(value.map(|value| {
        let key = format!("http.{scheme}://{host}/.extraheader");
        (key, format!("Authorization: {value}"))
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::solve::Given;

    #[test]
    fn a_token_goes_to_its_host_alone() {
        let secrets = [("T", "tok"), ("T.h:80", "own\n"), ("H", "bearer x")];
        let secrets = secrets.map(|(id, value)| (id.to_owned(), value.as_bytes().to_vec()));
        let client = Given {
            secrets: secrets.into_iter().collect(),
            ..Given::default()
        };
        let git = |remote: &str, header: Option<&str>| Git {
            remote: remote.to_owned(),
            token_secret: Some("T".to_owned()),
            header_secret: header.map(str::to_owned),
            ..Git::default()
        };
        let said = |remote, name| header(&client, &git(remote, name)).unwrap();
        assert_eq!(
            said("https://me@other/a.git", None).unwrap(),
            (
                "http.https://other/.extraheader".to_owned(),
                // x-access-token:tok
                "Authorization: basic eC1hY2Nlc3MtdG9rZW46dG9r".to_owned()
            )
        );
        // x-access-token:own
        let own = said("http://h:80/a.git", Some("none")).unwrap();
        assert_eq!(own.1, "Authorization: basic eC1hY2Nlc3MtdG9rZW46b3du");
        let given = said("http://h/a.git", Some("H")).unwrap();
        assert_eq!(given.1, "Authorization: bearer x");
        assert_eq!(said("ssh://h/a.git", Some("H")), None);
        assert!(is_ssh("git@h:a") && is_ssh("ssh://h/a") && !is_ssh("git://h/a"));
        let error = agent(&client, &git("git@h:a.git", None)).unwrap_err();
        assert!(error.message.contains("say --ssh default"), "{error:?}");
    }
}
