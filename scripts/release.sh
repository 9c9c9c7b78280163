#!/bin/sh
# What is handed out, into target/release-files: a Debian package, an archive that unpacks below /usr/local, checksums.
set -eu
cd "$(dirname "$0")/.."

usage() {
    cat <<'TEXT'
usage: scripts/release.sh [--no-deb]

  --no-deb    the archive alone: no cargo-deb is needed

The program is linked with musl where the toolchain has that target, else with glibc; statically in both cases.
SOURCE_DATE_EPOCH is the time that files bear (default: that of the last commit).
TEXT
}

deb=yes
case "$*" in
    "") ;;
    --no-deb) deb=no ;;
    --help | -h) usage && exit 0 ;;
    *)
        echo "release.sh: unexpected arguments \`$*\`" >&2
        echo "hint: scripts/release.sh --help" >&2
        exit 2
        ;;
esac
if ! command -v cargo >/dev/null; then
    echo "release.sh: cargo is missing: this project is built with Rust" >&2
    echo "hint: install a toolchain: https://rustup.rs (Debian 13: apt-get install rustup && rustup default stable)" >&2
    exit 1
fi
if [ $deb = yes ] && ! command -v cargo-deb >/dev/null; then
    echo "release.sh: cargo-deb is missing: it makes the Debian package" >&2
    echo "hint: cargo install cargo-deb, or scripts/release.sh --no-deb" >&2
    exit 1
fi

SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || date +%s)}
export SOURCE_DATE_EPOCH
machine=$(uname -m)
musl=$machine-unknown-linux-musl
binary=./atlas-cluster
if [ -d "$(rustc --print sysroot)/lib/rustlib/$musl" ]; then
    echo "release.sh: linked with musl"
    cargo rustc --release --quiet --target "$musl" --package atlas-cluster --bin atlas-cluster -- \
        -C target-feature=+crt-static
    binary=${CARGO_TARGET_DIR:-target}/$musl/release/atlas-cluster
else
    echo "release.sh: linked with glibc: the toolchain has no $musl (rustup target add $musl)"
    scripts/build.sh
fi

# Where Cargo.toml looks for it, wherever cargo builds.
stage=target/package files=target/release-files
rm -rf $files
mkdir -p $files
# The names of functions, nearly a fifth of it, help nobody there.
strip -o $stage.program "$binary"
scripts/package/stage.sh $stage.program $stage
rm $stage.program

version=$("$binary" version)
name=atlas-cluster-${version#atlas-cluster }-$machine-linux
# The unit is not in it: it is for the package. `atlas-cluster startup` prints the one that fits. No folders: unpacked,
# they would change those that are there.
(cd $stage && find bin lib/sysusers.d share -type f | LC_ALL=C sort) |
    tar --create --directory $stage --files-from=- --transform "s,^,$name/," --mtime="@$SOURCE_DATE_EPOCH" \
        --owner=0 --group=0 --numeric-owner | gzip -9n >"$files/$name.tar.gz"
if [ $deb = yes ]; then
    cargo deb --quiet --no-build --no-strip --output $files
fi
(cd $files && sha256sum -- * >SHA256SUMS)
ls -l $files
