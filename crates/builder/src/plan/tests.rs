//! Dockerfiles in, graphs and images as text out.

use std::fmt::Write as _;

use super::*;
use crate::dockerfile::parse;
use crate::graph::{Act, Exec, MountSource, Operand, Vertex};
use crate::source::Source;

fn amd64() -> Platform {
    "linux/amd64".parse().unwrap()
}

fn options() -> Options {
    Options {
        platform: amd64(),
        build_platform: amd64(),
        ..Options::default()
    }
}

fn with_args(args: &[(&str, &str)]) -> Options {
    let args = args.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
    Options {
        args: args.collect(),
        ..options()
    }
}

/// An image with a layer and such lines in its configuration.
fn image(config: serde_json::Value) -> KnownImage {
    let document = serde_json::json!({
        "architecture": "amd64", "os": "linux", "config": config,
        "rootfs": {"type": "layers", "diff_ids": ["sha256:1"]}, "history": [{"created_by": "base"}],
    });
    KnownImage::Found {
        digest: Some("sha256:d".into()),
        config: Box::new(serde_json::from_value(document).unwrap()),
    }
}

fn known(images: Vec<(&str, KnownImage)>) -> Known {
    let images = images.into_iter().map(|(name, image)| {
        let request = ImageRequest {
            reference: name.to_owned(),
            layout: false,
            platform: amd64(),
        };
        (request, image)
    });
    images.collect()
}

fn debian() -> Known {
    let config = serde_json::json!({"Env": ["PATH=/bin", "BASE=b"], "Cmd": ["bash"]});
    known(vec![("docker.io/library/debian:latest", image(config))])
}

fn file(text: &str) -> Dockerfile {
    parse(&Source::new("Dockerfile", text.as_bytes())).unwrap_or_else(|e| panic!("{e}: {text}"))
}

fn planned(text: &str, options: &Options, known: &Known) -> Plan {
    match plan(&file(text), options, known) {
        Ok(Outcome::Planned(plan)) => *plan,
        other => panic!("{text}: {other:?}"),
    }
}

fn easy(text: &str) -> Plan {
    planned(text, &options(), &debian())
}

fn error(text: &str) -> String {
    match plan(&file(text), &options(), &debian()) {
        Err(error) => format!("{}: {error}", error.span().start.line),
        Ok(outcome) => panic!("{text}: {outcome:?}"),
    }
}

/// One line a vertex: its place, its inputs, what it does.
fn show(plan: &Plan) -> String {
    let mut out = String::new();
    let results: Vec<Output> = plan.result.into_iter().collect();
    let ids = plan.graph.needed(&results);
    let place = |output: &Output| ids.iter().position(|id| *id == output.vertex).unwrap();
    for (index, id) in ids.iter().enumerate() {
        let vertex = plan.graph.get(*id);
        let inputs: Vec<String> = vertex.inputs.iter().map(|i| place(i).to_string()).collect();
        let _ = writeln!(out, "{index}({}) {}", inputs.join(","), what(vertex));
    }
    out
}

fn what(vertex: &Vertex) -> String {
    match &vertex.op {
        Op::Source(Origin::Image(image)) => format!("image {}", image.reference),
        Op::Source(Origin::Local(local)) => {
            format!("local {} follow={:?}", local.name, local.follow)
        }
        Op::Source(Origin::Git(git)) => format!("git {}#{}", git.remote, git.reference),
        Op::Source(Origin::Http(http)) => format!("http {} {:?}", http.url, http.checksum),
        Op::Source(other) => format!("{other:?}"),
        Op::Exec(exec) => format!("exec {:?}{}", exec.args, mounts(exec)),
        Op::File(actions) => {
            let actions = actions
                .iter()
                .map(|a| format!("{:?} {}", a.on, act(&a.act)));
            actions.collect::<Vec<_>>().join("; ")
        }
        Op::Merge(_) => "merge".to_owned(),
        other => format!("{other:?}"),
    }
}

fn act(act: &Act) -> String {
    match act {
        Act::Copy(copy) => {
            let mut out = format!("copy {:?}:{} {}", copy.from, copy.source, copy.target);
            for (name, list) in [
                ("include", &copy.include),
                ("exclude", &copy.exclude),
                ("required", &copy.required),
            ] {
                if !list.is_empty() {
                    let _ = write!(out, " {name}={list:?}");
                }
            }
            out
        }
        Act::MakeFile {
            path, mode, data, ..
        } => {
            format!("file {path} {mode:o} {:?}", String::from_utf8_lossy(data))
        }
        Act::MakeDirectory { path, mode, .. } => format!("mkdir {path} {mode:o}"),
        other => format!("{other:?}"),
    }
}

fn mounts(exec: &Exec) -> String {
    let mut out = String::new();
    for mount in exec.mounts.iter().skip(1) {
        let ro = if mount.read_only { " ro" } else { "" };
        let what = match &mount.source {
            MountSource::Files => format!("{:?}{}", mount.input, mount.selector),
            MountSource::Cache(cache) => format!(
                "cache {} {:?} {:?}{}",
                cache.id, cache.sharing, mount.input, mount.selector
            ),
            MountSource::Memory(size) => format!("memory {size}"),
            MountSource::Secret(secret) => {
                format!("secret {} {:o} {}", secret.id, secret.mode, secret.optional)
            }
            MountSource::Agent(agent) => format!("agent {}", agent.id),
        };
        let _ = write!(out, " [{}{ro}: {what}]", mount.target);
    }
    out
}

fn history(plan: &Plan) -> Vec<String> {
    let lines = plan.image.history.iter();
    lines
        .map(|h| {
            format!(
                "{}{}",
                if h.empty_layer { "- " } else { "+ " },
                h.created_by
            )
        })
        .collect()
}

fn exec(plan: &Plan) -> Exec {
    let vertices = plan.graph.iter().map(|(_, vertex)| &vertex.op);
    let mut found = vertices.filter_map(|op| match op {
        Op::Exec(exec) => Some((**exec).clone()),
        _ => None,
    });
    found.next_back().unwrap()
}

#[test]
fn a_plain_file() {
    let plan = easy(
        "FROM debian\nARG V=1\nENV A=$V-$BASE\nWORKDIR /app\nCOPY src ./\nRUN make $A\nUSER me\nCMD [\"/app/x\"]\nEXPOSE 80 53/udp\nVOLUME /data\nSTOPSIGNAL SIGINT\nLABEL a=\"b c\"\nHEALTHCHECK --interval=30s CMD x\n",
    );
    assert_eq!(
        show(&plan),
        "0() image docker.io/library/debian:latest@sha256:d\n\
         1() local context follow=[\"src\"]\n\
         2(0) Input(0) mkdir /app 755\n\
         3(2,1) Input(0) copy Input(1):/src /app/\n\
         4(3) exec [\"/bin/sh\", \"-c\", \"make $A\"]\n"
    );
    assert_eq!(
        history(&plan),
        [
            "+ base",
            "- ARG V=1",
            "- ENV A=1-b",
            "+ WORKDIR /app",
            "+ COPY src ./ # buildkit",
            "+ RUN |1 V=1 /bin/sh -c make $A # buildkit",
            "- USER me",
            "- CMD [\"/app/x\"]",
            "- EXPOSE [53/udp 80/tcp]",
            "- VOLUME [/data]",
            "- STOPSIGNAL SIGINT",
            "- LABEL a=b c",
            r#"- HEALTHCHECK &{["CMD-SHELL" "x"] "30s" "0s" "0s" "0s" '\x00'}"#,
        ]
    );
    let exec = exec(&plan);
    assert_eq!(exec.env, ["PATH=/bin", "BASE=b", "V=1", "A=1-b"]);
    assert_eq!((exec.directory.as_str(), exec.user.as_str()), ("/app", ""));
    let names: Vec<_> = plan
        .graph
        .iter()
        .map(|(_, v)| v.about.name.clone())
        .collect();
    assert_eq!(
        names,
        [
            "[1/4] FROM docker.io/library/debian:latest",
            "[internal] load build context",
            "[2/4] WORKDIR /app",
            "[3/4] COPY src ./",
            "[4/4] RUN make 1-b",
        ]
    );
    let config = serde_json::to_string(&plan.image.config).unwrap();
    assert_eq!(
        config,
        r#"{"User":"me","ExposedPorts":{"53/udp":{},"80/tcp":{}},"Env":["PATH=/bin","BASE=b","A=1-b"],"Cmd":["/app/x"],"Volumes":{"/data":{}},"WorkingDir":"/app","Labels":{"a":"b c"},"StopSignal":"SIGINT","ArgsEscaped":true,"Healthcheck":{"Test":["CMD-SHELL","x"],"Interval":30000000000}}"#
    );
    assert!(plan.findings.is_empty(), "{:?}", plan.findings);
}

#[test]
fn stages_that_nobody_uses_are_not_done_and_not_asked_for() {
    let text = "FROM other AS unused\nRUN a\nFROM debian AS base\nRUN b\nFROM base AS last\nCOPY --from=0 /x /\nFROM base\nCOPY --from=base /b /c\n";
    assert_eq!(
        show(&easy(text)),
        "0() image docker.io/library/debian:latest@sha256:d\n\
         1(0) exec [\"/bin/sh\", \"-c\", \"b\"]\n\
         2(1) Input(0) copy Input(0):/b /c\n"
    );
    let last = Options {
        target: Some("LAST".into()),
        ..options()
    };
    let Ok(Outcome::Needs(needs)) = plan(&file(text), &last, &debian()) else {
        panic!()
    };
    assert_eq!(needs.len(), 1);
    assert_eq!(needs[0].reference, "docker.io/library/other:latest");
}

#[test]
fn arguments_have_their_scopes() {
    let plan = planned(
        "ARG TAG=latest X=g\nFROM debian:${TAG}\nARG X\nARG Y=$X-y Z\nRUN a\n",
        &with_args(&[("Z", "z"), ("UNUSED", "u"), ("HTTP_PROXY", "p")]),
        &debian(),
    );
    let exec = exec(&plan);
    assert_eq!(exec.env, ["PATH=/bin", "BASE=b", "X=g", "Y=g-y", "Z=z"]);
    assert_eq!(exec.proxy.unwrap().http, "p");
    let lines = history(&plan);
    assert_eq!(
        lines[1..],
        [
            "- ARG X=g",
            "- ARG Y=g-y Z=z",
            "+ RUN |3 X=g Y=g-y Z=z /bin/sh -c a # buildkit"
        ]
    );
    assert_eq!(plan.image.config.env, ["PATH=/bin", "BASE=b"]);
}

#[test]
fn a_given_argument_wins_and_env_over_arg() {
    let text = "FROM debian\nARG A=1\nENV A=2\nARG TARGETARCH BUILDPLATFORM\nRUN a\nFROM debian\nARG B=1\n";
    let target = Options {
        target: Some("0".into()),
        ..with_args(&[("A", "3")])
    };
    let exec = exec(&planned(text, &target, &debian()));
    assert_eq!(
        exec.env[2..],
        ["A=2", "TARGETARCH=amd64", "BUILDPLATFORM=linux/amd64"]
    );
}

#[test]
fn arguments_that_nothing_asks_for_are_known() {
    let text = "ARG A\nFROM debian AS left\nARG B\nFROM debian\nARG C\nONBUILD ARG E\nRUN a\n";
    let given = with_args(&[
        ("A", "1"),
        ("B", "1"),
        ("C", "1"),
        ("D", "1"),
        ("E", "1"),
        ("http_proxy", "p"),
        ("TARGETARCH", "arm64"),
        ("SOURCE_DATE_EPOCH", "0"),
        ("BUILDKIT_INLINE_CACHE", "1"),
    ]);
    assert_eq!(planned(text, &given, &debian()).unused, ["D", "E"]);
    let named = Options {
        unset: ["C", "CC"].map(str::to_owned).into(),
        ..given
    };
    assert_eq!(planned(text, &named, &debian()).unused, ["CC", "D", "E"]);
    let base = image(serde_json::json!({"OnBuild": ["ARG E"]}));
    let base = known(vec![("docker.io/library/debian:latest", base)]);
    let triggered = with_args(&[("E", "1")]);
    let plan = planned("FROM debian\n", &triggered, &base);
    assert!(plan.unused.is_empty());
}

#[test]
fn a_base_stage_hands_on_variables_and_triggers() {
    let plan = easy(
        "FROM debian AS base\nARG A=1\nENV B=2\nONBUILD RUN first\nONBUILD COPY --from=tool /t /t\nRUN x\nFROM debian AS tool\nFROM base\nRUN second\n",
    );
    let shown = show(&plan);
    let execs: Vec<_> = shown
        .lines()
        .filter(|l| l.contains(" exec ") || l.contains("copy"))
        .collect();
    assert_eq!(
        execs,
        [
            "1(0) exec [\"/bin/sh\", \"-c\", \"x\"]",
            "2(1) exec [\"/bin/sh\", \"-c\", \"first\"]",
            "3(2,0) Input(0) copy Input(1):/t /t",
            "4(3) exec [\"/bin/sh\", \"-c\", \"second\"]",
        ]
    );
    assert!(exec(&plan).env.contains(&"A=1".to_owned()));
    assert!(plan.image.config.on_build.is_empty());
    let triggers = easy("FROM debian\nONBUILD RUN a\n");
    assert_eq!(triggers.image.config.on_build, ["RUN a"]);
    assert_eq!(history(&triggers), ["+ base"]);
}

#[test]
fn triggers_of_an_image_may_need_another() {
    let base = image(serde_json::json!({"OnBuild": ["COPY --from=tool:1 /t /t", "WORKDIR /w"]}));
    let mut images = known(vec![("docker.io/library/base:latest", base)]);
    let text = "FROM base\n";
    let Ok(Outcome::Needs(needs)) = plan(&file(text), &options(), &images) else {
        panic!()
    };
    assert_eq!(needs[0].reference, "docker.io/library/tool:1");
    images.insert(needs[0].clone(), image(serde_json::json!({})));
    let plan = planned(text, &options(), &images);
    assert_eq!(
        show(&plan),
        "0() image docker.io/library/base:latest@sha256:d\n\
         1() image docker.io/library/tool:1@sha256:d\n\
         2(0,1) Input(0) copy Input(1):/t /t\n\
         3(2) Input(0) mkdir /w 755\n"
    );
    assert!(
        plan.graph
            .iter()
            .any(|(_, v)| v.about.name.ends_with("ONBUILD WORKDIR /w"))
    );
}

#[test]
fn copies_of_every_kind() {
    let plan = easy(
        "FROM debian AS a\nFROM scratch\nWORKDIR /w\nCOPY --from=a --exclude=*.o --chown=me:0 --chmod=755 /x /y z/\nCOPY --parents a/./b/c d*/e /t/\nCOPY --link . .\nCOPY <<E <<\"F\" /d/\n$PATH\nE\n$x\nF\n",
    );
    assert_eq!(
        show(&plan),
        "0() image docker.io/library/debian:latest@sha256:d\n\
         1() local context follow=[]\n\
         2() Empty mkdir /w 755\n\
         3(2,0) Input(0) copy Input(1):/x /w/z/ exclude=[\"*.o\"]; Action(0) copy Input(1):/y /w/z/ exclude=[\"*.o\"]\n\
         4(3,1) Input(0) copy Input(1):/a /t/ include=[\"b/c\"] required=[\"/a/b/c\"]; Action(0) copy Input(1):/ /t/ include=[\"d*/e\"]\n\
         5(1) Empty copy Input(0):/ /w/\n\
         6(4,5) merge\n\
         7() Empty file /E 644 \"/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\\n\"\n\
         8() Empty file /F 644 \"$x\\n\"\n\
         9(6,7,8) Input(0) copy Input(1):/E /d/; Action(0) copy Input(2):/F /d/\n"
    );
    let lines = history(&plan);
    assert_eq!(
        lines[1],
        "+ COPY --chown=me:0 --chmod=755 /x /y z/ # buildkit"
    );
    assert_eq!(lines[4], "+ COPY <<E <<F /d/ # buildkit");
}

#[test]
fn things_from_elsewhere_are_added() {
    let sum = format!("sha256:{}", "0a".repeat(32));
    let plan = easy(&format!(
        "FROM scratch\nADD --checksum={sum} https://h/a/b.tgz?x=1 /\nADD git@h:a/b.git#v1:sub /g\nADD x.tar /x/\n"
    ));
    assert_eq!(
        show(&plan),
        format!(
            "0() local context follow=[\"x.tar\"]\n\
             1() http https://h/a/b.tgz?x=1 Some(\"{sum}\")\n\
             2(1) Empty copy Input(0):/b.tgz /\n\
             3() git git@h:a/b.git#v1\n\
             4(2,3) Input(0) copy Input(1):/ /g\n\
             5(4,0) Input(0) copy Input(1):/x.tar /x/\n"
        )
    );
    let unpacks = |index: usize| {
        let (_, vertex) = plan.graph.iter().nth(index).unwrap();
        let Op::File(actions) = &vertex.op else {
            panic!()
        };
        matches!(&actions[0].act, Act::Copy(copy) if copy.unpack)
    };
    assert!(!unpacks(2) && !unpacks(4) && unpacks(5));
}

#[test]
fn commands_with_mounts_and_documents() {
    let plan = easy(
        "FROM debian AS t\nFROM debian\nWORKDIR /w\nRUN --mount=target=/c,source=src --mount=from=t,src=/x,dst=y,rw --mount=type=cache,target=/k,sharing=locked --mount=type=cache,id=i,target=/l,uid=5 --mount=type=tmpfs,target=/m,size=1k --mount=type=secret,id=s --mount=type=secret,id=e,env=E,required --mount=type=ssh make\n",
    );
    assert_eq!(
        show(&plan).lines().last().unwrap(),
        "4(2,1,0,3) exec [\"/bin/sh\", \"-c\", \"make\"] [/c ro: Some(1)/src] [/w/y: Some(2)/x] [/k: cache //k Locked None] [/l: cache /i Shared Some(3)/cache] [/m: memory 1024] [/run/secrets/s ro: secret s 400 true] [/run/buildkit/ssh_agent.0 ro: agent default]"
    );
    let exec1 = exec(&plan);
    assert_eq!(exec1.secrets[0].name, "E");
    assert!(
        exec1
            .env
            .contains(&"SSH_AUTH_SOCK=/run/buildkit/ssh_agent.0".to_owned())
    );
    let args = |text: &str| exec(&easy(&format!("FROM debian\n{text}"))).args;
    assert_eq!(args("RUN <<E\na\nb\nE\n"), ["/bin/sh", "-c", "a\nb\n"]);
    assert_eq!(
        args("RUN <<E cat\na\nE\n"),
        ["/bin/sh", "-c", "<<E cat\na\nE"]
    );
    assert_eq!(
        args("RUN <<-E\n\t#!/bin/x\n\ty\nE\n"),
        ["/bin/sh", "-c", "/dev/pipes/E"]
    );
    assert_eq!(
        args("SHELL [\"bash\", \"-x\"]\nRUN a\n"),
        ["bash", "-x", "a"]
    );
    assert_eq!(args("ENTRYPOINT [\"x\"]\nRUN [\"a\", \"b\"]\n"), ["a", "b"]);
}

#[test]
fn contexts_stand_for_names() {
    let mut options = options();
    options.context = Context::parse("https://h/a.git#v2").unwrap();
    for (name, context) in [
        ("debian", "local:mine"),
        ("tool", "https://h/t.tgz"),
        ("gone", "docker-image://debian"),
    ] {
        options
            .contexts
            .insert(name.into(), Context::parse(context).unwrap());
    }
    let text = "FROM nowhere AS gone\nRUN never\nFROM debian:latest\nCOPY --from=tool / /t\nCOPY --from=gone /x /x\nCOPY a /a\n";
    assert_eq!(
        show(&planned(text, &options, &debian())),
        "0() image docker.io/library/debian:latest@sha256:d\n\
         1() local mine follow=[]\n\
         2() http https://h/t.tgz None\n\
         3(2) Empty copy Input(0):/context /\n\
         4() git https://h/a.git#v2\n\
         5(1,3) Input(0) copy Input(1):/ /t\n\
         6(5,0) Input(0) copy Input(1):/x /x\n\
         7(6,4) Input(0) copy Input(1):/a /a\n"
    );
}

#[test]
fn a_time_is_in_all_that_is_made() {
    let plan = planned(
        "FROM scratch\nWORKDIR /a\nCOPY <<E /b\nE\n",
        &with_args(&[("SOURCE_DATE_EPOCH", "1700000000")]),
        &debian(),
    );
    assert_eq!(plan.epoch, Some(1_700_000_000));
    assert!(
        plan.image
            .history
            .iter()
            .all(|h| h.created.as_deref() == Some("2023-11-14T22:13:20Z"))
    );
    let times = plan
        .graph
        .iter()
        .filter_map(|(_, vertex)| match &vertex.op {
            Op::File(actions) => actions.iter().find_map(|a| match &a.act {
                Act::MakeDirectory { time, .. } => *time,
                Act::Copy(copy) => copy.time,
                _ => None,
            }),
            _ => None,
        });
    assert!(times.eq([1_700_000_000_000_000_000, 1_700_000_000_000_000_000]));
}

#[test]
fn the_same_file_is_the_same_graph_and_secrets_are_names_only() {
    let text = "FROM debian\nCOPY a b\nRUN --mount=type=secret,id=s x\n";
    let (one, two) = (easy(text), easy(text));
    assert_eq!(one.graph, two.graph);
    let proxied = planned(text, &with_args(&[("https_proxy", "p")]), &debian());
    let last = |plan: &Plan| plan.graph.get(plan.result.unwrap().vertex).recipe();
    assert_eq!(last(&one), last(&proxied));
}

#[test]
fn platforms() {
    let mut options = options();
    options.platform = "linux/arm/v7".parse().unwrap();
    options.implicit = false;
    let text = "FROM --platform=$BUILDPLATFORM debian AS b\nARG TARGETPLATFORM TARGETVARIANT\nRUN a\nFROM scratch\nCOPY --from=b /x /\n";
    let plan = planned(text, &options, &debian());
    assert_eq!(
        (
            plan.platform.to_string().as_str(),
            plan.image.variant.as_str()
        ),
        ("linux/arm/v7", "v7")
    );
    let exec = exec(&plan);
    assert_eq!(
        exec.env[2..],
        ["TARGETPLATFORM=linux/arm/v7", "TARGETVARIANT=v7"]
    );
    let base = plan.graph.iter().next().unwrap().1;
    assert_eq!(base.platform, Some(amd64()));
}

#[test]
fn an_empty_result_is_none() {
    let plan = easy("FROM scratch\nCMD [\"a\"]\n");
    assert!(plan.result.is_none() && plan.graph.iter().next().is_none());
    assert_eq!(plan.image.config.working_dir, "/");
}

/// A file, and how the sentence about it begins.
const MISTAKES: &[(&str, &str)] = &[
    (
        "FROM a AS x\nFROM x AS x\nFROM a/UPPER\n",
        "3: failed to parse stage name \"a/UPPER\"",
    ),
    ("ARG N\nFROM $N\n", "2: base name ($N) should not be blank"),
    (
        "FROM --platform=$N debian\n",
        "1: empty platform value from expression $N",
    ),
    (
        "FROM --platform=a/b/c/d debian\n",
        "1: failed to parse platform a/b/c/d: invalid platform",
    ),
    (
        "FROM debian AS a\nCOPY --from=a x y\n",
        "1: circular dependency detected on stage: a",
    ),
    (
        "FROM debian\nCOPY --from=3 x y\n",
        "2: invalid stage index 3",
    ),
    (
        "FROM debian\nCOPY --from=-1 x y\n",
        "2: invalid stage index -1",
    ),
    (
        "FROM debian\nARG A\nCOPY --from=$A x y\n",
        "3: variable expansion is not supported for --from",
    ),
    (
        "FROM debian\nCOPY --chmod=8888 x y\n",
        "2: invalid chmod parameter: '8888'. it should be octal string",
    ),
    (
        "FROM debian\nCOPY --chmod=rwx x y\n",
        "2: invalid chmod parameter: 'rwx'",
    ),
    (
        "FROM debian\nCOPY https://h/a y\n",
        "2: source can't be a URL for COPY",
    ),
    (
        "FROM debian\nCOPY git@h:a.git y\n",
        "2: source can't be a git ref for COPY",
    ),
    (
        "FROM debian\nADD --checksum=sha256:1 a y\n",
        "2: checksum requires HTTP(S) or Git sources",
    ),
    (
        "FROM debian\nADD --checksum=sha256:1 https://h/a b y\n",
        "2: checksum can't be specified for multiple sources",
    ),
    (
        "FROM debian\nADD --checksum=x https://h/a y\n",
        "2: invalid digest \"x\"",
    ),
    (
        "FROM debian\nRUN --mount=type=tmpfs,target=/ a\n",
        "2: invalid mount target \"/\"",
    ),
    (
        "FROM debian\nARG T=cash\nRUN --mount=type=$T,target=/b a\n",
        "3: unsupported mount type \"cash\"",
    ),
    ("FROM debian\nEXPOSE a\n", "2: invalid containerPort: a"),
    ("FROM debian\nSTOPSIGNAL WHAT\n", "2: invalid signal: WHAT"),
    (
        "FROM debian\nENV A=${B:?gone}\n",
        "2: failed to process \"${B:?gone}\": B: gone",
    ),
    (
        "FROM debian\nVOLUME $N\n",
        "2: VOLUME specified can not be an empty string",
    ),
    (
        "# check=error=true\nFROM debian\nMAINTAINER a\n",
        "3: lint violation found for rules: MaintainerDeprecated",
    ),
    (
        "# check=what\nFROM debian\n",
        "0: failed to parse check options: invalid check option \"what\"",
    ),
];

#[test]
fn what_cannot_be_planned_is_said_with_its_line() {
    for (text, wanted) in MISTAKES {
        let found = error(text);
        assert!(found.starts_with(wanted), "{text:?}: {found}");
    }
    let target = Options {
        target: Some("bild".into()),
        ..options()
    };
    let error = plan(&file("FROM debian AS build\n"), &target, &debian()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "target stage \"bild\" could not be found (did you mean build?)"
    );
    let gone = known(vec![(
        "docker.io/library/debian:latest",
        KnownImage::Unavailable("not found".into()),
    )]);
    let error = plan(&file("FROM debian\n"), &options(), &gone).unwrap_err();
    assert_eq!(
        error.to_string(),
        "docker.io/library/debian:latest: not found"
    );
}

#[test]
fn a_small_file_does_not_become_a_large_plan() {
    let long = "x".repeat(1 << 20);
    for line in ["RUN a\n", "FROM s\n"] {
        let many = match line {
            "FROM s\n" => (0..80)
                .map(|n| format!("FROM s{n} AS s{}\n", n + 1))
                .collect(),
            line => line.repeat(80),
        };
        let error = error(&format!("FROM scratch AS s0\nENV A={long}\n{many}"));
        assert!(
            error.ends_with("bytes of words and environments"),
            "{error}"
        );
    }
}

#[test]
fn operands_are_what_they_are_called() {
    let plan = easy("FROM debian\nUSER me\nWORKDIR /w\n");
    let (_, vertex) = plan.graph.iter().next_back().unwrap();
    let Op::File(actions) = &vertex.op else {
        panic!()
    };
    let Act::MakeDirectory {
        owner: Some(owner), ..
    } = &actions[0].act
    else {
        panic!()
    };
    let user = crate::graph::User::Name {
        name: "me".into(),
        known_to: Operand::Input(0),
    };
    assert_eq!(owner.user, Some(user));
}
