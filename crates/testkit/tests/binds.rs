//! Directories of the machine in containers: what is mounted below them, now and later, and who may write there.

#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::print_stderr,
    reason = "a test"
)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use testkit::{Brig, Client, clients, root, until};

/// Something that is mounted on this machine, and goes with this.
struct Mounted(PathBuf);

impl Mounted {
    fn new(at: &Path, words: &[&str]) -> Self {
        let done = Command::new("mount").args(words).arg(at).status();
        assert!(done.unwrap().success(), "mount {words:?} {at:?}");
        Self(at.to_owned())
    }

    /// A file system in memory with a file that says `inside`.
    fn memory(at: &Path) -> Self {
        fs::create_dir_all(at).unwrap();
        let made = Self::new(at, &["-t", "tmpfs", "brig-test"]);
        fs::write(at.join("file"), "inside\n").unwrap();
        made
    }

    /// A directory that tells its copies of what is mounted below it.
    fn shared(at: &Path) -> Self {
        fs::create_dir_all(at).unwrap();
        let made = Self::new(at, &["--bind", at.to_str().unwrap()]);
        let shared = Command::new("mount").arg("--make-shared").arg(at).status();
        assert!(shared.unwrap().success());
        made
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

/// What can be read below `/m`, and where something can be written.
const LOOK: &str = "cat /m/below/file 2>/dev/null; touch /m/x 2>/dev/null && echo top; \
                    touch /m/below/x 2>/dev/null && echo below; true";

#[test]
fn what_is_mounted_below_is_there_as_asked() {
    if !root() {
        return;
    }
    let brig = Brig::with_image();
    let source = brig.root().join("source");
    let below = Mounted::memory(&source.join("below"));
    let source = source.to_str().unwrap();
    for client in clients() {
        let look = |mount: &str| {
            let run = ["run", "--rm", "--network", "none", "--mount", mount];
            let command = ["bb", "sh", "-c", LOOK];
            let out = brig.with(client, &[&run[..], &command].concat());
            out.ok().replace('\n', " ")
        };
        let bind = |more: &str| format!("type=bind,src={source},dst=/m{more}");
        // Before version 1.44 of the API it is so of the uppermost only.
        let old = client == Client::Docker20;
        let read_only = if old { "inside below" } else { "inside" };
        let mut table = vec![
            ("", "inside top below"),
            (",readonly", read_only),
            // The directory that is mounted over on the machine.
            (",bind-nonrecursive", "top below"),
        ];
        // Docker 20.10 says the last one only.
        if !old {
            table.extend([
                (",bind-recursive=enabled", "inside top below"),
                (",bind-recursive=disabled", "top below"),
                (",readonly,bind-recursive=writable", "inside below"),
                (
                    ",readonly,bind-recursive=readonly,bind-propagation=rprivate",
                    "inside",
                ),
            ]);
        }
        for (more, wanted) in table {
            assert_eq!(look(&bind(more)), wanted, "{client:?} {more}");
        }
        let short = format!("{source}:/m:ro");
        let run = ["run", "--rm", "--network", "none", "-v", &short];
        let out = brig.with(client, &[&run[..], &["bb", "sh", "-c", LOOK]].concat());
        let look = out.ok().replace('\n', " ");
        assert!(
            look == "inside" || old && look == read_only,
            "{client:?}: {out}"
        );
    }
    drop(below);
    brig.finish();
}

#[test]
fn sources_are_made_where_that_is_asked_for() {
    if !root() {
        return;
    }
    let brig = Brig::with_image();
    for client in clients() {
        let missing = brig.root().join(format!("{client:?}/missing"));
        let path = missing.to_str().unwrap();
        let run = |flag: &str, value: &str| {
            let run = ["run", "--rm", "--network", "none", flag, value];
            brig.with(client, &[&run[..], &["bb", "touch", "/m/x"]].concat())
        };
        let refused = run("--mount", &format!("type=bind,src={path},dst=/m"));
        let words = refused.fails(125);
        assert!(words.contains("bind source path does not exist"), "{words}");
        assert!(!missing.exists());
        if client == Client::Brig {
            let wanted = format!("type=bind,src={path},dst=/m,bind-create-src");
            run("--mount", &wanted).ok();
            fs::remove_dir_all(&missing).unwrap();
        }
        run("-v", &format!("{path}:/m")).ok();
        assert!(missing.join("x").exists());
    }
    brig.finish();
}

#[test]
fn what_is_mounted_later_comes_and_goes_as_asked() {
    if !root() {
        return;
    }
    let brig = Brig::with_image();
    let source = brig.root().join("source");
    let shared = Mounted::shared(&source);
    let volume = |mode: &str| format!("{}:/m:{mode}", source.display());
    let client = Client::Brig;
    for mode in ["rslave", "rshared", "rprivate"] {
        let run = [
            "run",
            "-d",
            "--network",
            "none",
            "--privileged",
            "--name",
            mode,
        ];
        let bind = volume(mode);
        let command = ["-v", &bind, "bb", "sleep", "1000"];
        brig.with(client, &[&run[..], &command].concat()).ok();
    }
    let sees = |who: &str, name: &str| {
        let file = format!("/m/{name}/file");
        brig.brig(&["exec", who, "cat", &file]).stdout == "inside\n"
    };
    let late = Mounted::memory(&source.join("late"));
    for who in ["rslave", "rshared"] {
        until(&format!("{who} to see what is mounted"), || {
            sees(who, "late").then_some(())
        });
    }
    assert!(!sees("rprivate", "late"));
    // What a container mounts is seen by the others where it is shared, and by the machine.
    let mount = "mkdir -p /m/own && mount -t tmpfs own /m/own && echo inside >/m/own/file";
    for (who, seen) in [("rslave", false), ("rprivate", false), ("rshared", true)] {
        brig.brig(&["exec", who, "sh", "-c", mount]).ok();
        assert!(sees(who, "own"), "{who}");
        assert_eq!(source.join("own/file").exists(), seen, "{who}");
    }
    let own = Mounted(source.join("own"));
    brig.brig(&["rm", "-f", "rslave", "rshared", "rprivate"])
        .ok();
    drop((own, late));
    drop(shared);
    brig.finish();
}
