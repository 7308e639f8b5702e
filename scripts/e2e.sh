#!/usr/bin/env bash
# e2e.sh [NODE-TEST-ARG…]: the real binary, a real browser and real clients.
# Chromium, Apache with its OpenID Connect and OAuth 2.0 modules, oidc-agent,
# oathtool and an SMTP server are installed when missing.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/lib.sh

command -v node >/dev/null 2>&1 || die "Node.js 20 or newer is missing"
[ -x /usr/bin/chromium ] || [ -n "${CHROMIUM:-}" ] || install_packages chromium fonts-dejavu-core
if [ ! -x /usr/sbin/apache2 ] || [ ! -f /usr/lib/apache2/modules/mod_auth_openidc.so ]; then
  install_packages apache2-bin libapache2-mod-auth-openidc
fi
[ -f /usr/lib/apache2/modules/mod_oauth2.so ] || install_packages libapache2-mod-oauth2
need_go # examples are built by their tests
command -v oidc-agent >/dev/null 2>&1 || install_packages oidc-agent-cli
command -v oathtool >/dev/null 2>&1 || install_packages oathtool
/usr/bin/python3 -c 'import aiosmtpd' 2>/dev/null || install_packages python3-aiosmtpd
command -v openssl >/dev/null 2>&1 || install_packages openssl
[ -x bin/cardea ] || build_binary

cd e2e
if [ ! -d node_modules ] || [ package-lock.json -nt node_modules/.package-lock.json ]; then
  npm ci --no-fund --no-audit --loglevel=error </dev/null
fi
again=$(mktemp)
trap 'rm -f "$again"' EXIT
run() { node --test --test-concurrency=2 --test-timeout=300000 --test-reporter=tap --test-reporter-destination=stdout "$@"; }
status=0
run --test-reporter=./lib/stalled.mjs --test-reporter-destination="$again" "$@" || status=$?
if [ "$status" -ne 0 ] && [ -s "$again" ]; then
  say "the browser made no more frames (lib/stalled.mjs); once more: $(tr '\n' ' ' <"$again")"
  mapfile -t files <"$again"
  status=0
  run "${files[@]}" || status=$?
fi
exit "$status"
