# 64 MiB through AES-128-CBC.
busybox dd if=/dev/zero of=/tmp/z bs=1M count=64 2>/dev/null
key=000102030405060708090a0b0c0d0e0f
iv=00000000000000000000000000000000
openssl enc -aes-128-cbc -K $key -iv $iv -in /tmp/z | busybox md5sum
