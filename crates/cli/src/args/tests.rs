//! Command lines, and what is made or said of them.

use std::path::{Path, PathBuf};

use clap::FromArgMatches;

use super::container::RunArgs;
use super::*;
use crate::commands::VERBS;

fn words(line: &str) -> Vec<String> {
    line.split_whitespace().map(str::to_owned).collect()
}

fn invocation(line: &str) -> Box<Invocation> {
    match parse(&VERBS, words(line)) {
        Ok(Parsed::Run(invocation)) => invocation,
        Ok(Parsed::Text(text) | Parsed::Hint(text)) => panic!("{line}: {text}"),
        Err(refusal) => panic!("{line}: {refusal}"),
    }
}

fn run_args(line: &str) -> RunArgs {
    RunArgs::from_arg_matches(&invocation(line).matches).unwrap()
}

fn refusal(line: &str) -> String {
    match parse(&VERBS, words(line)) {
        Err(refusal) => format!("$ brig {line}\n{}: {}\n", refusal.code, refusal.text),
        Ok(_) => format!("$ brig {line}\nunderstood\n"),
    }
}

fn help(line: &str) -> String {
    match parse(&VERBS, words(line)) {
        Ok(Parsed::Text(text)) => text,
        _ => panic!("{line}: no help"),
    }
}

#[test]
fn after_the_image_everything_is_the_command() {
    let args = run_args("run -it --rm -eA=1 --name=web -m 64m debian ls -l --rm -- x");
    let flags = &args.container;
    assert!(flags.interactive && flags.tty && flags.rm);
    assert_eq!(flags.name.as_deref(), Some("web"));
    assert_eq!(flags.memory, Some(64 << 20));
    assert_eq!(flags.words, words("debian ls -l --rm -- x"));
    let args = run_args("run -- debian -x");
    assert_eq!(args.container.words, words("debian -x"));
}

#[test]
fn flags_are_read_as_pflag_reads_them() {
    let args = run_args("run --rm=false --init=true --sig-proxy=0 --memory-swap -1 debian");
    let flags = &args.container;
    assert!(!flags.rm && flags.init == Some(true) && !args.sig_proxy);
    assert_eq!(flags.memory_swap, Some(-1));
    // The last of several counts, lists grow.
    let args = run_args("run --name a1 --name b2 -e A=1 -e B=2 --net none debian");
    assert_eq!(args.container.name.as_deref(), Some("b2"));
    assert_eq!(args.container.env.len(), 2);
    assert_eq!(args.container.network[0].target, "none");
    assert!(run_args("run debian").sig_proxy);
}

#[test]
fn groups_lead_to_the_same_verbs() {
    for (line, name) in [
        ("ps -a", "ps"),
        ("container ls", "ps"),
        ("container list", "ps"),
        ("image rm x", "rmi"),
        ("images", "images"),
        ("system info", "info"),
        ("image inspect x", "image inspect"),
        ("inspect x", "inspect"),
    ] {
        assert_eq!(invocation(line).verb.name(), name, "{line}");
    }
    let found = invocation("-H unix:///a -H unix:///b -D ps");
    assert_eq!(found.globals.host.as_deref(), Some("unix:///b"));
    assert!(found.globals.debug);
}

#[test]
fn what_cannot_be_understood_is_told_as_docker_tells_it() {
    let told = [
        "--nosuch",
        "nosuch",
        "imagse",
        "container nosuch",
        "run --nosuch",
        "run --nam x debian",
        "run -z debian",
        "run -itz debian",
        "run",
        "run --name",
        "run -m x debian",
        "run --rm=maybe debian",
        "run -a foo debian",
        "run -p 80:80 debian",
        "stop --time x web",
        "stop --timeout=x web",
        "context use",
        "context use a b",
        "run --cpu-count 2 debian",
        "rm",
        "rm -l x",
        "tag a",
        "ps a",
        "ps -f x",
        "images a b",
        "stop -t x c",
        "logs -n",
        "exec c",
        "import",
    ]
    .map(refusal)
    .join("\n");
    insta::assert_snapshot!(told);
}

#[test]
fn help_has_dockers_layout() {
    insta::assert_snapshot!("help-ps", help("ps --help"));
    insta::assert_snapshot!("help-container", help("container --help"));
    insta::assert_snapshot!("help-stop", help("stop -h"));
    insta::assert_snapshot!("help-help", help("help"));
    assert_eq!(help("help logs"), help("logs --help"));
    assert!(help("run -h x --help").contains("--help "));
    assert_eq!(
        help("--version"),
        format!("Brig version {}\n", env!("CARGO_PKG_VERSION"))
    );
}

/// `-m, --memory bytes` of each line of a help text.
fn flags_in(help: &str) -> Vec<String> {
    help.lines()
        .filter_map(|line| {
            let line = line.strip_prefix("  ")?;
            let flag = line.starts_with("-") || line.starts_with("    --");
            let end = line
                .trim_start()
                .find("  ")
                .unwrap_or(line.trim_start().len());
            flag.then(|| line.trim_start()[..end].to_owned())
        })
        .collect()
}

/// The client that the tests are held against.
fn docker() -> Option<PathBuf> {
    let cache = std::env::var_os("BRIG_CACHE").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.cache"),
        PathBuf::from,
    );
    let program = cache.join("tools/docker-28/usr/bin/docker");
    program.exists().then_some(program)
}

const FLAGS_OF_OURS: [(&str, &str); 28] = [
    // Docker's since 29.
    ("commit", "--no-pause"),
    ("create", "--health-action string"),
    ("create", "--health-grpc string"),
    ("create", "--health-http string"),
    ("create", "--health-tcp string"),
    ("create", "--net-egress rate"),
    ("create", "--net-ingress rate"),
    ("create", "--secret secret"),
    ("run", "--health-action string"),
    ("run", "--health-grpc string"),
    ("run", "--health-http string"),
    ("run", "--health-tcp string"),
    ("run", "--net-egress rate"),
    ("run", "--net-ingress rate"),
    ("logs", "--grep pattern"),
    ("run", "--secret secret"),
    ("update", "--env-add list"),
    ("update", "--env-rm list"),
    ("update", "--label-add list"),
    ("update", "--label-rm list"),
    ("update", "--mount-add mount"),
    ("update", "--mount-rm path"),
    ("update", "--publish-add list"),
    ("update", "--publish-rm list"),
    ("update", "--net-egress rate"),
    ("update", "--net-ingress rate"),
    ("pull", "--all-platforms"),
    ("volume create", "--size bytes"),
];

/// Every flag of ours is one of Docker's, with the same short form and type; every flag of
/// Docker's that we lack is refused with a reason.
#[test]
fn flags_are_dockers() {
    let Some(program) = docker() else {
        eprintln!("SKIP: flags_are_dockers: there is no docker client (scripts/setup.sh test)");
        return;
    };
    let docker = |verb: &str| {
        let mut command = std::process::Command::new(&program);
        let output = command.args(verb.split(' ')).arg("--help").output();
        String::from_utf8_lossy(&output.unwrap().stdout).into_owned()
    };
    /// Brig's own.
    const VERBS_OF_OURS: [&str; 26] = [
        // Docker's is a plugin's: an end-to-end test compares them.
        "build",
        "builder prune",
        "buildx du",
        "buildx inspect",
        "buildx ls",
        "buildx prune",
        "buildx use",
        "buildx version",
        "completion",
        "man",
        "image mount",
        "image unmount",
        "network explain",
        "secret create",
        "secret inspect",
        "secret ls",
        "secret rm",
        "secret update",
        "system check",
        "system upgrade",
        "volume clone",
        "volume export",
        "volume import",
        "volume rename",
        "volume restore",
        "volume snapshot",
    ];
    let mut differences = Vec::new();
    for verb in VERBS.iter().filter(|v| !VERBS_OF_OURS.contains(&v.name())) {
        let name = verb.name();
        let theirs = flags_in(&docker(name));
        let ours = flags_in(&verb_help(verb, name));
        let own = |flag: &str| FLAGS_OF_OURS.contains(&(name, flag));
        let added = ours.iter().filter(|flag| !theirs.contains(flag));
        for flag in added.filter(|flag| !own(flag)) {
            differences.push(format!("{name}: Docker has no '{flag}'"));
        }
        for flag in theirs.iter().filter(|flag| !ours.contains(flag)) {
            let long = flag.split(' ').find(|word| word.starts_with("--")).unwrap();
            if unsupported::why_missing(name, long).is_none() {
                differences.push(format!("{name}: '{flag}' is not refused with a reason"));
            }
        }
    }
    assert_eq!(differences.join("\n"), "");
}

/// The names in a row of the table of commands: `brig run`, `start` | `container ...`.
fn names_in(row: &str) -> Vec<String> {
    let mut columns = row.split('|').skip(1);
    let mut code = || {
        let words = columns.next().unwrap_or_default().split('`');
        words.skip(1).step_by(2).collect::<Vec<_>>()
    };
    let short: Vec<&str> = code()
        .into_iter()
        .map(|name| name.trim_start_matches("brig "))
        .collect();
    let mut names: Vec<String> = short.iter().map(ToString::to_string).collect();
    let mut group = "";
    for name in code() {
        match name.split_once(' ') {
            Some((whose, "...")) => {
                names.extend(short.iter().map(|verb| format!("{whose} {verb}")));
            }
            Some((whose, _)) => {
                group = whose;
                names.push(name.to_owned());
            }
            // Another one of the group.
            None => names.push(format!("{group} {name}")),
        }
    }
    names
}

#[test]
fn the_page_of_the_command_line_has_every_verb_and_no_other() {
    let page = include_str!("../../../../docs/cli.md");
    let start = page.find("\n|---|").unwrap();
    let table = page[start..].trim_start().lines().skip(1);
    let rows = table.take_while(|line| line.starts_with('|'));
    let told: Vec<String> = rows.flat_map(names_in).collect();
    let untold = VERBS.iter().filter(|verb| {
        let mut names = verb.names.iter();
        !names.any(|name| told.iter().any(|other| other == name))
    });
    let untold: Vec<_> = untold.map(Verb::name).collect();
    assert_eq!(untold, <[&str; 0]>::default(), "not in docs/cli.md");
    let names: Vec<&str> = VERBS.iter().flat_map(|verb| verb.names).copied().collect();
    let unknown = told.iter().filter(|name| !names.contains(&name.as_str()));
    assert_eq!(unknown.count(), 0, "{told:?}");
}
