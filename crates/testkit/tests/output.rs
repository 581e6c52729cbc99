//! What `images`, `history` and `image inspect` print, byte for byte what Docker's client prints of the
//! same daemon.

#![allow(clippy::unwrap_used, reason = "a test")]

use testkit::{Brig, Client, busybox_tar, clients, root};

/// Lines of a listing come in the order of the daemon, but for the names of one image, which Docker's
/// client shuffles.
fn sorted(text: &str) -> Vec<&str> {
    let mut lines: Vec<&str> = text.lines().collect();
    lines.sort_unstable();
    lines
}

/// Templates with what does not change from one second to the next.
const COMMANDS: &[&[&str]] = &[
    &["images", "-q"],
    &["images", "-q", "--no-trunc"],
    &[
        "images",
        "--format",
        "{{.Repository}}:{{.Tag}} {{.ID}} {{.Size}} {{.CreatedAt}}",
    ],
    &[
        "images",
        "--format",
        "{{.Repository}} {{.Digest}} {{.Containers}} {{.VirtualSize}}",
    ],
    &[
        "images",
        "--format",
        "{{.SharedSize}}|{{.UniqueSize}}",
        "--no-trunc",
    ],
    &[
        "images",
        "--format",
        "table {{.Repository}}\t{{.Tag}}\t{{.Size}}",
    ],
    &["images", "--digests", "--format", "{{.Digest}}"],
    &[
        "images",
        "--format",
        "{{json .Repository}} {{upper .Tag}} {{pad .ID 1 2}}",
    ],
    &[
        "images",
        "--format",
        "{{if eq .Tag \"two\"}}two{{else}}{{.Tag}}{{end}}",
    ],
    &[
        "images",
        "--format",
        "{{join (split .Repository \"/\") \"+\"}}",
    ],
    &["images", "--format", "raw"],
    &["images", "--format", "raw", "--digests"],
    &["images", "--format", "{{.Tag}}", "bb"],
    &["images", "--format", "{{.Tag}}", "b*:t*"],
    &["images", "--format", "{{.Tag}}", "none"],
    &["images", "--format", "{{.ID}}", "-f", "dangling=true"],
    &["images", "--format", "{{.ID}}", "-f", "dangling=false"],
    &["images", "--format", "{{.ID}}", "-f", "until=24h"],
    &["images", "--format", "{{.ID}}", "-f", "until=1ms"],
    &["images", "--format", "{{.Tag}}", "-f", "label=team"],
    &["images", "--format", "{{.Tag}}", "-f", "label=team=b"],
    &["images", "--format", "{{.Tag}}", "-f", "reference=*/team/*"],
    &[
        "images",
        "--format",
        "{{.Tag}}",
        "-f",
        "reference=bb",
        "-f",
        "reference=*:three",
    ],
    &["images", "--format", "{{.Tag}}", "-f", "before=bb"],
    &["images", "--format", "{{.Tag}}", "-f", "since=bb"],
    &["images", "--format", "{{.Tag}}", "-f", "until=24h"],
    &["images", "-f", "dangling=perhaps"],
    &["images", "-f", "nonsense=1"],
    &["images", "-f", "before=none"],
    &["history", "-q", "bb"],
    &["history", "-q", "--no-trunc", "bb"],
    &["history", "-H=false", "bb"],
    &["history", "--no-trunc", "-H=false", "bb"],
    &[
        "history",
        "--format",
        "{{.ID}} {{.CreatedAt}} {{.CreatedBy}} {{.Size}} {{.Comment}}",
        "bb",
    ],
    &["history", "--format", "table {{.ID}}\t{{.CreatedAt}}", "bb"],
    &["history", "-H=false", "--format", "json", "bb"],
    &["history", "-H=false", "--format", "{{json .}}", "bb"],
    &["history", "none"],
    &[
        "image",
        "inspect",
        "-f",
        "{{.Id}} {{.RepoTags}} {{.Config.Labels}} {{.Size}}",
        "bb",
    ],
    &[
        "image",
        "inspect",
        "-f",
        "{{range .RepoTags}}{{.}};{{end}}{{json .RootFS}}",
        "bb",
        "dd:three",
    ],
    &["image", "inspect", "-f", "{{json .Config}}", "bb"],
    &["image", "inspect", "-f", "{{.Id}}", "none"],
    &["image", "inspect", "none"],
    &["rmi", "none"],
    &["tag", "none", "x"],
    &["tag", "bb", "UPPER"],
    &["save", "none"],
    &["load", "-i", "/none"],
];

#[test]
fn every_byte_is_that_of_dockers_client() {
    if !root() || !clients().contains(&Client::Docker28) {
        return;
    }
    let brig = Brig::start();
    let tar = busybox_tar();
    let import = |more: &[&str]| {
        let words = [&["import"], more].concat();
        brig.brig(&words).ok();
    };
    let tar = tar.to_str().unwrap();
    import(&["-c", "LABEL team=a", "-m", "made <by> hand", tar, "bb"]);
    import(&[
        "-c",
        "LABEL team=b",
        "-c",
        "CMD [\"a\",\"b&c\"]",
        tar,
        "dd:three",
    ]);
    import(&["-c", "ENV A=b", tar]);
    for name in ["bb:two", "localhost:5000/team/bb:v1"] {
        brig.brig(&["tag", "bb", name]).ok();
    }
    brig.brig(&["create", "--network", "none", "bb", "true"])
        .ok();
    for words in COMMANDS {
        let (ours, theirs) = (brig.brig(words), brig.with(Client::Docker28, words));
        assert_eq!(
            sorted(&ours.stdout),
            sorted(&theirs.stdout),
            "{ours}\n{theirs}"
        );
        assert_eq!(ours.stderr, theirs.stderr, "{ours}\n{theirs}");
        assert_eq!(ours.code, theirs.code, "{ours}\n{theirs}");
    }
    brig.finish();
}
