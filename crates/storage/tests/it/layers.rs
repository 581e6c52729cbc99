//! What archives become on disk: dialects of real writers, and archives made to do harm.

use std::ffi::OsStr;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

use tar::EntryType;
use types::ErrorKind;

use crate::support::{Data, Tar, chain, has, is_root, names, run};

/// Imports a tar that must be refused, and returns why.
fn refused(tar: &[u8]) -> String {
    let data = Data::new();
    std::fs::write(data.dir.path().join("canary"), "host").unwrap();
    let error = data.import(tar, "x").unwrap_err();
    data.assert_clean();
    assert_eq!(names(data.dir.path()), ["canary", "data"]);
    assert_eq!(
        std::fs::read(data.dir.path().join("canary")).unwrap(),
        b"host"
    );
    chain(&error)
}

#[test]
fn paths_that_lead_outside_are_refused() {
    for name in ["../canary", "a/../../canary", "/../../canary", "./.."] {
        let text = refused(&Tar::new().file(name, b"evil").build());
        assert_eq!(
            text,
            format!(
                "the tar archive is broken at byte 512, at {name:?}: \
                 the path {name:?} leads outside of the root"
            )
        );
    }
    let text = refused(&Tar::new().link("here", "../../../../etc/passwd").build());
    assert!(
        text.ends_with("the path \"../../../../etc/passwd\" leads outside of the root"),
        "{text}"
    );
    let text = refused(&Tar::new().link("here", "/etc/passwd").build());
    assert!(
        text.ends_with("the hard link's target \"/etc/passwd\" is not in the archive"),
        "{text}"
    );
    let text = refused(&Tar::new().dir("d").file("d/.wh...", b"").build());
    assert!(
        text.ends_with("the path \".wh...\" cannot be a file's name"),
        "{text}"
    );
    let text = refused(&Tar::new().file("./", b"").file(".", b"x").build());
    assert!(
        text.ends_with("the path \".\" cannot be a file's name"),
        "{text}"
    );
}

#[test]
fn symbolic_links_of_the_archive_lead_nowhere_outside() {
    let data = Data::new();
    let outside = data.dir.path().join("outside");
    std::fs::create_dir(&outside).unwrap();
    let target = outside.to_str().unwrap();
    // Absolute, relative and chained links out, and then files through them.
    let up = format!("../../../../../../../../..{target}");
    let tar = Tar::new()
        .dir("tmp")
        .symlink("abs", "/tmp")
        .symlink("up", "../../../../../../../../tmp")
        .symlink("chain", "abs")
        .file("abs/one", b"1")
        .file("up/two", b"2")
        .file("chain/three", b"3")
        .build();
    data.import(&tar, "x").unwrap();
    assert_eq!(names(&data.top("x").join("tmp")), ["one", "three", "two"]);
    // Links whose target the archive does not have are in the way, not followed.
    for link in [target, &up] {
        let short: String = link.chars().take(99).collect();
        let tar = Tar::new()
            .symlink("out", &short)
            .file("out/file", b"evil")
            .build();
        let error = chain(&data.import(&tar, "y").unwrap_err());
        assert!(
            error.ends_with("\"out\" is in the way: it is not a directory"),
            "{error}"
        );
    }
    // A file that replaces a link replaces the link.
    let canary = outside.join("canary");
    std::fs::write(&canary, "host").unwrap();
    let tar = Tar::new()
        .symlink("f", canary.to_str().unwrap())
        .file("f", b"evil")
        .build();
    data.import(&tar, "z").unwrap();
    assert_eq!(std::fs::read(data.top("z").join("f")).unwrap(), b"evil");
    // A hard link to a link is one more link; written through, it would be the host's file.
    let tar = Tar::new()
        .symlink("f", canary.to_str().unwrap())
        .link("g", "f")
        .file("g", b"evil")
        .build();
    data.import(&tar, "w").unwrap();
    assert_eq!(std::fs::read(&canary).unwrap(), b"host");
    assert_eq!(names(&outside), ["canary"]);
}

#[test]
fn later_entries_replace_earlier_ones() {
    let data = Data::new();
    let tar = Tar::new()
        .file("a", b"1")
        .file("a", b"two")
        .dir("d")
        .file("d/x", b"x")
        .dir("d")
        .file("b", b"b")
        .dir("b")
        .file("b/in", b"")
        .dir("gone")
        .dir("gone/deep")
        .file("gone/deep/x", b"")
        .file("gone", b"file now")
        .link("a2", "a")
        .link("a2", "a")
        .link("a", "a")
        .build();
    data.import(&tar, "x").unwrap();
    let top = data.top("x");
    assert_eq!(names(&top), ["a", "a2", "b", "d", "gone"]);
    assert_eq!(std::fs::read(top.join("a")).unwrap(), b"two");
    assert_eq!(std::fs::metadata(top.join("a")).unwrap().nlink(), 2);
    assert_eq!(names(&top.join("d")), ["x"]);
    assert_eq!(names(&top.join("b")), ["in"]);
    assert_eq!(std::fs::read(top.join("gone")).unwrap(), b"file now");
    data.assert_clean();
}

#[test]
fn whiteouts_become_overlays() {
    if !is_root() {
        return;
    }
    let data = Data::new();
    let tar = Tar::new()
        .file(".wh.etc", b"")
        .file("usr/.wh..wh..opq", b"")
        .file("usr/kept", b"")
        .file("var/.wh.run", b"")
        .file("var/run/new", b"")
        .file("srv/old", b"")
        .file("srv/.wh.old", b"")
        .file("opt/x", b"")
        .file(".wh.opt", b"")
        .file("a/.wh..wh.plnk", b"")
        .file(".wh.file", b"")
        .file("file", b"again")
        .build();
    data.import(&tar, "x").unwrap();
    let top = data.top("x");
    let is_whiteout = |name: &str| {
        let meta = top.join(name).symlink_metadata().unwrap();
        meta.file_type().is_char_device() && meta.rdev() == 0
    };
    let is_opaque = |name: &str| {
        let dir = sys::dir::Dir::open(&top.join(name)).unwrap();
        let key = OsStr::new("trusted.overlay.opaque");
        sys::xattr::get(&dir, OsStr::new("."), key).is_ok_and(|value| value == b"y")
    };
    assert!(is_whiteout("etc"));
    assert!(is_opaque("usr") && names(&top.join("usr")) == ["kept"]);
    // Removed below and brought anew: the directory hides what was there.
    assert!(is_opaque("var/run") && names(&top.join("var/run")) == ["new"]);
    // A whiteout is about the layers below, not about its own.
    assert_eq!(names(&top.join("srv")), ["old"]);
    assert!(is_opaque("opt") && names(&top.join("opt")) == ["x"]);
    assert_eq!(std::fs::read(top.join("file")).unwrap(), b"again");
    assert!(!is_opaque("srv"));
    assert_eq!(names(&top), ["etc", "file", "opt", "srv", "usr", "var"]);
}

#[test]
fn attributes_for_overlayfs_itself_are_not_taken_from_an_archive() {
    if !has("tar") || !is_root() {
        return;
    }
    let data = Data::new();
    let tree = data.dir.path().join("tree");
    std::fs::create_dir_all(tree.join("d")).unwrap();
    let dir = sys::dir::Dir::open(&tree).unwrap();
    let (d, redirect) = (OsStr::new("d"), OsStr::new("trusted.overlay.redirect"));
    sys::xattr::set(&dir, d, redirect, b"/secret").unwrap();
    sys::xattr::set(&dir, d, OsStr::new("trusted.other"), b"a\nb").unwrap();
    let tar = run(
        "tar",
        [
            "--xattrs",
            "--xattrs-include=*",
            "-C",
            tree.to_str().unwrap(),
            "-c",
            ".",
        ],
    );
    data.import(&tar, "x").unwrap();
    let top = sys::dir::Dir::open(&data.top("x")).unwrap();
    assert!(sys::xattr::get(&top, d, redirect).is_err());
    assert_eq!(
        sys::xattr::get(&top, d, OsStr::new("trusted.other")).unwrap(),
        b"a\nb"
    );
}

/// A tree with everything a file system has.
fn make_tree(tree: &Path) {
    let script = r#"
        set -e
        cd "$1"
        mkdir -p usr/bin usr/share/doc d/e
        printf 'text\n' > usr/share/doc/README
        ln usr/share/doc/README hard
        ln -s /usr/bin usr/sbin
        ln -s dangling/target dangle
        long=$(printf 'n%.0s' $(seq 200)); mkdir "$long"; echo deep > "$long/$long"
        ln -s "$long/$long" "l$long"; ln "$long/$long" hard2
        cp /bin/true usr/bin/suid; chmod 4755 usr/bin/suid
        chmod 1777 d; chmod 2750 d/e
        mkfifo fifo
        truncate -s 3M holes
        printf 'data' | dd of=holes bs=1 seek=1048576 conv=notrunc status=none
        printf 'end' | dd of=holes bs=1 seek=3145725 conv=notrunc status=none
        truncate -s 1M onlyhole
        i=0; while [ $i -lt 40 ]; do printf x | dd of=swiss bs=1 seek=$((i * 65536)) conv=notrunc status=none; i=$((i + 1)); done
        touch -d '1969-12-31 23:59:58.5 UTC' old
        touch -d '2024-02-29 12:34:56.123456789 UTC' usr/share/doc/README usr/share
        printf 'é\n' > 'name with spaces é'
        if [ "$(id -u)" = 0 ]; then
            mknod null c 1 3; mknod loop b 7 200
            chown 4000000:3000000 hard2; chown -h 12:34 dangle; chown 0:42 usr/bin/suid; chmod 4755 usr/bin/suid
        fi
    "#;
    run("sh", ["-c", script, "sh", tree.to_str().unwrap()]);
}

/// One line a file: everything that can be compared.
fn describe(tree: &Path, with_nanos: bool) -> Vec<String> {
    let mut lines = Vec::new();
    let mut stack = vec![tree.to_owned()];
    while let Some(path) = stack.pop() {
        let meta = path.symlink_metadata().unwrap();
        let name = path.strip_prefix(tree).unwrap().display().to_string();
        let content = if meta.is_symlink() {
            std::fs::read_link(&path).unwrap().display().to_string()
        } else if meta.is_file() {
            let bytes = std::fs::read(&path).unwrap();
            format!(
                "{} {}",
                bytes.len(),
                types::id::hex(&<sha2::Sha256 as sha2::Digest>::digest(&bytes))
            )
        } else {
            format!("{:x}", meta.rdev())
        };
        let nanos = if with_nanos { meta.mtime_nsec() } else { 0 };
        let links = if meta.is_dir() { 0 } else { meta.nlink() };
        lines.push(format!(
            "{name} {:o} {}:{} {}.{nanos} {links} {content}",
            meta.mode(),
            meta.uid(),
            meta.gid(),
            meta.mtime(),
        ));
        if meta.is_dir() {
            stack.extend(std::fs::read_dir(&path).unwrap().map(|e| e.unwrap().path()));
        }
    }
    lines.sort();
    lines
}

/// Formats of GNU tar: a name, options, and whether it keeps nanoseconds.
const DIALECTS: [(&str, &str, bool); 8] = [
    ("gnu", "--format=gnu", false),
    ("gnu-sparse", "--format=gnu -S", false),
    ("pax", "--format=pax", true),
    (
        "pax-sparse-0.0",
        "--format=pax -S --sparse-version=0.0",
        true,
    ),
    (
        "pax-sparse-0.1",
        "--format=pax -S --sparse-version=0.1",
        true,
    ),
    (
        "pax-sparse-1.0",
        "--format=pax -S --sparse-version=1.0",
        true,
    ),
    ("ustar", "--format=ustar", false),
    ("v7", "--format=v7", false),
];

/// What a format cannot hold: long names, large ids, negative times; special files.
fn cannot_hold(format: &str, name: &str) -> bool {
    let small = matches!(format, "ustar" | "v7");
    let odd = name.starts_with("nnn") || name.starts_with("lnnn");
    let special = matches!(name, "fifo" | "null" | "loop");
    (small && (odd || matches!(name, "hard2" | "old"))) || (format == "v7" && special)
}

#[test]
fn every_dialect_of_gnu_tar_gives_the_same_tree() {
    if !has("tar") || !is_root() {
        return;
    }
    let data = Data::new();
    let tree = data.dir.path().join("tree");
    std::fs::create_dir(&tree).unwrap();
    make_tree(&tree);
    let epoch = std::time::UNIX_EPOCH;
    std::fs::File::open(&tree)
        .unwrap()
        .set_modified(epoch)
        .unwrap();
    for (format, options, nanos) in DIALECTS {
        let all = names(&tree);
        let left_out = all.iter().filter(|name| cannot_hold(format, name));
        let mut args: Vec<_> = options.split(' ').map(str::to_owned).collect();
        args.extend(left_out.map(|name| format!("--exclude=./{name}")));
        args.extend(["-C", tree.to_str().unwrap(), "-c", "."].map(str::to_owned));
        data.import(&run("tar", args), format).unwrap();
        let top = data.top(format);
        let is_held = |line: &String| {
            let name = line.split(['/', ' ']).next().unwrap_or_default();
            !cannot_hold(format, name)
        };
        let mut expected = describe(&tree, nanos);
        expected.retain(is_held);
        assert_eq!(describe(&top, nanos), expected, "{format}");
        if format.contains("sparse") {
            let blocks = std::fs::metadata(top.join("holes")).unwrap().blocks();
            assert!(blocks * 512 < 1 << 20, "{format}: {blocks} blocks");
        }
    }
    data.assert_clean();
}

#[test]
fn compressed_imports_give_the_same_layer() {
    if !has("tar") || !is_root() {
        return;
    }
    let data = Data::new();
    let tree = data.dir.path().join("tree");
    std::fs::create_dir(&tree).unwrap();
    make_tree(&tree);
    let file = data.dir.path().join("x.tar");
    run(
        "tar",
        [
            "--format=pax",
            "-C",
            tree.to_str().unwrap(),
            "-cf",
            file.to_str().unwrap(),
            ".",
        ],
    );
    let plain = data
        .import(&std::fs::read(&file).unwrap(), "plain")
        .unwrap();
    for program in ["gzip", "zstd", "xz", "bzip2"] {
        if !has(program) {
            continue;
        }
        let bytes = run(program, ["-c", file.to_str().unwrap()]);
        let image = data.import(&bytes, program).unwrap();
        assert_eq!(image.layers, plain.layers, "{program}");
        let cut = chain(&data.import(&bytes[..bytes.len() / 2], "cut").unwrap_err());
        assert!(cut.contains("it ends too early"), "{program}: {cut}");
        let mut bad = bytes.clone();
        let middle = bad.len() / 2;
        bad[middle..middle + 64].fill(0x55);
        let bad = chain(&data.import(&bad, "bad").unwrap_err());
        assert!(
            bad.contains(program) || bad.contains("broken at byte"),
            "{program}: {bad}"
        );
    }
    data.assert_clean();
}

#[test]
fn capabilities_of_files_survive() {
    if !has("tar") || !is_root() {
        return;
    }
    let data = Data::new();
    let tree = data.dir.path().join("tree");
    std::fs::create_dir(&tree).unwrap();
    let dir = sys::dir::Dir::open(&tree).unwrap();
    let (name, key) = (OsStr::new("ping"), OsStr::new("security.capability"));
    dir.create_file(name).unwrap();
    dir.set_owner(name, 7, 7).unwrap();
    // cap_net_raw+ep, revision 2; its bytes include a newline on purpose of nobody.
    let value = [
        1, 0, 0, 2, 0, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    ];
    sys::xattr::set(&dir, name, key, &value).unwrap();
    let tar = run(
        "tar",
        [
            "--xattrs",
            "--xattrs-include=*",
            "-C",
            tree.to_str().unwrap(),
            "-c",
            ".",
        ],
    );
    data.import(&tar, "x").unwrap();
    let top = sys::dir::Dir::open(&data.top("x")).unwrap();
    assert_eq!(sys::xattr::get(&top, name, key).unwrap(), value);
}

#[test]
fn hostile_headers_are_refused_within_bounds() {
    let huge = |kind: u8| {
        let mut header = tar::Header::new_gnu();
        header.set_path("bomb").unwrap();
        header.set_entry_type(EntryType::new(kind));
        header.set_mode(0o644);
        header.set_size(1 << 50);
        header.set_cksum();
        header.as_bytes().to_vec()
    };
    for (kind, expected) in [
        (
            b'x',
            "its extended header is longer than any this program accepts",
        ),
        (b'L', "its name is longer than any this program accepts"),
        (b'0', "it ends too early"),
        (b'S', "its sparse map is inconsistent"),
    ] {
        let text = refused(&huge(kind));
        assert!(text.ends_with(expected), "{text}");
    }
    // A bomb: a gigabyte of zeros in a few kilobytes, as a name.
    let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut gz, &huge(b'L')).unwrap();
    for _ in 0..1024 {
        std::io::Write::write_all(&mut gz, &[0; 1 << 16]).unwrap();
    }
    let text = refused(&gz.finish().unwrap());
    assert!(
        text.ends_with("its name is longer than any this program accepts"),
        "{text}"
    );
}

#[test]
fn names_the_kernel_refuses_are_named() {
    let long = format!("d/{}", "x".repeat(300));
    let mut builder = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_size(0);
    header.set_mode(0o644);
    builder.append_data(&mut header, &long, &b""[..]).unwrap();
    let text = refused(&builder.into_inner().unwrap());
    assert_eq!(
        text,
        format!("cannot create {long:?}: openat: file name too long")
    );
    let data = Data::new();
    let error = data
        .import(&Tar::new().file("f", b"").file("f/x", b"").build(), "x")
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert!(chain(&error).ends_with("\"f\" is in the way: it is not a directory"));
}
