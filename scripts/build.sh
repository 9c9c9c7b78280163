#!/bin/sh
# Builds the release binary and leaves it as ./atlas-cluster: one file, linked statically, that needs no library of the
# system it is copied to. Loading shared libraries was a third of a worker's start.
set -eu
cd "$(dirname "$0")/.."

if ! command -v cargo >/dev/null; then
    echo "build.sh: cargo is missing: this project is built with Rust" >&2
    echo "hint: install a toolchain: https://rustup.rs (Debian 13: apt-get install rustup && rustup default stable)" >&2
    exit 1
fi
if ! command -v cc >/dev/null; then
    echo "build.sh: cc is missing: Rust links with it" >&2
    echo "hint: Debian: apt-get install gcc libc6-dev; Fedora: dnf install gcc glibc-static" >&2
    exit 1
fi
target=${CARGO_TARGET_DIR:-target}
[ -e "$target/release/atlas-cluster" ] || echo "build.sh: building; the first time takes a minute or two" >&2
# For this one crate: a flag for all of them would forbid the compiler's own plug-ins, which are shared libraries.
if ! cargo rustc --release --quiet --package atlas-cluster --bin atlas-cluster -- -C target-feature=+crt-static; then
    # What a static program is linked with is a package of its own on some systems.
    cc -print-file-name=libc.a | grep -q / ||
        echo "hint: the C library's static form is missing (Debian: apt-get install libc6-dev; Fedora: dnf install glibc-static)" >&2
    exit 1
fi
# By rename: a cluster may be running from the old file.
cp "$target/release/atlas-cluster" .atlas-cluster.new
mv .atlas-cluster.new atlas-cluster
