//! What is asked of the engines, in this order: later commands are about what earlier ones made.

use std::fmt;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result};

use super::house::{CGROUP, House, RUNTIME};

/// A command and what it must come to.
#[derive(Debug)]
pub(crate) struct Case {
    /// The client's words; what is quoted singly is one. `RUNTIME` and `CGROUP` stand for what they
    /// are called inside.
    words: &'static str,
    /// Its exit code.
    code: i32,
    /// A part of what it prints.
    says: &'static str,
    /// Whether it has a terminal.
    terminal: bool,
}

/// What a case came to.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// What was expected.
    Passed,
    /// What came instead.
    Failed(String),
}

const fn case(words: &'static str, code: i32, says: &'static str) -> Case {
    Case {
        words,
        code,
        says,
        terminal: false,
    }
}

const fn on_terminal(words: &'static str, code: i32, says: &'static str) -> Case {
    Case {
        words,
        code,
        says,
        terminal: true,
    }
}

/// Where a limit is with either version of cgroups.
const MEMORY: &str = "'cat /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/memory.max \
     2>/dev/null; true'";

/// podman takes Docker's command line.
pub(crate) const COMMON: &[Case] = &[
    case("run --rm --network none bb echo hello", 0, "hello"),
    case("run --rm --network none bb sh -c 'exit 7'", 7, ""),
    case("run --rm --network host bb id", 0, "uid=0"),
    on_terminal("run --rm -it --network none bb tty", 0, "/dev/pts/0"),
    case(
        "run -d --network none --name one -m 64m --pids-limit 50 bb sleep 1000",
        0,
        "",
    ),
    case("exec one sh -c MEMORY", 0, "67108864"),
    case(
        "exec one sh -c 'cat /sys/fs/cgroup/pids/pids.max /sys/fs/cgroup/pids.max 2>/dev/null; true'",
        0,
        "50",
    ),
    case("exec one sh -c 'exit 3'", 3, ""),
    on_terminal("exec -it one tty", 0, "/dev/pts/0"),
    case("pause one", 0, "one"),
    case("inspect one --format {{.State.Paused}}", 0, "true"),
    case("unpause one", 0, "one"),
    case("update --memory 128m --memory-swap 256m one", 0, ""),
    case("exec one sh -c MEMORY", 0, "134217728"),
    case("stats --no-stream one", 0, "one"),
    case("kill -s USR1 one", 0, "one"),
    case("stop -t 0 one", 0, "one"),
    case("inspect one --format {{.State.ExitCode}}", 0, "137"),
    case("start one", 0, "one"),
    case("restart -t 0 one", 0, "one"),
    case("rm -f one", 0, ""),
    case("run --name said --network none bb echo logged", 0, "logged"),
    case("logs said", 0, "logged"),
    case("rm said", 0, ""),
    case(
        "run --rm --network none --read-only bb touch /x",
        1,
        "Read-only file system",
    ),
    case(
        "run --rm --network none --user 1000:1000 --cap-drop all bb nosuch",
        127,
        "executable file not found",
    ),
    case(
        "run --rm --network none bb nosuch",
        127,
        "executable file not found",
    ),
    case("run --rm --network none bb /etc", 126, "ermission denied"),
    case(
        "run --rm --network none bb grep Seccomp: /proc/self/status",
        0,
        "Seccomp:\t2",
    ),
    case(
        "run --rm --network none --security-opt seccomp=unconfined bb grep Seccomp: /proc/self/status",
        0,
        "Seccomp:\t0",
    ),
    case(
        "run --rm --network none --security-opt no-new-privileges bb grep NoNew /proc/self/status",
        0,
        "NoNewPrivs:\t1",
    ),
    case(
        "run --rm --network none --privileged bb grep CapBnd /proc/self/status",
        0,
        "CapBnd:\t",
    ),
    case(
        "run --rm --network none --pid host --ipc host --uts host bb true",
        0,
        "",
    ),
    case(
        "run --rm --network none --sysctl kernel.msgmax=10000 bb cat /proc/sys/kernel/msgmax",
        0,
        "10000",
    ),
    case(
        "run --rm --network none --hostname named bb hostname",
        0,
        "named",
    ),
    case(
        "run --rm --network none --device /dev/full bb ls -l /dev/full",
        0,
        "1,   7",
    ),
    case(
        "run --rm --network none --tmpfs /t:size=1m -v /tmp/bb:/m:ro bb sh -c 'grep -E \" /(t|m) \" /proc/mounts'",
        0,
        " /m ",
    ),
    case(
        "run --rm --network none -w /tmp -e A=b bb sh -c 'pwd; echo $A'",
        0,
        "/tmp\nb",
    ),
    case("ps -aq", 0, ""),
];

/// What podman alone has, or says in its own way.
pub(crate) const PODMAN: &[Case] = &[
    case(
        "run --rm --network none --uidmap 0:100000:65536 --gidmap 0:100000:65536 bb cat /proc/self/uid_map",
        0,
        "100000",
    ),
    case("pod create --infra=false --name pod", 0, ""),
    case(
        "run --rm --pod pod --network none bb echo in-pod",
        0,
        "in-pod",
    ),
    case("pod rm pod", 0, ""),
    case("run -d --network none --name top bb sleep 1000", 0, ""),
    case("top top", 0, "sleep 1000"),
    case("exec top nosuch", 127, "executable file not found"),
    case("rm -f -t 0 top", 0, ""),
];

/// What Docker alone has, or says in its own way.
pub(crate) const DOCKER: &[Case] = &[
    case(
        "run --rm --network none --ulimit nofile=100:200 bb sh -c 'ulimit -n; ulimit -Hn'",
        0,
        "100\n200",
    ),
    case("run --rm --network none --init bb ps", 0, "docker-init"),
    case(
        "run --name oom -m 8m --memory-swap 8m --network none bb sh -c 'x=a; while :; do x=$x$x; done'",
        137,
        "",
    ),
    case("inspect oom --format {{.State.OOMKilled}}", 0, "true"),
    case("rm oom", 0, ""),
    case(
        "run -d --name base --network none --ipc shareable bb sleep 100",
        0,
        "",
    ),
    case(
        "run --rm --network container:base --pid container:base --ipc container:base bb ps",
        0,
        "sleep 100",
    ),
    case("rm -f base", 0, ""),
    case(
        "run --rm --network none --cgroupns private bb cat /proc/self/cgroup",
        0,
        ":/",
    ),
];

/// Its own command line, through the shim that takes any runc.
pub(crate) const CONTAINERD: &[Case] = &[
    case(
        "run --rm --runc-binary RUNTIME --cgroup /CGROUP/a --rootfs /tmp/bb a /bin/echo hello",
        0,
        "hello",
    ),
    case(
        "run --rm --runc-binary RUNTIME --cgroup /CGROUP/b --rootfs /tmp/bb b /bin/sh -c 'exit 7'",
        7,
        "",
    ),
    on_terminal(
        "run --rm -t --runc-binary RUNTIME --cgroup /CGROUP/t --rootfs /tmp/bb t /bin/tty",
        0,
        "/dev/pts/0",
    ),
    case(
        "run --rm --runc-binary RUNTIME --cgroup /CGROUP/r --read-only --rootfs /tmp/bb r /bin/touch /x",
        1,
        "Read-only file system",
    ),
    case(
        "run --rm --runc-binary RUNTIME --cgroup /CGROUP/s --seccomp --rootfs /tmp/bb s /bin/grep Seccomp: /proc/self/status",
        0,
        "Seccomp:\t2",
    ),
    case(
        "run --rm --runc-binary RUNTIME --cgroup /CGROUP/n --rootfs /tmp/bb n /bin/nosuch",
        1,
        "no such file or directory",
    ),
    case(
        "run -d --runc-binary RUNTIME --cgroup /CGROUP/one --memory-limit 67108864 --rootfs /tmp/bb one /bin/sleep 1000",
        0,
        "",
    ),
    case("task ls", 0, "RUNNING"),
    case("task exec --exec-id e one /bin/echo joined", 0, "joined"),
    on_terminal("task exec -t --exec-id f one /bin/tty", 0, "/dev/pts/0"),
    case("task pause one", 0, ""),
    case("task ls", 0, "PAUSED"),
    case("task resume one", 0, ""),
    case("task ps one", 0, "PID"),
    case("task metrics one", 0, "67108864"),
    case("task rm -f one", 0, ""),
    case("container rm one", 0, ""),
    case("container ls -q", 0, ""),
];

impl Case {
    /// Runs it.
    pub(crate) fn run(&self, house: &House, client: &[String]) -> Result<Outcome> {
        let words = words(self.words);
        let all: Vec<&str> = client
            .iter()
            .map(String::as_str)
            .chain(words.iter().map(String::as_str))
            .collect();
        let inside = house.words(&all);
        // What hangs must not keep the others from being run.
        let mut command = Command::new("timeout");
        command.args(["-k", "5", "180"]);
        if self.terminal {
            let line: Vec<String> = inside.iter().map(|word| quoted(word)).collect();
            command.args(["script", "-qec", &line.join(" "), "/dev/null"]);
        } else {
            command.args(inside);
        }
        self.judge(&mut command)
    }

    fn judge(&self, command: &mut Command) -> Result<Outcome> {
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let spawned = command.stderr(Stdio::piped()).spawn();
        let mut child = spawned.with_context(|| format!("cannot run {command:?}"))?;
        // An end of the input would be typed into the terminal.
        let input = child.stdin.take();
        let output = child.wait_with_output()?;
        drop(input);
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).replace('\r', "");
        let said = text(&output.stdout) + &text(&output.stderr);
        if output.status.code() == Some(self.code) && said.contains(self.says) {
            return Ok(Outcome::Passed);
        }
        let expected = format!("    expected: exit code {}, {:?}", self.code, self.says);
        let got = format!("    got: {}\n{}", output.status, said.trim_end());
        Ok(Outcome::Failed(format!("{expected}\n{got}")))
    }
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.words)
    }
}

/// Splits at spaces outside of single quotes.
fn words(text: &str) -> Vec<String> {
    let text = text
        .replace("MEMORY", MEMORY)
        .replace("RUNTIME", RUNTIME)
        .replace("CGROUP", CGROUP);
    let mut words = Vec::new();
    for (at, part) in text.split('\'').enumerate() {
        if at % 2 == 1 {
            words.push(part.to_owned());
        } else {
            words.extend(part.split_whitespace().map(str::to_owned));
        }
    }
    words
}

fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quoted_words_are_one() {
        assert_eq!(
            words("run sh -c 'exit 7' /CGROUP/x"),
            ["run", "sh", "-c", "exit 7", "/brig-dropin/x"]
        );
        assert_eq!(quoted("a'b"), r"'a'\''b'");
    }
}
