#!/bin/sh
# Lays out everything that packages hold as below /usr, with what the program itself prints: man pages, completions,
# unit. The Debian package (Cargo.toml) and the archive (scripts/release.sh) are made of it.
set -eu
if [ $# -ne 2 ]; then
    echo "usage: scripts/package/stage.sh BINARY FOLDER" >&2
    exit 2
fi
root=$(dirname "$0")/../..
binary=$1 folder=$2

rm -rf "$folder"
doc=$folder/share/doc/atlas-cluster man=$folder/share/man/man1
mkdir -p "$doc" "$man"
install -D -m 755 "$binary" "$folder/bin/atlas-cluster"
binary=$folder/bin/atlas-cluster

# The page of the whole names those of the commands.
"$binary" man >"$man/atlas-cluster.1"
sed -n 's/^atlas\\-cluster\\-\([a-z]*\)(1)$/\1/p' "$man/atlas-cluster.1" | while read -r verb; do
    "$binary" man "$verb" >"$man/atlas-cluster-$verb.1"
done
gzip -9n "$man"/*.1

completions() { mkdir -p "$(dirname "$folder/$2")" && "$binary" completions "$1" >"$folder/$2"; }
completions bash share/bash-completion/completions/atlas-cluster
completions zsh share/zsh/site-functions/_atlas-cluster
completions fish share/fish/vendor_completions.d/atlas-cluster.fish

mkdir -p "$folder/lib/systemd/system"
"$binary" startup --packaged >"$folder/lib/systemd/system/atlas-cluster.service"
install -D -m 644 "$root/scripts/package/sysusers.conf" "$folder/lib/sysusers.d/atlas-cluster.conf"

install -m 644 "$root/README.md" "$root/LICENSE" "$root/scripts/package/Containerfile" "$doc"
gzip -9n <"$root/CHANGELOG.md" >"$doc/changelog.gz"
cp -R "$root/docs" "$doc/docs"
chmod -R u=rwX,go=rX "$folder"
