// `trap`: provokes one exception after another and shows what the trap CSRs say.
#include "console.h"
#include "shell.h"
#include "trap.h"

#define HOLE 0x08000000ul // an address between the virt board's devices where nothing answers

static u64 zero_word(u64 a) {
    __asm__ volatile(".option push\n .option norvc\n .word 0\n .option pop");
    return a;
}
static u64 missing_csr(u64 a) {
    (void)a;
    return csr_read(0x5c0);
}
static u64 write_read_only_csr(u64 a) {
    csr_write(0xf14, a);
    return a;
}
static u64 breakpoint(u64 a) {
    __asm__ volatile("ebreak");
    return a;
}
static u64 call_environment(u64 a) {
    register u64 a7 __asm__("a7") = 0;
    __asm__ volatile("ecall" : : "r"(a7) : "memory");
    return a;
}
static u64 load(u64 a) { return *(volatile u64 *)a; }
static u64 store(u64 a) { return *(volatile u64 *)a = 1; }
static u64 jump(u64 a) { return ((u64(*)(u64))a)(0); }
static u64 misaligned_atomic(u64 a) {
    u64 old;
    __asm__ volatile("amoadd.d %0, %1, (%2)" : "=r"(old) : "r"(1ul), "r"(a) : "memory");
    return old;
}
static u64 misaligned_reserve(u64 a) {
    u64 old;
    __asm__ volatile("lr.d %0, (%1)" : "=r"(old) : "r"(a) : "memory");
    return old;
}
static u64 misaligned_load(u64 a) {
    u64 v;
    __asm__ volatile("ld %0, (%1)" : "=r"(v) : "r"(a) : "memory");
    return v;
}
// jalr clears bit 0 of its target, and with the C extension every even address is fine.
static u64 odd_jump(u64 a) {
    __asm__ volatile("la t0, 1f\n ori t0, t0, 1\n jalr t0, t0\n 1:" : : : "t0");
    return a;
}
static u64 machine_csr(u64 a) {
    (void)a;
    return csr_read(mstatus);
}
static u64 guarded __attribute__((aligned(8)));
static u64 playground[4] = {0x1716151413121110, 0x1f1e1d1c1b1a1918, 0, 0};

struct provocation {
    const char *what;
    u64 (*run)(u64);
    u64 argument, mode;
};

struct attempt {
    const struct provocation *p;
    struct caught caught;
    bool trapped;
};

static u64 attempt_below(u64 argument) {
    struct attempt *a = (struct attempt *)argument;
    a->trapped = try_call(&a->caught, a->p->run, a->p->argument);
    return 0;
}

static void show(const struct provocation *p) {
    struct attempt a = {.p = p};
    if (p->mode == MODE_MACHINE) attempt_below((u64)&a);
    else run_in_mode(p->mode, 0, attempt_below, (u64)&a);
    kprintf("    %-29s", p->what);
    if (!a.trapped) {
        kprintf("%sno trap%s, result %lx\n", sty(GREEN), sty(OFF), a.caught.value);
        return;
    }
    kprintf("%s%-24s%s %2lu  %8lx  %8lx\n", sty(YELLOW), cause_name(a.caught.cause), sty(OFF), a.caught.cause,
            a.caught.epc, a.caught.tval);
}

void cmd_trap(int argc, char **argv) {
    (void)argc, (void)argv;
    const u64 odd = (u64)playground + 3;
    const struct provocation list[] = {
        {"an instruction word of zeros", zero_word, 0, MODE_MACHINE},
        {"a CSR that does not exist", missing_csr, 0, MODE_MACHINE},
        {"writing mhartid", write_read_only_csr, 0, MODE_MACHINE},
        {"ebreak", breakpoint, 0, MODE_MACHINE},
        {"ecall", call_environment, 0, MODE_MACHINE},
        {"loading where nothing is", load, HOLE, MODE_MACHINE},
        {"storing there", store, HOLE + 8, MODE_MACHINE},
        {"jumping there", jump, HOLE + 16, MODE_MACHINE},
        {"an atomic add, misaligned", misaligned_atomic, odd, MODE_MACHINE},
        {"load-reserved, misaligned", misaligned_reserve, odd, MODE_MACHINE},
        {"a plain load, misaligned", misaligned_load, odd, MODE_MACHINE},
        {"a jump to an odd address", odd_jump, 0, MODE_MACHINE},
        {"ecall in supervisor mode", call_environment, 0, MODE_SUPERVISOR},
        {"ecall in user mode", call_environment, 0, MODE_USER},
        {"reading mstatus in user mode", machine_csr, 0, MODE_USER},
        {"storing where PMP forbids it", store, (u64)&guarded, MODE_USER},
    };
    pmp_open_but(&guarded);
    heading("Exceptions", "each is caught, and the next one tried");
    kprintf("    %s%-29s%-24s %2s  %8s  %8s%s\n", sty(DIM), "", "mcause", "", "mepc", "mtval", sty(OFF));
    for (u32 i = 0; i < ARRAY_LEN(list); i++) show(&list[i]);
    pmp_open_but(NULL);
    gap();
}
