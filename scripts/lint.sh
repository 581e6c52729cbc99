#!/usr/bin/env bash
# What needs no kernel and no root: formats, lints, house rules, licences. Goes on after a failure.
. "$(dirname "$0")/lib.sh"
cd "$repo"

status=0
run() {
    say "$1"
    shift
    "$@" || status=1
}

run rustfmt cargo fmt --all --check
run clippy cargo clippy --locked --quiet --workspace --all-targets -- -D warnings
run tidy cargo xtask tidy
deny=$cache/tools/cargo-deny/bin/cargo-deny
if [ -x "$deny" ]; then
    # Advisories come from elsewhere at every run: they are not what a change breaks.
    run deny "$deny" --log-level error --locked check --hide-inclusion-graph bans licenses sources
else
    echo "SKIP: licences: cargo-deny is not in the cache (scripts/setup.sh test)"
fi
exit "$status"
