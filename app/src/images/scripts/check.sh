# Checks the file system on the first disk without changing it.
e2fsck -f -n "${1:-/dev/vda}"
