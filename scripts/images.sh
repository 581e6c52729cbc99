#!/usr/bin/env bash
# Makes the root file systems that the demo and the tests import, once:
#
#   scripts/images.sh demo   debian.tar: a Debian (or Ubuntu) with a web server
#   scripts/images.sh test   + busybox.tar: one static program under its many names
. "$(dirname "$0")/lib.sh"

level=${1:-test}
images=$cache/images
lock images
mkdir -p "$images"

busybox_image() {
    local out=$images/busybox.tar root name
    [ -f "$out" ] && return
    root=$(mktemp -d)
    mkdir -p "$root"/{bin,etc,home,proc,root,sys,tmp,usr/bin,var/www}
    chmod 1777 "$root/tmp"
    cp "$(command -v busybox)" "$root/bin/busybox"
    for name in $(busybox --list); do
        [ "$name" = busybox ] || ln -s busybox "$root/bin/$name"
    done
    printf 'root:x:0:0:root:/root:/bin/sh\nwww:x:33:33:www:/var/www:/bin/sh\n' >"$root/etc/passwd"
    printf 'root:x:0:\nwww:x:33:\naudio:x:29:www\nstaff:x:50:\n' >"$root/etc/group"
    tar -C "$root" --sort=name --numeric-owner --owner=0 --group=0 -cf "$out.new" .
    rm -rf "$root"
    mv "$out.new" "$out"
}

# From the mirrors this machine uses itself.
sources() {
    local suite
    suite=$(codename)
    apt-get indextargets --format '$(REPO_URI) $(RELEASE) $(COMPONENT) $(ORIGIN)' 'Created-By: Packages' |
        awk -v suite="$suite" '$2 ~ "^" suite "(-updates|-security)?$" && ($4 == "Debian" || $4 == "Ubuntu") &&
            ($3 == "main" || $3 == "universe") { print "deb", $1, $2, $3 }' | sort -u
}

debian_image() {
    local out=$images/debian.tar list
    [ -f "$out" ] && return
    list=$(mktemp)
    sources >"$list"
    if [ ! -s "$list" ]; then
        retry quiet as_root apt-get update -q || true
        sources >"$list"
    fi
    [ -s "$list" ] || die "this machine's apt names no mirror of $(codename) to make an image from"
    say "making a $(codename) root file system with a web server in it"
    retry quiet as_root mmdebstrap --variant=minbase --include=lighttpd,procps \
        --aptopt='APT::Install-Recommends "false"' \
        --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
        --dpkgopt='path-exclude=/usr/share/locale/*' \
        --customize-hook='rm -rf "$1"/var/cache/apt/* "$1"/var/lib/apt/lists/*' \
        "$(codename)" "$out.new.tar" "$list" || die "mmdebstrap could not make the root file system"
    rm -f "$list"
    as_root mv "$out.new.tar" "$out"
}

debian_image
if [ "$level" = test ]; then busybox_image; fi
