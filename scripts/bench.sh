#!/bin/sh
# atlas-cluster and its peers under the same load, one after another, again and again: docs/performance.md. See --help.
# --check is the guard of the gate instead: instructions a datagram, against those committed.
# Fetches the peers it needs into target/bench; as root it installs what else is missing on Debian.
set -eu
cd "$(dirname "$0")/.."
target=${CARGO_TARGET_DIR:-target}
peers=$target/bench
pm2=7.0.4

if ! command -v cargo >/dev/null; then
    echo "bench.sh: cargo is missing: this project is built with Rust" >&2
    echo "hint: install a toolchain: https://rustup.rs (Debian 13: apt-get install rustup && rustup default stable)" >&2
    exit 1
fi
if [ "${1:-}" = --check ]; then
    exec cargo run --release --quiet -p cost -- "$@"
fi

cargo build --release --quiet -p bench
mkdir -p "$peers"
set -- "$target/release/bench" --binary "$target/release/atlas-cluster" --folder "$peers" "$@"
# A question, a report of what was measured before: nothing else is needed.
case " $* " in *" --help "* | *" -h "* | *" --report-only "*) exec "$@" ;; esac

# What the run calls, and the Debian package that brings it.
need=""
for pair in setpriv:util-linux node:nodejs npm:npm python3:python3 perf:linux-perf; do
    command -v "${pair%%:*}" >/dev/null || need="$need ${pair##*:}"
done
if [ -n "$need" ]; then
    if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
        echo "bench.sh: missing, and only root can install:$need" >&2
        echo "hint: sudo apt-get install$need" >&2
        exit 1
    fi
    apt-get update -qq
    # shellcheck disable=SC2086 # a list of packages
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $need
fi

if ! grep -q "\"version\": \"$pm2\"" "$peers/node_modules/pm2/package.json" 2>/dev/null; then
    npm install --no-save --no-audit --no-fund --silent --prefix "$peers" "pm2@$pm2"
fi
# Unpacked, not installed: an installed one would start a web server.
if [ ! -e "$peers/nginx/usr/sbin/nginx" ] && command -v apt-get >/dev/null; then
    folder=$(mktemp -d)
    if (cd "$folder" && apt-get download -qq nginx libnginx-mod-stream 2>/dev/null); then
        for package in "$folder"/*.deb; do dpkg -x "$package" "$peers/nginx"; done
    fi # Where that fails, the run says what is missing.
    rm -rf "$folder"
fi

scripts/build.sh
exec "$@"
