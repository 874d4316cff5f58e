# 64 MiB through SHA-256.
busybox dd if=/dev/zero of=/tmp/z bs=1M count=64 2>/dev/null
exec openssl dgst -sha256 /tmp/z
