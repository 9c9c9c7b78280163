#!/bin/sh
# Builds atlas-cluster if need be, leaves it as ./atlas-cluster, and runs it with the arguments given here.
# Without arguments: four workers and a simulated processor. Ends in exec: this pid becomes the supervisor's.
set -eu
cd "$(dirname "$0")/.."

scripts/build.sh

if [ $# -eq 0 ]; then
    set -- --workers 4 --demo
    cat >&2 <<'TEXT'
next, in another terminal:   ./atlas-cluster meters --watch     every meter, live
                             ./atlas-cluster list --watch       the workers; now kill -9 one of them
                             ./atlas-cluster reload             all new processes, not one datagram lost
TEXT
fi
exec ./atlas-cluster "$@"
