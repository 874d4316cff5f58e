// The kernels as a program of the host: native NAME TIMES prints "NAME TIMES cpu_ns N check X ok|wrong".
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "../src/kernels.h"

int main(int argc, char **argv) {
    u64 times = argc > 2 ? strtoul(argv[2], NULL, 10) : 1;
    for (u32 i = 0; argc > 1 && i < kernel_count; i++) {
        if (strcmp(argv[1], kernels[i].name)) continue;
        struct timespec from, to;
        u64 result = 0;
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &from);
        for (u64 n = 0; n < times; n++) result = kernels[i].run();
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &to);
        u64 ns = (u64)(to.tv_sec - from.tv_sec) * 1000000000ul + (u64)(to.tv_nsec - from.tv_nsec);
        u32 check = hash_end(result);
        printf("%s %lu cpu_ns %lu check %08x %s\n", argv[1], times, ns, check, check == kernels[i].expected ? "ok" : "wrong");
        return check != kernels[i].expected;
    }
    fprintf(stderr, "usage: %s KERNEL [TIMES]\n", argv[0]);
    return 2;
}
