//! CVE-2019-5736: the program that enters the container, overwritten from there.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use serde_json::json;

use crate::attacker;
use crate::help::{await_file, delete, say};
use crate::support::{Bundle, copy_program, text, write_script};

/// A copy of the program to be overwritten, and what is in it.
struct Victim {
    _dir: tempfile::TempDir,
    path: PathBuf,
    bytes: Vec<u8>,
}

impl Victim {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("brig-runtime");
        copy_program(env!("CARGO_BIN_EXE_brig-runtime").as_ref(), &path);
        let bytes = std::fs::read(&path).unwrap();
        Self {
            _dir: dir,
            path,
            bytes,
        }
    }

    fn inode(&self) -> String {
        std::fs::metadata(&self.path).unwrap().ino().to_string()
    }

    fn assert_whole(&self) {
        assert!(std::fs::read(&self.path).unwrap() == self.bytes);
    }

    /// This program with these words instead of the built one.
    fn output(&self, bundle: &Bundle, words: &[&str]) -> std::process::Output {
        let usual = bundle.command(words);
        std::process::Command::new(&self.path)
            .args(usual.get_args())
            .current_dir(bundle.path())
            .stdin(std::process::Stdio::null())
            .output()
            .unwrap()
    }
}

/// A script by which the kernel executes the runtime's own program inside the container.
fn trap(bundle: &Bundle) {
    write_script(&bundle.in_root("bin/trap"), "#!/proc/self/exe\n");
}

#[test]
fn a_process_that_joins_is_no_way_to_the_program() {
    need_containers!();
    let victim = Victim::new();
    let mut bundle = Bundle::new(&[]);
    attacker::command(&mut bundle, "overwrite", &victim.inode());
    trap(&bundle);
    crate::help::start(&bundle);
    // Until the attacker has got hold of the program; it lives for a moment only.
    let held = bundle.in_root("held");
    for _ in 0..2000 {
        if held.exists() {
            break;
        }
        victim.output(&bundle, &["exec", "ID", "/bin/trap"]);
    }
    assert!(held.exists(), "the attacker never held the program");
    // Some more, and then none: nobody executes it any more.
    for _ in 0..5 {
        victim.output(&bundle, &["exec", "ID", "/bin/trap"]);
    }
    std::fs::write(bundle.in_root("over"), "").unwrap();
    let answers = await_file(&bundle.in_root("answers"));
    assert_eq!(answers, "ReadOnlyFilesystem\n");
    victim.assert_whole();
    delete(&bundle);
}

#[test]
fn the_first_process_is_no_way_to_the_program() {
    need_containers!();
    let victim = Victim::new();
    let mut bundle = Bundle::new(&["/bin/trap", "--version"]);
    attacker::install(&bundle);
    trap(&bundle);
    bundle.config["root"]["readonly"] = json!(false);
    bundle.write();
    // It is executed, which the error of the words it gets shows, and ends.
    let output = victim.output(&bundle, &["run", "ID"]);
    let said = text(&output.stderr);
    assert!(said.contains("/bin/trap"), "{said}");
    victim.assert_whole();
    bundle.assert_nothing_left();
}

/// Who joins does so before anything else, and once. Nothing passed on by number is in the way of that.
#[test]
fn who_joins_is_executed_through_the_mount_first() {
    need_containers!();
    let bundle = Bundle::new(&["sleep", "1000"]);
    bundle.write();
    crate::help::start(&bundle);
    if !Path::new("/usr/bin/strace").exists() {
        say("SKIP: no strace (Debian: strace)");
        delete(&bundle);
        return;
    }
    for preserved in [false, true] {
        let flags: &[&str] = if preserved {
            &["--preserve-fds", "1"]
        } else {
            &[]
        };
        let words = [&["exec"], flags, &["ID", "true"]];
        let command = bundle.command(&words.concat());
        let script = "exec 3</dev/null strace -qq -e trace=execveat,open_tree,mount_setattr,clone3 \
                      -o trace \"$0\" \"$@\"";
        let output = std::process::Command::new("sh")
            .args(["-c", script])
            .arg(command.get_program())
            .args(command.get_args())
            .current_dir(bundle.path())
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", text(&output.stderr));
        let trace = std::fs::read_to_string(bundle.path().join("trace")).unwrap();
        let calls: Vec<_> = trace
            .lines()
            .filter_map(|line| line.split_once('('))
            .collect();
        let names: Vec<_> = calls.iter().map(|(name, _)| *name).collect();
        assert_eq!(
            names,
            ["open_tree", "mount_setattr", "execveat", "clone3"],
            "{trace}"
        );
    }
    delete(&bundle);
}

/// What is executed must be sealed, whatever this machine lets the runtime do: without the right to
/// mount it is a sealed copy in memory.
#[test]
fn without_the_right_to_mount_a_copy_is_executed() {
    need_containers!();
    let victim = Victim::new();
    let bundle = Bundle::new(&["true"]);
    bundle.write();
    let script = "exec setpriv --bounding-set=-sys_admin --inh-caps=-all strace -f -qq \
                  -e trace=execve,execveat -o trace \"$0\" --root state run x";
    let output = std::process::Command::new("sh")
        .args(["-c", script])
        .arg(&victim.path)
        .current_dir(bundle.path())
        .output()
        .unwrap();
    let trace = std::fs::read_to_string(bundle.path().join("trace")).unwrap_or_default();
    if !Path::new("/usr/bin/strace").exists() || trace.is_empty() {
        say("SKIP: no strace (Debian: strace)");
        return;
    }
    let executed: Vec<_> = trace
        .lines()
        .filter(|line| line.contains("execveat("))
        .collect();
    assert_eq!(executed.len(), 1, "{trace}");
    assert!(executed[0].ends_with("= 0"), "{trace}");
    // No namespaces without that right, and so no container, but a reason and nothing left.
    assert!(!output.status.success());
    assert!(
        text(&output.stderr).contains("operation not permitted"),
        "{}",
        text(&output.stderr)
    );
    assert!(!bundle.path().join("state/x").exists());
    victim.assert_whole();
}
