#!/usr/bin/env bash
# test.sh: everything that must hold before a change is taken, on both
# databases and in a real browser. Ten minutes on two cores are the budget.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/lib.sh
need_go

# Vet has seen everything already, and nobody debugs these programs: without the
# tables for it they are linked in half the time.
go_tests() {
  CARDEA_BIN=$PWD/bin/cardea CARDEA_TEST_KILLS=${CARDEA_TEST_KILLS:-20} scripts/postgres.sh go test -timeout 8m -vet=off -ldflags=-w ./...
}

began=$SECONDS
scripts/check.sh
stage "build" build_binary
stage "Go tests on SQLite and PostgreSQL" go_tests
stage "browser and interoperability tests" scripts/e2e.sh
say "all of it: $((SECONDS - began)) s"
