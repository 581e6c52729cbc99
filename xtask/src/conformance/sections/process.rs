//! config.md, Process, POSIX process, User.

use std::borrow::Cow;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

use super::super::find::{failed_with, holds, same, status, text};
use super::super::suite::{Row, Suite, Test, table};

pub(super) fn tests() -> Vec<Test> {
    let mut all = table(TESTS);
    all.extend(RLIMITS.iter().map(rlimit_test));
    all
}

const TESTS: &[Row] = &[
    (
        "process/args",
        "config.md, Process: args are execvp's argv",
        args,
    ),
    (
        "process/args-empty-word",
        "config.md, Process: args are execvp's argv, empty words among them",
        args_empty_word,
    ),
    (
        "process/args-from-path",
        "config.md, Process: the first entry is execvp's file: without a slash it is sought in PATH",
        args_from_path,
    ),
    (
        "process/args-path-order",
        "config.md, Process: the first entry is execvp's file: PATH is gone through in its order",
        args_path_order,
    ),
    (
        "process/args-relative",
        "config.md, Process: the first entry is execvp's file: with a slash it is relative to cwd",
        args_relative,
    ),
    (
        "process/script",
        "config.md, Process: the first entry is execvp's file, which may begin with #!",
        script,
    ),
    (
        "process/cwd",
        "config.md, Process: cwd is the program's working directory",
        cwd,
    ),
    (
        "process/cwd-of-user",
        "config.md, Process: cwd is the program's working directory, whoever the user is",
        cwd_of_user,
    ),
    (
        "process/cwd-on-mount",
        "config.md, Process: cwd is a path inside, on a mount too",
        cwd_on_mount,
    ),
    (
        "process/env",
        "config.md, Process: env is the program's environ",
        env,
    ),
    (
        "process/env-nothing-else",
        "config.md, Process: env is the program's environ, and nothing of the runtime's own",
        env_nothing_else,
    ),
    (
        "process/env-empty",
        "config.md, Process: env is OPTIONAL",
        env_empty,
    ),
    (
        "process/env-value-with-equals",
        "config.md, Process: env is as environ: all after the first = is the value",
        env_equals,
    ),
    (
        "process/no-terminal",
        "config.md, Process: terminal is false by default",
        no_terminal,
    ),
    (
        "process/console-size-ignored",
        "config.md, Process: consoleSize MUST be ignored if terminal is false",
        console_size_ignored,
    ),
    (
        "process/streams",
        "config.md, Process: without a terminal the streams are those given to create",
        streams,
    ),
    (
        "process/no-descriptors",
        "config.md, Process: the process has the standard streams, and nothing of the runtime's own",
        no_descriptors,
    ),
    (
        "process/no-new-privileges",
        "config.md, Linux Process: noNewPrivileges true keeps the process from gaining more",
        |suite| no_new_privileges(suite, json!(true), "1"),
    ),
    (
        "process/no-new-privileges-off",
        "config.md, Linux Process: noNewPrivileges false does not",
        |suite| no_new_privileges(suite, json!(false), "0"),
    ),
    (
        "process/oom-score",
        "config.md, Linux Process: oom_score_adj MUST be set to oomScoreAdj",
        oom_score,
    ),
    (
        "process/oom-score-unset",
        "config.md, Linux Process: oom_score_adj MUST NOT be changed if oomScoreAdj is not set",
        oom_score_unset,
    ),
    (
        "user/root",
        "config.md, User: uid and gid are the process's",
        |suite| ids(suite, 0, 0),
    ),
    (
        "user/other",
        "config.md, User: uid and gid are the process's",
        |suite| ids(suite, 1000, 2000),
    ),
    (
        "user/unnamed",
        "config.md, User: names are left to upper levels, so ids need none",
        |suite| ids(suite, 4_000_000, 4_000_001),
    ),
    (
        "user/additional-groups",
        "config.md, User: additionalGids are added to the process",
        additional_groups,
    ),
    (
        "user/no-additional-groups",
        "config.md, User: without additionalGids the process has no groups of the runtime's",
        no_additional_groups,
    ),
    (
        "user/umask",
        "config.md, User: umask is the process's",
        umask,
    ),
    (
        "user/umask-zero",
        "config.md, User: umask 0 is a umask",
        umask_zero,
    ),
    (
        "user/umask-unset",
        "config.md, User: without umask that of the caller should not be changed; the usual 0022 is taken as well, as a daemon's own mask is none of the container's business",
        umask_unset,
    ),
    (
        "rlimit/none",
        "config.md, POSIX process: limits that are not listed are those of the caller",
        rlimit_none,
    ),
    (
        "rlimit/several",
        "config.md, POSIX process: each entry of rlimits holds",
        rlimit_several,
    ),
];

fn args(suite: &Suite) -> Result<()> {
    let mut bundle = suite.bundle()?;
    bundle.args(&["/probe", "report", "a b", "--c", "d\"e", "f\\g", "h\ni"]);
    let container = bundle.start()?;
    container.wait()?;
    same(
        "args",
        &container.first_report()?["args"],
        &bundle.config["process"]["args"],
    )
}

fn args_empty_word(suite: &Suite) -> Result<()> {
    let mut bundle = suite.bundle()?;
    bundle.args(&["/probe", "report", "", "x", ""]);
    let container = bundle.start()?;
    container.wait()?;
    same(
        "args",
        &container.first_report()?["args"],
        &bundle.config["process"]["args"],
    )
}

/// Runs with these args and gives the report.
fn report_of(suite: &Suite, args: &[&str], change: impl Fn(&mut Value)) -> Result<Value> {
    let mut bundle = suite.bundle()?;
    std::fs::hard_link(bundle.in_root("probe"), bundle.in_root("bin/tool"))?;
    std::fs::create_dir(bundle.in_root("first"))?;
    bundle.args(args);
    change(&mut bundle.config);
    let container = bundle.start()?;
    container.wait()?;
    let report = container.first_report();
    report.with_context(|| format!("{args:?}"))
}

fn args_from_path(suite: &Suite) -> Result<()> {
    let report = report_of(suite, &["tool", "report"], |_| {})?;
    same("args", &report["args"][0], &json!("tool"))
}

fn args_path_order(suite: &Suite) -> Result<()> {
    // /first has none: the search must go on.
    let set = |config: &mut Value| config["process"]["env"] = json!(["PATH=/first:/absent:/bin"]);
    report_of(suite, &["tool", "report"], set).map(drop)
}

fn args_relative(suite: &Suite) -> Result<()> {
    let set = |config: &mut Value| config["process"]["cwd"] = json!("/bin");
    report_of(suite, &["./tool", "report"], set).map(drop)
}

fn script(suite: &Suite) -> Result<()> {
    let mut bundle = suite.bundle()?;
    bundle.file("script", "#!/probe report\n")?;
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(bundle.in_root("script"), mode)?;
    bundle.args(&["/script"]);
    let container = bundle.start()?;
    container.wait()?;
    same(
        "args",
        &container.first_report()?["args"],
        &json!(["/probe", "report", "/script"]),
    )
}

fn cwd(suite: &Suite) -> Result<()> {
    let mut bundle = suite.bundle()?;
    std::fs::create_dir_all(bundle.in_root("var/deep/down"))?;
    bundle.set("/process/cwd", json!("/var/deep/down"));
    same("cwd", &bundle.report()?["cwd"], &json!("/var/deep/down"))
}

fn cwd_of_user(suite: &Suite) -> Result<()> {
    let mut bundle = suite.bundle()?;
    bundle.set("/process/cwd", json!("/tmp"));
    bundle.set("/process/user", json!({ "uid": 1000, "gid": 1000 }));
    same("cwd", &bundle.report()?["cwd"], &json!("/tmp"))
}

fn cwd_on_mount(suite: &Suite) -> Result<()> {
    let mut bundle = suite.bundle()?;
    bundle.mount("tmpfs", "tmpfs", "/mnt", &[]);
    bundle.set("/process/cwd", json!("/mnt"));
    same("cwd", &bundle.report()?["cwd"], &json!("/mnt"))
}

fn env(suite: &Suite) -> Result<()> {
    let mut bundle = suite.bundle()?;
    let wanted = ["PATH=/bin", "HOME=/nowhere", "EMPTY=", "TWO=a b", "LAST=z"];
    bundle.set("/process/env", json!(wanted));
    let report = bundle.report()?;
    let mut seen: Vec<&str> = report["env"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    seen.sort_unstable();
    let mut wanted = wanted;
    wanted.sort_unstable();
    same("env", seen, wanted)
}

fn env_nothing_else(suite: &Suite) -> Result<()> {
    let mut bundle = suite.bundle()?;
    bundle.set("/process/env", json!(["HOME=/", "ONLY=this"]));
    let report = bundle.report()?;
    let all = report["env"].as_array().map_or(0, Vec::len);
    holds("there are two variables", all == 2, &report["env"])
}

fn env_empty(suite: &Suite) -> Result<()> {
    let mut bundle = suite.bundle()?;
    bundle.set("/process/env", Value::Null);
    let report = bundle.report()?;
    let names = report["env"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str);
    // HOME is what runc and crun add where there is none.
    let others: Vec<&str> = names.filter(|name| !name.starts_with("HOME=")).collect();
    holds(
        "there is nothing of the caller's",
        others.is_empty(),
        others,
    )
}

fn env_equals(suite: &Suite) -> Result<()> {
    let mut bundle = suite.bundle()?;
    bundle.set("/process/env", json!(["HOME=/", "A=b=c=", "B==d"]));
    let report = bundle.report()?;
    for wanted in ["A=b=c=", "B==d"] {
        let found = report["env"]
            .as_array()
            .is_some_and(|all| all.contains(&json!(wanted)));
        holds(wanted, found, &report["env"])?;
    }
    Ok(())
}

fn no_terminal(suite: &Suite) -> Result<()> {
    let mut bundle = suite.bundle()?;
    if let Some(process) = bundle.config["process"].as_object_mut() {
        process.remove("terminal");
    }
    let report = bundle.report()?;
    same(
        "controlling terminal",
        super::super::find::stat(&report, 7)?,
        0,
    )
}

fn console_size_ignored(suite: &Suite) -> Result<()> {
    let mut bundle = suite.bundle()?;
    bundle.set("/process/consoleSize", json!({ "height": 10, "width": 20 }));
    bundle.report().map(drop)
}

fn streams(suite: &Suite) -> Result<()> {
    let report = suite.bundle()?.report()?;
    same("standard input", &report["fds"]["0"], &json!("/dev/null"))
}

fn no_descriptors(suite: &Suite) -> Result<()> {
    let report = suite.bundle()?.report()?;
    let fds = report["fds"].as_object().context("no fds")?;
    let more: Vec<_> = fds
        .iter()
        .filter(|(name, _)| !["0", "1", "2"].contains(&name.as_str()))
        .collect();
    holds("there are the standard streams only", more.is_empty(), more)
}

fn no_new_privileges(suite: &Suite, value: Value, wanted: &str) -> Result<()> {
    let mut bundle = suite.bundle()?;
    bundle.set("/process/noNewPrivileges", value);
    same(
        "NoNewPrivs",
        status(&bundle.report()?, "NoNewPrivs")?,
        wanted,
    )
}

fn oom_score(suite: &Suite) -> Result<()> {
    let mut bundle = suite.bundle()?;
    bundle.set("/process/oomScoreAdj", json!(431));
    same(
        "oom_score_adj",
        text(&bundle.report()?, "oom_score_adj")?,
        "431",
    )
}

fn oom_score_unset(suite: &Suite) -> Result<()> {
    let own = std::fs::read_to_string("/proc/self/oom_score_adj")?;
    same(
        "oom_score_adj",
        text(&suite.bundle()?.report()?, "oom_score_adj")?,
        own.trim(),
    )
}

fn ids(suite: &Suite, uid: u32, gid: u32) -> Result<()> {
    let mut bundle = suite.bundle()?;
    bundle.set("/process/user", json!({ "uid": uid, "gid": gid }));
    let report = bundle.report()?;
    same(
        "user ids",
        status(&report, "Uid")?,
        [uid; 4].map(|id| id.to_string()).join("\t"),
    )?;
    same(
        "group ids",
        status(&report, "Gid")?,
        [gid; 4].map(|id| id.to_string()).join("\t"),
    )
}

fn groups(report: &Value) -> Result<Vec<u32>> {
    let list = status(report, "Groups")?.split_whitespace();
    Ok(list.filter_map(|group| group.parse().ok()).collect())
}

fn additional_groups(suite: &Suite) -> Result<()> {
    let mut bundle = suite.bundle()?;
    bundle.set(
        "/process/user",
        json!({ "uid": 5, "gid": 6, "additionalGids": [70, 8, 4_000_000] }),
    );
    let mut found = groups(&bundle.report()?)?;
    // The kernel sorts them; the process's own group may be among them.
    found.retain(|group| *group != 6);
    same("groups", found, [8, 70, 4_000_000])
}

fn no_additional_groups(suite: &Suite) -> Result<()> {
    let mut bundle = suite.bundle()?;
    bundle.set("/process/user", json!({ "uid": 5, "gid": 6 }));
    let found = groups(&bundle.report()?)?;
    holds(
        "there are none",
        found.iter().all(|group| *group == 6),
        found,
    )
}

fn umask(suite: &Suite) -> Result<()> {
    let mut bundle = suite.bundle()?;
    bundle.set("/process/user/umask", json!(0o27));
    let done = bundle.ops(&[&["create", "/tmp/new"], &["stat", "/tmp/new"], &["report"]])?;
    same("Umask", status(&done[2]["ok"], "Umask")?, "0027")?;
    same(
        "mode of a new file",
        done[1]["ok"]["mode"].as_u64(),
        Some(0o640),
    )
}

fn umask_zero(suite: &Suite) -> Result<()> {
    let mut bundle = suite.bundle()?;
    bundle.set("/process/user/umask", json!(0));
    same("Umask", status(&bundle.report()?, "Umask")?, "0000")
}

fn umask_unset(suite: &Suite) -> Result<()> {
    let mut bundle = suite.bundle()?;
    bundle.args(&["/probe", "report"]);
    let container = bundle.create_through(&["sh", "-c", "umask 0123; exec \"$@\"", "sh"], &[])?;
    container.start()?;
    container.wait()?;
    let report = container.first_report()?;
    let seen = status(&report, "Umask")?;
    holds(
        "it is the caller's or the usual one",
        ["0123", "0022"].contains(&seen),
        seen,
    )
}

/// A resource, its name in /proc/PID/limits, soft and hard. None is above what an unprivileged caller
/// has.
type Limit = (&'static str, &'static str, u64, u64);

const RLIMITS: &[Limit] = &[
    (
        "RLIMIT_AS",
        "Max address space",
        4_294_967_296,
        8_589_934_592,
    ),
    ("RLIMIT_CORE", "Max core file size", 0, 1_048_576),
    ("RLIMIT_CPU", "Max cpu time", 77, 88),
    ("RLIMIT_DATA", "Max data size", 4_294_967_296, 8_589_934_592),
    (
        "RLIMIT_FSIZE",
        "Max file size",
        1_073_741_824,
        1_073_741_825,
    ),
    ("RLIMIT_LOCKS", "Max file locks", 3, 5),
    ("RLIMIT_MEMLOCK", "Max locked memory", 4096, 65_536),
    ("RLIMIT_MSGQUEUE", "Max msgqueue size", 4096, 65_536),
    ("RLIMIT_NICE", "Max nice priority", 0, 0),
    ("RLIMIT_NOFILE", "Max open files", 256, 512),
    ("RLIMIT_NPROC", "Max processes", 1024, 2048),
    (
        "RLIMIT_RSS",
        "Max resident set",
        1_073_741_824,
        1_073_741_825,
    ),
    ("RLIMIT_RTPRIO", "Max realtime priority", 0, 0),
    (
        "RLIMIT_RTTIME",
        "Max realtime timeout",
        1_000_000,
        2_000_000,
    ),
    ("RLIMIT_SIGPENDING", "Max pending signals", 55, 66),
    ("RLIMIT_STACK", "Max stack size", 4_194_304, 8_388_608),
];

fn rlimit_test(row: &'static Limit) -> Test {
    let short = row.0.trim_start_matches("RLIMIT_").to_lowercase();
    Test {
        name: Cow::Owned(format!("rlimit/{short}")),
        says: Cow::Owned(format!(
            "config.md, POSIX process: rlim_cur and rlim_max of {} MUST match soft and hard",
            row.0
        )),
        check: Box::new(move |suite| rlimit(suite, row)),
    }
}

fn rlimit(suite: &Suite, row: &Limit) -> Result<()> {
    let &(kind, line, soft, hard) = row;
    let mut bundle = suite.bundle()?;
    bundle.set(
        "/process/rlimits",
        json!([{ "type": kind, "soft": soft, "hard": hard }]),
    );
    let report = bundle.report()?;
    same(
        kind,
        limit_of(&report, line)?,
        (soft.to_string(), hard.to_string()),
    )
}

fn limit_of(report: &Value, name: &str) -> Result<(String, String)> {
    let lines = text(report, "limits")?;
    let line = lines.lines().find_map(|line| line.strip_prefix(name));
    let mut words = line
        .with_context(|| format!("no {name}"))?
        .split_whitespace();
    let mut next = || words.next().unwrap_or_default().to_owned();
    Ok((next(), next()))
}

fn rlimit_none(suite: &Suite) -> Result<()> {
    let report = suite.bundle()?.report()?;
    let own = json!({ "limits": std::fs::read_to_string("/proc/self/limits")? });
    for name in ["Max file size", "Max open files", "Max core file size"] {
        same(name, limit_of(&report, name)?, limit_of(&own, name)?)?;
    }
    Ok(())
}

fn rlimit_several(suite: &Suite) -> Result<()> {
    let mut bundle = suite.bundle()?;
    let of = |kind: &str, soft: u64| json!({ "type": kind, "soft": soft, "hard": 1000 });
    bundle.set(
        "/process/rlimits",
        json!([of("RLIMIT_NOFILE", 100), of("RLIMIT_CORE", 7)]),
    );
    let done = bundle.ops(&[&["report"], &["stat", "/absent"]])?;
    failed_with(&done[1], 2)?;
    same(
        "files",
        limit_of(&done[0]["ok"], "Max open files")?.0.as_str(),
        "100",
    )?;
    same(
        "core",
        limit_of(&done[0]["ok"], "Max core file size")?.0.as_str(),
        "7",
    )
}
