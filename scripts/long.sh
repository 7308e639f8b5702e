#!/usr/bin/env bash
# long.sh [STAGE…] runs what takes longer than a developer waits: the race
# detector, long kill -9 campaigns, two nodes under load, measurements of time and
# fuzzing for a fixed time. Seventy-five minutes on two cores are the budget of all
# stages, which are the functions below; those named run alone.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/lib.sh
need_go

# The race detector is the one thing here that needs a C compiler.
races() {
  command -v gcc >/dev/null 2>&1 || install_packages gcc libc6-dev
  CGO_ENABLED=1 scripts/postgres.sh go test -race -short -timeout 30m -vet=off -ldflags=-w ./internal/... ./edge/... ./verify/... ./client/...
}

kills() {
  build_binary
  CARDEA_BIN=$PWD/bin/cardea CARDEA_TEST_KILLS=200 CARDEA_TEST_CRASHES=5 scripts/postgres.sh go test -count=1 -timeout 25m ./e2e/kill
}

soak() {
  build_binary
  CARDEA_BIN=$PWD/bin/cardea CARDEA_TEST_SOAK=60s scripts/postgres.sh go test -count=1 -v -timeout 10m ./e2e/soak
}

# A minute without a network, for edges and a server that is changed all the while.
# It needs root and iproute2, and says so where they are missing.
cutoff() {
  build_binary
  CARDEA_BIN=$PWD/bin/cardea CARDEA_TEST_CUT=60s go test -count=1 -v -timeout 10m ./e2e/cut
}

# What measures time runs alone: what else happens on the machine disturbs it.
timing() {
  CARDEA_TEST_TIMING=1 scripts/postgres.sh go test -count=1 -timeout 15m -run '^(TestTiming|TestAskingForLettersTellsNothing)$' -v ./internal/app/apptest
  CARDEA_TEST_TIMING=1 scripts/postgres.sh go test -count=1 -timeout 5m -run '^TestEveryEndOfASessionIsTold$' ./internal/identity/oauth
}

# As many slow clients as docs/promises.md speaks of.
slow() { CARDEA_TEST_SLOW=2000 go test -count=1 -timeout 5m -run '^TestSlowClients' -v ./internal/app/apptest; }

# Ten times as many people as can sign in, and what four months leave behind.
overload() { CARDEA_TEST_OVERLOAD=10s scripts/postgres.sh go test -count=1 -timeout 5m -run '^TestOverload' -v ./internal/app/apptest; }
months() { CARDEA_TEST_DAYS=120 scripts/postgres.sh go test -count=1 -timeout 10m -run '^TestHoursDoNotMatter' -v ./internal/app/apptest; }

# A million random models, always the same ones, half of them on each core: the
# fast tests draw others each time.
models() {
  local half=() failed=0
  for seed in 20261128 20261129; do
    CARDEA_TEST_MODELS=500000 go test -count=1 -timeout 45m -run '^TestDecideAgreesWithTheOracle$' ./internal/access/policy -rapid.seed=$seed &
    half+=($!)
  done
  for one in "${half[@]}"; do wait "$one" || failed=1; done
  [ "$failed" -eq 0 ] || return 1
  CARDEA_TEST_MODELS=50000 go test -count=1 -timeout 10m ./internal/access/replica
  CARDEA_TEST_RESIDUALS=6000 scripts/postgres.sh scripts/mariadb.sh go test -count=1 -timeout 10m ./internal/access/residual
}

# Agents as they are: an OPA, built here, and a client of OPAL.
agents() {
  local dir=$PWD/bin/agents
  mkdir -p "$dir"
  if [ ! -x "$dir/opa" ]; then
    printf 'module agents\n\ngo 1.26.0\n\nrequire github.com/open-policy-agent/opa v1.22.4\n' >"$dir/go.mod"
    printf 'package main\n\nimport _ "github.com/open-policy-agent/opa/cmd"\n\nfunc main() {}\n' >"$dir/main.go"
    (cd "$dir" && go mod tidy -e && CGO_ENABLED=0 go build -ldflags='-s -w' -o opa github.com/open-policy-agent/opa)
  fi
  if [ ! -x "$dir/venv/bin/opal-client" ]; then
    python3 -m venv "$dir/venv" || { install_packages python3-venv && python3 -m venv "$dir/venv"; }
    "$dir/venv/bin/pip" install -q --no-deps -r e2e/agents/requirements.txt
  fi
  build_binary
  CARDEA_BIN=$PWD/bin/cardea CARDEA_OPA=$dir/opa CARDEA_OPAL=$dir/venv/bin/opal-client go test -count=1 -timeout 5m -v ./e2e/agents
}

# All of Cedar's own corpus, which lies in the module of cedar-go.
corpus() { CARDEA_TEST_CORPUS=all go test -count=1 -timeout 10m -run '^TestCedarsCorpus$' -v ./internal/access/policy; }

# Every fuzz target gets its share of FUZZ_SECONDS, at least five seconds.
fuzz() {
  local total=${FUZZ_SECONDS:-240} targets share pkg name failed=0
  targets=$(go test -list '^Fuzz' ./... | awk '/^Fuzz/ {names[++n]=$1} /^ok/ {for (i=1;i<=n;i++) print $2, names[i]; n=0}')
  [ -n "$targets" ] || die "there is no fuzz target"
  share=$((total / $(wc -l <<<"$targets")))
  [ "$share" -ge 5 ] || share=5
  while read -r pkg name; do
    say "fuzzing $name in $pkg for $share s"
    fuzz_one "$pkg" "$name" "$share" || failed=1
  done <<<"$targets"
  return "$failed"
}

# When its time is up, go test -fuzz now and then reports a deadline as a
# failure of the target. It is one only with an input.
fuzz_one() {
  local out
  if out=$(go test -run '^$' -fuzz "^$2\$" -fuzztime "${3}s" "$1" 2>&1); then return; fi
  if grep -q 'context deadline exceeded' <<<"$out" && ! grep -q 'Failing input written' <<<"$out"; then return; fi
  printf '%s\n' "$out" >&2
  return 1
}

if [ $# -gt 0 ]; then
  for one in "$@"; do "$one"; done
  exit
fi

stages=$(mktemp)
trap 'say "what took how long:"; cat "$stages" >&2; rm -f "$stages"' EXIT
began=$SECONDS
failed=()

# A stage that fails does not hide what the others find. Each is a process of its
# own, for a function that is asked whether it succeeded goes on after an error.
try() { stage "$1" scripts/long.sh "$2" || failed+=("$2"); }

try "race detector" races
try "200 kills on each database, and crashes of PostgreSQL" kills
try "a minute of load on two nodes" soak
try "a minute without a network" cutoff
try "time of failed sign-ins" timing
try "six thousand slow clients" slow
try "ten times too many sign-ins" overload
try "four months" months
try "a million models of access" models
try "agents of OPA and OPAL" agents
try "Cedar's corpus" corpus
try "fuzzing" fuzz
say "all of it: $((SECONDS - began)) s"
[ ${#failed[@]} -eq 0 ] || die "failed: ${failed[*]}; scripts/long.sh runs them alone"
