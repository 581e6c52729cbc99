//! QEMU, its serial console, and the verdict read off it.

use std::fmt;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result};

use super::Places;

/// How the programs ended, as the console told.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Verdict {
    /// Programs that began and never ended: a hang or a crash of the machine.
    running: Vec<String>,
    /// Programs that ended with another status than 0.
    failed: Vec<String>,
    /// Programs that ended well.
    passed: usize,
    /// Sums of the programs' own counts: passed, failed, ignored.
    tests: [usize; 3],
    /// Tests that said why they do not run there.
    skipped: usize,
    /// Control groups that the tests left behind.
    leftovers: Vec<String>,
    /// Whether the machine came to its end by itself.
    finished: bool,
}

impl Verdict {
    /// Reads one line of the console.
    fn read(&mut self, line: &str) {
        let line = line.trim_end_matches('\r');
        if line.contains("SKIP: ") {
            self.skipped += 1;
        }
        let counts = ["test result: ", "conformance: "];
        if let Some(rest) = counts.iter().find_map(|start| line.strip_prefix(start)) {
            self.count(rest);
        }
        let Some(rest) = line.strip_prefix("@@ ") else {
            return;
        };
        match rest.split(' ').collect::<Vec<_>>()[..] {
            ["begin", name] => self.running.push(name.to_owned()),
            ["end", name, status] => {
                self.running.retain(|running| running != name);
                match status {
                    "0" => self.passed += 1,
                    _ => self.failed.push(format!("{name} (status {status})")),
                }
            }
            ["leftover", ref paths @ ..] => {
                self.leftovers.extend(paths.iter().map(|p| (*p).to_owned()));
            }
            ["finished"] => self.finished = true,
            _ => {}
        }
    }

    fn count(&mut self, rest: &str) {
        let words: Vec<&str> = rest
            .split([' ', ';', '.', ','])
            .filter(|w| !w.is_empty())
            .collect();
        for pair in words.windows(2) {
            let sum = match pair[1] {
                "passed" => &mut self.tests[0],
                "failed" => &mut self.tests[1],
                "ignored" => &mut self.tests[2],
                "skipped" => &mut self.skipped,
                _ => continue,
            };
            *sum += pair[0].parse::<usize>().unwrap_or(0);
        }
    }

    /// Whether anything is wrong.
    pub(crate) fn failed(&self) -> bool {
        !self.finished
            || self.passed == 0
            || !self.failed.is_empty()
            || !self.running.is_empty()
            || !self.leftovers.is_empty()
    }

    /// The whole in a few lines.
    pub(crate) fn summary(&self) -> String {
        self.to_string()
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for name in &self.failed {
            writeln!(f, "vm: failed: {name}")?;
        }
        for name in &self.running {
            writeln!(f, "vm: never ended: {name}")?;
        }
        for path in &self.leftovers {
            writeln!(f, "vm: left behind: {path}")?;
        }
        if !self.finished {
            writeln!(f, "vm: the machine did not come to its end")?;
        }
        let [passed, failed, _] = self.tests;
        write!(
            f,
            "vm: {passed} passed, {failed} failed, {} skipped",
            self.skipped
        )
    }
}

/// What is booted.
#[derive(Debug)]
pub(crate) struct Boot<'a> {
    /// The root disk.
    pub(crate) disk: &'a Path,
    pub(crate) initramfs: &'a Path,
    /// Whether a person sits at the console.
    pub(crate) shell: bool,
    /// Whether SELinux is the kernel's security module, and not AppArmor.
    pub(crate) selinux: bool,
    /// What else the kernel is told.
    pub(crate) more: &'a str,
}

impl Boot<'_> {
    /// The kernel's own words.
    fn words(&self) -> String {
        let module = if self.selinux {
            " security=selinux"
        } else {
            ""
        };
        let more = self.more;
        format!("console=ttyS0 quiet panic=-1 cgroup_no_v1=all mitigations=off{module} {more}")
    }
}

/// Boots, shows the console as it goes, and reads the verdict from it.
pub(crate) fn boot(places: &Places, boot: &Boot<'_>) -> Result<Verdict> {
    let mut qemu = Command::new("qemu-system-x86_64");
    // Both processors, emulated; no network card: nothing inside has business outside.
    qemu.args([
        "-accel",
        "tcg,thread=multi",
        "-cpu",
        "max",
        "-smp",
        "2",
        "-m",
        "3072",
    ])
    .args([
        "-nodefaults",
        "-no-reboot",
        "-display",
        "none",
        "-serial",
        "stdio",
    ])
    .arg("-kernel")
    .arg(&places.kernel)
    .arg("-initrd")
    .arg(boot.initramfs)
    .arg("-drive")
    .arg(format!(
        "file={},format=raw,if=virtio,cache=unsafe",
        boot.disk.display()
    ))
    .args(["-device", "virtio-rng-pci"])
    .arg("-append")
    .arg(boot.words())
    .stdin(if boot.shell {
        Stdio::inherit()
    } else {
        Stdio::null()
    })
    .stdout(Stdio::piped());
    let mut child = qemu.spawn().context("cannot run qemu-system-x86_64")?;
    let console = child.stdout.take().context("QEMU has no console")?;
    let verdict = watch(console)?;
    child.wait().context("cannot wait for QEMU")?;
    Ok(verdict)
}

fn watch(console: impl std::io::Read) -> Result<Verdict> {
    let mut verdict = Verdict::default();
    let mut out = std::io::stdout();
    let mut line = Vec::new();
    let mut console = BufReader::new(console);
    while console
        .read_until(b'\n', &mut line)
        .context("cannot read the console")?
        > 0
    {
        out.write_all(&line)?;
        verdict.read(String::from_utf8_lossy(&line).trim_end());
        line.clear();
    }
    Ok(verdict)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(text: &str) -> Verdict {
        let mut verdict = Verdict::default();
        text.lines().for_each(|line| verdict.read(line));
        verdict
    }

    #[test]
    fn a_good_run() {
        let good = verdict(
            "@@ begin sys::sys\nSKIP: x\ntest result: ok. 3 passed; 0 failed; 1 ignored; 0 measured\r\n\
             @@ end sys::sys 0\n@@ finished",
        );
        assert!(!good.failed());
        assert_eq!(good.summary(), "vm: 3 passed, 0 failed, 1 skipped");
    }

    #[test]
    fn the_conformance_suite_counts_by_itself() {
        let good = verdict(
            "@@ begin conformance\nSKIP a/b: no c\nconformance: 3 passed, 1 failed, 2 skipped, 0 deviate (x 1.2)\n\
             @@ end conformance 0\n@@ finished",
        );
        assert_eq!(good.summary(), "vm: 3 passed, 1 failed, 2 skipped");
    }

    #[test]
    fn every_kind_of_bad_run_fails() {
        let bad = [
            "@@ finished",
            "@@ begin a\n@@ end a 0",
            "@@ begin a\n@@ end a 101\n@@ finished",
            "@@ begin a\n@@ end a 0\n@@ begin b\n@@ finished",
            "@@ begin a\n@@ end a 0\n@@ leftover /x\n@@ finished",
        ];
        for text in bad {
            assert!(verdict(text).failed(), "{text}");
        }
    }
}
