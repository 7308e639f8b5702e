# Shared by the scripts beside it: say, die, and Debian packages on demand.
# shellcheck shell=bash

say() { printf '\033[1m==>\033[0m %s\n' "$*" >&2; }
die() { printf 'error: %s\n' "$*" >&2; exit 1; }

# as_root runs a command as root: directly, or through sudo without a prompt
# on machines that have no terminal.
as_root() {
  if [ "$(id -u)" -eq 0 ]; then "$@"; return; fi
  command -v sudo >/dev/null 2>&1 || die "need root for: $* (run as root, or install sudo)"
  if [ -t 0 ]; then sudo "$@"; else sudo -n "$@"; fi
}

# install_packages brings Debian packages in. The package lists are refreshed
# only when the first try does not know a package.
install_packages() {
  command -v apt-get >/dev/null 2>&1 || die "install these yourself, this is not a Debian: $*"
  say "installing $*"
  local opts=(env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends)
  as_root "${opts[@]}" "$@" </dev/null >/dev/null 2>&1 && return
  as_root env DEBIAN_FRONTEND=noninteractive apt-get update -q </dev/null >/dev/null
  as_root "${opts[@]}" "$@" </dev/null >&2
}

# stage NAME COMMAND… runs a part of a longer job and says how long it took, also
# to the file that `stages` names, if it does.
stage() {
  local name=$1 began=$SECONDS; shift
  say "$name"
  if "$@"; then
    say "$name: done in $((SECONDS - began)) s"
    [ -z "${stages:-}" ] || printf '%5d s  %s\n' $((SECONDS - began)) "$name" >>"$stages"
  else
    local status=$?
    say "$name: stopped with status $status after $((SECONDS - began)) s"
    return $status
  fi
}

# need_go finds the Go toolchain where its installer leaves it. Everything is
# built with the flags of a release, so that it is built once.
need_go() {
  command -v go >/dev/null 2>&1 || PATH=$PATH:/usr/local/go/bin
  command -v go >/dev/null 2>&1 || die "Go is missing: https://go.dev/doc/install"
  case ${GOFLAGS:-} in *-trimpath*) ;; *) GOFLAGS="${GOFLAGS:-} -trimpath -buildvcs=false" ;; esac
  export PATH GOFLAGS CGO_ENABLED=${CGO_ENABLED:-0}
}

# Code that runs at the start, for operators or for people one at a time: kept
# small instead of fast. It makes the binary 2 MB smaller.
unhurried="./internal/admin/... ./cmd/... ./internal/demo ./client ./internal/config ./internal/mail
  ./internal/access/git ./internal/access/folder ./internal/access/version ./internal/access/opal
  ./internal/identity/life ./internal/identity/notice ./internal/identity/letter ./internal/identity/terms ./internal/identity/registration ./internal/identity/account ./internal/access/agent ./internal/access/opa ./internal/job
  github.com/oschwald/maxminddb-golang/... runtime/pprof net/http/pprof regexp/...
  github.com/danielgtaylor/huma/v2/... go.yaml.in/... github.com/spf13/... github.com/go-webauthn/... github.com/google/go-tpm/...
  github.com/tinylib/... github.com/santhosh-tekuri/... github.com/wneessen/... github.com/fxamacker/... github.com/go-viper/...
  golang.org/x/text/... github.com/cedar-policy/cedar-go/x/exp/schema/... encoding/xml encoding/gob text/template/... html/template"

# build_binary makes ./bin/cardea as it is released: static, stripped, and with
# no trace of the machine that built it.
build_binary() {
  need_go
  local version commit code small=()
  version=$(git describe --tags --always --dirty 2>/dev/null || echo unknown)
  commit=$(git rev-parse HEAD 2>/dev/null || echo unknown)
  for code in $unhurried; do small+=("-gcflags=$code=-l"); done
  go build "${small[@]}" -ldflags "-s -w -X main.version=$version -X main.commit=$commit" \
    -o bin/cardea ./cmd/cardea
}
