//! Builds out of joint: full disks, contexts of too much, files of too much, and who gives up in each step.
#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a test"
)]

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, mpsc};
use std::time::Duration;

use testkit::registry::{Reply, Server};
use testkit::{Brig, Client, Output, Setup, kill, processes_naming, root, until};

/// Whether what takes minutes is asked for.
fn patient() -> bool {
    std::env::var_os("BRIG_REAL_BUILDS").is_some()
}

/// A small disk of its own; it goes with this.
struct Disk(PathBuf);

impl Disk {
    fn mount(at: PathBuf, size: &str) -> Self {
        fs::create_dir_all(&at).unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={size}"), "brig-test"])
            .arg(&at)
            .status()
            .unwrap();
        assert!(mounted.success());
        Self(at)
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

/// A context of its own.
fn context(files: &[(&str, &str)]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = dir.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    dir
}

fn build(brig: &Brig, dir: &Path, more: &[&str]) -> Output {
    let mut words = vec!["build", "--progress=plain"];
    words.extend(more);
    words.push(dir.to_str().unwrap());
    brig.with(Client::Brig, &words)
}

/// Neither a run directory nor a file that is being written.
#[track_caller]
fn nothing_of_a_step(brig: &Brig) {
    let count = |dir: PathBuf| fs::read_dir(dir).map_or(0, Iterator::count);
    until("the end of what a build had", || {
        let left = count(brig.run_root().join("containers")) + count(brig.data_root().join("tmp"));
        (left == 0).then_some(())
    });
}

#[test]
fn a_full_disk_fails_the_build_and_nothing_else() {
    if !root() {
        return;
    }
    let mut brig = Brig::prepare(Setup::default());
    let disk = Disk::mount(brig.data_root(), "64m");
    brig.start_daemon();
    brig.import_busybox();
    let fill = "FROM bb\nRUN dd if=/dev/zero of=/big bs=1M count=100\n";
    let copy = "FROM bb\nCOPY big /big\nCOPY big /again\n";
    let small = context(&[("Dockerfile", "FROM bb\nRUN echo fits >/small\n")]);
    for file in [fill, copy] {
        let dir = context(&[("Dockerfile", file)]);
        fs::write(dir.path().join("big"), vec![7; 24 << 20]).unwrap();
        let failed = build(&brig, dir.path(), &["-t", "never"]);
        assert_ne!(failed.code, 0, "{failed}");
        let said = failed.stderr.to_lowercase();
        assert!(said.contains("no space left"), "{failed}");
        nothing_of_a_step(&brig);
        // There is room again for what fits.
        brig.brig(&["builder", "prune", "-af"]).ok();
        build(&brig, small.path(), &["-t", "small", "--no-cache"]).ok();
        let said = brig.brig(&["run", "--rm", "--network=none", "small", "cat", "/small"]);
        assert_eq!(said.ok(), "fits");
    }
    brig.stop_daemon();
    drop(disk);
    brig.expect_nothing_left();
}

#[test]
fn many_files_and_large_ones_are_a_context() {
    if !root() {
        return;
    }
    let brig = Brig::with_image();
    let count = if patient() { 100_000 } else { 2_000 };
    let dir = context(&[
        (
            "Dockerfile",
            "FROM bb\nCOPY tree /tree\nRUN find /tree -type f | wc -l >/count\n",
        ),
        (".dockerignore", "huge\n"),
    ]);
    for number in 0..count {
        let into = dir.path().join(format!("tree/{}", number / 1000));
        if number % 1000 == 0 {
            fs::create_dir_all(&into).unwrap();
        }
        fs::write(into.join(number.to_string()), number.to_string()).unwrap();
    }
    let huge = fs::File::create(dir.path().join("huge")).unwrap();
    huge.set_len(5 << 30).unwrap();
    // More than other commands may take, on a machine that has other work.
    let build = |tag: &str| {
        let words = [
            "build",
            "--progress=plain",
            "-t",
            tag,
            dir.path().to_str().unwrap(),
        ];
        let mut command = brig.command(Client::Brig, &words);
        let output = Output::within(Duration::from_secs(900), &mut command);
        output.ok();
        output
    };
    build("many");
    let said = brig.brig(&["run", "--rm", "--network=none", "many", "cat", "/count"]);
    assert_eq!(said.ok(), count.to_string());
    let again = build("again");
    assert_eq!(again.stderr.matches("CACHED").count(), 2, "{again}");
    // Five gigabytes that are asked for are five gigabytes.
    if patient() {
        fs::write(
            dir.path().join("Dockerfile"),
            "FROM bb\nRUN --mount=target=/ctx stat -c %s /ctx/huge >/size\n",
        )
        .unwrap();
        fs::write(dir.path().join(".dockerignore"), "tree\n").unwrap();
        build("huge");
        let said = brig.brig(&["run", "--rm", "--network=none", "huge", "cat", "/size"]);
        assert_eq!(said.ok(), (5_u64 << 30).to_string());
    }
    nothing_of_a_step(&brig);
    brig.finish();
}

#[test]
fn links_lead_nowhere_out_of_a_context() {
    if !root() {
        return;
    }
    let brig = Brig::with_image();
    let outside = context(&[("guarded", "outside\n")]);
    let dir = context(&[
        ("Dockerfile", "FROM bb\nCOPY in /in\n"),
        ("in/own", "own\n"),
    ]);
    symlink(outside.path(), dir.path().join("in/link")).unwrap();
    symlink(outside.path(), dir.path().join("whole")).unwrap();
    symlink(
        "../../../../../../../../etc/hostname",
        dir.path().join("up"),
    )
    .unwrap();
    let mut doors = vec![Client::Brig];
    doors.extend(Client::Docker20.program().map(|_| Client::Docker20));
    for client in doors {
        let build = |file: &str| {
            fs::write(dir.path().join("Dockerfile"), file).unwrap();
            let mut command =
                brig.command(client, &["build", "-t", "x", dir.path().to_str().unwrap()]);
            command.env("DOCKER_BUILDKIT", "0");
            brig.finish_command(&mut command)
        };
        // A link below a directory stays one.
        build("FROM bb\nCOPY in /in\n").ok();
        let said = brig.brig(&["run", "--rm", "--network=none", "x", "readlink", "/in/link"]);
        assert_eq!(said.ok(), outside.path().to_str().unwrap());
        for file in [
            "FROM bb\nCOPY whole/guarded /g\n",
            "FROM bb\nCOPY in/link/guarded /g\n",
            "FROM bb\nCOPY up /g\n",
            "FROM bb\nADD whole /g\n",
        ] {
            let led = build(file);
            let read = brig.brig(&[
                "run",
                "--rm",
                "--network=none",
                "x",
                "cat",
                "/g",
                "/g/guarded",
            ]);
            assert!(
                !read.stdout.contains("outside"),
                "{client:?} {file}: {read}"
            );
            assert_ne!(led.code, 0, "{client:?} {file}: {led}");
        }
    }
    nothing_of_a_step(&brig);
    brig.finish();
}

#[test]
fn a_dockerfile_may_be_long_and_not_endless() {
    if !root() {
        return;
    }
    let brig = Brig::with_image();
    let dir = context(&[]);
    let comment = format!("# {}\n", "c".repeat(1000));
    let long = |megabytes: usize| {
        let lines = (megabytes << 20) / comment.len();
        let text = format!("FROM bb\n{}RUN echo end >/end\n", comment.repeat(lines));
        fs::write(dir.path().join("Dockerfile"), text).unwrap();
        build(&brig, dir.path(), &["-t", "long"])
    };
    long(10).ok();
    let said = brig.brig(&["run", "--rm", "--network=none", "long", "cat", "/end"]);
    assert_eq!(said.ok(), "end");
    let refused = long(20);
    assert_ne!(refused.code, 0);
    assert!(
        refused.stderr.contains("Dockerfile"),
        "{}",
        &refused.stderr[..500.min(refused.stderr.len())]
    );
    // One line as long as that, and one instruction after the other.
    let text = format!(
        "FROM bb\nRUN true {}\nRUN echo end >/end\n",
        " ".repeat(3 << 20)
    );
    fs::write(dir.path().join("Dockerfile"), text).unwrap();
    build(&brig, dir.path(), &["-t", "long"]).ok();
    let text = format!("FROM bb\n{}", "ENV A=b\n".repeat(1000));
    fs::write(dir.path().join("Dockerfile"), text).unwrap();
    build(&brig, dir.path(), &["-t", "long"]).ok();
    brig.finish();
}

#[test]
fn triggers_trigger_no_triggers() {
    if !root() {
        return;
    }
    let brig = Brig::with_image();
    let dir = context(&[("f", "f")]);
    let file = |text: &str, name: &str| {
        fs::write(dir.path().join("Dockerfile"), text).unwrap();
        build(&brig, dir.path(), &["-t", name])
    };
    for (text, word) in [
        ("FROM bb\nONBUILD ONBUILD RUN true\n", "ONBUILD ONBUILD"),
        ("FROM bb\nONBUILD FROM bb\n", "FROM"),
        ("FROM bb\nONBUILD MAINTAINER me\n", "MAINTAINER"),
    ] {
        let refused = file(text, "never");
        assert_ne!(refused.code, 0, "{text}");
        assert!(refused.stderr.contains(word), "{text}: {refused}");
    }
    // One that names its own image is carried out once, and inherited by nobody.
    file(
        "FROM bb\nRUN echo own >/own\nONBUILD COPY --from=self /own /copied\n",
        "self",
    )
    .ok();
    file("FROM self\n", "child").ok();
    file("FROM child\nRUN test -e /copied\n", "grandchild").ok();
    let shown = brig.brig(&["image", "inspect", "child"]).json();
    let inherited = &shown[0]["Config"]["OnBuild"];
    assert!(
        inherited.as_array().is_none_or(Vec::is_empty),
        "{inherited}"
    );
    nothing_of_a_step(&brig);
    brig.finish();
}

/// A build that goes on until it is given up.
fn begin(brig: &Brig, dir: &Path, words: &[&str]) -> Child {
    let mut all = vec!["build", "--progress=plain"];
    all.extend(words);
    all.push(dir.to_str().unwrap());
    let mut command = brig.command(Client::Brig, &all);
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    command.spawn().unwrap()
}

/// Gives it up as one does at a terminal, and sees that nothing is left.
#[track_caller]
fn give_up(brig: &Brig, mut child: Child, signal: &str) {
    kill(signal, child.id());
    assert!(!child.wait().unwrap().success());
    nothing_of_a_step(brig);
    brig.expect_nothing_left();
}

#[test]
fn a_build_is_given_up_in_each_of_its_steps() {
    if !root() {
        return;
    }
    let brig = Brig::with_image();
    let outputs: [(&str, &[&str]); 6] = [
        ("FROM @/stalls:1\nRUN true\n", &[]),
        ("FROM bb\nADD http://@/file /f\n", &[]),
        ("FROM bb\nADD http://@/r.git /r\n", &[]),
        ("FROM bb\nCOPY --from=@/stalls:1 /x /y\n", &[]),
        (
            "FROM bb\nRUN echo pushed >/p\n",
            &["--push", "-t", "@/pushed:1"],
        ),
        (
            "FROM bb\nRUN echo cached >/c\n",
            &["--cache-from", "type=registry,ref=@/cache:1"],
        ),
    ];
    for (text, words) in outputs {
        for signal in ["TERM", "KILL"] {
            // Who is asked says nothing until this is over.
            let (hold, held) = mpsc::channel::<()>();
            let held = Mutex::new(held);
            let server = Server::start(move |_| {
                let _ = held.lock().map(|held| held.recv());
                Reply::new(503, "")
            });
            // Behind the server, to go before it.
            let hold = hold;
            let dir = context(&[("Dockerfile", &text.replace('@', server.address()))]);
            let words = words.iter().map(|word| word.replace('@', server.address()));
            let words: Vec<String> = words.collect();
            let words: Vec<&str> = words.iter().map(String::as_str).collect();
            let child = begin(&brig, dir.path(), &words);
            until(&format!("a request of {text:?}"), || {
                (!server.requests().is_empty()).then_some(())
            });
            give_up(&brig, child, signal);
            drop(hold);
        }
    }
    brig.finish();
}

/// A command, one that waits for a cache that another build has, and a result that nobody reads.
#[test]
fn a_build_is_given_up_while_something_runs() {
    if !root() {
        return;
    }
    let brig = Brig::with_image();
    let running = |text: &str| {
        processes_naming(text)
            .iter()
            .any(|process| process.command.starts_with("sleep"))
    };
    let sleeps = context(&[(
        "Dockerfile",
        "FROM bb\nRUN --mount=type=cache,id=one,target=/c,sharing=locked echo begun; sleep 86421\n",
    )]);
    let child = begin(&brig, sleeps.path(), &[]);
    until("the command", || running("86421").then_some(()));
    let waits = context(&[(
        "Dockerfile",
        "FROM bb\nRUN echo first >/first\nRUN --mount=type=cache,id=one,target=/c,sharing=locked sleep 86422\n",
    )]);
    let mut waiting = brig.command(
        Client::Brig,
        &["build", "--progress=plain", waits.path().to_str().unwrap()],
    );
    let log = brig.root().join("waiting.log");
    waiting
        .stdin(Stdio::null())
        .stderr(fs::File::create(&log).unwrap());
    let mut waiting = waiting.spawn().unwrap();
    until("the step before", || {
        let told = fs::read_to_string(&log).unwrap();
        told.contains("sleep 86422").then_some(())
    });
    kill("TERM", waiting.id());
    assert!(!waiting.wait().unwrap().success());
    assert!(running("86421") && !running("86422"));
    give_up(&brig, child, "TERM");
    let unread = context(&[(
        "Dockerfile",
        "FROM bb\nRUN dd if=/dev/urandom of=/big bs=1M count=8\n",
    )]);
    let child = begin(&brig, unread.path(), &["-o", "-"]);
    until("the beginning of the result", || {
        readable(&child).then_some(())
    });
    give_up(&brig, child, "KILL");
    brig.finish();
}

/// Whether a child has written something that nobody has read.
fn readable(child: &Child) -> bool {
    use std::os::fd::AsRawFd as _;
    let out = child.stdout.as_ref().unwrap().as_raw_fd();
    let peek = Command::new("python3")
        .args([
            "-c",
            "import select,sys; sys.exit(0 if select.select([0],[],[],1)[0] else 1)",
        ])
        .stdin(fs::File::open(format!("/proc/self/fd/{out}")).unwrap())
        .status();
    peek.unwrap().success()
}

/// The client of Debian 12 with BuildKit of its own: a session beside `POST /build?version=2`.
#[test]
fn the_old_client_builds_by_buildkit() {
    if !root() {
        return;
    }
    if Client::Docker20.program().is_none() {
        eprintln!("SKIP: docker 20.10 is not on this machine (scripts/setup.sh test)");
        return;
    }
    let brig = Brig::with_image();
    let dir = context(&[
        (
            "Dockerfile",
            "FROM bb\nCOPY a /a\nRUN --mount=type=secret,id=s cat /run/secrets/s | wc -c >/length\n",
        ),
        ("a", "of the session\n"),
        ("secret", "hush"),
    ]);
    let secret = format!("id=s,src={}", dir.path().join("secret").display());
    let words = [
        "build",
        "--progress=plain",
        "-t",
        "old",
        "--secret",
        &secret,
    ];
    let mut command = brig.command(Client::Docker20, &words);
    command.arg(dir.path()).env("DOCKER_BUILDKIT", "1");
    brig.finish_command(&mut command).ok();
    let said = brig.brig(&[
        "run",
        "--rm",
        "--network=none",
        "old",
        "cat",
        "/a",
        "/length",
    ]);
    assert_eq!(said.ok(), "of the session\n4");
    brig.finish();
}
