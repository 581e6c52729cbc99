#!/usr/bin/env bash
# Runs everything that must hold, from a fresh clone on, and ends with one line of counts. Goes on
# after a failure, so that one run tells all.
. "$(dirname "$0")/lib.sh"
cd "$repo"

export CARGO_TERM_COLOR=never BRIG_DIST=${BRIG_DIST:-$target/dist-debug} BRIG_CACHE=$cache
logs=$(mktemp -d)
trap 'rm -rf "$logs"' EXIT
begun=$SECONDS passed=0 failed=0 skipped=0 broken=()

# Runs a command, keeps what it prints in a file of its own, and remembers when it fails.
run() {
    local name=$1 since=$SECONDS status=0
    shift
    say "$name"
    "$@" </dev/null 2>&1 | tee "$logs/$name" || status=$?
    say "$name took $((SECONDS - since)) s"
    [ "$status" = 0 ] || broken+=("$name")
    return "$status"
}

# A step that counts as one: it holds or it does not.
check() {
    if run "$@"; then passed=$((passed + 1)); else failed=$((failed + 1)); fi
}

# sum FILE LINE WORD: adds up the numbers before a word in the lines that begin so.
sum() {
    sed -nE "s/^$2.* ([0-9]+) $3.*/\1/p" "$logs/$1" | awk '{ n += $1 } END { print n + 0 }'
}

# A step that runs tests and counts them itself. One that fails without a failed test, or that ran
# none, counts as a failure.
tests() {
    local name=$1 line=$2 good bad status=0
    shift 2
    run "$name" "$@" || status=1
    good=$(sum "$name" "$line" passed) bad=$(sum "$name" "$line" failed)
    passed=$((passed + good)) failed=$((failed + bad))
    if [ "$bad" = 0 ] && { [ "$status" = 1 ] || [ "$good" = 0 ]; }; then failed=$((failed + 1)); fi
}

# Whether what failed among the tests holds alone: then it counts as passed, and is told of at the end.
again() {
    local bad
    [[ " ${broken[*]-} " = *' tests '* ]] || return 0
    say "what failed beside the others: $(awk -f scripts/failures.awk "$logs/tests")"
    scripts/again.sh "$logs/tests" | tee "$logs/again" || return 0
    bad=$(sum tests 'test result:' failed)
    passed=$((passed + bad)) failed=$((failed - bad))
    mapfile -t broken < <(printf '%s\n' "${broken[@]}" | grep -vx tests)
}

check setup scripts/setup.sh test
check images scripts/images.sh test
check build scripts/build.sh debug
check lint scripts/lint.sh
tests tests 'test result:' cargo test --locked --quiet --workspace --no-fail-fast -- --show-output
again
if [ "$(id -u)" = 0 ]; then
    tests conformance 'conformance:' cargo xtask conformance --quiet
else
    echo "SKIP: the conformance suite needs root" | tee "$logs/conformance"
fi
if compgen -G "$cache/vm/kernel/boot/vmlinuz-*" >/dev/null; then
    tests machine 'vm:' cargo xtask vm-test --quick
else
    : >"$logs/machine"
    echo 'SKIP: vm-test: there is no kernel for the virtual machine' | tee "$logs/no-machine"
fi
if [ -e "$cache/peers/bookworm/.complete" ]; then
    tests dropin 'dropin:' cargo xtask dropin --suite bookworm --runtime "$BRIG_DIST/brig-runtime"
else
    echo 'SKIP: dropin: no engines are there, scripts/setup.sh bench fetches them' | tee "$logs/dropin"
fi

# The machine and the suite count what they skipped themselves.
skips=$(cat "$logs"/{lint,tests,conformance,no-machine,dropin} 2>/dev/null | grep -c '^SKIP: ' || true)
skipped=$((skips + $(sum machine 'vm:' skipped) + $(sum conformance 'conformance:' skipped)))
grep -h '^SKIP: ' "$logs"/* | sort | uniq -c | sort -rn || true
# Why, and then which: a log is read from its end.
for name in ${broken[@]+"${broken[@]}"}; do
    say "what failed: $name"
    awk -f scripts/failures.awk "$logs/$name" | tee "$logs/why-$name"
done
say "took $((SECONDS - begun)) s"
for name in ${broken[@]+"${broken[@]}"}; do
    echo "failed: $name"
    sed -nE 's/^-- ([a-z0-9_:]+)$/    \1/p' "$logs/why-$name"
done
grep -h '^FLAKY: ' "$logs/again" 2>/dev/null || true
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" = 0 ] && [ ${#broken[@]} = 0 ]
