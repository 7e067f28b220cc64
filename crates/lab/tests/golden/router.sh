set -e
ip link set lo up
echo 1 >/proc/sys/net/ipv4/ip_forward
ip netns add us-east-2
ip link add to-us-east-2 type veth peer name eth0 netns us-east-2
ip addr add 10.77.1.1/24 dev to-us-east-2
ip link set to-us-east-2 up
ip -n us-east-2 -batch - <<END
link set lo up
link set eth0 up
addr add 10.77.1.11/24 dev eth0
addr add 10.77.1.12/24 dev eth0
addr add 10.77.1.13/24 dev eth0
addr add 10.77.1.31/24 dev eth0
addr add 10.77.1.32/24 dev eth0
addr add 10.77.1.33/24 dev eth0
addr add 10.77.1.5/24 dev eth0
addr add 10.77.1.6/24 dev eth0
addr add 10.77.1.20/24 dev eth0
addr add 10.77.1.21/24 dev eth0
addr add 10.77.1.53/24 dev eth0
addr add 10.77.1.22/24 dev eth0
route change table local local 10.77.1.11 dev eth0 proto kernel scope host src 10.77.1.11 quickack 1
route change table local local 10.77.1.12 dev eth0 proto kernel scope host src 10.77.1.11 quickack 1
route change table local local 10.77.1.13 dev eth0 proto kernel scope host src 10.77.1.11 quickack 1
route change table local local 10.77.1.31 dev eth0 proto kernel scope host src 10.77.1.11 quickack 1
route change table local local 10.77.1.32 dev eth0 proto kernel scope host src 10.77.1.11 quickack 1
route change table local local 10.77.1.33 dev eth0 proto kernel scope host src 10.77.1.11 quickack 1
route change table local local 10.77.1.5 dev eth0 proto kernel scope host src 10.77.1.11 quickack 1
route change table local local 10.77.1.6 dev eth0 proto kernel scope host src 10.77.1.11 quickack 1
route change table local local 10.77.1.20 dev eth0 proto kernel scope host src 10.77.1.11 quickack 1
route change table local local 10.77.1.21 dev eth0 proto kernel scope host src 10.77.1.11 quickack 1
route change table local local 10.77.1.53 dev eth0 proto kernel scope host src 10.77.1.11 quickack 1
route change table local local 10.77.1.22 dev eth0 proto kernel scope host src 10.77.1.11 quickack 1
route add default via 10.77.1.1
END
nsenter --net=/run/netns/us-east-2 sh -c 'echo 0 >/proc/sys/net/ipv4/ip_unprivileged_port_start'
ip netns add us-west-1
ip link add to-us-west-1 type veth peer name eth0 netns us-west-1
ip addr add 10.77.2.1/24 dev to-us-west-1
ip link set to-us-west-1 up
ip -n us-west-1 -batch - <<END
link set lo up
link set eth0 up
addr add 10.77.2.11/24 dev eth0
addr add 10.77.2.12/24 dev eth0
addr add 10.77.2.13/24 dev eth0
addr add 10.77.2.31/24 dev eth0
addr add 10.77.2.32/24 dev eth0
addr add 10.77.2.33/24 dev eth0
addr add 10.77.2.5/24 dev eth0
addr add 10.77.2.6/24 dev eth0
addr add 10.77.2.20/24 dev eth0
addr add 10.77.2.21/24 dev eth0
addr add 10.77.2.53/24 dev eth0
addr add 10.77.2.22/24 dev eth0
route change table local local 10.77.2.11 dev eth0 proto kernel scope host src 10.77.2.11 quickack 1
route change table local local 10.77.2.12 dev eth0 proto kernel scope host src 10.77.2.11 quickack 1
route change table local local 10.77.2.13 dev eth0 proto kernel scope host src 10.77.2.11 quickack 1
route change table local local 10.77.2.31 dev eth0 proto kernel scope host src 10.77.2.11 quickack 1
route change table local local 10.77.2.32 dev eth0 proto kernel scope host src 10.77.2.11 quickack 1
route change table local local 10.77.2.33 dev eth0 proto kernel scope host src 10.77.2.11 quickack 1
route change table local local 10.77.2.5 dev eth0 proto kernel scope host src 10.77.2.11 quickack 1
route change table local local 10.77.2.6 dev eth0 proto kernel scope host src 10.77.2.11 quickack 1
route change table local local 10.77.2.20 dev eth0 proto kernel scope host src 10.77.2.11 quickack 1
route change table local local 10.77.2.21 dev eth0 proto kernel scope host src 10.77.2.11 quickack 1
route change table local local 10.77.2.53 dev eth0 proto kernel scope host src 10.77.2.11 quickack 1
route change table local local 10.77.2.22 dev eth0 proto kernel scope host src 10.77.2.11 quickack 1
route add default via 10.77.2.1
END
nsenter --net=/run/netns/us-west-1 sh -c 'echo 0 >/proc/sys/net/ipv4/ip_unprivileged_port_start'
ip netns add witness
ip link add to-witness type veth peer name eth0 netns witness
ip addr add 10.77.3.1/24 dev to-witness
ip link set to-witness up
ip -n witness -batch - <<END
link set lo up
link set eth0 up
addr add 10.77.3.6/24 dev eth0
addr add 10.77.3.53/24 dev eth0
route change table local local 10.77.3.6 dev eth0 proto kernel scope host src 10.77.3.6 quickack 1
route change table local local 10.77.3.53 dev eth0 proto kernel scope host src 10.77.3.6 quickack 1
route add default via 10.77.3.1
END
nsenter --net=/run/netns/witness sh -c 'echo 0 >/proc/sys/net/ipv4/ip_unprivileged_port_start'
ip netns add clients
ip link add to-clients type veth peer name eth0 netns clients
ip addr add 10.77.9.1/24 dev to-clients
ip link set to-clients up
ip -n clients -batch - <<END
link set lo up
link set eth0 up
addr add 10.77.9.10/24 dev eth0
route change table local local 10.77.9.10 dev eth0 proto kernel scope host src 10.77.9.10 quickack 1
route add default via 10.77.9.1
END
nsenter --net=/run/netns/clients sh -c 'echo 0 >/proc/sys/net/ipv4/ip_unprivileged_port_start'
