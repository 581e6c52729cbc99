#!/usr/bin/env bash
# Runs docker-py's own tests against a daemon.
#
#   scripts/suites/docker-py.sh [words for pytest]
#   DOCKER_HOST=unix:///run/brig/brig.sock scripts/suites/docker-py.sh [words for pytest]
#
# Without DOCKER_HOST, against a brigd of its own (BRIG_DIST says which; the release build otherwise), in a
# network of its own with a registry for Docker Hub's mirror; needs root. With it, against the daemon that it
# names: whatever the tests leave in it stays there, so give them one of their own.
#
# The tests come with docker-py 6.1.3, the last version that brings them along; they use the library that
# `scripts/setup.sh test` has installed. busybox goes by the names of the images that they want.
. "$(dirname "$0")/../lib.sh"

python=$cache/tools/docker-py/bin/python
[ -x "$python" ] || die "there is no docker-py: scripts/setup.sh test installs it"
client=$cache/tools/docker-28/usr/bin/docker
[ -x "$client" ] || client=docker
registry=$cache/tools/docker-registry/usr/bin/docker-registry
[ -x "$registry" ] || registry=docker-registry
dist=${BRIG_DIST:-$target/dist}
images=(busybox:latest alpine:latest alpine:3.10 hello-world:latest)

# What the tests and their helpers need, beside the library and what that needs.
prepare() {
    "$python" -m venv "$work/venv"
    "$work/venv/bin/python" -m pip install -q --disable-pip-version-check pytest pytest-timeout paramiko
    (cd "$work" && venv/bin/python -m pip download -q --disable-pip-version-check --no-deps --no-binary :all: docker==6.1.3)
    tar -xzf "$work"/docker-6.1.3.tar.gz -C "$work"
    # The library is the newer one.
    rm -rf "$work/docker-6.1.3/docker"
    # What the tests look for in alpine.
    mkdir -p "$work/alpine/etc" "$work/alpine/var/opt"
    tar -xf "$cache/images/busybox.tar" -C "$work/alpine"
    echo 'postgres:x:70:70::/var/lib/postgresql:/bin/sh' >>"$work/alpine/etc/passwd"
    tar -cf "$work/alpine.tar" -C "$work/alpine" .
}

import() {
    local image
    for image in "${images[@]}"; do
        "$client" import -c 'CMD ["sh"]' "$work/alpine.tar" "$image" >/dev/null
    done
}

run() {
    PYTHONPATH=$("$python" -c 'import site; print(site.getsitepackages()[0])')
    export PYTHONPATH
    cd "$work/docker-6.1.3"
    # Credential helpers are programs of others.
    "$work/venv/bin/python" -m pytest -q --timeout 120 -p no:cacheprovider --no-header -rfE \
        tests/integration --ignore tests/integration/credentials "$@"
}

await() {
    local log=$1 try
    shift
    for try in $(seq 600); do
        "$@" >/dev/null 2>&1 && return 0
        sleep 0.1
    done
    tail -n 5 "$log" >&2
    die "it does not answer: $*"
}

listens() { (exec 3<>"/dev/tcp/127.0.0.1/$1"); }

# A registry that has the images, and a daemon that takes it for Docker Hub's mirror.
house() {
    ip link set lo up
    cat >"$work/registry.yml" <<END
version: 0.1
storage: {filesystem: {rootdirectory: $work/registry}}
http: {addr: "127.0.0.1:5000"}
END
    "$registry" serve "$work/registry.yml" >"$work/registry.log" 2>&1 &
    ours+=($!)
    cat >"$work/brigd.toml" <<END
[[registries.registry]]
prefix = "docker.io"
mirrors-only = true
[[registries.registry.mirror]]
location = "http://127.0.0.1:5000"
END
    "$dist/brigd" --config "$work/brigd.toml" --data-root "$work/data" --run-root "$work/run" \
        --host "$DOCKER_HOST" --cgroup-parent "/docker-py-$$" >"$work/brigd.log" 2>&1 &
    ours+=($!)
    await "$work/registry.log" listens 5000
    await "$work/brigd.log" "$client" version
    import
    local image
    for image in "${images[@]}"; do
        "$client" tag "$image" "127.0.0.1:5000/library/$image"
        "$client" push -q "127.0.0.1:5000/library/$image" >/dev/null
        "$client" rmi "127.0.0.1:5000/library/$image" >/dev/null
    done
}

# Removes what the tests left, and ends what was started.
leave() {
    local id
    for id in $("$client" ps -aq); do "$client" rm -f -v "$id" >/dev/null || true; done
    for id in "${ours[@]}"; do
        kill "$id" || true
        wait "$id" || true
    done
}

if [ -n "${DOCKER_PY_WORK:-}" ]; then
    work=$DOCKER_PY_WORK
    ours=()
    export DOCKER_HOST=unix://$work/brig.sock
    trap leave EXIT
    house
    run "$@"
    exit
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
prepare
if [ -n "${DOCKER_HOST:-}" ]; then
    import
    run "$@"
else
    [ -x "$dist/brigd" ] || die "there is no $dist/brigd: scripts/build.sh release makes it"
    DOCKER_PY_WORK=$work unshare --net --mount --propagation private -- "$0" "$@"
fi
