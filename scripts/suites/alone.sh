#!/usr/bin/env bash
# alone.sh COMMAND...: runs a command beside a daemon of its own, in namespaces of their own: mounts, network, processes,
# a /run and a /tmp where nothing else is. The daemon is at DOCKER_HOST, its default network's bridge is called docker0 as
# Docker's is, and all of it is gone when the command has ended. BRIG_DIST says where the programs are.
. "$(dirname "$0")/../lib.sh"

dist=${BRIG_DIST:-$target/dist-debug}
[ -x "$dist/brigd" ] || die "there is no $dist/brigd: scripts/build.sh debug"
[ "$(id -u)" = 0 ] || die "only root may make namespaces and containers"

if [ -z "${BRIG_ALONE:-}" ]; then
    # Not in /tmp, which becomes another.
    BRIG_ALONE=$(mktemp -d -p /var/tmp)
    export BRIG_ALONE BRIG_CACHE="$cache" BRIG_DIST="$dist"
    status=0
    unshare --mount --net --pid --ipc --uts --fork --kill-child --mount-proc "$0" "$@" || status=$?
    # They end with the namespace; who was last may be leaving yet.
    for _ in 1 2 3 4 5; do
        find /sys/fs/cgroup -depth -type d -path "*/${BRIG_ALONE##*/}*" -exec rmdir {} \; 2>/dev/null || true
        rm -rf "$BRIG_ALONE" 2>/dev/null && break
        sleep 1
    done
    exit "$status"
fi

mount --make-rprivate /
mkdir -p "$BRIG_ALONE"/{cgroup,data,home,tmp}
chmod 1777 "$BRIG_ALONE/tmp"
mount --rbind /sys/fs/cgroup "$BRIG_ALONE/cgroup"
mount -t sysfs sysfs /sys
mount --move "$BRIG_ALONE/cgroup" /sys/fs/cgroup
mount -t tmpfs tmpfs /run
mkdir -p /run/docker
ip link set lo up
printf '[network]\nbridge = "docker0"\n' >"$BRIG_ALONE/brigd.toml"
export DOCKER_HOST=unix:///var/run/docker.sock HOME=$BRIG_ALONE/home
BRIGD_CONFIG=$BRIG_ALONE/brigd.toml "$dist/brigd" --data-root "$BRIG_ALONE/data" --run-root /run/brig --host "$DOCKER_HOST" \
    --cgroup-parent "/${BRIG_ALONE##*/}" --log-level debug >"$BRIG_ALONE/log" 2>&1 &
daemon=$!
for _ in $(seq 300); do
    [ -S /var/run/docker.sock ] && break
    kill -0 "$daemon" || { cat "$BRIG_ALONE/log" >&2; die "brigd has ended"; }
    sleep 0.2
done
mount --bind "$BRIG_ALONE/tmp" /tmp
status=0
"$@" || status=$?
# What stands still does not end with the namespace.
find /sys/fs/cgroup -path "*/${BRIG_ALONE##*/}*" \( -name freezer.state -exec sh -c 'echo THAWED >"$1"' thaw {} \; \
    -o -name cgroup.freeze -exec sh -c 'echo 0 >"$1"' thaw {} \; \) 2>/dev/null || true
exit "$status"
