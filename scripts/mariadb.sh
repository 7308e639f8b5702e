#!/usr/bin/env bash
# mariadb.sh COMMAND [ARG…] runs COMMAND beside a MariaDB of its own, in whose
# dialect conditions for applications are written; Cardea itself never runs on it.
#
# The server lives in a temporary folder and answers on a socket in it only.
# CARDEA_TEST_MARIADB says where, as Go's driver has it, and all is gone when
# COMMAND ends. Debian's package is installed when missing. Set
# CARDEA_TEST_MARIADB beforehand to use a server that is there already.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/lib.sh

[ $# -gt 0 ] || die "usage: scripts/mariadb.sh COMMAND [ARG…]"
if [ -n "${CARDEA_TEST_MARIADB:-}" ]; then exec "$@"; fi

PATH=$PATH:/usr/sbin
command -v mariadbd >/dev/null 2>&1 || install_packages mariadb-server
command -v mariadbd >/dev/null 2>&1 || die "MariaDB is installed, but mariadbd is nowhere to be found"

dir=$(mktemp -d "${TMPDIR:-/tmp}/cardea-mariadb.XXXXXX")
server=
child=
stop() {
  trap - EXIT INT TERM HUP
  for pid in $child $server; do kill "$pid" 2>/dev/null || true; wait "$pid" 2>/dev/null || true; done
  rm -rf "$dir"
}
trap stop EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

# As root the server becomes the user that Debian's package made.
as=()
if [ "$(id -u)" -eq 0 ]; then
  as=(--user=mysql)
  chown mysql "$dir"
fi
mariadb-install-db --no-defaults "${as[@]}" --datadir="$dir/data" --auth-root-authentication-method=normal --skip-test-db >"$dir/install.log" 2>&1 \
  || { cat "$dir/install.log" >&2; die "mariadb-install-db did not succeed"; }
mariadbd --no-defaults "${as[@]}" --datadir="$dir/data" --socket="$dir/socket" --pid-file="$dir/pid" --skip-networking \
  --innodb-flush-log-at-trx-commit=0 >"$dir/log" 2>&1 &
server=$!
for try in $(seq 1 300); do
  mariadb-admin --no-defaults --user=root --socket="$dir/socket" ping >/dev/null 2>&1 && break
  [ "$try" -lt 300 ] && kill -0 "$server" 2>/dev/null || { tail -20 "$dir/log" >&2; die "MariaDB did not start"; }
  sleep 0.1
done

export CARDEA_TEST_MARIADB="root@unix($dir/socket)/mysql"
say "MariaDB $(mariadbd --version | awk '{print $3}')"
"$@" &
child=$!
status=0
wait "$child" || status=$?
child=
exit "$status"
