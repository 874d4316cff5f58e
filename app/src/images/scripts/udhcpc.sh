#!/usr/bin/busybox sh
# udhcpc calls this with what the DHCP server said in the environment.
case $1 in
deconfig)
	busybox ip -4 addr flush dev "$interface"
	;;
bound | renew)
	busybox ip -4 addr flush dev "$interface"
	busybox ip addr add "$ip/${mask:-24}" dev "$interface"
	for gateway in $router; do
		busybox ip route add default via "$gateway" dev "$interface"
	done
	: >/etc/resolv.conf
	for server in $dns; do
		echo "nameserver $server" >>/etc/resolv.conf
	done
	;;
esac
exit 0
