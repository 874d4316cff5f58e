# Makes an ext4 root file system on the first disk, with a small system in it, and leaves it clean.
set -e
disk=${1:-/dev/vda}
# By its path: busybox has a smaller program of that name, and its shell prefers its own.
/usr/sbin/mke2fs -q -F -t ext4 -L vitrine "$disk"
busybox mount -t ext4 "$disk" /mnt
busybox mkdir -p /mnt/bin /mnt/sbin /mnt/proc /mnt/sys /mnt/dev /mnt/tmp /mnt/data
busybox cp /usr/bin/busybox /mnt/bin/busybox
busybox ln -s busybox /mnt/bin/sh
busybox dd if=/dev/urandom of=/mnt/data/random bs=64k count=64 2>/dev/null
busybox seq 1 20000 >/mnt/data/numbers
(cd /mnt/data && busybox md5sum random numbers >sums)
busybox cat /mnt/data/sums
busybox umount /mnt
echo "root file system made on $disk"
