//! What is built: every instruction and every flag.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::process::Command;

use super::image::STAMP;

/// A Dockerfile, and who can build it.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) file: &'static str,
    /// Beside the name and the file.
    pub(crate) words: &'static [&'static str],
    /// Dockerfiles of `same-NAME-0` and so on, built before.
    pub(crate) before: &'static [&'static str],
    /// Docker's language has it for sure.
    pub(crate) docker: bool,
    /// Buildah does the same.
    pub(crate) buildah: bool,
}

const fn case(name: &'static str, file: &'static str) -> Case {
    Case {
        name,
        file,
        words: &[],
        before: &[],
        docker: true,
        buildah: true,
    }
}

/// What buildah does otherwise, or not at all.
const fn docker_only(name: &'static str, file: &'static str) -> Case {
    Case {
        buildah: false,
        ..case(name, file)
    }
}

pub(crate) const CASES: &[Case] = &[
    docker_only(
        "words",
        r#"FROM bb
MAINTAINER somebody <some@body>
ENV A=b C="d e" F=g\ h
ENV OLD form with spaces
LABEL one=two "three four"="five six" seven='$A'
LABEL multi="a\
b"
EXPOSE 80 443/tcp 53/udp 9000-9003
VOLUME /data /other
VOLUME ["/json", "/more"]
USER 1:2
STOPSIGNAL SIGUSR1
WORKDIR /w/x
CMD ["a", "b"]
ENTRYPOINT ["/e", "f"]
"#,
    ),
    case(
        "commands",
        "FROM bb\nENTRYPOINT echo shell form\nCMD echo $HOME\n",
    ),
    case(
        "entrypoint-resets",
        "FROM same-entrypoint-resets-0\nENTRYPOINT [\"/y\"]\n",
    )
    .after(&["FROM bb\nCMD [\"/x\"]\nENTRYPOINT [\"/z\"]\n"]),
    case(
        "inherited",
        "FROM same-inherited-0\nENV A=c\nLABEL l=n o=p\nEXPOSE 81\nWORKDIR sub\nRUN pwd >/pwd; id -u >/id 2>/dev/null || true\n",
    )
    .after(&[
        "FROM bb\nENV A=b X=y\nLABEL l=m\nEXPOSE 80\nWORKDIR /base\nVOLUME /v\nSTOPSIGNAL 3\nHEALTHCHECK CMD true\nCMD x\n",
    ]),
    docker_only(
        "health",
        "FROM bb\nHEALTHCHECK --interval=1m30s --timeout=5s --start-period=2s --start-interval=100ms --retries=4 CMD [\"x\", \"y\"]\n",
    ),
    docker_only("health-shell", "FROM bb\nHEALTHCHECK CMD test -e /x || exit 1\n"),
    docker_only("health-none", "FROM bb\nHEALTHCHECK NONE\n"),
    docker_only(
        "shell",
        "FROM bb\nSHELL [\"/bin/sh\", \"-ec\"]\nRUN echo a >/a\nCMD run me\nENTRYPOINT so\nHEALTHCHECK CMD well\n",
    ),
    docker_only("onbuild", "FROM same-onbuild-0\nRUN echo after >/after\n").after(&[
        "FROM bb\nONBUILD COPY a.txt /onbuild/\nONBUILD ENV FROM=trigger\nONBUILD RUN echo $FROM >/triggered\nONBUILD LABEL t=u\n",
    ]),
    case("run", "FROM bb\nRUN echo shell >/shell && umask >/umask\nRUN [\"/bin/sh\", \"-c\", \"echo exec >/exec\"]\nRUN mkdir -p /d/e && chmod 1777 /d && chmod 2750 /d/e && chown 3:4 /d/e\n"),
    docker_only(
        "heredocs",
        "FROM bb\nRUN <<EOT\necho one >/one\ncat <<IN >/two\ninner\nIN\nEOT\nRUN <<EOT sh\nX=three\necho $X >/three\nEOT\nRUN <<\"EOT\"\n#!/bin/sh -e\necho $0 | grep -c . >/bang\nEOT\nRUN cat <<A >/four && cat <<B >>/four\nfirst\nA\nsecond\nB\n",
    ),
    docker_only(
        "copied-heredocs",
        "FROM bb\nARG who=you\nCOPY <<EOT /plain\nhello $who\nEOT\nCOPY --chmod=755 --chown=5:6 <<\"EOT\" <<-OTHER /dir/\n$who as it is\nEOT\n\ttabs go\n\tOTHER\nADD <<EOT /added/deep/file\nx\nEOT\n",
    ),
    case(
        "copy",
        "FROM bb\nCOPY a.txt /\nCOPY a.txt /named\nCOPY a.txt /into/\nCOPY dir /dir\nCOPY dir/ /slash/\nCOPY a.txt exec.sh /several/\nCOPY *.log /wild/\nCOPY [\"with space\", \"/spaces/\"]\nCOPY dir/sub /dir\nCOPY private /modes/\nWORKDIR /rel\nCOPY a.txt .\nCOPY a.txt ./x/y\nCOPY dir/s?b /one/\n",
    ),
    docker_only("copy-more", "FROM bb\nCOPY setuid /modes/\nCOPY empty /empty\nCOPY empty /made/\n"),
    docker_only(
        "copy-flags",
        "FROM bb\nCOPY --chown=7:8 dir /owned\nCOPY --chown=www a.txt /www\nCOPY --chown=www:audio a.txt /group\nCOPY --chmod=640 dir /moded\nCOPY --chmod=0755 --chown=9 a.txt /deep/er/file\nCOPY --link a.txt /linked/file\nCOPY --link --chown=11:12 dir /linked-dir\n",
    ),
    docker_only(
        "copy-symbolic",
        "FROM bb\nCOPY --chmod=u=rwX,go=rX dir /d\nCOPY --chmod=a+x a.txt /x\nCOPY --chmod=g+w,o-r private exec.sh /p/\n",
    )
    .newer(),
    docker_only(
        "copy-parents",
        "FROM bb\nCOPY --parents dir/sub/three a.txt /p/\nCOPY --parents ./dir/./sub /q/\nCOPY --parents **/three /r/\n",
    )
    .newer(),
    docker_only(
        "copy-exclude",
        "FROM bb\nCOPY --exclude=*.log --exclude=dir/sub . /all/\nCOPY --exclude=**/t* dir /some/\n",
    )
    .newer(),
    case(
        "copy-over",
        "FROM bb\nRUN mkdir -m 700 /t && mkdir -m 750 /t/sub && echo old >/t/one && chown 3:4 /t/sub && mkdir /real && ln -s real /link && ln -s /real/file /file && echo f >/real/file && chmod 600 /real/file\nCOPY dir /t\nCOPY a.txt /link/\nCOPY dir/sub /link/\n",
    ),
    docker_only(
        "copy-through-links",
        "FROM bb\nRUN mkdir /real && ln -s /real/file /file && ln -s nowhere /dangling && ln -s /real /link\nCOPY a.txt /file\nCOPY a.txt /dangling\nCOPY dir /link\n",
    ),
    docker_only(
        "copy-from",
        "FROM bb AS made\nRUN mkdir -p /o/d && echo x >/o/d/x && ln /o/d/x /o/hard && ln -s d/x /o/soft && mkfifo /o/pipe && chmod 4711 /o/d/x && chown 20:21 /o/d && touch -h -d @1000000000 /o/soft\nFROM bb\nCOPY --from=made /o /o\nCOPY --from=0 /o/soft /followed\nCOPY --from=bb /etc/passwd /p\nCOPY --from=made --chown=1:1 /o/d /chowned\nCOPY --from=made /o/d/x /o/hard /both/\n",
    ),
    case(
        "add",
        "FROM bb\nADD archive.tar /unpacked/\nADD archive.tar.gz /unzipped\nADD a.txt /plain\nADD dir /dir/\n",
    ),
    docker_only(
        "add-flags",
        "FROM bb\nADD --chown=13:14 archive.tar /owned/\nADD --chmod=600 a.txt /moded\nADD --link archive.tar /linked/\nADD --chown=15:16 --chmod=700 dir /both/\n",
    ),
    docker_only(
        "add-kept",
        "FROM bb\nADD --unpack=false archive.tar /kept/\n",
    )
    .newer(),
    docker_only(
        "workdir",
        "FROM bb\nWORKDIR /a\nWORKDIR b/../c\nWORKDIR $HOME/x\nENV D=/env\nWORKDIR ${D}/y\nWORKDIR /etc\nRUN pwd >/here\n",
    ),
    docker_only("workdir-user", "FROM bb\nUSER 5:6\nWORKDIR /own/deep\nRUN id -u >made; id -g >>made\n"),
    docker_only(
        "user",
        "FROM bb\nUSER www\nRUN id -u >/tmp/u; id -g >/tmp/g; id -G >/tmp/all\nUSER www:staff\nRUN id -g >/tmp/staff\nUSER 7\nRUN id -g >/tmp/seven\n",
    ),
    docker_only(
        "mounts",
        "FROM bb AS other\nRUN mkdir /o && echo o >/o/f\nFROM bb\nRUN --mount=target=/ctx cp /ctx/a.txt /a; touch /ctx/no 2>/dev/null || echo ro >/ro\nRUN --mount=type=bind,source=dir,target=/new/deep,rw touch /new/deep/x\nRUN --mount=type=bind,from=other,source=/o,target=/o cat /o/f >/f\nRUN --mount=type=tmpfs,target=/tmp/t,size=4096k df -k /tmp/t | tail -n 1 | awk '{print $2}' >/size\nRUN --mount=type=cache,target=/cache,uid=3,gid=4,mode=0701 stat -c '%u %g %a' /cache >/cached && touch /cache/f\nRUN --mount=type=cache,id=/cache,target=/again,uid=3,gid=4,mode=0701 ls /again >/listed; stat -c '%a %u' /again >>/listed\nRUN --mount=type=cache,target=/seeded,from=other,source=/o cat /seeded/f >/seed\nRUN --mount=type=secret,id=s,target=/sec,uid=1,gid=2,mode=0440 stat -c '%u %g %a %s' /sec >/secret\nRUN --mount=type=secret,id=s ls -l /run/secrets/s | awk '{print $1,$3,$4}' >/default\nRUN --mount=type=secret,id=none test ! -e /run/secrets/none\nRUN --mount=type=secret,id=s,env=S test -n \"$S\"\n",
    )
    .with(&["--secret", "id=s,src=/etc/passwd"]),
    docker_only(
        "stubs",
        "FROM bb\nRUN --mount=type=tmpfs,target=/stub true\nRUN --mount=type=tmpfs,target=/stub/deep/er touch /stub/own\nRUN --mount=type=secret,id=s,target=/etc/new/secret true\nRUN --mount=type=tmpfs,target=/etc true\n",
    )
    .with(&["--secret", "id=s,src=/etc/passwd"]),
    case(
        "removed",
        "FROM bb\nRUN mkdir -p /x/y && echo a >/x/a && echo b >/x/y/b\nRUN rm /x/a && rm -r /x/y && mkdir /x/y && echo c >/x/y/c\nRUN rm -r /x && echo file >/x && rm /etc/group\n",
    ),
    docker_only(
        "special",
        "FROM bb\nRUN mkdir /s && cd /s && echo h >one && ln one two && ln -s /no/where dangling && mkfifo pipe && mknod null c 1 3 && touch 'sp ace' 'ümlaut' && chmod 6755 one && mkdir -p $(seq -s / 1 60) && touch $(seq -s - 1 60)\nRUN ln /s/one /s/three && touch -d @5 /s/pipe\n",
    ),
    docker_only(
        "arguments",
        "ARG base=bb\nARG unused\nFROM $base\nARG base\nARG given=no\nARG default=yes\nARG empty\nENV FROM_ARG=${given} OVER=${default:-x}\nRUN echo \"$base $given $default [$empty] $FROM_ARG\" >/args\nARG TARGETPLATFORM\nARG TARGETOS\nARG TARGETARCH\nARG BUILDPLATFORM\nRUN echo $TARGETPLATFORM $TARGETOS $TARGETARCH $BUILDPLATFORM >/platforms\nRUN env | sort >/env\nARG HTTP_PROXY\n",
    )
    .with(&["--build-arg", "given=set", "--build-arg", "http_proxy=http://p:1"]),
    docker_only(
        "expansion",
        "FROM bb\nARG V=a.b.c\nARG E\nENV A=${V:-n} B=${E:-dflt} C=${V:+alt} D=${E:+none}x F=${V#a.} G=${V##*.} H=${V%.c} I=${V%%.*} J=${V/b/X} K=${V//./-} L=\\$V M='$V' N=\"$V\"\nENV O=$A-$B P=\"q \\\"r\\\"\" Q=a\\\\b\nLABEL \"l$V\"=$A m=${E-unset}\nEXPOSE ${E:-70}/tcp\nWORKDIR /w-$V\nVOLUME /v-$V\nUSER ${E:-0}\nSTOPSIGNAL ${E:-9}\nCOPY ${E:-a.txt} /c-$V\n",
    ),
    docker_only(
        "escaped",
        "# escape=`\nFROM bb\nENV P=c:\\windows\\ Q=r\nRUN echo a `\n # a comment between `\n  b >/joined\nLABEL x=y`\nz\n",
    ),
    case(
        "comments",
        "# syntax is not this\n\n  # indented\nFROM bb\nRUN echo a \\\n# in between\n  \\\n  b >/joined\n\nENV \\\n  X=1 \\\n  Y=2\n",
    ),
    docker_only(
        "stages",
        "FROM bb AS one\nRUN echo 1 >/one\nFROM one AS two\nENV T=2\nRUN echo $T >/two\nFROM bb AS unused\nRUN exit 1\nFROM two\nCOPY --from=one /one /copied\n",
    ),
    docker_only(
        "target",
        "FROM bb AS a\nRUN echo a >/a\nENV X=a\nFROM bb AS b\nRUN exit 1\n",
    )
    .with(&["--target", "a", "--label", "given=l", "--label", "empty="]),
    docker_only("scratch", "FROM scratch\nCOPY dir/one /one\nCOPY a.txt /deep/er/a\nENV A=b\n"),
    // Docker cannot save it.
    docker_only("nothing", "FROM scratch\nLABEL only=this\n").newer(),
    docker_only("base-only", "FROM bb\n"),
    docker_only(
        "volumes",
        "FROM bb\nVOLUME /data\nRUN mkdir -p /data && echo kept >/data/f\nCOPY a.txt /data/a\n",
    ),
    docker_only("ignored", "FROM bb\nCOPY . /all\n"),
    docker_only(
        "hosts",
        "FROM bb\nRUN grep -c extra /etc/hosts >/hosts; hostname >/name; cat /etc/hosts | wc -c >/dev/null\nRUN test ! -e /.dockerenv && ls -A / >/ls && ls -A /dev /sys >/dev/null\n",
    )
    .with(&["--add-host", "extra:10.1.2.3"]),
    docker_only(
        "limits",
        "FROM bb\nRUN ulimit -n >/files; df -k /dev/shm | tail -n 1 | awk '{print $2}' >/shm\n",
    )
    .with(&["--ulimit", "nofile=512:512", "--shm-size", "8m"]),
];

impl Case {
    const fn after(self, before: &'static [&'static str]) -> Self {
        Self { before, ..self }
    }

    const fn with(self, words: &'static [&'static str]) -> Self {
        Self { words, ..self }
    }

    /// Not every Docker has it.
    const fn newer(self) -> Self {
        Self {
            docker: false,
            ..self
        }
    }
}

fn write(path: &Path, text: &str, mode: u32) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// The context of all of them. Its files have one time.
pub(crate) fn context() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    for (name, text, mode) in [
        ("a.txt", "a\n", 0o644),
        ("exec.sh", "#!/bin/sh\n", 0o755),
        ("private", "p\n", 0o600),
        ("setuid", "s\n", 0o4755),
        ("with space", "w\n", 0o644),
        ("one.log", "1\n", 0o644),
        ("two.log", "2\n", 0o664),
        ("dir/one", "one\n", 0o640),
        ("dir/two", "two\n", 0o644),
        ("dir/sub/three", "three\n", 0o600),
        ("ignored", "i\n", 0o644),
        ("ignored.not", "n\n", 0o644),
        ("deep/ignored/kept", "k\n", 0o644),
        ("deep/ignored/gone", "g\n", 0o644),
        ("tree/ta", "a\n", 0o644),
        ("tree/tb/tc", "c\n", 0o604),
        (
            ".dockerignore",
            "# comment\nignored\n**/ignored\n!deep/ignored/kept\ntree\narchive*\n!archive.tar\n!archive.tar.gz\n",
            0o644,
        ),
    ] {
        write(&at(name), text, mode);
    }
    fs::create_dir(at("empty")).unwrap();
    symlink("one", at("dir/link")).unwrap();
    let tar = |words: &[&str]| {
        let status = Command::new("tar")
            .args([
                "--owner=5",
                "--group=6",
                "--sort=name",
                "--mtime=@1000000000",
            ])
            .args(words)
            .current_dir(dir.path())
            .status();
        assert!(status.unwrap().success());
    };
    tar(&["-cf", "archive.tar", "tree"]);
    tar(&["-czf", "archive.tar.gz", "tree", "dir/link"]);
    fs::set_permissions(at("dir/sub"), fs::Permissions::from_mode(0o750)).unwrap();
    let stamped = Command::new("find")
        .arg(dir.path())
        .args([
            "-exec",
            "touch",
            "-h",
            "-d",
            &format!("@{STAMP}"),
            "{}",
            "+",
        ])
        .status();
    assert!(stamped.unwrap().success());
    dir
}
