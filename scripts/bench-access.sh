#!/usr/bin/env bash
# bench-access.sh [FLAG…]: measure decisions beside Open Policy Agent on the same
# graph, over graphs of up to ten million relations, by SQL on both databases, from
# the decision log, and over HTTP beside the limit server. Flags: -tuples, -rounds,
# -facts, -replay; 0 leaves out memory, SQL, or the log. SQL is asked at ten thousand
# relations, ten times as many, and so on up to -facts; -keep FOLDER keeps the
# databases of SQLite, and those of the server that CARDEA_TEST_POSTGRES names stay
# there, so that they are asked again without being written again.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/lib.sh
need_go
mkdir -p bin
(cd bench/access && go build -o ../../bin/bench-access .)
export CARDEA_POSTGRES_DIR=${CARDEA_POSTGRES_DIR:-${TMPDIR:-/var/tmp}}
status=0
scripts/postgres.sh bin/bench-access "$@" || status=$?
scripts/bench.sh -engine sqlite -only decision -verifiers 0 || status=$?
exit "$status"
