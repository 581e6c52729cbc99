# What the scripts share. Sourced, never run.

set -euo pipefail

repo=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cache=${BRIG_CACHE:-$repo/.cache}
target=${CARGO_TARGET_DIR:-$repo/target}

say() { printf '== %s\n' "$*" >&2; }
warn() { printf 'warning: %s\n' "$*" >&2; }
die() { printf 'error: %s\n' "$*" >&2; exit 1; }

have() { command -v "$1" >/dev/null 2>&1; }

# Runs a command up to three times: mirrors hiccup.
retry() {
    local try
    for try in 1 2 3; do
        "$@" && return 0
        [ "$try" = 3 ] || sleep 3
    done
    return 1
}

# Runs a command without showing what it prints, unless it fails.
quiet() {
    local log status=0
    log=$(mktemp)
    "$@" >"$log" 2>&1 </dev/null || status=$?
    [ "$status" = 0 ] || { printf '$ %s\n' "$*" >&2; tail -n 40 "$log" >&2; }
    rm -f "$log"
    return "$status"
}

# The command is run as root: as it is, or through sudo.
as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

# Takes a lock for the rest of the script, so that two runs do not fill one cache at once.
lock() {
    mkdir -p "$cache"
    exec 9>"$cache/$1.lock"
    flock 9
}

distribution() { (. /etc/os-release && echo "$ID"); }
codename() { (. /etc/os-release && echo "${VERSION_CODENAME:-}"); }
