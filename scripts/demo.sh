#!/usr/bin/env bash
# The main job, from nothing to its removal: a web server from a real Debian in a container with
# limits. Everything is in a directory of its own, so an installed Brig is not met, and everything is
# gone at the end.
. "$(dirname "$0")/lib.sh"

[ "$(id -u)" = 0 ] || die "making containers needs root: run it with sudo"
cd "$repo"
scripts/setup.sh demo
say "building (minutes the first time)"
scripts/build.sh release
scripts/images.sh demo

work=$(mktemp -d /tmp/brig-demo.XXXXXX)
export PATH=$target/dist:$PATH
export BRIGD_DATA_ROOT=$work/data BRIGD_RUN_ROOT=$work/run BRIGD_CGROUP_PARENT=/${work##*/}
export BRIGD_HOST=unix://$work/run/brig.sock BRIG_HOST=unix://$work/run/brig.sock
export BRIGD_CONFIG=$work/brigd.toml
unset BRIG_AUTOSTART
# A bridge and a table of rules of its own too: ${work##*.} is six letters and digits.
cat >"$BRIGD_CONFIG" <<CONF
[network]
bridge = "demo${work##*.}"
table = "demo${work##*.}"
CONF

# Ends the daemon that the client started, and removes everything of it.
cleanup() {
    local status=$? pid=
    trap - EXIT INT TERM
    set +e
    if [ -S "$work/run/brig.sock" ]; then brig rm -f web >/dev/null 2>&1; fi
    pid=$(cat "$work/run/brigd.pid" 2>/dev/null)
    if [ -n "$pid" ] && kill "$pid" 2>/dev/null; then
        while kill -0 "$pid" 2>/dev/null; do sleep 0.05; done
    fi
    if [ "$status" != 0 ]; then tail -n 20 "$work/run/brigd.log" >&2; fi
    rmdir /sys/fs/cgroup/"${work##*/}" /sys/fs/cgroup/*/"${work##*/}" 2>/dev/null
    rm -rf "$work"
    exit "$status"
}
trap cleanup EXIT
trap 'exit 130' INT TERM

# Shows a command, as one would type it, then runs it.
show() {
    local word line=
    for word; do
        case $word in
        *[!A-Za-z0-9_./:=,@%+-]*) line+=" '$word'" ;;
        *) line+=" $word" ;;
        esac
    done
    printf '\n$%s\n' "${line//$work/\$PWD}"
    "$@"
}

# A port nobody listens on.
free_port() {
    local port
    for port in $(seq 18080 18180); do
        (: <"/dev/tcp/127.0.0.1/$port") 2>/dev/null || { echo "$port"; return; }
    done
    die "no free port from 18080 to 18180"
}

port=$(free_port)
mkdir "$work/site"
echo "Hello from the hold." >"$work/site/index.html"
cat >"$work/web.conf" <<CONF
server.document-root = "/srv"
server.port = 80
server.errorlog = "/dev/stderr"
index-file.names = ("index.html")
CONF
cd "$work"

ln -s "$cache/images/debian.tar" debian.tar
show brig import debian.tar debian
show brig images
show brig run -d --name web -m 64m --cpus 0.5 -p "$port:80" \
    -v "$work/site:/srv:ro" -v "$work/web.conf:/etc/web.conf:ro" \
    debian lighttpd -D -f /etc/web.conf
for _ in $(seq 600); do
    curl -s -o /dev/null "http://127.0.0.1:$port/" && break
    sleep 0.05
done
show curl -s "http://127.0.0.1:$port/"
show brig ps
show brig logs web
show brig exec web sh -c 'grep PRETTY_NAME /etc/os-release; ps -e -o pid,args'
# The limits, as the kernel holds them.
show brig inspect -f '{{.HostConfig.Memory}} bytes, {{.HostConfig.NanoCpus}} billionths of a CPU' web
if [ -f /sys/fs/cgroup/cgroup.controllers ]; then
    show brig exec web cat /sys/fs/cgroup/memory.max /sys/fs/cgroup/cpu.max
else
    show brig exec web cat /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/cpu/cpu.cfs_quota_us
fi
show brig stop web
show brig rm web
show brig ps -a
printf '\n' >&2
say "that was all: the daemon ends and everything of it is removed"
