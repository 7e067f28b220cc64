#!/bin/sh
# Installs what the lab and the tests need, and says what before it does. Idempotent; instant when nothing is missing.
#
#   infra/setup/install.sh            install what is missing
#   infra/setup/install.sh --check    only list what is missing; exit 1 if something is
#   infra/setup/install.sh --peers    also the failover manager that bascule bench --peers measures
#
# Debian packages come through apt, as root or with sudo. Nothing is started and no default PostgreSQL cluster is made:
# the lab runs its own processes from these binaries. The Python tools go to target/venv, pinned with hashes.
set -eu
cd "$(dirname "$0")/../.."

# One line each: Debian package, and a file that proves it is there.
needed='
postgresql-15     /usr/lib/postgresql/15/bin/postgres
postgresql-15     /usr/share/postgresql/15/extension/pg_walinspect.control
etcd-server       /usr/bin/etcd
etcd-client       /usr/bin/etcdctl
haproxy           /usr/sbin/haproxy
pgbouncer         /usr/sbin/pgbouncer
knot              /usr/sbin/knotd
knot-dnsutils     /usr/bin/kdig
nftables          /usr/sbin/nft
iproute2          /usr/sbin/ip
util-linux        /usr/bin/nsenter
curl              /usr/bin/curl
python3-venv      /usr/lib/python3.11/ensurepip/__init__.py
gcc               /usr/bin/cc
g++               /usr/bin/c++
protobuf-compiler /usr/bin/protoc
libprotobuf-dev   /usr/include/google/protobuf/descriptor.proto
openssl           /usr/bin/openssl
prometheus        /usr/bin/prometheus
git               /usr/bin/git
openssh-client    /usr/bin/ssh-keygen
faketime          /usr/bin/faketime
'
[ "${1:-}" != --peers ] || needed="$needed
postgresql-15-auto-failover  /usr/share/postgresql/15/extension/pgautofailover.control
pg-auto-failover-cli         /usr/bin/pg_autoctl
"
requirements=infra/lab/requirements.txt
venv=target/venv
stamp=$venv/requirements.sha256

missing=$(printf '%s' "$needed" | while read -r package file; do
    [ -z "$package" ] || [ -e "$file" ] || echo "$package"
done | sort -u)
wanted=$(sha256sum <"$requirements")
have=$(cat "$stamp" 2>/dev/null || true)

if [ "${1:-}" = --check ]; then
    [ -z "$missing" ] || echo "missing Debian packages:" $missing
    [ "$wanted" = "$have" ] || echo "missing Python tools: $venv is not what $requirements asks for"
    [ -z "$missing" ] && [ "$wanted" = "$have" ]
    exit
fi

if [ -n "$missing" ]; then
    echo "setup: installing Debian packages through apt:" $missing
    if [ "$(id -u)" = 0 ]; then sudo=''; else
        command -v sudo >/dev/null || { echo "setup: not root and no sudo; install them yourself: apt-get install" $missing >&2; exit 1; }
        sudo=sudo
    fi
    # Where services would be started (systemd), this file forbids it for the length of the installation.
    policy=/usr/sbin/policy-rc.d
    if [ ! -e $policy ]; then
        printf '#!/bin/sh\nexit 101\n' | $sudo tee $policy >/dev/null
        $sudo chmod 755 $policy
        trap '$sudo rm -f $policy' EXIT
    fi
    # postgresql-common reads this before it would make the cluster "main".
    if [ ! -e /etc/postgresql-common/createcluster.conf ]; then
        $sudo mkdir -p /etc/postgresql-common
        echo 'create_main_cluster = false' | $sudo tee /etc/postgresql-common/createcluster.conf >/dev/null
    fi
    $sudo apt-get update -q
    $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends \
        -o Dpkg::Options::=--force-confold $missing
fi

if [ "$wanted" != "$have" ]; then
    echo "setup: installing Python tools into $venv, pinned with hashes:" \
        "$(sed -n 's/^\([a-z][^ ]*\) .*/\1/p' $requirements | tr '\n' ' ')"
    # The system's own python3: one from a home directory could not be executed by the user postgres.
    rm -rf "$venv"
    /usr/bin/python3 -m venv "$venv"
    "$venv/bin/pip" install -q --disable-pip-version-check --require-hashes -r "$requirements"
    printf '%s\n' "$wanted" >"$stamp"
fi
