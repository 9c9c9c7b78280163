#!/bin/sh
# Builds atlas-cluster if need be, leaves it as ./atlas-cluster, and runs it with the arguments given here.
# Without arguments: four workers and a simulated processor. Ends in exec: this pid becomes the supervisor's.
set -eu
cd "$(dirname "$0")/.."

if ! command -v cargo >/dev/null; then
    echo "run.sh: cargo is missing: this project is built with Rust" >&2
    echo "hint: install a toolchain (Debian: apt-get install rustup && rustup default stable)" >&2
    exit 1
fi
[ -e target/release/atlas-cluster ] || echo "run.sh: building; the first time takes a minute or two" >&2
cargo build --release --quiet
# By rename: a cluster may be running from the old file.
cp target/release/atlas-cluster .atlas-cluster.new
mv .atlas-cluster.new atlas-cluster

if [ $# -eq 0 ]; then
    set -- --workers 4 --demo
    cat >&2 <<'TEXT'
next, in another terminal:   ./atlas-cluster meters --watch     every meter, live
                             ./atlas-cluster list --watch       the workers; now kill -9 one of them
                             ./atlas-cluster reload             all new processes, not one datagram lost
TEXT
fi
exec ./atlas-cluster "$@"
