// `bench`: runs the kernels and shows what the counters said.
#include "console.h"
#include "kernels.h"
#include "machine.h"
#include "shell.h"

static void show_header(void) {
    kprintf("    %s%-8s %-22s %13s %8s %7s  check%s\n", sty(DIM), "kernel", "", "instructions", "ms", "MIPS",
            sty(OFF));
}

static void run_one(const struct kernel *k, u32 times) {
    kprintf("    %s%-8s%s %-22s ", sty(BOLD), k->name, sty(OFF), k->what);
    u64 time = time_now(), instructions = csr_read(minstret);
    u64 result = 0;
    bool same = true;
    for (u32 i = 0; i < times && same && !console_interrupted(); i++) {
        result = k->run();
        same = hash_end(result) == k->expected;
    }
    instructions = csr_read(minstret) - instructions;
    u64 us = time_us(time_now() - time);
    kprintf("%,13lu %4lu.%03lu %7.1F  ", instructions, us / 1000, us % 1000,
            us ? (double)instructions / (double)us : 0.0);
    if (console_interrupted()) kprintf("stopped\n");
    else verdict(hash_end(result), k->expected);
}

static const struct kernel *kernel_at(u32 i) { return i < kernel_count ? &kernels[i] : &events[i - kernel_count]; }

static void list_kernels(const char *name) {
    kprintf("bench: no kernel %s; there are\n ", name);
    for (u32 i = 0; i < kernel_count + event_count; i++) kprintf(" %s", kernel_at(i)->name);
    kprintf("\n");
}

void cmd_bench(int argc, char **argv) {
    const char *name = argc > 1 ? argv[1] : "all";
    u64 times = number_or(argc > 2 ? argv[2] : "", 1);
    const u32 count = kernel_count + event_count;
    bool all = !strcmp(name, "all"), found = all;
    if (times < 1 || times > 100000) {
        kprintf("bench: the number of times goes from 1 to 100000\n");
        return;
    }
    for (u32 i = 0; i < count; i++) found |= !strcmp(name, kernel_at(i)->name);
    if (!found) {
        list_kernels(name);
        return;
    }
    heading("Benchmark", "fixed work; the check does not depend on speed");
    show_header();
    for (u32 i = 0; i < count && !console_interrupted(); i++) {
        const struct kernel *k = kernel_at(i);
        if (!all && strcmp(name, k->name)) continue;
        if (all && i && k->group != kernel_at(i - 1)->group) rule(77);
        if (k->group != EVENTS || events_possible()) run_one(k, (u32)times);
        else kprintf("    %s%-8s%s needs Sv39 translation, which this machine has not\n", sty(BOLD), k->name, sty(OFF));
    }
    gap();
}
