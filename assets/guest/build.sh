#!/bin/sh
# Builds the embedded guest. Usage: build.sh [OUTPUT.elf]   (default: glass.elf beside this script)
# CROSS names the compiler's prefix. The same compiler gives the same bytes in any directory.
set -eu
here=$(CDPATH= cd -- "$(dirname -- "$0")" && pwd)
out=${1:-$here/glass.elf}
case $out in /*) ;; *) out=$PWD/$out ;; esac
cc=${CROSS:-riscv64-linux-gnu-}gcc
export LC_ALL=C

cd "$here/src"
exec "$cc" -std=gnu17 -O2 -g0 -march=rv64gc -mabi=lp64d -mcmodel=medany \
    -ffreestanding -fno-pic -fno-common -fno-stack-protector -fno-asynchronous-unwind-tables \
    -fno-tree-loop-distribute-patterns -fno-math-errno -ffp-contract=off \
    -ffunction-sections -fdata-sections -ffile-prefix-map="$here"=. \
    -Wall -Wextra -Werror=implicit-function-declaration \
    -static -no-pie -nostdlib -nostartfiles -T ../link.ld \
    -Wl,--build-id=none,--gc-sections,-z,max-page-size=4096,-z,noexecstack,--no-warn-rwx-segments \
    -o "$out" start.S trap.S events.S *.c
