#!/usr/bin/env bash
# with-servers.sh COMMAND…: runs COMMAND with a PostgreSQL of its own (POSTROOM_TEST_POSTGRES) and a temporary folder of its
# own (TMPDIR), and leaves nothing behind: neither the server, nor the folder, nor a Dovecot or Cyrus that a killed test left running.
set -euo pipefail

fail() {
  printf 'postroom: %s\n' "$*" >&2
  exit 1
}

[ $# -gt 0 ] || fail "usage: tests/with-servers.sh COMMAND…"

# Readable by the unprivileged users that the servers run as; paths of Unix sockets have room for 100 characters.
home=$(mktemp -d "${TMPDIR:-/tmp}/postroom-XXXXXX")
chmod 755 "$home"

# PostgreSQL refuses to run as root.
as_postgres=()
if [ "$(id -u)" -eq 0 ]; then
  as_postgres=(setpriv --reuid=postgres --regid=postgres --clear-groups)
  chown postgres: "$home"
fi
initdb=$(find /usr/lib/postgresql -path '*/bin/initdb' 2>/dev/null | sort -V | tail -n 1)
bin=$(dirname "${initdb:-$(command -v initdb)}")
[ -x "$bin/initdb" ] || fail "PostgreSQL is missing: run 'make test', which installs it."

pg() { (cd "$home" && "${as_postgres[@]}" env LC_ALL=C.UTF-8 "$@"); }

# shellcheck disable=SC2317 # called by the trap
stop() {
  local pid
  pg "$bin/pg_ctl" stop -s -w -m immediate -D "$home/pg" 2>/dev/null || true
  for pid in "$home"/*/run/master.pid; do
    kill -KILL -- "-$(cat "$pid" 2>/dev/null)" 2>/dev/null || true
  done
  rm -rf "$home"
}
trap stop EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

password=$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')
printf %s "$password" | pg sh -c 'umask 077 && cat > pw'
pg "$bin/initdb" --pgdata="$home/pg" --username=postgres --auth=password --pwfile="$home/pw" --encoding=UTF8 \
  --locale=C.UTF-8 --no-sync >/dev/null
pg sh -c 'cat >> pg/postgresql.conf' <<'END'
listen_addresses = '127.0.0.1'
unix_socket_directories = ''
fsync = off
synchronous_commit = off
full_page_writes = off
max_wal_size = 4GB
max_connections = 300
shared_buffers = 256MB
END

# A free port below the range that the kernel hands out, so that it stays free until the server has it.
for _ in $(seq 20); do
  port=$((20000 + RANDOM % 10000))
  pg "$bin/pg_ctl" start -s -w -t 60 -D "$home/pg" -l "$home/pg/log" -o "-p $port" >/dev/null 2>&1 && break
  port=''
done
[ -n "$port" ] || fail "PostgreSQL did not start: $(tail -n 5 "$home/pg/log")"

export TMPDIR=$home
# Cyrus runs as an unprivileged user, who may not see this folder's parents.
unpacked=$(dirname "$0")/../target/tooling/cyrus
if [ -d "$unpacked" ]; then
  cp -a "$unpacked" "$home/cyrus"
  export POSTROOM_TEST_CYRUS=$home/cyrus
fi
export POSTROOM_TEST_POSTGRES="postgres://postgres:$password@127.0.0.1:$port/postgres"
status=0
"$@" || status=$?
exit "$status"
