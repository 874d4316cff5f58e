// `harts`: wakes every hart by an interprocessor interrupt, and has all of them count in the same
// words, by atomic add and by load-reserved and store-conditional.
#include "console.h"
#include "machine.h"
#include "shell.h"

#define EACH 20000ul
#define PATIENCE_S 5

static u64 added, stored;
static u32 ready;
static volatile u32 expected;
static u64 called_at;
static struct {
    volatile u64 woken_at, retries;
} report[MAX_HARTS];

static u64 count_by_reservation(u64 *word) {
    u64 retries = 0;
    for (u64 i = 0; i < EACH; i++) {
        u64 failed, value;
        for (;; retries++) {
            __asm__ volatile("lr.d %0, (%2)\n addi %0, %0, 1\n sc.d %1, %0, (%2)"
                             : "=&r"(value), "=&r"(failed)
                             : "r"(word)
                             : "memory");
            if (!failed) break;
        }
    }
    return retries;
}

static void count(u64 hart) {
    report[hart].woken_at = time_now();
    __atomic_fetch_add(&ready, 1, __ATOMIC_ACQ_REL);
    // All start together, so that they do get in each other's way.
    u64 deadline = time_now() + PATIENCE_S * machine.timebase;
    while (__atomic_load_n(&ready, __ATOMIC_ACQUIRE) < expected && time_now() < deadline) {}
    for (u64 i = 0; i < EACH; i++) __atomic_fetch_add(&added, 1, __ATOMIC_RELAXED);
    report[hart].retries = count_by_reservation(&stored);
}

static u32 population(u64 mask) {
    u32 n = 0;
    for (; mask; mask &= mask - 1) n++;
    return n;
}

static void show_hart(u64 hart, bool here) {
    if (!here) {
        kprintf("    %4lu   %sdid not answer%s\n", hart, sty(RED), sty(OFF));
        return;
    }
    kprintf("    %4lu   %,11lu   %,11lu   %,11lu   %,11lu%s\n", hart, time_us(report[hart].woken_at - called_at), EACH,
            EACH, report[hart].retries, hart == 0 ? "   this hart" : "");
}

void cmd_harts(int argc, char **argv) {
    (void)argc, (void)argv;
    added = stored = 0;
    ready = 0;
    expected = machine.harts;
    heading("Harts", "woken by interprocessor interrupts, counting in shared words");
    called_at = time_now();
    harts_start_job(count);
    count(0);
    u64 deadline = time_now() + PATIENCE_S * machine.timebase, done;
    do {
        done = harts_job_done() | 1;
    } while (population(done) < machine.harts && time_now() < deadline);

    kprintf("    %shart   %11s   %11s   %11s   %11s%s\n", sty(DIM), "woken, µs", "atomic adds", "lr/sc pairs",
            "sc retries", sty(OFF));
    for (u32 i = 0; i < machine.harts; i++) show_hart(machine.hart_ids[i], done >> machine.hart_ids[i] & 1);
    u64 right = machine.harts * EACH;
    bool good = added == right && stored == right;
    kprintf("    %u x %,lu: amoadd says %,lu, lr and sc say %,lu %s%s%s\n", machine.harts, EACH, added, stored,
            good ? sty(GREEN) : sty(RED), good ? "ok" : "wrong", sty(OFF));
    gap();
}
