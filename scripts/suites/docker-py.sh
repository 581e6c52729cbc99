#!/usr/bin/env bash
# Runs docker-py's own tests against a daemon.
#
#   DOCKER_HOST=unix:///run/brig/brig.sock scripts/suites/docker-py.sh [words for pytest]
#
# The tests come with docker-py 6.1.3, the last version that brings them along; they use the library that
# `scripts/setup.sh test` has installed. busybox goes by the names of images that they would pull. What is left
# over of a run is a directory that goes with it, and whatever the tests leave in the daemon: give them one of
# their own.
. "$(dirname "$0")/../lib.sh"

[ -n "${DOCKER_HOST:-}" ] || die "DOCKER_HOST is not set: it says which daemon is asked"
python=$cache/tools/docker-py/bin/python
[ -x "$python" ] || die "there is no docker-py: scripts/setup.sh test installs it"
client=$cache/tools/docker-28/usr/bin/docker
[ -x "$client" ] || client=docker
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

"$python" -m venv "$work/venv"
"$work/venv/bin/python" -m pip install -q --disable-pip-version-check pytest pytest-timeout paramiko
# The library, and what it needs.
PYTHONPATH=$("$python" -c 'import site; print(site.getsitepackages()[0])')
export PYTHONPATH
(cd "$work" && venv/bin/python -m pip download -q --disable-pip-version-check --no-deps --no-binary :all: docker==6.1.3)
tar -xzf "$work"/docker-6.1.3.tar.gz -C "$work"
# The library is the newer one.
rm -rf "$work/docker-6.1.3/docker"
for image in busybox:latest alpine:latest alpine:3.10 hello-world:latest; do
    "$client" import -c 'CMD ["sh"]' "$cache/images/busybox.tar" "$image" >/dev/null
done
cd "$work/docker-6.1.3"
# Credential helpers are programs of others.
"$work/venv/bin/python" -m pytest -q --timeout 120 -p no:cacheprovider --no-header -rfE \
    tests/integration --ignore tests/integration/credentials "$@"
