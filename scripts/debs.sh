# Packages that are unpacked beside the product and never installed: Docker's clients, a kernel, the
# peers of the benchmark. Sourced by setup.sh, after lib.sh.

# The Debian mirror this machine uses, or the one BRIG_DEBIAN_MIRROR names. Nothing on a machine
# that knows none, such as Ubuntu's.
debian_mirror() {
    [ -n "${BRIG_DEBIAN_MIRROR:-}" ] && { echo "$BRIG_DEBIAN_MIRROR"; return; }
    apt-get indextargets --format '$(ORIGIN) $(LABEL) $(COMPONENT) $(REPO_URI)' 'Created-By: Packages' 2>/dev/null |
        awk '$1 == "Debian" && $2 == "Debian" && $3 == "main" && !found++ { print $4 }'
}

keyring=/usr/share/keyrings/debian-archive-keyring.gpg

# Makes an apt of our own for one suite, so that the machine's stays as it is, and prints the path
# of its configuration. A mirror's list may lag behind this machine's clock: its signature is still
# checked.
private_apt() {
    local suite=$1 mirror dir=$cache/apt/$1
    mirror=$(debian_mirror)
    [ -n "$mirror" ] || return 1
    [ -f "$keyring" ] || packages debian-archive-keyring >&2
    mkdir -p "$dir/lists/partial" "$dir/archives/partial"
    echo "deb [signed-by=$keyring] $mirror $suite main" >"$dir/sources.list"
    cat >"$dir/apt.conf" <<CONF
Dir::State "$dir";
Dir::State::status "/dev/null";
Dir::Cache "$dir";
Dir::Etc::main "/dev/null";
Dir::Etc::parts "/dev/null";
Dir::Etc::sourcelist "$dir/sources.list";
Dir::Etc::sourceparts "/dev/null";
Dir::Etc::preferences "/dev/null";
Dir::Etc::preferencesparts "/dev/null";
Acquire::Languages "none";
Acquire::IndexTargets::deb::DEP-11::DefaultEnabled "false";
Acquire::Check-Valid-Until "false";
Acquire::Retries "3";
APT::Sandbox::User "root";
APT::Architecture "$(dpkg --print-architecture)";
CONF
    APT_CONFIG=$dir/apt.conf retry quiet apt-get update -q || return 1
    echo "$dir/apt.conf"
}

# unpack SUITE DIR PACKAGE[=VERSION]...: fetches packages of a suite and unpacks them under DIR. The
# suite `here` is the machine's own.
unpack() {
    local suite=$1 dir=$2 conf work
    shift 2
    if [ "$suite" = here ]; then conf=; else conf=$(private_apt "$suite") || return 1; fi
    work=$(mktemp -d)
    (cd "$work" && APT_CONFIG=$conf retry quiet apt-get download -q -o APT::Sandbox::User=root "$@") || {
        rm -rf "$work"
        return 1
    }
    rm -rf "$dir.new"
    mkdir -p "$dir.new"
    local deb
    for deb in "$work"/*.deb; do dpkg -x "$deb" "$dir.new"; done
    rm -rf "$work" "$dir"
    mv "$dir.new" "$dir"
}

# A new machine may have no package lists yet.
own_lists() {
    compgen -G '/var/lib/apt/lists/*Packages*' >/dev/null || retry quiet as_root apt-get update -q || true
}

# The newest version of a package that a suite has and whose version matches a pattern.
version_of() {
    local conf=
    [ "$1" = here ] || conf=$(private_apt "$1") || return 1
    APT_CONFIG=$conf apt-cache madison "$2" 2>/dev/null | awk -F'|' -v p="$3" '{ gsub(/ /, "", $2) } $2 ~ p && !found++ { print $2 }'
}

# docker_client DIR PACKAGE PATTERN SUITE...: one client, from the first suite that has it.
docker_client() {
    local dir=$1 package=$2 pattern=$3 suite version
    [ -x "$dir/usr/bin/docker" ] && return
    shift 3
    for suite; do
        version=$(version_of "$suite" "$package" "$pattern") || continue
        [ -n "$version" ] || continue
        say "unpacking docker's client $version"
        unpack "$suite" "$dir" "$package=$version" && [ -x "$dir/usr/bin/docker" ] && return
    done
    warn "no docker client $pattern is to be had from this machine's mirrors: its tests are skipped"
}

docker_clients() {
    own_lists
    docker_client "$cache/tools/docker-20.10" docker.io '^20[.]10' here bookworm
    docker_client "$cache/tools/docker-28" docker-cli '^2[89]' sid
    # Ubuntu's docker.io holds the client as well.
    [ -x "$cache/tools/docker-28/usr/bin/docker" ] ||
        docker_client "$cache/tools/docker-28" docker.io '^2[89]' here
}

# The plugins of Docker's client: what `docker build` and `docker compose` are done by.
docker_plugins() {
    local dir=$cache/tools/docker-plugins suite
    [ -x "$dir/usr/libexec/docker/cli-plugins/docker-buildx" ] && return
    for suite in sid here; do
        say "unpacking docker's plugins"
        unpack "$suite" "$dir" docker-buildx docker-compose && return
    done
    warn "docker's plugins are not to be had from this machine's mirrors: the tests with buildx are skipped"
}

# CRIU for the tests of checkpoint and restore, with all libraries beside it and run by their own
# loader: the machine's are older, and the package is not in every suite.
criu() {
    local dir=$cache/tools/criu conf work deb
    [ -x "$dir/bin/criu" ] && return
    conf=$(private_apt sid) || { warn "no Debian mirror: the tests with criu are skipped"; return; }
    say "unpacking criu"
    work=$(mktemp -d)
    mkdir "$work/partial"
    if ! APT_CONFIG=$conf retry quiet apt-get install -q -y --download-only --no-install-recommends \
        -o Dir::Cache::Archives="$work" -o Debug::NoLocking=1 criu; then
        rm -rf "$work"
        warn "criu is not to be had from this machine's mirrors: its tests are skipped"
        return
    fi
    rm -rf "$dir"
    mkdir -p "$dir/bin"
    for deb in "$work"/*.deb; do dpkg -x "$deb" "$dir/root"; done
    rm -rf "$work" "$dir/root/usr/share"
    # By the place of this script, because the virtual machine has it elsewhere.
    cat >"$dir/bin/criu" <<'WRAPPER'
#!/bin/sh
root=${0%/bin/criu}/root
lib=$root/usr/lib/$(uname -m)-linux-gnu
exec "$lib"/ld-linux-*.so.* --library-path "$lib" --argv0 criu "$root/usr/sbin/criu" "$@"
WRAPPER
    chmod +x "$dir/bin/criu"
}

# A skopeo that makes and judges every kind of signature, beside the machine's, which may be of before
# that. Its libraries are its own; gpg is the machine's.
new_skopeo() {
    local dir=$cache/tools/skopeo conf work deb
    [ -x "$dir/bin/skopeo" ] && return
    conf=$(private_apt sid) || { warn "no Debian mirror: the tests of signatures beside skopeo are skipped"; return; }
    say "unpacking skopeo"
    work=$(mktemp -d)
    mkdir "$work/partial"
    if ! APT_CONFIG=$conf retry quiet apt-get install -q -y --download-only --no-install-recommends \
        -o Dir::Cache::Archives="$work" -o Debug::NoLocking=1 skopeo; then
        rm -rf "$work"
        warn "skopeo of sid is not to be had from this machine's mirrors: the tests of signatures beside it are skipped"
        return
    fi
    rm -rf "$dir"
    mkdir -p "$dir/bin"
    for deb in "$work"/*.deb; do dpkg -x "$deb" "$dir/root"; done
    rm -rf "$work" "$dir/root/usr/share"
    cat >"$dir/bin/skopeo" <<'WRAPPER'
#!/bin/sh
root=${0%/bin/skopeo}/root
lib=$root/usr/lib/$(uname -m)-linux-gnu
exec "$lib"/ld-linux-*.so.* --library-path "$lib" --argv0 skopeo "$root/usr/bin/skopeo" "$@"
WRAPPER
    chmod +x "$dir/bin/skopeo"
}

# Docker's library for Python with what it needs for WebSockets, and testcontainers, in an environment
# of its own.
docker_py() {
    local dir=$cache/tools/docker-py wanted="docker==7.2.0 websocket-client==1.9.2 testcontainers==4.15.0"
    [ "$(cat "$dir/.complete" 2>/dev/null)" = "$wanted" ] && return
    say "installing docker-py and testcontainers"
    rm -rf "$dir"
    # One word a package.
    # shellcheck disable=SC2086
    if quiet python3 -m venv "$dir" &&
        retry quiet "$dir/bin/python" -m pip install -q --disable-pip-version-check $wanted; then
        echo "$wanted" >"$dir/.complete"
        return
    fi
    rm -rf "$dir"
    warn "docker-py is not to be had from this machine's index of packages: its tests are skipped"
}

# Docker's compose of Debian 12, 1.29, with the Python of its suite: the machine's may be another one.
old_compose() {
    local dir=$cache/tools/docker-compose-1.29 conf work deb
    [ -x "$dir/bin/docker-compose" ] && return
    conf=$(private_apt bookworm) || { warn "no Debian mirror: the tests with compose 1.29 are skipped"; return; }
    say "unpacking docker-compose 1.29"
    work=$(mktemp -d)
    mkdir "$work/partial"
    if ! APT_CONFIG=$conf retry quiet apt-get install -q -y --download-only --no-install-recommends \
        -o Dir::Cache::Archives="$work" -o Debug::NoLocking=1 docker-compose; then
        rm -rf "$work"
        warn "docker-compose 1.29 is not to be had from this machine's mirrors: its tests are skipped"
        return
    fi
    rm -rf "$dir"
    mkdir -p "$dir/bin"
    for deb in "$work"/*.deb; do dpkg -x "$deb" "$dir/root"; done
    rm -rf "$work" "$dir/root/usr/share/doc" "$dir/root/usr/share/man" "$dir/root/usr/share/locale"
    cat >"$dir/bin/docker-compose" <<'WRAPPER'
#!/bin/sh
root=${0%/bin/docker-compose}/root
lib=$root/usr/lib/$(uname -m)-linux-gnu:$root/lib/$(uname -m)-linux-gnu
loader=$(echo "$root"/lib*/ld-linux-*.so.* "$root"/lib/*/ld-linux-*.so.* | tr ' ' '\n' | grep -v '[*]' | head -n 1)
PYTHONHOME=$root/usr PYTHONPATH=$root/usr/lib/python3/dist-packages \
    exec "$loader" --library-path "$lib" "$root/usr/bin/python3.11" -W ignore "$root/usr/bin/docker-compose" "$@"
WRAPPER
    chmod +x "$dir/bin/docker-compose"
}

# A registry for tests. Unpacked, because the package would start it as a service of the machine.
docker_registry() {
    local dir=$cache/tools/docker-registry suite
    [ -x "$dir/usr/bin/docker-registry" ] && return
    own_lists
    for suite in here bookworm; do
        say "unpacking docker-registry"
        unpack "$suite" "$dir" docker-registry && return
    done
    warn "docker-registry is not to be had from this machine's mirrors: the tests with a real registry are skipped"
}

# Debian's cloud kernel, for the virtual machine.
vm_kernel() {
    local dir=$cache/vm/kernel suite package
    compgen -G "$dir/boot/vmlinuz-*" >/dev/null && return
    own_lists
    for suite in here bookworm; do
        package=$(kernel_package "$suite") || continue
        say "unpacking $package"
        unpack "$suite" "$dir" "$package" && return
    done
    warn "no Debian cloud kernel is to be had from this machine's mirrors: the virtual machine tests are skipped"
}

# The package behind the newest cloud kernel's name.
kernel_package() {
    local conf=
    [ "$1" = here ] || conf=$(private_apt "$1") || return 1
    APT_CONFIG=$conf apt-cache depends "linux-image-cloud-$(dpkg --print-architecture)" 2>/dev/null |
        awk '$1 == "Depends:" && $2 ~ /^linux-image-/ && !found++ { print $2 } END { exit !found }'
}

# An image of what loads networks, which runs the same in every engine: only unpacked, with what it needs.
netbench() {
    local file=$cache/images/netbench.tar mirror
    [ -f "$file" ] && return
    mirror=$(debian_mirror)
    [ -n "$mirror" ] || { warn "no Debian mirror: networks are not measured"; return; }
    [ -f "$keyring" ] || packages debian-archive-keyring >&2
    say "making an image with iperf3, wrk, dnsperf and nginx"
    mkdir -p "$cache/images"
    if quiet mmdebstrap --mode=root --variant=extract --include=busybox-static,dnsperf,iperf3,nginx-light,wrk \
        --hook-dir=/usr/share/mmdebstrap/hooks/merged-usr \
        --aptopt='APT::Install-Recommends "false"' --aptopt='Acquire::Check-Valid-Until "false"' \
        --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
        bookworm "$file.new.tar" "deb [signed-by=$keyring] $mirror bookworm main"; then
        mv "$file.new.tar" "$file"
    else
        rm -f "$file.new.tar"
        warn "could not make that image: networks are not measured"
    fi
}

# The engines and runtimes to measure against, each in the user land of its own Debian.
peers() {
    peer_root bookworm
    peer_root sid
}

peer_root() {
    local suite=$1 dir=$cache/peers/$1 mirror names=docker.io,podman,crun,runc,iptables,ca-certificates
    [ -f "$dir/.complete" ] && return
    mirror=$(debian_mirror)
    [ -n "$mirror" ] || { warn "no Debian mirror: the peers of $suite are reported absent"; return; }
    [ "$suite" = bookworm ] || names=$names,docker-cli
    say "making a $suite with docker, podman, crun and runc in it"
    rm -rf "$dir"
    mkdir -p "$cache/peers"
    # Debian's newer suites have merged /usr, which an older mmdebstrap has to be told.
    if quiet mmdebstrap --mode=root --variant=apt --include="$names" \
        --hook-dir=/usr/share/mmdebstrap/hooks/merged-usr \
        --aptopt='APT::Install-Recommends "false"' --aptopt='Acquire::Check-Valid-Until "false"' \
        --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
        "$suite" "$dir" "deb [signed-by=$keyring] $mirror $suite main"; then
        touch "$dir/.complete"
    else
        rm -rf "$dir"
        warn "could not make a $suite: its peers are reported absent"
    fi
}
