#!/usr/bin/env bash
# bench-edges.sh [EDGES]: measure a question over a Unix socket, a change on its way
# to so many edges (1000), and an edge that catches up, everything in one process.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/lib.sh
need_go
echo
CARDEA_BENCH_EDGES=${1:-1000} go test -count=1 -v -timeout 20m -run '^TestSpeed$' ./edge | sed -n 's/^ *speed_test.go:[0-9]*: /- /p; /^\(ok\|FAIL\|--- FAIL\|panic\)/p'
