#!/usr/bin/env bash
# check.sh [--fast-tests]: formatting, vet, staticcheck, and with --fast-tests
# the architecture and every test that needs nothing but Go.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/lib.sh
need_go

formatted() {
  local list
  list=$(git ls-files -co --exclude-standard -- '*.go' | xargs -r gofmt -l)
  [ -z "$list" ] || { printf 'gofmt would change:\n%s\n' "$list" >&2; return 1; }
}

stage "gofmt" formatted
stage "go vet" go vet ./...
stage "staticcheck" go run honnef.co/go/tools/cmd/staticcheck ./...
if [ "${1:-}" = --fast-tests ]; then
  stage "architecture" go test .
  stage "fast tests" go test -short ./...
fi
