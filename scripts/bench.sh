#!/usr/bin/env bash
# bench.sh [FLAG…]: measure Cardea beside the limit server, on SQLite and on a
# PostgreSQL of its own whose data lie on a disk. Flags go to the benchmark:
# -only refresh, -seconds 5, -principals 1000000 …
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/lib.sh
build_binary
go build -o bin/limit ./bench/limit
go build -o bin/bench ./bench
export CARDEA_POSTGRES_DIR=${CARDEA_POSTGRES_DIR:-${TMPDIR:-/var/tmp}}
exec scripts/postgres.sh bin/bench "$@"
