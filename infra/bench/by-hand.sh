#!/bin/bash
# The same move by hand, in the order in which a runbook usually gives it: first the names, then the database.
# What `bascule bench` compares a switchover with. It is careful and quick (every wait is polled each 20 ms), and it
# opens the gates, which a person without bascule would not have; what it lacks is the order.
#
# Environment: FROM_* and TO_* are the regions' addresses, see crates/cli/src/cmd/bench.rs.
set -eu

say() { echo "by hand: $*" >&2; }

update() { # NAME ADDRESS
    printf 'server %s %s\nzone %s\nupdate delete %s A\nupdate add %s %s A %s\nsend\nquit\n' \
        "$DNS_HOST" "$DNS_PORT" "$ZONE" "$1" "$1" "$TTL" "$2" | knsupdate -y "$TSIG_NAME:$(cat "$TSIG_SECRET_FILE")" >/dev/null
}

patroni() { # HOST:PORT JSON
    curl -fsS -m 5 -u "$PATRONI_USER:$(cat "$PATRONI_PASSWORD_FILE")" -X PATCH -d "$2" "http://$1/config" >/dev/null
}

haproxy() { # HOST PORT COMMAND
    exec 3<>"/dev/tcp/$1/$2"
    printf '%s\n' "$3" >&3
    timeout 2 cat <&3 >/dev/null
    exec 3>&-
}

say "1. point the names at the other region"
update "$APP_NAME" "$TO_LB"
update "$DB_NAME" "$TO_POOL"

say "2. stop the old database cluster"
patroni "$FROM_PATRONI" "{\"standby_cluster\":{\"host\":\"$TO_REPLICATION_HOST\",\"port\":$TO_REPLICATION_PORT,\"create_replica_methods\":[\"basebackup\"]}}"

say "3. promote the new one"
patroni "$TO_PATRONI" '{"standby_cluster":null}'
until curl -fsS -m 1 -o /dev/null "http://$TO_PATRONI/primary"; do sleep 0.02; done

say "4. send the connections there"
haproxy "$TO_ADMIN_HOST" "$TO_ADMIN_PORT" "set map $TO_GATE db local"
haproxy "$FROM_ADMIN_HOST" "$FROM_ADMIN_PORT" "set map $FROM_GATE db remote"
say "done"
