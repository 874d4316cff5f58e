# The start of many small programs.
n=0
while test $n -lt 20; do
	busybox sh -c 'busybox true; busybox ls -lR /usr/lib/python3.13 | busybox md5sum' >/dev/null
	n=$((n + 1))
done
n=0
while test $n -lt 10; do
	openssl version >/dev/null
	python3 -S -c 1
	n=$((n + 1))
done
