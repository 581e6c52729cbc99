//! Command lines, and what is made or said of them.

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
        Ok(Parsed::Text(text)) => panic!("{line}: {text}"),
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
    assert!(!flags.rm && flags.init && !args.sig_proxy);
    assert_eq!(flags.memory_swap, Some(-1));
    // The last of several counts, lists grow.
    let args = run_args("run --name a1 --name b2 -e A=1 -e B=2 --net none debian");
    assert_eq!(args.container.name.as_deref(), Some("b2"));
    assert_eq!(args.container.env.len(), 2);
    assert_eq!(args.container.network, ["none"]);
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
        "run --restart always debian",
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
    insta::assert_snapshot!(told, @r#"
    $ brig --nosuch
    125: unknown flag: --nosuch

    Usage:  brig [OPTIONS] COMMAND [ARG...]

    Run 'brig --help' for more information

    $ brig nosuch
    1: brig: unknown command: brig nosuch

    Run 'brig --help' for more information

    $ brig imagse
    1: brig: unknown command: brig imagse

    Did you mean 'brig images'?

    Run 'brig --help' for more information

    $ brig container nosuch
    1: brig: unknown command: brig container nosuch

    Run 'brig container --help' for more information

    $ brig run --nosuch
    125: unknown flag: --nosuch

    Usage:  brig run [OPTIONS] IMAGE [COMMAND] [ARG...]

    Run 'brig run --help' for more information

    $ brig run --nam x debian
    125: unknown flag: --nam

    Did you mean '--name'?

    Usage:  brig run [OPTIONS] IMAGE [COMMAND] [ARG...]

    Run 'brig run --help' for more information

    $ brig run -z debian
    125: unknown shorthand flag: 'z' in -z

    Usage:  brig run [OPTIONS] IMAGE [COMMAND] [ARG...]

    Run 'brig run --help' for more information

    $ brig run -itz debian
    125: unknown shorthand flag: 'z' in -itz

    Usage:  brig run [OPTIONS] IMAGE [COMMAND] [ARG...]

    Run 'brig run --help' for more information

    $ brig run
    1: brig: 'brig run' requires at least 1 argument

    Usage:  brig run [OPTIONS] IMAGE [COMMAND] [ARG...]

    See 'brig run --help' for more information

    $ brig run --name
    125: flag needs an argument: --name

    Usage:  brig run [OPTIONS] IMAGE [COMMAND] [ARG...]

    Run 'brig run --help' for more information

    $ brig run -m x debian
    125: invalid argument "x" for "-m, --memory" flag: invalid size: 'x'

    Usage:  brig run [OPTIONS] IMAGE [COMMAND] [ARG...]

    Run 'brig run --help' for more information

    $ brig run --rm=maybe debian
    125: invalid argument "maybe" for "--rm" flag: strconv.ParseBool: parsing "maybe": invalid syntax

    Usage:  brig run [OPTIONS] IMAGE [COMMAND] [ARG...]

    Run 'brig run --help' for more information

    $ brig run -a foo debian
    125: invalid argument "foo" for "-a, --attach" flag: valid streams are STDIN, STDOUT and STDERR

    Usage:  brig run [OPTIONS] IMAGE [COMMAND] [ARG...]

    Run 'brig run --help' for more information

    $ brig run -p 80:80 debian
    125: unsupported flag: -p: there is no bridge network in this version

    Usage:  brig run [OPTIONS] IMAGE [COMMAND] [ARG...]

    Run 'brig run --help' for more information

    $ brig run --restart always debian
    125: unsupported flag: --restart: restart policies are not in this version

    Usage:  brig run [OPTIONS] IMAGE [COMMAND] [ARG...]

    Run 'brig run --help' for more information

    $ brig rm
    1: brig: 'brig rm' requires at least 1 argument

    Usage:  brig rm [OPTIONS] CONTAINER [CONTAINER...]

    See 'brig rm --help' for more information

    $ brig rm -l x
    125: unsupported flag: -l: links are not in this version

    Usage:  brig rm [OPTIONS] CONTAINER [CONTAINER...]

    Run 'brig rm --help' for more information

    $ brig tag a
    1: brig: 'brig tag' requires 2 arguments

    Usage:  brig tag SOURCE_IMAGE[:TAG] TARGET_IMAGE[:TAG]

    Run 'brig tag --help' for more information

    $ brig ps a
    1: brig: 'brig ps' accepts no arguments

    Usage:  brig ps [OPTIONS]

    Run 'brig ps --help' for more information

    $ brig ps -f x
    125: invalid argument "x" for "-f, --filter" flag: bad format of filter (expected name=value)

    Usage:  brig ps [OPTIONS]

    Run 'brig ps --help' for more information

    $ brig images a b
    1: brig: 'brig images' requires at most 1 argument

    Usage:  brig images [OPTIONS] [REPOSITORY[:TAG]]

    Run 'brig images --help' for more information

    $ brig stop -t x c
    125: invalid argument "x" for "-t, --timeout" flag: strconv.ParseInt: parsing "x": invalid syntax

    Usage:  brig stop [OPTIONS] CONTAINER [CONTAINER...]

    Run 'brig stop --help' for more information

    $ brig logs -n
    125: flag needs an argument: 'n' in -n

    Usage:  brig logs [OPTIONS] CONTAINER

    Run 'brig logs --help' for more information

    $ brig exec c
    1: brig: 'brig exec' requires at least 2 arguments

    Usage:  brig exec [OPTIONS] CONTAINER COMMAND [ARG...]

    See 'brig exec --help' for more information

    $ brig import
    1: brig: 'brig import' requires at least 1 and at most 2 arguments

    Usage:  brig import [OPTIONS] file|URL|- [REPOSITORY[:TAG]]

    Run 'brig import --help' for more information
    "#);
}

#[test]
fn help_has_dockers_layout() {
    insta::assert_snapshot!(help("ps --help"), @r#"
    Usage:  brig ps [OPTIONS]

    List containers

    Aliases:
      brig container ls, brig container list, brig container ps, brig ps

    Options:
      -a, --all             List all containers, not only those that run
      -f, --filter filter   Only containers of which this holds, NAME=value
          --format string   How to print:
                            'table':            columns with headings (default)
                            'table TEMPLATE':   columns made by a Go template
                            'json':             one JSON object a line
                            'TEMPLATE':         a Go template
      -n, --last int        The n newest containers, whatever their state
                            (default -1)
      -l, --latest          The newest container, whatever its state
          --no-trunc        Do not shorten anything
      -q, --quiet           Only ids
      -s, --size            Show sizes
    "#);
    insta::assert_snapshot!(help("container --help"), @r#"
    Usage:  brig container COMMAND

    Manage containers

    Commands:
      attach      Attach your standard streams to a running container
      create      Create a container without starting it
      exec        Run a command in a running container
      inspect     Show all about one or more containers
      kill        Send a signal to one or more running containers
      logs        Show what a container wrote
      ls          List containers
      restart     Stop and start one or more containers
      rm          Remove one or more containers
      run         Create a container from an image and start it
      start       Start one or more containers that exist
      stop        Stop one or more running containers
      top         Show the processes of a container
      wait        Wait until one or more containers end, then print their exit codes

    Run 'brig container COMMAND --help' for more information on a command.
    "#);
    insta::assert_snapshot!(help("stop -h"), @r#"
    Usage:  brig stop [OPTIONS] CONTAINER [CONTAINER...]

    Stop one or more running containers

    Aliases:
      brig container stop, brig stop

    Options:
      -s, --signal string   Signal that asks it to stop
      -t, --timeout int     Seconds to wait before SIGKILL (-1 for ever)
    "#);
    insta::assert_snapshot!(help("help"), @r#"
    Usage:  brig [OPTIONS] COMMAND

    Runs containers; a drop-in for Docker

    Common Commands:
      run         Create a container from an image and start it
      exec        Run a command in a running container
      ps          List containers
      images      List images
      version     Show the versions of client and daemon
      info        Show facts about the daemon and its machine

    Management Commands:
      container   Manage containers
      image       Manage images
      system      Manage Brig

    Commands:
      attach      Attach your standard streams to a running container
      create      Create a container without starting it
      import      Make an image of a root file system's tar archive
      inspect     Show all about containers and images
      kill        Send a signal to one or more running containers
      load        Load images from an archive or standard input
      logs        Show what a container wrote
      restart     Stop and start one or more containers
      rm          Remove one or more containers
      rmi         Remove one or more images
      save        Save one or more images to an archive (on standard output by default)
      start       Start one or more containers that exist
      stop        Stop one or more running containers
      tag         Give an image another name
      top         Show the processes of a container
      wait        Wait until one or more containers end, then print their exit codes

    Global Options:
      -D, --debug              Say more about what goes wrong
      -H, --host list          Socket of the daemon to talk to
      -l, --log-level string   How much to say ("debug", "info", "warn",
                               "error", "fatal") (default "info")
      -v, --version            Print the version and end

    Run 'brig COMMAND --help' for more information on a command.
    "#);
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

/// Every flag of ours is one of Docker's, with the same short form and type; every flag of
/// Docker's that we lack is refused with a reason.
#[test]
fn flags_are_dockers() {
    let docker = |verb: &str| {
        let output = std::process::Command::new("docker")
            .args(verb.split(' '))
            .arg("--help")
            .output();
        output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned())
    };
    if docker("run").is_err() {
        eprintln!("SKIP: flags_are_dockers: there is no docker client to compare with");
        return;
    }
    let mut differences = Vec::new();
    for verb in &VERBS {
        let name = verb.name();
        let theirs = flags_in(&docker(name).unwrap());
        let ours = flags_in(&verb_help(verb, name));
        for flag in ours.iter().filter(|flag| !theirs.contains(flag)) {
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
