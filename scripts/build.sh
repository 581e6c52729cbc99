#!/usr/bin/env bash
# Builds Brig's six programs and puts them side by side.
#
#   scripts/build.sh release   into target/dist
#   scripts/build.sh debug     into target/dist-debug
#
# All but the daemon are static and not position independent: a dynamic loader and relocations are a
# third of what a small process costs to start, and more than half of the memory of one that stays.
# The daemon holds SQLite and is linked as usual.
. "$(dirname "$0")/lib.sh"

profile=${1:-release}
case $profile in
release) flags=(--release) small=() brigd=(--package daemon) dist=$target/dist ;;
# With the features that the whole workspace asks for, so that its tests build nothing twice; and with
# what the conformance suite runs inside.
debug) flags=() small=(--package probe) brigd=(--workspace) dist=$target/dist-debug ;;
*) die "unknown profile '$profile': release or debug" ;;
esac

cd "$repo"
host=$(rustc -vV | sed -n 's/^host: //p')
static=${host%%-*}-unknown-linux-musl
if [ ! -d "$(rustc --print sysroot)/lib/rustlib/$static/lib" ]; then
    static=${host%%-*}-unknown-linux-gnu
    warn "no musl target: linking the static programs with glibc"
fi

# Named by target, so that build scripts and macros are not built with them.
variable=$(echo "CARGO_TARGET_${static}_RUSTFLAGS" | tr 'a-z-' 'A-Z_')
# A panic in the daemon costs one request; in a small program it is the end anyway. The small ones
# are optimised as a whole and for size: pages that are not there need not be read at every start.
env CARGO_PROFILE_RELEASE_PANIC=abort CARGO_PROFILE_RELEASE_LTO=thin \
    CARGO_PROFILE_RELEASE_OPT_LEVEL=s CARGO_PROFILE_RELEASE_CODEGEN_UNITS=1 "$variable=-C target-feature=+crt-static -C relocation-model=static" \
    cargo build --locked --quiet "${flags[@]}" --target "$static" \
    --package cli --package shim --package runtime --package network ${small[@]+"${small[@]}"} --bins
# Optimised across crates, the daemon is an eighth smaller, and a start takes a thirtieth less.
env CARGO_PROFILE_RELEASE_LTO=thin cargo build --locked --quiet "${flags[@]}" "${brigd[@]}" --bin brigd

mkdir -p "$dist"
place() {
    local built=$1
    # Cargo leaves the symbols in programs of packages that have options of their own.
    if [ "$profile" = release ]; then
        strip --strip-all -o "$dist/.$2.stripped" "$1"
        built=$dist/.$2.stripped
    fi
    # A new file, not new bytes in the old one: that may be running. And copied, as one that is installed
    # is: what strip writes lies in the page cache in small pieces, and takes 0.1 ms longer to start.
    cp "$built" "$dist/.$2.new"
    mv "$dist/.$2.new" "$dist/$2"
    rm -f "$dist/.$2.stripped"
}
for program in brig brig-shim brig-init brig-runtime brig-net; do
    place "$target/$static/$profile/$program" "$program"
done
place "$target/$profile/brigd" brigd
[ "$profile" = release ] || place "$target/$static/$profile/conformance-probe" conformance-probe
