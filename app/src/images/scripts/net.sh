# Brings up the network by DHCP and shows what it got.
set -e
busybox ip link set lo up
busybox ip link set eth0 up
busybox udhcpc -i eth0 -s /etc/udhcpc.sh -n -q -t 10 -T 1
busybox ip -4 addr show dev eth0
