#!/bin/sh
# The whole gate: formatting, lints, all tests, documentation, what a datagram costs, a short soak. Installs what it needs on Debian.
set -eu
cd "$(dirname "$0")/.."

say() { printf '\n== %s\n' "$*"; }

# What the build and the tests call, and the Debian package that brings it.
need=""
for pair in cc:gcc ps:procps unshare:util-linux setpriv:util-linux prlimit:util-linux strace:strace valgrind:valgrind node:nodejs python3:python3 systemd-analyze:systemd shellcheck:shellcheck zsh:zsh fish:fish; do
    command -v "${pair%%:*}" >/dev/null || need="$need ${pair##*:}"
done
for python in python3 /usr/bin/python3; do
    $python -c 'import jsonschema' 2>/dev/null && break
done || need="$need python3-jsonschema"
[ -e /usr/include/stdlib.h ] || need="$need libc6-dev"
if [ -n "$need" ]; then
    say "installing$need"
    if [ "$(id -u)" -ne 0 ]; then
        echo "test.sh: missing, and only root can install:$need" >&2
        echo "hint: sudo apt-get install$need" >&2
        exit 1
    fi
    apt-get update -qq
    # shellcheck disable=SC2086 # a list of packages
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $need
fi
for tool in rustfmt cargo-clippy; do
    if ! command -v "$tool" >/dev/null; then
        echo "test.sh: $tool is missing" >&2
        echo "hint: rustup component add rustfmt clippy" >&2
        exit 1
    fi
done

say "format"
cargo fmt --all --check
say "lints"
shellcheck scripts/*.sh scripts/package/stage.sh scripts/package/p*
cargo clippy --workspace --all-targets --quiet -- -D warnings
cargo clippy --workspace --all-targets --features ledger --quiet -- -D warnings
say "documentation"
RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --document-private-items --quiet
say "tests"
cargo test --workspace --features ledger
say "cost"
cargo run --release --quiet -p cost -- --check
say "soak"
scripts/soak.sh --seconds 30 --seed 1
say "all is well"
