// `ticks`: timer interrupts by mtimecmp, and how late each is noticed.
#include "console.h"
#include "machine.h"
#include "shell.h"

void cmd_ticks(int argc, char **argv) {
    u64 count = number_or(argc > 1 ? argv[1] : "", 5), ms = number_or(argc > 2 ? argv[2] : "", 200);
    if (count < 1 || count > 100000 || ms < 1 || ms > 60000) {
        kprintf("ticks: from 1 to 100000 ticks of 1 to 60000 ms\n");
        return;
    }
    u64 period = machine.timebase * ms / 1000, start = time_now(), worst = 0;
    heading("Timer", "an interrupt at mtimecmp; the hart sleeps in between");
    for (u64 i = 1; i <= count; i++) {
        u64 deadline = start + i * period;
        if (!sleep_until(deadline)) return;
        u64 late = time_us(time_now() - deadline), at = time_us(deadline - start);
        if (late > worst) worst = late;
        kprintf("    tick %-4lu %sat%s %3lu.%03lu s   %s%,6lu µs late%s\n", i, sty(DIM), sty(OFF), at / 1000000,
                at / 1000 % 1000, sty(DIM), late, sty(OFF));
    }
    kprintf("    %lu ticks, the latest %,lu µs late\n", count, worst);
    gap();
}
