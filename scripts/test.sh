#!/usr/bin/env bash
# Runs everything that must hold, from a fresh clone on, and ends with one line of counts. Goes on
# after a failure, so that one run tells all.
. "$(dirname "$0")/lib.sh"
cd "$repo"

export CARGO_TERM_COLOR=never BRIG_DIST=${BRIG_DIST:-$target/dist-debug} BRIG_CACHE=$cache
log=$(mktemp)
trap 'rm -f "$log"' EXIT
begun=$SECONDS

# Checks that count as one each, beside what the test runners count.
passed=0 failed=0 broken=()
check() {
    local name=$1 since=$SECONDS
    shift
    say "$name"
    if "$@" </dev/null 2>&1 | tee -a "$log"; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        broken+=("$name")
    fi
    say "$name took $((SECONDS - since)) s"
}

check setup scripts/setup.sh test
check images scripts/images.sh test
check build scripts/build.sh debug
check lint scripts/lint.sh
check tests cargo test --locked --quiet --workspace --no-fail-fast -- --show-output
check "virtual machine" cargo xtask vm-test --quick

# What the runners said, added up. A runner that failed as a whole has counted above as well.
count() { sed -nE "s/^(test result:|vm:).* ([0-9]+) $1.*/\2/p" "$log" | awk '{ n += $1 } END { print n + 0 }'; }
skips=$(grep -c 'SKIP: ' "$log" || true)
passed=$((passed + $(count passed)))
failed=$((failed + $(count failed)))

grep -h 'SKIP: ' "$log" | sort | uniq -c | sort -rn || true
say "took $((SECONDS - begun)) s"
[ ${#broken[@]} = 0 ] || printf 'failed: %s\n' "${broken[@]}"
echo "$passed passed, $failed failed, $skips skipped"
[ "$failed" = 0 ] && [ ${#broken[@]} = 0 ]
