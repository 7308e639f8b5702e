#!/usr/bin/env bash
# postgres.sh COMMAND [ARG…] runs COMMAND beside a PostgreSQL of its own.
#
# The server lives in a temporary folder on a free port of the loopback
# interface, with CARDEA_TEST_POSTGRES naming a superuser of it, and is gone
# when COMMAND ends, however it ends. Debian's package is installed when
# missing. Set CARDEA_TEST_POSTGRES beforehand to use a server that is there
# already, and CARDEA_POSTGRES_DIR to choose the disk that the data lies on.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/lib.sh

[ $# -gt 0 ] || die "usage: scripts/postgres.sh COMMAND [ARG…]"
if [ -n "${CARDEA_TEST_POSTGRES:-}" ]; then exec "$@"; fi

# The oldest supported version stands for all: 15, else the newest one here.
find_bin() {
  local dir
  for dir in /usr/lib/postgresql/15/bin $(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -rV); do
    [ -x "$dir/initdb" ] && { echo "$dir"; return 0; }
  done
  if command -v initdb >/dev/null 2>&1; then dirname "$(command -v initdb)"; return 0; fi
  return 1
}
if ! bin=$(find_bin); then
  install_packages postgresql-15 || install_packages postgresql
  bin=$(find_bin) || die "PostgreSQL is installed, but initdb is nowhere to be found"
fi

# initdb refuses to run as root: become the user that Debian's package made.
run() { "$@"; }
if [ "$(id -u)" -eq 0 ]; then
  id postgres >/dev/null 2>&1 || die "there is no user postgres to run the server as"
  run() { setpriv --reuid=postgres --regid=postgres --init-groups --reset-env "$@"; }
fi

# Memory is as good as a disk for tests: nothing here outlives the run.
parent=${CARDEA_POSTGRES_DIR:-}
if [ -z "$parent" ]; then
  parent=${TMPDIR:-/tmp}
  room=$(df -Pk /dev/shm 2>/dev/null | awk 'NR==2 {print $4}')
  if [ "${room:-0}" -gt 4000000 ] && [ -w /dev/shm ]; then parent=/dev/shm; fi
fi
dir=$(mktemp -d "$parent/cardea-postgres.XXXXXX")
child=
stop() {
  trap - EXIT INT TERM HUP
  if [ -n "$child" ]; then kill "$child" 2>/dev/null || true; wait "$child" 2>/dev/null || true; fi
  run "$bin/pg_ctl" -D "$dir/data" -m immediate stop >/dev/null 2>&1 || true
  rm -rf "$dir"
}
trap stop EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

password=$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')
printf '%s' "$password" >"$dir/password"
if [ "$(id -u)" -eq 0 ]; then chown -R postgres "$dir"; fi
(cd / && run "$bin/initdb" -D "$dir/data" -U postgres -E UTF8 --locale=C.UTF-8 \
  --auth-local=peer --auth-host=md5 --pwfile="$dir/password" >"$dir/initdb.log" 2>&1) \
  || { cat "$dir/initdb.log" >&2; die "initdb did not succeed"; }

# Another process may take a free port between asking and using: ask again.
for try in 1 2 3 4 5; do
  port=$((20000 + RANDOM % 20000))
  if (cd / && run "$bin/pg_ctl" -D "$dir/data" -l "$dir/log" -w -t 30 start -o \
    "-p $port -c listen_addresses=127.0.0.1 -c unix_socket_directories='$dir' -c max_connections=300 -c shared_buffers=128MB" \
    </dev/null >/dev/null 2>&1); then
    break
  fi
  [ "$try" -lt 5 ] || { tail -20 "$dir/log" >&2 || true; die "PostgreSQL did not start"; }
done

export CARDEA_TEST_POSTGRES="postgres://postgres:$password@127.0.0.1:$port/postgres?sslmode=disable"
say "PostgreSQL $("$bin/postgres" --version | awk '{print $3}') on port $port"
"$@" &
child=$!
status=0
wait "$child" || status=$?
child=
exit "$status"
