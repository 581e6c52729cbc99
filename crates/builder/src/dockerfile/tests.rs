//! Whole files in, trees and sentences out.

use super::*;
use crate::source::Source;

fn file(text: &str) -> Dockerfile {
    parse(&Source::new("Dockerfile", text.as_bytes())).unwrap_or_else(|e| panic!("{e}: {text}"))
}

/// The verbs of a file's one stage.
fn verbs(text: &str) -> Vec<Verb> {
    let file = file(&format!("FROM a\n{text}\n"));
    let [stage] = file.stages.as_slice() else {
        panic!("{file:?}")
    };
    stage.instructions.iter().map(|i| i.verb.clone()).collect()
}

fn verb(text: &str) -> Verb {
    verbs(text).remove(0)
}

fn error(text: &str) -> String {
    match parse(&Source::new("Dockerfile", text.as_bytes())) {
        Ok(file) => panic!("{text}: {file:?}"),
        Err(error) => format!("{} {error}", error.span().start),
    }
}

fn strings(list: &[&str]) -> Vec<String> {
    list.iter().map(|text| (*text).to_owned()).collect()
}

fn shell(text: &str) -> CommandLine {
    CommandLine {
        args: vec![text.to_owned()],
        shell: true,
    }
}

fn exec(args: &[&str]) -> CommandLine {
    CommandLine {
        args: strings(args),
        shell: false,
    }
}

#[test]
fn stages_and_what_is_in_them() {
    let file = file(
        "# syntax=docker/dockerfile:1\nARG V=1 W\n# base the base\nfrom --platform=$P a:$V as Base\nRUN b\n\nFROM base\n",
    );
    assert_eq!(file.directive("syntax"), Some("docker/dockerfile:1"));
    assert_eq!(
        file.args[0].verb,
        Verb::Arg(vec![
            Arg {
                name: "V".into(),
                value: Some("1".into())
            },
            Arg {
                name: "W".into(),
                value: None
            }
        ])
    );
    let [base, last] = file.stages.as_slice() else {
        panic!("{file:?}")
    };
    assert_eq!(
        (base.base.as_str(), base.name.as_deref()),
        ("a:$V", Some("base"))
    );
    assert_eq!(
        (base.written.as_deref(), base.platform.as_deref()),
        (Some("Base"), Some("$P"))
    );
    assert_eq!(
        (base.keyword.as_str(), base.as_keyword.as_deref()),
        ("from", Some("as"))
    );
    assert_eq!(base.comments, ["base the base"]);
    assert_eq!(base.span.start.to_string(), "4:1");
    assert_eq!(base.instructions[0].code, "RUN b");
    assert!(last.name.is_none() && last.instructions.is_empty());
}

#[test]
fn commands_in_both_forms() {
    assert_eq!(verb("CMD [\"a\", \"b\"]"), Verb::Cmd(exec(&["a", "b"])));
    assert_eq!(verb("cmd a  b"), Verb::Cmd(shell("a  b")));
    assert_eq!(verb("ENTRYPOINT []"), Verb::Entrypoint(exec(&[])));
    assert_eq!(verb("ENTRYPOINT ['a']"), Verb::Entrypoint(shell("['a']")));
    assert_eq!(
        verb("SHELL [\"sh\",\"-c\"]"),
        Verb::Shell(strings(&["sh", "-c"]))
    );
    let Verb::Run(run) =
        verb("RUN --network=none --security=insecure --device=v/c=n a && \\\n # no\n b")
    else {
        panic!()
    };
    assert_eq!(run.command, shell("a &&  b"));
    assert_eq!((run.network, run.insecure), (RunNetwork::None, true));
    assert_eq!(run.devices[0].name, "v/c=n");
}

#[test]
fn pairs_in_both_forms() {
    let show = |text: &str| match verb(text) {
        Verb::Env(pairs) | Verb::Label(pairs) => pairs
            .iter()
            .map(|p| format!("{}{}{}", p.name, if p.spaced { " " } else { "=" }, p.value))
            .collect::<Vec<_>>(),
        other => panic!("{other:?}"),
    };
    assert_eq!(show("ENV a b  c"), ["a b  c"]);
    assert_eq!(
        show("ENV a=b c=\"d e\" f=g\\ h i="),
        ["a=b", "c=\"d e\"", "f=g\\ h", "i="]
    );
    assert_eq!(
        show("LABEL a.b=c \\\n  \"d e\"='f'"),
        ["a.b=c", "\"d e\"='f'"]
    );
    assert_eq!(show("ENV a   b=c"), ["a b=c"]);
}

#[test]
fn transfers_with_every_flag() {
    assert_eq!(
        verb(
            "COPY --from=b --chown=1:2 --chmod=u+x --link --parents --exclude=*.o --exclude=c a/./b d e/"
        ),
        Verb::Copy(Transfer {
            sources: strings(&["a/./b", "d"]),
            target: "e/".into(),
            from: Some("b".into()),
            chown: Some("1:2".into()),
            chmod: Some("u+x".into()),
            link: true,
            parents: true,
            exclude: strings(&["*.o", "c"]),
            ..Transfer::default()
        })
    );
    assert_eq!(
        verb(
            "ADD --keep-git-dir=TRUE --checksum=sha256:1 --unpack=false --link=false [\"a b\", \"c\"]"
        ),
        Verb::Add(Transfer {
            sources: strings(&["a b"]),
            target: "c".into(),
            keep_git_dir: Some(true),
            checksum: Some("sha256:1".into()),
            unpack: Some(false),
            ..Transfer::default()
        })
    );
}

#[test]
fn documents() {
    let Verb::Copy(copy) = verb("COPY <<A <<-'B' c /d/\nx $y\nA\n\tz\n\t B\n\tB") else {
        panic!()
    };
    assert_eq!(copy.sources, ["c"]);
    let inline: Vec<_> = copy
        .inline
        .iter()
        .map(|i| (i.name.as_str(), i.data.as_str(), i.expand))
        .collect();
    assert_eq!(inline, [("A", "x $y\n", true), ("B", "z\n B\n", false)]);
    let all = verbs(
        "RUN <<E cat > f\nFROM x\nE\nRUN [\"a\", \"<<E\"]\nRUN echo '<<E'\nRUN a <<<b\nCMD <<E",
    );
    let [
        Verb::Run(run),
        Verb::Run(json),
        Verb::Run(quoted),
        Verb::Run(here),
        Verb::Cmd(_),
    ] = all.as_slice()
    else {
        panic!("{all:?}")
    };
    assert_eq!(
        (run.command.clone(), run.heredocs[0].data.as_str()),
        (shell("<<E cat > f"), "FROM x\n")
    );
    assert!(json.heredocs.is_empty() && quoted.heredocs.is_empty() && here.heredocs.is_empty());
    let onbuild = verb("ONBUILD COPY <<E /a\nb\nE");
    assert_eq!(onbuild, Verb::Onbuild("COPY <<E /a\nb\nE".into()));
    let Verb::Onbuild(text) = onbuild else {
        panic!()
    };
    let trigger = parse_trigger(&text, crate::Span::lines(7, 7)).unwrap();
    assert_eq!(trigger.span.start.line, 7);
    assert!(matches!(trigger.verb, Verb::Copy(copy) if copy.inline[0].data == "b\n"));
}

#[test]
fn the_other_instructions() {
    assert_eq!(
        verb("EXPOSE 8080-8090/tcp 53/udp"),
        Verb::Expose(strings(&["53/udp", "8080-8090/tcp"]))
    );
    assert_eq!(verb("VOLUME [\"/a b\"]"), Verb::Volume(strings(&["/a b"])));
    assert_eq!(verb("VOLUME /a /b"), Verb::Volume(strings(&["/a", "/b"])));
    assert_eq!(verb("USER a:b"), Verb::User("a:b".into()));
    assert_eq!(verb("WORKDIR /a b"), Verb::Workdir("/a b".into()));
    assert_eq!(
        verb("STOPSIGNAL SIGTERM"),
        Verb::Stopsignal("SIGTERM".into())
    );
    assert_eq!(
        verb("MAINTAINER a <b@c>"),
        Verb::Maintainer("a <b@c>".into())
    );
    assert_eq!(verb("ONBUILD run x"), Verb::Onbuild("run x".into()));
    assert_eq!(verb("ONBUILD FUTURE x"), Verb::Onbuild("FUTURE x".into()));
    assert_eq!(
        verb(
            "HEALTHCHECK --interval=30s --timeout=1m --start-period=0 --start-interval=5ms --retries=3 CMD a b"
        ),
        Verb::Healthcheck(Healthcheck {
            test: strings(&["CMD-SHELL", "a b"]),
            interval: 30_000_000_000,
            timeout: 60_000_000_000,
            start_period: 0,
            start_interval: 5_000_000,
            retries: 3,
        })
    );
    let Verb::Healthcheck(none) = verb("HEALTHCHECK none") else {
        panic!()
    };
    assert_eq!(none.test, ["NONE"]);
    let Verb::Healthcheck(json) = verb("HEALTHCHECK CMD [\"a\"]") else {
        panic!()
    };
    assert_eq!(json.test, ["CMD", "a"]);
}

#[test]
fn encodings_and_line_ends() {
    let text = b"\xef\xbb\xbfFROM a\r\n# gr\xfc\xdfe\r\nRUN b \\\r\n  c\r\n";
    let file = parse(&Source::new("x", text)).unwrap();
    assert_eq!(file.stages[0].instructions[0].code, "RUN b   c");
    let Verb::Copy(copy) = verb("COPY <<E a\r\nb\r\nE\r") else {
        panic!()
    };
    assert_eq!(copy.inline[0].data, "b\r\n");
}

#[test]
fn empty_continuations_are_told() {
    let file = file("\nFROM scratch\n# why\nCOPY a \\\n\nb\nCOPY a \\\nb\n");
    assert_eq!(file.empty_continuations, [crate::Span::lines(6, 6)]);
}

/// A file, and the place and sentence of what is wrong with it.
const MISTAKES: &[(&str, &str)] = &[
    ("", "0:0 the Dockerfile cannot be empty"),
    ("\n# a\n", "2:1 file with no instructions"),
    ("ARG a\n", "1:1 dockerfile contains no stages to build"),
    ("RUN a\n", "1:1 no build stage in current context"),
    (
        "FROM a\n RUNN b\n",
        "2:2 dockerfile parse error on line 2: unknown instruction: RUNN (did you mean RUN?)",
    ),
    (
        "FROM a b\n",
        "1:1 dockerfile parse error on line 1: FROM requires either one or three arguments",
    ),
    (
        "FROM a AS 1\n",
        "1:1 dockerfile parse error on line 1: invalid name for build stage: \"1\", name can't start with a number or contain symbols",
    ),
    (
        "FROM a\nCOPY \\\n  --form=a b c\n",
        "3:3 dockerfile parse error on line 2: unknown flag: --form (did you mean from?)",
    ),
    (
        "FROM a\nCOPY --link=maybe b c\n",
        "2:6 dockerfile parse error on line 2: expecting boolean value for flag link, not: maybe",
    ),
    (
        "FROM a\nCOPY --link --link b c\n",
        "2:13 dockerfile parse error on line 2: duplicate flag specified: link",
    ),
    (
        "FROM a\nCOPY --from b c\n",
        "2:6 dockerfile parse error on line 2: missing a value on flag: from",
    ),
    (
        "FROM a\nCOPY b\n",
        "2:1 dockerfile parse error on line 2: COPY requires at least two arguments, but only one was provided. Destination could not be determined",
    ),
    (
        "FROM a\nCOPY b <<E\nE\n",
        "2:1 dockerfile parse error on line 2: COPY cannot accept a heredoc as a destination",
    ),
    ("FROM a\nRUN <<E\nb\n", "2:1 unterminated heredoc"),
    (
        "FROM a\nENV\n",
        "2:1 dockerfile parse error on line 2: ENV requires at least one argument",
    ),
    (
        "FROM a\nENV b\n",
        "2:1 dockerfile parse error on line 2: ENV must have two arguments",
    ),
    (
        "FROM a\nENV b=1 \\\n c\n",
        "3:2 dockerfile parse error on line 2: Syntax error - can't find = in \"c\". Must be of the form: name=value",
    ),
    (
        "FROM a\nENV =1\n",
        "2:5 dockerfile parse error on line 2: ENV names can not be blank",
    ),
    (
        "FROM a\nARG =1\n",
        "2:5 dockerfile parse error on line 2: ARG names can not be blank",
    ),
    (
        "FROM a\nCMD [1]\n",
        "2:1 dockerfile parse error on line 2: when using JSON array syntax, arrays must be comprised of strings only",
    ),
    (
        "FROM a\nSHELL sh\n",
        "2:1 dockerfile parse error on line 2: SHELL requires the arguments to be in JSON form",
    ),
    (
        "FROM a\nVOLUME [\"\"]\n",
        "2:1 dockerfile parse error on line 2: VOLUME specified can not be an empty string",
    ),
    (
        "FROM a\nUSER\n",
        "2:1 dockerfile parse error on line 2: USER requires exactly one argument",
    ),
    (
        "FROM a\nONBUILD ONBUILD RUN b\n",
        "2:1 dockerfile parse error on line 2: Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed",
    ),
    (
        "FROM a\nONBUILD from b\n",
        "2:1 dockerfile parse error on line 2: FROM isn't allowed as an ONBUILD trigger",
    ),
    (
        "FROM a\nONBUILD COPY --x=1 b c\n",
        "2:14 dockerfile parse error on line 2: unknown flag: --x",
    ),
    (
        "FROM a\nHEALTHCHECK CMD\n",
        "2:1 dockerfile parse error on line 2: Missing command after HEALTHCHECK CMD",
    ),
    (
        "FROM a\nHEALTHCHECK WHAT\n",
        "2:1 dockerfile parse error on line 2: Unknown type \"WHAT\" in HEALTHCHECK (try CMD)",
    ),
    (
        "FROM a\nHEALTHCHECK --interval=1us CMD b\n",
        "2:1 dockerfile parse error on line 2: Interval \"interval\" cannot be less than 1ms",
    ),
    (
        "FROM a\nHEALTHCHECK --retries=-1 CMD b\n",
        "2:1 dockerfile parse error on line 2: --retries cannot be negative (-1)",
    ),
    (
        "FROM a\nRUN --mount=type=cash,target=/b c\n",
        "2:5 dockerfile parse error on line 2: unsupported mount type \"cash\" (did you mean cache?)",
    ),
    (
        "FROM a\nRUN --network=web b\n",
        "2:1 dockerfile parse error on line 2: invalid network mode \"web\"",
    ),
    (
        "FROM a\nRUN --security=x b\n",
        "2:1 dockerfile parse error on line 2: security \"x\" is not valid",
    ),
];

#[test]
fn mistakes_are_placed_and_named() {
    for (text, wanted) in MISTAKES {
        assert_eq!(error(text), *wanted, "{text:?}");
    }
}

#[test]
fn a_mistake_is_drawn() {
    let source = Source::new("Dockerfile", b"FROM a\nCOPY \\\n  --form=b c d\n");
    let error = parse(&source).unwrap_err();
    let drawn = error.show(&source);
    assert!(
        drawn.contains("Dockerfile:3:3\n") && drawn.contains("\n     |       ^\n"),
        "{drawn}"
    );
}

/// Megabytes in each shape that could take longer than its length: the square of a million does not end.
#[test]
fn long_files_are_read_in_one_go() {
    let size = 1 << 20;
    let shapes = [
        format!("FROM a\nRUN {}\n", "x".repeat(size * 10)),
        format!("FROM a\nRUN x{}\n", " \\\n y".repeat(size / 5)),
        format!("FROM a\nRUN x{}\n", " \\\n".repeat(size / 3)),
        format!("FROM a\n{}", "RUN x\n".repeat(size / 6)),
        format!("FROM a\n{}", "#\n".repeat(size / 2)),
        format!("FROM a\nENV{}\n", " a=b".repeat(size / 4)),
        format!("FROM a\nCOPY <<E b\n{}E\n", "line\n".repeat(size / 5)),
        format!("FROM a\nCOPY{} c d\n", " --exclude=b".repeat(size / 12)),
        format!("FROM a\nRUN{} c\n", " <<E".repeat(size / 4)),
    ];
    for text in shapes {
        let source = Source::new("x", text.as_bytes());
        let unterminated = text.ends_with("<<E c\n");
        assert_eq!(parse(&source).is_ok(), !unterminated, "{}", &text[..20]);
    }
}
