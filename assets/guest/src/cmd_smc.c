// `smc`: writes instructions, makes them visible by fence.i, runs them, and writes over them again.
// Each little program is also computed here, so that one stale instruction shows.
#include "console.h"
#include "machine.h"
#include "shell.h"

#define LENGTH 8
#define DEFAULT_ROUNDS 2000
#define A0 10

// Two pages: where the program starts moves, and every few rounds it straddles the boundary.
static u32 pages[2 * 1024] __attribute__((aligned(4096)));

typedef u64 (*program)(u64);

static void fence_i(void) { __asm__ volatile("fence.i" : : : "memory"); }

static u32 i_type(u32 funct3, i32 immediate) {
    return (u32)immediate << 20 | A0 << 15 | funct3 << 12 | A0 << 7 | 0x13;
}
static const u32 ret = 0x00008067;

// One random instruction on a0, and its effect on `value`.
static u32 random_instruction(u64 *seed, u64 *value) {
    u64 r = xorshift(seed);
    i32 immediate = (i32)(r >> 20 & 0xfff) - 2048;
    u32 shift = r >> 32 & 63;
    switch (r % 6) {
    case 0: *value += (u64)(i64)immediate; return i_type(0, immediate);
    case 1: *value ^= (u64)(i64)immediate; return i_type(4, immediate);
    case 2: *value |= (u64)(i64)immediate; return i_type(6, immediate);
    case 3: *value = *value << (shift & 7); return i_type(1, (i32)(shift & 7));
    case 4: *value = *value >> (shift & 7); return i_type(5, (i32)(shift & 7));
    default: *value = (u64)((i64)*value >> (shift & 3)); return i_type(5, (i32)(0x400 | (shift & 3)));
    }
}

// A program that patches its own next instruction: the store, fence.i, then the patched one.
static u64 patch_ahead(u64 rounds) {
    u64 sum = 0;
    for (u64 i = 0; i < rounds; i++) {
        u64 got;
        u32 instruction = i_type(0, (i32)(i % 2048));
        __asm__ volatile("la t0, 1f\n"
                         "mv a0, zero\n"
                         "sw %1, 0(t0)\n"
                         "fence.i\n"
                         ".option push\n .option norvc\n .balign 4\n"
                         "1: addi a0, a0, 0\n"
                         ".option pop\n"
                         "mv %0, a0\n"
                         : "=r"(got)
                         : "r"(instruction)
                         : "a0", "t0", "memory");
        sum += got == i % 2048;
    }
    return sum;
}

void cmd_smc(int argc, char **argv) {
    u64 rounds = number_or(argc > 1 ? argv[1] : "", DEFAULT_ROUNDS), right = 0;
    u64 seed = 0x736d63, hash = HASH_START, start = time_now();
    if (rounds < 1 || rounds > 1000000) rounds = DEFAULT_ROUNDS;
    heading("Self-modifying code", NULL);
    for (u64 round = 0; round < rounds && !console_interrupted(); round++) {
        u64 expected = round;
        u32 *at = pages + 1024 - LENGTH + xorshift(&seed) % (LENGTH + 8);
        for (u32 i = 0; i < LENGTH; i++) at[i] = random_instruction(&seed, &expected);
        at[LENGTH] = ret;
        fence_i();
        u64 got = ((program)at)(round);
        right += got == expected;
        hash = hash_step(hash, got);
    }
    u64 patched = patch_ahead(rounds);
    u64 us = time_us(time_now() - start);
    bool good = right == rounds && patched == rounds;
    kprintf("    %lu programs of %d instructions written and run, %lu right\n", rounds, LENGTH, right);
    kprintf("    %lu instructions patched just ahead of themselves, %lu right\n", rounds, patched);
    kprintf("    %lu.%03lu ms, check %08x %s%s%s\n", us / 1000, us % 1000, hash_end(hash), good ? sty(GREEN) : sty(RED),
            good ? "ok" : "wrong", sty(OFF));
    gap();
}
