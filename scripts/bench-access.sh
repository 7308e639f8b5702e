#!/usr/bin/env bash
# bench-access.sh [FLAG…]: measure decisions beside Open Policy Agent on the same
# graph, and over graphs of up to ten million relations. Flags: -tuples, -rounds.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/lib.sh
need_go
mkdir -p bin
(cd bench/access && go build -o ../../bin/bench-access .)
exec bin/bench-access "$@"
