// `fp`: rounding modes, exception flags, NaN boxing (Unprivileged ISA, chapters F and D), each
// operation in one piece of assembly so that the compiler computes nothing beforehand.
#include "console.h"
#include "shell.h"

#define RIGHT_CHECK 0x476ece79
#define BITS(u) ((union { u64 b; double d; }){.b = (u)}.d)

struct result {
    u64 value, flags;
};

#define OPERATE(instruction, output)                                                       \
    static struct result do_##output(double a, double b, u64 mode) {                      \
        double d;                                                                          \
        u64 flags;                                                                         \
        __asm__ volatile("fsrm %4\n fsflags zero\n " instruction "\n frflags %1\n fsrm zero" \
                         : "=&f"(d), "=r"(flags)                                           \
                         : "f"(a), "f"(b), "r"(mode));                                     \
        return (struct result){bits_of(d), flags};                                         \
    }
OPERATE("fadd.d %0, %2, %3", add)
OPERATE("fmul.d %0, %2, %3", mul)
OPERATE("fdiv.d %0, %2, %3", div)
OPERATE("fsqrt.d %0, %2", sqrt)
OPERATE("fmin.d %0, %2, %3", min)

static struct result to_int(double a, double b, u64 mode) {
    u64 value, flags;
    (void)b;
    __asm__ volatile("fsrm %3\n fsflags zero\n fcvt.w.d %0, %2, dyn\n frflags %1\n fsrm zero"
                     : "=&r"(value), "=r"(flags)
                     : "f"(a), "r"(mode));
    return (struct result){value, flags};
}

static struct result less(double a, double b, u64 mode) {
    u64 value, flags;
    (void)mode;
    __asm__ volatile("fsflags zero\n flt.d %0, %2, %3\n frflags %1"
                     : "=&r"(value), "=r"(flags)
                     : "f"(a), "f"(b));
    return (struct result){value, flags};
}

static u64 hash;
static struct result note(struct result r) {
    hash = hash_step(hash_step(hash, r.value), r.flags);
    return r;
}

static void rounding(void) {
    static const char *const modes[] = {"to nearest, ties even", "towards zero", "down", "up",
                                        "to nearest, ties away"};
    static const double ties[] = {0.5, 1.5, 2.5, -0.5, -1.5, -2.5};
    heading("Rounding", NULL);
    kprintf("    %s%-22s1/3               -2/3              ±0.5, 1.5, 2.5%s\n", sty(DIM), "", sty(OFF));
    for (u64 mode = 0; mode < ARRAY_LEN(modes); mode++) {
        kprintf("    %-22s%016lx  %016lx ", modes[mode], note(do_div(1, 3, mode)).value,
                note(do_div(-2, 3, mode)).value);
        for (u32 i = 0; i < ARRAY_LEN(ties); i++) kprintf("%3d", (int)note(to_int(ties[i], 0, mode)).value);
        kprintf("\n");
    }
}

static void show_flags(u64 flags) {
    static const char *const names[] = {"NX", "UF", "OF", "DZ", "NV"};
    if (!flags) kprintf("%snone%s", sty(DIM), sty(OFF));
    for (int i = 4; i >= 0; i--) {
        if (flags >> i & 1) kprintf("%s%s%s ", sty(YELLOW), names[i], sty(OFF));
    }
    kprintf("\n");
}

static void flags(void) {
    static const struct {
        const char *what;
        struct result (*run)(double, double, u64);
        u64 a, b;
    } cases[] = {
        {"1 + 1", do_add, 0x3ff0000000000000, 0x3ff0000000000000},
        {"1 / 3", do_div, 0x3ff0000000000000, 0x4008000000000000},
        {"1 / 0", do_div, 0x3ff0000000000000, 0},
        {"0 / 0", do_div, 0, 0},
        {"infinity - infinity", do_add, 0x7ff0000000000000, 0xfff0000000000000},
        {"square root of -1", do_sqrt, 0xbff0000000000000, 0},
        {"largest x 2", do_mul, 0x7fefffffffffffff, 0x4000000000000000},
        {"smallest normal / 3", do_div, 0x0010000000000000, 0x4008000000000000},
        {"smallest normal / 2", do_div, 0x0010000000000000, 0x4000000000000000},
        {"quiet NaN + 1", do_add, 0xfff8000000000123, 0x3ff0000000000000},
        {"signalling NaN + 1", do_add, 0x7ff0000000000123, 0x3ff0000000000000},
        {"min(-0, +0)", do_min, 0, 0x8000000000000000},
        {"min(NaN, 1)", do_min, 0x7ff8000000000000, 0x3ff0000000000000},
        {"NaN < 1", less, 0x7ff8000000000000, 0x3ff0000000000000},
        {"1e30 as a 32-bit integer", to_int, 0x46293e5939a08cea, 0},
        {"NaN as a 32-bit integer", to_int, 0x7ff8000000000000, 0},
    };
    heading("Flags", "NV invalid, DZ by zero, OF overflow, UF underflow, NX inexact");
    for (u32 i = 0; i < ARRAY_LEN(cases); i++) {
        struct result r = note(cases[i].run(BITS(cases[i].a), BITS(cases[i].b), 0));
        kprintf("    %-26s  %016lx  ", cases[i].what, r.value);
        show_flags(r.flags);
    }
}

static void boxing(void) {
    u64 boxed, unboxed;
    __asm__ volatile("fmv.w.x ft0, %2\n fmv.x.d %0, ft0\n"
                     "fmv.d.x ft0, %3\n fsgnj.s ft0, ft0, ft0\n fmv.x.d %1, ft0"
                     : "=&r"(boxed), "=&r"(unboxed)
                     : "r"(0x3f800000ul), "r"(0x3ff000003f800000ul)
                     : "ft0");
    hash = hash_step(hash_step(hash, boxed), unboxed);
    heading("NaN boxing", NULL);
    kprintf("    %-26s  %016lx\n", "single 1.0 in a register", boxed);
    kprintf("    %-26s  %016lx\n", "a double used as a single", unboxed);
}

void cmd_fp(int argc, char **argv) {
    (void)argc, (void)argv;
    hash = HASH_START;
    rounding();
    flags();
    boxing();
    gap();
    kprintf("    check ");
    verdict(hash_end(hash), RIGHT_CHECK);
    gap();
}
