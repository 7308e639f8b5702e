#!/usr/bin/env bash
# test.sh: everything that must hold before a change is taken, on both
# databases and in a real browser. Ten minutes on two cores are the budget.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/lib.sh
need_go

stages=$(mktemp)
heard=$(mktemp)
export stages
browsers=
finish() {
  local status=$?
  trap - EXIT
  if [ -n "$browsers" ]; then kill -TERM -- "-$browsers" 2>/dev/null || true; fi
  if [ -s "$stages" ]; then say "what took how long:"; cat "$stages" >&2; fi
  rm -f "$stages" "$heard"
  exit "$status"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

# Vet has seen everything already, and nobody debugs these programs: without the
# tables for it they are linked in half the time. A test waits for disks, leases
# and the other node more than it computes: twice as many as there are cores. The
# packages that take longest come first, so that none of them is waited for alone.
go_tests() {
  CARDEA_BIN=$PWD/bin/cardea CARDEA_TEST_KILLS=${CARDEA_TEST_KILLS:-20} scripts/postgres.sh go test -timeout 9m -parallel "$((2 * $(nproc)))" -vet=off -ldflags=-w \
    ./internal/identity/oauth ./internal/app/apptest ./e2e/kill ./internal/admin/api ./...
}

# What drives browsers waits, too, and runs beside the Go tests. It is shown when
# those are done.
browser_tests() {
  local status=0
  wait "$browsers" || status=$?
  browsers=
  cat "$heard"
  return "$status"
}

began=$SECONDS
scripts/check.sh
stage "build" build_binary
set -m # a group of its own, to end it as a whole
stage "browser and interoperability tests" scripts/e2e.sh >"$heard" 2>&1 </dev/null &
browsers=$!
set +m
failed=0
stage "Go tests on SQLite and PostgreSQL" go_tests || failed=$?
browser_tests || failed=$?
say "all of it: $((SECONDS - began)) s"
exit "$failed"
