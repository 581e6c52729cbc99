#!/usr/bin/env bash
# What needs no kernel and no root: formats, lints, house rules, licences.
. "$(dirname "$0")/lib.sh"
cd "$repo"

say "rustfmt"
cargo fmt --all --check
say "clippy"
cargo clippy --locked --quiet --workspace --all-targets -- -D warnings
say "tidy"
cargo xtask tidy
if [ -x "$cache/tools/cargo-deny/bin/cargo-deny" ]; then
    say "deny"
    # Advisories are fetched from elsewhere at every run: they are not what a change breaks.
    "$cache/tools/cargo-deny/bin/cargo-deny" --log-level error --locked check --hide-inclusion-graph bans licenses sources
else
    echo "SKIP: licences: cargo-deny is not in the cache (scripts/setup.sh test)"
fi
