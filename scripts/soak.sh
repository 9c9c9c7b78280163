#!/bin/sh
# The cluster soak: minutes of load, faults in a random order, alone and in pairs, and an account of
# every datagram. See --help.
# Builds the cluster with its test instruments as target/soak/atlas-cluster: ./atlas-cluster is not touched.
set -eu
cd "$(dirname "$0")/.."
target=${CARGO_TARGET_DIR:-target}

if ! command -v cargo >/dev/null; then
    echo "soak.sh: cargo is missing: this project is built with Rust" >&2
    echo "hint: install a toolchain: https://rustup.rs (Debian 13: apt-get install rustup && rustup default stable)" >&2
    exit 1
fi
for tool in setpriv setsid; do
    if ! command -v "$tool" >/dev/null; then
        echo "soak.sh: $tool is missing" >&2
        echo "hint: apt-get install util-linux" >&2
        exit 1
    fi
done

cargo build --quiet -p soak
soak="$target/debug/soak"
# Bad usage, a question: answered before the long build.
case " $* " in *" --help "* | *" -h "* | *" --dry-run "*) exec "$soak" "$@" ;; esac
"$soak" --dry-run "$@" >/dev/null

cargo build --quiet --profile soak --features ledger -p atlas-cluster
exec "$soak" --binary "$target/soak/atlas-cluster" "$@"
