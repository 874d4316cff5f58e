# Python's own library, packed once and unpacked 10 times.
busybox cat /usr/lib/python3.*/*.py >/tmp/x
/usr/bin/xz -T1 -6 -k -c /tmp/x >/tmp/x.xz
n=0
while test $n -lt 10; do
	/usr/bin/xz -dc /tmp/x.xz >/dev/null
	n=$((n + 1))
done
busybox wc -c </tmp/x.xz
