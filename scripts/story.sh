#!/bin/sh
# A random life of the core, told line by line: what happened, and what the core made of it. Any seed replays.
set -eu
cd "$(dirname "$0")/.."

usage() {
    cat <<'TEXT'
usage: scripts/story.sh --seed N [--steps M]

  --seed N    which story, from 0; the same seed and steps tell the same one
  --steps M   how many things happen before everybody obeys, 0 to 10000 (default: 40 to 120, as the seed has it)

Exit 0: every invariant held. Exit 1: one was broken; the story ends there.
TEXT
}

refuse() {
    echo "story.sh: $1" >&2
    echo "hint: scripts/story.sh --seed 7 --steps 40" >&2
    exit 2
}

# A whole number of at most 18 digits, without leading zeros to puzzle over.
is_number() { case $1 in '' | *[!0-9]*) false ;; *) [ ${#1} -le 18 ] ;; esac; }

seed="" steps=""
while [ $# -gt 0 ]; do
    case $1 in
        --help | -h) usage && exit 0 ;;
        --seed | --steps)
            [ $# -ge 2 ] || refuse "$1 needs a number"
            is_number "$2" || refuse "$1: \`$2\` is not a number"
            if [ "$1" = --seed ]; then seed=$2; else steps=$2; fi
            shift 2
            ;;
        *) refuse "unexpected argument \`$1\`" ;;
    esac
done
[ -n "$seed" ] || refuse "--seed is missing"
[ -z "$steps" ] || [ "$steps" -le 10000 ] || refuse "--steps: \`$steps\` is more than 10000"

if ! command -v cargo >/dev/null; then
    echo "story.sh: cargo is missing: this project is built with Rust" >&2
    echo "hint: install a toolchain: https://rustup.rs (Debian 13: apt-get install rustup && rustup default stable)" >&2
    exit 1
fi

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
told() {
    CORE_SEED=$seed CORE_STEPS=$steps CORE_STORY=$folder/story cargo test --quiet --features ledger \
        --bin atlas-cluster core::tests::seeds::tell -- --ignored --exact >"$folder/log" 2>&1
}
if told; then code=0; else code=1; fi
if [ ! -s "$folder/story" ]; then
    cat "$folder/log" >&2
    echo "story.sh: the core's tests cannot be run" >&2
    echo "hint: what cargo says stands above" >&2
    exit 1
fi
cat "$folder/story"
exit $code
