#!/usr/bin/env bash
# Installs what a level needs, and only what is missing. Safe to run again and again.
#
#   scripts/setup.sh build   a compiler, and the static target where rustup can add it
#   scripts/setup.sh demo    + what makes a root file system
#   scripts/setup.sh test    + QEMU with a kernel, Docker's clients and their plugins, a registry, CRIU, cargo-deny
#   scripts/setup.sh bench   + the engines and runtimes that Brig is measured against
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/debs.sh"

level=${1:-build}
case $level in build | demo | test | bench) ;; *) die "unknown level '$level': build, demo, test or bench" ;; esac
export DEBIAN_FRONTEND=noninteractive
lock setup

at_least() {
    local order=" build demo test bench " a=${1} b=$level
    [[ ${order%%" $b "*} == *"$a"* || $a == "$b" ]]
}

# Installs those of the packages that are not there.
packages() {
    local missing=() package
    for package; do
        [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || missing+=("$package")
    done
    [ ${#missing[@]} = 0 ] && return
    have apt-get || die "install these first: ${missing[*]}"
    say "installing ${missing[*]}"
    retry quiet as_root apt-get update -q || warn "the package lists could not be brought up to date"
    retry quiet as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get install -y -q --no-install-recommends "${missing[@]}" || die "could not install ${missing[*]}"
}

toolchain() {
    have cargo || die "cargo is missing: install Rust with rustup first"
    have rustup || return 0
    local musl
    musl="$(uname -m)-unknown-linux-musl"
    (cd "$repo" && rustup target list --installed) | grep -x "$musl" >/dev/null && return
    say "adding the $musl target"
    (cd "$repo" && quiet rustup target add "$musl") ||
        warn "no $musl target: the static binaries will be linked with glibc instead"
}

cargo_deny() {
    local version=0.20.2 root=$cache/tools/cargo-deny
    [ -x "$root/bin/cargo-deny" ] && "$root/bin/cargo-deny" --version 2>/dev/null | grep " $version" >/dev/null && return
    say "building cargo-deny $version, once"
    # Unoptimised: it builds in a third of the time and is run for a second.
    (cd "$repo" && CARGO_PROFILE_DEV_DEBUG=0 CARGO_TARGET_DIR=$cache/build/cargo-deny retry quiet cargo install \
        cargo-deny --version "$version" --locked --debug --no-default-features --root "$root") ||
        die "could not build cargo-deny $version"
    rm -rf "$cache/build/cargo-deny"
}

packages ca-certificates gcc libc6-dev make
toolchain
if at_least demo; then
    packages busybox-static curl mmdebstrap
fi
if at_least test; then
    packages apt-utils attr bind9-dnsutils binutils btrfs-progs cpio dbus-user-session e2fsprogs gnupg iproute2 iptables kmod openssl podman procps python3-venv qemu-system-x86 skopeo uidmap util-linux xfsprogs xz-utils zstd
    cargo_deny
    docker_clients
    docker_plugins
    docker_py
    old_compose
    docker_registry
    criu
    new_skopeo
    vm_kernel
fi
if at_least bench; then
    packages crun iptables patchelf podman runc strace
    # Without it the table of where the time goes is left out, with a word that says so.
    if apt-cache show linux-perf >/dev/null 2>&1; then packages linux-perf; fi
    peers
    netbench
fi
