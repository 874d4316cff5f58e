busybox dmesg
