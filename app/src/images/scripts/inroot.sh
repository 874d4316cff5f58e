# Works inside the root file system on the first disk: it must hold what mkroot wrote, and what is written now must stay.
set -e
disk=${1:-/dev/vda}
busybox mount -t ext4 "$disk" /mnt
busybox mount -t proc proc /mnt/proc
busybox chroot /mnt /bin/busybox sh -ec '
cd /data
busybox md5sum -c sums
busybox seq 1 50000 >more
busybox rm -f numbers
busybox md5sum random more >sums
busybox sync
'
busybox umount /mnt/proc /mnt
echo "root file system on $disk used"
