//! One file a rule, and what configuration does to them.

use super::*;
use crate::dockerfile::parse;
use crate::plan::{Checked, Known, Options, check};
use crate::source::Source;

fn options() -> Options {
    let platform: types::Platform = "linux/amd64".parse().unwrap();
    Options {
        platform: platform.clone(),
        build_platform: platform,
        ..Options::default()
    }
}

fn found_with(text: &str, options: &Options) -> Vec<String> {
    let file = parse(&Source::new("Dockerfile", text.as_bytes())).unwrap();
    match check(&file, options, &Known::new()) {
        Checked::Done {
            findings,
            error: None,
        } => findings
            .iter()
            .map(|f| format!("{} {}: {}", f.span.start.line, f.rule.name(), f.detail))
            .collect(),
        other => panic!("{text}: {other:?}"),
    }
}

fn found(text: &str) -> Vec<String> {
    found_with(text, &options())
}

/// A file, and what is found in it.
const FILES: &[(&str, &[&str])] = &[
    (
        "FROM scratch AS Base\n",
        &["1 StageNameCasing: Stage name 'Base' should be lowercase"],
    ),
    (
        "FROM scratch as a\n",
        &["1 FromAsCasing: 'as' and 'FROM' keywords' casing do not match"],
    ),
    (
        "from scratch AS a\n",
        &["1 FromAsCasing: 'AS' and 'from' keywords' casing do not match"],
    ),
    (
        "FROM scratch\nCOPY a \\\n\nb\n",
        &["4 NoEmptyContinuation: Empty continuation line"],
    ),
    (
        "FROM scratch\nenv A=1\nUser b\n",
        &[
            "2 ConsistentInstructionCasing: Command 'env' should match the case of the command majority (uppercase)",
            "3 ConsistentInstructionCasing: Command 'User' should match the case of the command majority (uppercase)",
        ],
    ),
    (
        "from scratch\nuser a\nUSER b\n",
        &[
            "3 ConsistentInstructionCasing: Command 'USER' should match the case of the command majority (lowercase)",
        ],
    ),
    (
        "FROM scratch AS a\nFROM scratch AS a\n",
        &["2 DuplicateStageName: Duplicate stage name \"a\", stage names should be unique"],
    ),
    (
        "FROM scratch AS context\n",
        &[
            "1 ReservedStageName: Stage name should not use the same name as reserved stage \"context\"",
        ],
    ),
    (
        "FROM scratch\nENTRYPOINT a\nCMD b\n",
        &[
            "2 JSONArgsRecommended: JSON arguments recommended for ENTRYPOINT to prevent unintended behavior related to OS signals",
            "3 JSONArgsRecommended: JSON arguments recommended for CMD to prevent unintended behavior related to OS signals",
        ],
    ),
    ("FROM scratch\nSHELL [\"a\"]\nCMD b\n", &[]),
    (
        "FROM scratch\nMAINTAINER a\n",
        &["2 MaintainerDeprecated: Maintainer instruction is deprecated in favor of using label"],
    ),
    (
        "ARG VARIANT=a\nFROM scratch$VARIENT\n",
        &["2 UndefinedArgInFrom: FROM argument 'VARIENT' is not declared (did you mean VARIANT?)"],
    ),
    (
        "FROM scratch\nWORKDIR a\nWORKDIR b\n",
        &[
            "2 WorkdirRelativePath: Relative workdir \"a\" can have unexpected results if the base image changes",
        ],
    ),
    ("FROM scratch\nWORKDIR /a\nWORKDIR b\n", &[]),
    (
        "FROM scratch\nCOPY $foo .\nENV PATHS=$PAHT\n",
        &[
            "2 UndefinedVar: Usage of undefined variable '$foo'",
            "3 UndefinedVar: Usage of undefined variable '$PAHT' (did you mean $PATH?)",
        ],
    ),
    ("FROM scratch\nARG foo\nCOPY $foo .\nRUN $bar\n", &[]),
    (
        "FROM scratch\nCMD [\"a\"]\nCMD [\"b\"]\n",
        &[
            "2 MultipleInstructionsDisallowed: Multiple CMD instructions should not be used in the same stage because only the last one will be used",
        ],
    ),
    (
        "FROM scratch\nENV a b\nLABEL c d\n",
        &[
            "2 LegacyKeyValueFormat: \"ENV key=value\" should be used instead of legacy \"ENV key value\" format",
            "3 LegacyKeyValueFormat: \"LABEL key=value\" should be used instead of legacy \"LABEL key value\" format",
        ],
    ),
    (
        "FROM --platform=${TARGETPLATFORM} scratch\n",
        &[
            "1 RedundantTargetPlatform: Setting platform to predefined ${TARGETPLATFORM} in FROM is redundant as this is the default behavior",
        ],
    ),
    (
        "FROM scratch\nARG API_KEY\nENV MY_PASSWORD=a PUBLIC_KEY=b TOKEN_FILE=c MONKEY=d\n",
        &[
            "2 SecretsUsedInArgOrEnv: Do not use ARG or ENV instructions for sensitive data (ARG \"API_KEY\")",
            "3 SecretsUsedInArgOrEnv: Do not use ARG or ENV instructions for sensitive data (ENV \"MY_PASSWORD\")",
        ],
    ),
    (
        "FROM --platform=linux/arm64 scratch AS a\n",
        &[
            "1 FromPlatformFlagConstDisallowed: FROM --platform flag should not use constant value \"linux/arm64\"",
        ],
    ),
    (
        "FROM --platform=linux/arm64 scratch AS build_arm64\nFROM --platform=$BUILDPLATFORM scratch\n",
        &[],
    ),
    (
        "FROM scratch\nEXPOSE 80/TcP\n",
        &[
            "2 ExposeProtoCasing: Defined protocol '80/TcP' in EXPOSE instruction should be lowercase",
        ],
    ),
    (
        "FROM scratch\nEXPOSE 127.0.0.1:80:80\n",
        &[
            "2 ExposeInvalidFormat: EXPOSE instruction should not define an IP address or host-port mapping, found '127.0.0.1:80:80'",
        ],
    ),
    ("# a\nFROM scratch AS b\n", &[]),
    (
        "# check=experimental=all\n\n# a\nFROM scratch AS b\n# c is for x\nARG c\n# e\nARG f g\n",
        &[
            "4 InvalidDefinitionDescription: Comment for FROM should follow the format: `# b <description>`",
            "8 InvalidDefinitionDescription: Comment for ARG should follow the format: `# <arg_key> <description>`",
        ],
    ),
    (
        "# check=skip=MaintainerDeprecated, StageNameCasing;error=false\nFROM scratch AS A\nMAINTAINER a\n",
        &[],
    ),
    (
        "FROM scratch\n# check=skip=JSONArgsRecommended\nCMD a\n",
        &[],
    ),
];

#[test]
fn every_rule_finds_and_says_so() {
    for (text, wanted) in FILES {
        assert_eq!(found(text), *wanted, "{text}");
    }
}

#[test]
fn defaults_that_are_no_images() {
    let text = "ARG TAG\nFROM debian:$TAG\n";
    let mut options = options();
    options.args.insert("TAG".into(), "12".into());
    let file = parse(&Source::new("Dockerfile", text.as_bytes())).unwrap();
    let Checked::Needs(needs) = check(&file, &options, &Known::new()) else {
        panic!()
    };
    let images = needs.into_iter().map(|need| {
        let gone = crate::plan::KnownImage::Unavailable("x".into());
        (need, gone)
    });
    let Checked::Done { findings, error } = check(&file, &options, &images.collect()) else {
        panic!()
    };
    assert!(error.is_none() && findings.len() == 1, "{findings:?}");
    assert_eq!(
        findings[0].detail,
        "Default value for ARG debian:$TAG results in empty or invalid base image name"
    );
}

#[test]
fn files_that_are_left_out_are_not_copied() {
    let mut options = options();
    options.exclude = vec!["build".into(), "**/*.o".into()];
    let text = "FROM scratch\nCOPY build/x /\nADD a/b.o src /\nCOPY . /\nCOPY --from=0 build /\n";
    let text = text.replace("COPY --from=0", "COPY");
    assert_eq!(
        found_with(&text, &options),
        [
            "2 CopyIgnoredFile: Attempting to Copy file \"build/x\" that is excluded by .dockerignore",
            "3 CopyIgnoredFile: Attempting to Add file \"a/b.o\" that is excluded by .dockerignore",
            "5 CopyIgnoredFile: Attempting to Copy file \"build\" that is excluded by .dockerignore",
        ]
    );
    options.exclude.push("!build/keep".into());
    assert!(found_with(&text, &options).is_empty());
}

#[test]
fn options_are_read_or_refused() {
    let config = Config::parse("skip=all;experimental=A;error=true").unwrap();
    assert!(config.error && !config.wants(Rule::UndefinedVar));
    assert!(Config::parse("").unwrap().wants(Rule::UndefinedVar));
    let error = |text| Config::parse(text).unwrap_err().to_string();
    assert_eq!(
        error("x"),
        "failed to parse check options: invalid check option \"x\""
    );
    assert_eq!(
        error("a=b"),
        "failed to parse check options: invalid check option \"a\""
    );
    assert_eq!(
        error("error=x"),
        "failed to parse check options: failed to parse check option \"error=x\""
    );
}

#[test]
fn a_report_is_text_and_json() {
    let source = Source::new("Dockerfile", b"FROM scratch\nMAINTAINER a\n");
    let findings = [Finding {
        rule: Rule::MaintainerDeprecated,
        detail: "Maintainer instruction is deprecated in favor of using label".into(),
        span: Span::lines(2, 2),
    }];
    let report = Report {
        source: &source,
        findings: &findings,
        error: None,
    };
    assert_eq!(report.status(), 1);
    assert_eq!(
        report.text(),
        "\nWARNING: MaintainerDeprecated - https://docs.docker.com/go/dockerfile/rule/maintainer-deprecated/\n\
         Maintainer instruction is deprecated in favor of using label\n\
         Dockerfile:2\n--------------------\n   1 |     FROM scratch\n   2 | >>> MAINTAINER a\n   3 |     \n--------------------\n"
    );
    let json: serde_json::Value = serde_json::from_str(&report.json()).unwrap();
    assert_eq!(json["warnings"][0]["ruleName"], "MaintainerDeprecated");
    assert_eq!(
        json["warnings"][0]["location"]["ranges"][0]["start"]["line"],
        2
    );
    assert_eq!(
        json["sources"][0]["data"],
        "RlJPTSBzY3JhdGNoCk1BSU5UQUlORVIgYQo="
    );
    assert!(json.get("buildError").is_none());
    let error = crate::dockerfile::Error::new(Span::lines(1, 1), "no");
    let failed = Report {
        findings: &[],
        error: Some(&error),
        ..report
    };
    assert_eq!(failed.status(), 1);
    assert!(failed.error_text().starts_with("no\nDockerfile:1\n"));
    let json: serde_json::Value = serde_json::from_str(&failed.json()).unwrap();
    assert_eq!(json["buildError"]["message"], "no");
    assert!(json["warnings"].is_null());
}
