#!/bin/bash
# What `bascule bench --peers` measures beside a failover by bascule: another failover manager, alone on this machine, in
# one place, on loopback. Starts it, prints "uri URI" when it is healthy; "kill" on standard input ends the primary
# and its agent with SIGKILL; the end of standard input ends everything.
#
#   infra/bench/peers.sh patroni|pg_auto_failover defaults|tightest FOLDER PORT
#
# FOLDER is made anew and removed at the end. PORT and the nine above it must be free. As root: PostgreSQL runs as postgres.
set -u
kind=$1 settings=$2 dir=$3 port=$4
root=$(cd "$(dirname "$0")/../.." && pwd)
bin=/usr/lib/postgresql/15/bin
children=()

say() { echo "$kind ($settings): $*" >&2; }

as_postgres() {
    local user=()
    [ "$(id -u)" != 0 ] || user=(setpriv --reuid postgres --regid postgres --init-groups)
    "${user[@]}" env -i HOME="$dir" PATH="$bin:$root/target/venv/bin:/usr/bin:/bin" LANG=C.UTF-8 \
        XDG_RUNTIME_DIR="$dir" XDG_CONFIG_HOME="$dir/config" XDG_DATA_HOME="$dir/share" "$@"
}

start() { # LOG COMMAND…: each in a process group of its own, and not longer than this script
    local log=$1
    shift
    as_postgres setpriv --pdeathsig KILL "$@" >"$log" 2>&1 </dev/null &
    children+=($!)
}

tree() { # PID: it and all below it, the parents first, or they would start the others again
    local child
    echo "$1"
    for child in $(pgrep -P "$1"); do tree "$child"; done
}

stop() { # PID: the tree is listed before anything of it ends; what is left over belongs to nobody
    kill -9 $(tree "$1") 2>/dev/null
}

stop_postgres() { # DATA
    local pid
    pid=$(head -n 1 "$1/postmaster.pid" 2>/dev/null) && [ -n "$pid" ] && kill -9 "$pid" 2>/dev/null
}

finish() {
    # Agents first, or they start PostgreSQL again.
    for child in "${children[@]}"; do stop "$child"; done
    for data in "$dir"/n1 "$dir"/n2 "$dir"/n3 "$dir"/monitor; do stop_postgres "$data"; done
    wait 2>/dev/null
    rm -rf "$dir"
}
trap finish EXIT
# Whoever started this has ended: so does everything.
trap 'exit 1' TERM INT HUP

ask() { # PORT SQL
    as_postgres timeout 2 psql -w -h 127.0.0.1 -p "$1" -U postgres -d postgres -Atqc "$2" 2>/dev/null
}

await() { # WHAT COMMAND…: at most 60 s
    local what=$1
    shift
    for _ in $(seq 300); do "$@" && return; sleep 0.2; done
    say "no $what within 60 s; the log:"
    tail -n 5 "$dir"/*.log >&2
    exit 1
}

# --- Patroni, three nodes and one etcd ---------------------------------------------------------------------

patroni_node() { # NUMBER
    local timing='ttl: 30, loop_wait: 10, retry_timeout: 10'
    # The tightest that it permits: ttl is at least 20, and loop_wait + 2 × retry_timeout at most ttl.
    [ "$settings" = defaults ] || timing='ttl: 20, loop_wait: 1, retry_timeout: 3'
    cat <<YAML
scope: peers
name: n$1
restapi: {listen: "127.0.0.1:$((port + 4 + $1))", connect_address: "127.0.0.1:$((port + 4 + $1))"}
etcd3: {host: "127.0.0.1:$port"}
bootstrap:
  dcs: {$timing, postgresql: {use_pg_rewind: true}}
  initdb: [{encoding: UTF8}, {auth: trust}]
  pg_hba: ["host all all 127.0.0.1/32 trust", "host replication all 127.0.0.1/32 trust"]
postgresql:
  listen: "127.0.0.1:$((port + 1 + $1))"
  connect_address: "127.0.0.1:$((port + 1 + $1))"
  data_dir: $dir/n$1
  bin_dir: $bin
  pgpass: $dir/pgpass$1
  authentication:
    superuser: {username: postgres}
    replication: {username: postgres}
  parameters: {unix_socket_directories: "", shared_buffers: 32MB}
YAML
}

patroni_up() {
    start "$dir/etcd.log" etcd --data-dir "$dir/etcd" --listen-client-urls "http://127.0.0.1:$port" \
        --advertise-client-urls "http://127.0.0.1:$port" --listen-peer-urls "http://127.0.0.1:$((port + 1))"
    for n in 1 2 3; do
        patroni_node $n >"$dir/n$n.yml"
        start "$dir/n$n.log" patroni "$dir/n$n.yml"
        # The first makes the cluster; the others would only wait for it.
        [ $n != 1 ] || await "primary" patroni_leads 1
    done
    await "two replicas" patroni_follows
    echo "uri host=127.0.0.1,127.0.0.1,127.0.0.1 port=$((port + 2)),$((port + 3)),$((port + 4)) user=postgres dbname=postgres"
}

patroni_leads() { [ "$(ask $((port + 1 + $1)) 'SELECT NOT pg_is_in_recovery()')" = t ]; }
patroni_follows() { [ "$(ask $((port + 2)) "SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming'")" = 2 ]; }

patroni_kill() {
    for n in 1 2 3; do
        patroni_leads $n || continue
        stop "${children[$n]}"
        stop_postgres "$dir/n$n"
        return
    done
    say "no primary to kill"
    exit 1
}

# --- pg_auto_failover, a monitor and two nodes -------------------------------------------------------------

monitor() { as_postgres timeout 2 psql -w -h 127.0.0.1 -p "$port" -U postgres -d pg_auto_failover -Atqc "$1" 2>/dev/null; }
monitor_is_up() { [ "$(monitor 'SELECT 1')" = 1 ]; }
paf_follows() { [ "$(monitor "SELECT string_agg(reportedstate::text, ',' ORDER BY reportedstate::text) FROM pgautofailover.node")" = primary,secondary ]; }
paf_leads() { [ "$(monitor "SELECT reportedstate::text FROM pgautofailover.node WHERE nodename = 'n$1'")" = "${2:-primary}" ]; }

pg_auto_failover_up() {
    start "$dir/monitor.log" pg_autoctl create monitor --pgdata "$dir/monitor" --pgport "$port" \
        --hostname 127.0.0.1 --auth trust --no-ssl --run
    await "monitor" monitor_is_up
    if [ "$settings" = tightest ]; then
        # Milliseconds. The server would take 1 of each; below these a healthy node was thought dead.
        for setting in health_check_period=500 health_check_timeout=500 health_check_max_retries=1 \
            health_check_retry_delay=100 node_considered_unhealthy_timeout=1000 startup_grace_period=1 \
            primary_demote_timeout=1000; do
            monitor "ALTER SYSTEM SET pgautofailover.${setting%=*} = ${setting#*=}"
        done
        monitor 'SELECT pg_reload_conf()' >/dev/null
    fi
    for n in 1 2; do
        start "$dir/n$n.log" pg_autoctl create postgres --pgdata "$dir/n$n" --pgport $((port + 1 + n)) \
            --hostname 127.0.0.1 --name n$n --auth trust --no-ssl --pg-hba-lan --run \
            --monitor "postgres://autoctl_node@127.0.0.1:$port/pg_auto_failover"
        [ $n != 1 ] || await "first node" paf_leads 1 single
    done
    await "secondary" paf_follows
    echo "uri host=127.0.0.1,127.0.0.1 port=$((port + 2)),$((port + 3)) user=postgres dbname=postgres"
}

pg_auto_failover_kill() {
    for n in 1 2; do
        paf_leads $n || continue
        stop "${children[$n]}"
        stop_postgres "$dir/n$n"
        return
    done
    say "no primary to kill"
    exit 1
}

rm -rf "$dir" && mkdir -p "$dir"/config "$dir"/share
[ "$(id -u)" != 0 ] || chown -R postgres:postgres "$dir"
cd "$dir" || exit 1
"${kind}_up"
while read -r word; do
    [ "$word" = kill ] && "${kind}_kill" && echo killed
done
