#!/usr/bin/env bash
# Runs Docker's own integration tests against a daemon.
#
#   scripts/suites/moby.sh prepare                   their programs, once, into the cache
#   scripts/suites/alone.sh scripts/suites/moby.sh container [flags of a Go test]
#   scripts/suites/alone.sh scripts/suites/moby.sh integration-cli -test.run TestDockerCLIRunSuite
#
# Packages are the directories of `integration/` in Docker's source: container, network, volume, image, system,
# networking, build, session, daemon, plugin/common, ...; and `integration-cli`, which asks by an old client of Docker's,
# as Docker runs it. They are those of Debian sid's docker.io, compiled with Debian's Go against Debian's Go libraries.
# DOCKER_HOST says which daemon is asked; it has to be on this machine, and one of the tests' own, as alone.sh starts it.
# busybox goes by the names of images that they would pull.
. "$(dirname "$0")/../lib.sh"
. "$repo/scripts/debs.sh"

tests=$cache/tools/moby
go=1.26

# apt of sid with its sources.
source_apt() {
    local conf mirror
    conf=$(private_apt sid) || die "no Debian mirror: Docker's tests cannot be fetched"
    mirror=$(debian_mirror)
    grep -q deb-src "$cache/apt/sid/sources.list" ||
        echo "deb-src [signed-by=$keyring] $mirror sid main" >>"$cache/apt/sid/sources.list"
    APT_CONFIG=$conf retry quiet apt-get update -q || die "sid's list of sources cannot be fetched"
    echo "$conf"
}

# Docker's source as Debian has it, with Debian's patches of the engine. Of the files of the source only these two are needed.
fetch_source() {
    local conf=$1 dir=$tests/source name uri patch
    [ -d "$dir/engine/integration" ] && return
    rm -rf "$dir"
    mkdir -p "$dir"
    while read -r uri name _; do
        case $name in
        *.orig.tar.xz | *.debian.tar.xz) APT_CONFIG=$conf quiet /usr/lib/apt/apt-helper download-file "${uri//\'/}" "$dir/$name" ||
            die "$name cannot be fetched" ;;
        esac
    done < <(APT_CONFIG=$conf apt-get source --print-uris --download-only docker.io | grep "^'")
    tar -xf "$dir"/*.orig.tar.xz -C "$dir" --strip-components=2
    tar -xf "$dir"/*.debian.tar.xz -C "$dir"
    # Debian's library has these by other names.
    sed -i 's/archive\.Gzip)/compression.Gzip)/; s/archive\.Uncompressed)/compression.None)/' \
        "$dir/engine/integration-cli/docker_cli_build_test.go"
    while read -r patch; do
        grep -q '^+++ [^ ]*/engine/' "$dir/debian/patches/$patch" || continue
        (cd "$dir" && patch -p1 -s -f -i "debian/patches/$patch" >/dev/null) || die "$patch does not apply"
    done < <(grep -v '^#\|^$' "$dir/debian/patches/series")
}

# Go, and the libraries that docker.io is built with.
fetch_libraries() {
    local conf=$1 wanted
    [ -f "$tests/.libraries" ] && return
    wanted=$(APT_CONFIG=$conf apt-cache showsrc docker.io | sed -n 's/^Build-Depends: //p' | tail -1 |
        sed 's/([^)]*)//g; s/|[^,]*//g' | tr ', ' '\n\n' | grep '^golang-.*-dev$')
    # shellcheck disable=SC2086
    wanted=$(APT_CONFIG=$conf apt-get install --no-install-recommends --print-uris -y $wanted golang-github-docker-docker-dev |
        sed -n "s/^'[^']*' \(golang-[^_]*-dev\)_.*/\1/p")
    unpack sid "$tests/go" "golang-$go-go" "golang-$go-src" || die "Debian's Go cannot be fetched"
    # shellcheck disable=SC2086
    unpack sid "$tests/libraries" $wanted || die "Debian's Go libraries cannot be fetched"
    touch "$tests/.libraries"
}

build() {
    local conf package
    [ -f "$tests/.built-2" ] && return
    mkdir -p "$tests/bin" "$tests/path/src/github.com/docker"
    conf=$(source_apt)
    say "fetching Docker's tests, Go and what they are built of"
    fetch_source "$conf"
    fetch_libraries "$conf"
    ln -sfn "$tests/source/engine" "$tests/path/src/github.com/docker/docker"
    say "compiling Docker's tests, which takes some minutes"
    export GOROOT=$tests/go/usr/lib/go-$go GOTOOLCHAIN=local GOPROXY=off GO111MODULE=off GOFLAGS= CGO_ENABLED=0
    export GOPATH=$tests/path:$tests/libraries/usr/share/gocode GOCACHE=$tests/cache
    cd "$tests/path/src/github.com/docker/docker"
    for package in $(cd integration && find . -name '*_test.go' -printf '%P %h\n' | sed 's/.* \.\///' | sort -u | grep -v internal); do
        compile "$package" "integration/$package"
    done
    compile integration-cli integration-cli
    rm -rf "$tests/cache"
    touch "$tests/.built-2"
}

compile() {
    "$GOROOT/bin/go" test -c -vet=off -ldflags=-w -o "$tests/bin/${1//\//-}.test" "./$2" ||
        warn "the tests of $1 do not compile"
}

# The images that they would pull, all of them busybox, with the users that Docker's has.
images() {
    local image tar=$work/busybox.tar path=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
    cp "$cache/images/busybox.tar" "$tar"
    mkdir -p "$work/users/etc"
    printf '%s\n' root:x:0:0:root:/root:/bin/sh daemon:x:1:1:daemon:/usr/sbin:/bin/false www-data:x:33:33:www:/var/www:/bin/false \
        nobody:x:65534:65534:nobody:/home:/bin/false >"$work/users/etc/passwd"
    printf '%s\n' root:x:0: daemon:x:1: wheel:x:10: audio:x:29: www-data:x:33: staff:x:50: nobody:x:65534: \
        >"$work/users/etc/group"
    tar -C "$work/users" --numeric-owner --owner=0 --group=0 -rf "$tar" ./etc/passwd ./etc/group
    for image in busybox:latest busybox:glibc debian:bookworm-slim; do
        "$client" import -c 'CMD ["sh"]' -c "ENV PATH=$path" "$tar" "$image" >/dev/null
    done
    for image in hello-world:frozen=linux/amd64 hello-world:amd64=linux/amd64 hello-world:arm64=linux/arm64 \
        arm32v7/hello-world:latest=linux/arm/v7; do
        "$client" import --platform "${image#*=}" -c 'CMD ["echo", "Hello from Docker!"]' "$tar" "${image%%=*}" >/dev/null
    done
}

package=${1:-}
[ -n "$package" ] || die "say prepare, or which package of integration/ is run"
build
[ "$package" = prepare ] && exit
shift
[ -n "${DOCKER_HOST:-}" ] || die "DOCKER_HOST is not set: it says which daemon is asked"
program=$tests/bin/${package//\//-}.test
[ -x "$program" ] || die "there are no tests of $package: $(cd "$tests/bin" && echo *.test)"
client=$cache/tools/docker-28/usr/bin/docker
[ -x "$client" ] || die "there is no client of Docker 28: scripts/setup.sh test fetches it"
# The words that integration-cli looks for are those of an old client that builds without BuildKit.
old=$cache/tools/docker-20.10/usr/bin/docker
[ "$package" = integration-cli ] && [ -x "$old" ] && client=$old && export DOCKER_BUILDKIT=0
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
images
# The registries that they start.
if [ -x "$cache/tools/docker-registry/usr/bin/docker-registry" ]; then
    mkdir "$work/bin"
    ln -s "$cache/tools/docker-registry/usr/bin/docker-registry" "$work/bin/registry"
    PATH=$work/bin:$PATH
fi
# The daemons that tests start themselves.
export PATH=$repo/scripts/suites/as-dockerd:$(dirname "$client"):$PATH
export DEST=$work DOCKER_INTEGRATION_DAEMON_DEST=$work TEST_CLIENT_BINARY=$client DOCKER_GRAPHDRIVER=overlay2
export DOCKER_CLI_HINTS=false TEST_INTEGRATION_USE_SNAPSHOTTER=1
cd "$tests/source/engine/integration/$package" 2>/dev/null || cd "$tests/source/engine/$package"
"$program" -test.v -test.timeout 20m "$@"
