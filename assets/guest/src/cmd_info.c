// `info` and `status`: what the machine says of itself, and what it has done so far.
#include "console.h"
#include "machine.h"
#include "shell.h"
#include "trap.h"

#define WRAP 60

extern char __image_start[], __image_end[];

static void label(const char *name) { kprintf("    %s%-13s%s", sty(DIM), name, sty(OFF)); }

static void misa_letters(void) {
    u64 misa = csr_read(misa);
    label("misa");
    for (int i = 0; i < 26; i++) {
        if (misa >> i & 1) kprintf("%c", 'a' + i);
    }
    kprintf("  %s%016lx%s\n", sty(DIM), misa, sty(OFF));
}

// The part of the ISA string behind the single letters: zba_zbb_..., wrapped.
static void extensions(void) {
    const char *p = machine.isa;
    int column = 0;
    while (*p && *p != '_') p++;
    if (!*p) return;
    label("extensions");
    while (*p) {
        const char *word = ++p;
        while (*p && *p != '_') p++;
        int n = (int)(p - word);
        if (column + n > WRAP) {
            kprintf("\n%17s", "");
            column = 0;
        }
        for (int i = 0; i < n; i++) console_putc(word[i]);
        console_putc(' ');
        column += n + 1;
    }
    kprintf("\n");
}

static void seconds(u64 us) { kprintf("%lu.%03lu s", us / 1000000, us / 1000 % 1000); }

void cmd_info(int argc, char **argv) {
    (void)argc, (void)argv;
    heading("This machine", machine.has_tree ? NULL : "no device tree was given");
    label("model");
    kprintf("%s\n", machine.model);
    label("harts");
    kprintf("%u, this is hart %lu\n", machine.harts, csr_read(mhartid));
    misa_letters();
    extensions();
    label("translation");
    kprintf("%s\n", machine.mmu[0] ? machine.mmu : "not told");
    label("identity");
    kprintf("mvendorid %lx, marchid %lx, mimpid %lx\n", csr_read(mvendorid), csr_read(marchid), csr_read(mimpid));
    label("memory");
    kprintf("%lu MiB at %lx; this guest takes %lx to %lx\n", machine.memory_size >> 20, machine.memory_base,
            (u64)__image_start, (u64)__image_end);
    label("timebase");
    kprintf("%lu.%06lu MHz\n", machine.timebase / 1000000, machine.timebase % 1000000);
    label("mtime");
    u64 now = time_now();
    kprintf("%lu, ", now);
    seconds(time_us(now));
    kprintf("\n");
    label("bootargs");
    kprintf("%s\n", machine.bootargs[0] ? machine.bootargs : "none");
    gap();
}

void cmd_status(int argc, char **argv) {
    (void)argc, (void)argv;
    u64 now = time_now(), busy_per_mille = now ? 1000 - idle_ticks * 1000 / now : 0;
    heading("Status", "hart 0, since power-on");
    label("up");
    seconds(time_us(now));
    kprintf("\n");
    label("asleep");
    seconds(time_us(idle_ticks));
    kprintf(", busy %lu.%lu %%\n", busy_per_mille / 10, busy_per_mille % 10);
    label("interrupts");
    kprintf("%lu timer, %lu external, %lu software\n", trap_counts.timer, trap_counts.external, trap_counts.software);
    label("exceptions");
    kprintf("%lu\n", trap_counts.exceptions);
    label("counters");
    kprintf("%,lu instructions, %,lu cycles\n", csr_read(minstret), csr_read(mcycle));
    gap();
}
