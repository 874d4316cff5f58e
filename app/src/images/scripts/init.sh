#!/usr/bin/busybox sh
# The guest's first process. Words on the kernel's command line:
#   run=a,b:x,c  runs the scripts /wl/a, /wl/b (with the argument x) and /wl/c one after the other; "shell" is an interactive shell
#   noff         stays up with a shell at the end instead of powering off
#   kmsg         writes to the kernel's log instead of the console
# Each step is announced by a line that begins with @@, for whoever measures.
bb=/usr/bin/busybox
export PATH=/usr/bin:/usr/sbin:/opt HOME=/root TERM=dumb LC_ALL=C

$bb mount -t proc proc /proc
$bb mount -t sysfs sysfs /sys
$bb mount -t devtmpfs devtmpfs /dev 2>/dev/null
$bb mount -t tmpfs tmpfs /tmp
test -e /dev/fd || $bb ln -s /proc/self/fd /dev/fd

jobs= power_off=yes
for word in $($bb cat /proc/cmdline); do
	case $word in
	run=*) jobs=${word#run=} ;;
	noff) power_off= ;;
	kmsg) exec >/dev/kmsg 2>&1 ;;
	esac
done

say() {
	read -r now idle </proc/uptime
	echo "@@$* uptime $now"
}

say INIT
# Modules, where there are any, in the order in which they need each other.
if test -e /modules/order; then
	while read -r module; do
		$bb insmod "/modules/$module.ko" || echo "insmod $module failed"
	done </modules/order
fi

# The list must not be split while a script runs, so it is split first.
IFS=,
set -- $jobs
unset IFS
for job; do
	if test "$job" = shell; then
		$bb setsid $bb cttyhack $bb sh
		continue
	fi
	name=${job%%:*}
	argument=${job#"$name"}
	say START "$name"
	$bb sh "/wl/$name" ${argument:+"${argument#:}"} 2>&1
	say END "$name rc $?"
done
say DONE

if test -n "$power_off"; then
	$bb sync
	$bb poweroff -f
fi
exec $bb sh
