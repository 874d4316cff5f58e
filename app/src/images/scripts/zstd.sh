# Python's own library, packed 5 times quickly and once thoroughly, and unpacked 20 times.
busybox cat /usr/lib/python3.*/*.py >/tmp/i
for n in 1 2 3 4 5; do
	zstd -q -T1 -3 -f /tmp/i -o /tmp/i.zst
done
zstd -q -f -10 /tmp/i -o /tmp/i.zst
n=0
while test $n -lt 20; do
	zstd -q -dc /tmp/i.zst >/dev/null
	n=$((n + 1))
done
busybox wc -c </tmp/i.zst
