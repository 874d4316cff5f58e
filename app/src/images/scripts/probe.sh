# What the kernel found.
for file in interrupts cpuinfo iomem tty/drivers; do
	busybox cat /proc/$file
done
busybox ls /sys/bus/platform/devices /sys/bus/pci/devices /sys/bus/virtio/devices /sys/class/tty 2>&1
for bus in platform pci virtio; do
	busybox find /sys/bus/$bus/drivers -type l ! -name module 2>/dev/null
done
