// The trap handler: interrupts go to their devices, provoked exceptions to who waits for them,
// and anything else is a bug of this guest or of the machine, reported and ended.
#include "trap.h"

#include "console.h"
#include "machine.h"

#define MODE_LEAVE 0x6c656176ul
#define CAUSE_ECALL_U 8
#define CAUSE_ECALL_S 9
#define MPP_SHIFT 11

struct trap_counts trap_counts;
struct caught *catching;

extern char try_resume[], mode_return[];

const char *cause_name(u64 cause) {
    static const char *const names[] = {
        "instruction misaligned", "instruction access fault", "illegal instruction", "breakpoint",
        "load misaligned",        "load access fault",        "store misaligned",    "store access fault",
        "call from user mode",    "call from supervisor",     "call from VS mode",   "call from machine mode",
        "instruction page fault", "load page fault",          "reserved (14)",       "store page fault",
    };
    return cause < ARRAY_LEN(names) ? names[cause] : "custom or reserved cause";
}

static void take_interrupt(u64 number) {
    switch (number) {
    case 3:
        trap_counts.software++;
        ipi_clear(csr_read(mhartid));
        break;
    case 7:
        trap_counts.timer++;
        timer_interrupt();
        break;
    case 11:
        trap_counts.external++;
        plic_interrupt();
        break;
    default:
        csr_clear(mie, 1ul << number);
    }
}

static void report_and_stop(const struct trap_frame *f, u64 cause) {
    kprintf("\n%sunexpected trap%s on hart %lu: %s (mcause %lu)\n", sty(RED), sty(OFF), csr_read(mhartid),
            cause_name(cause), cause);
    kprintf("  mepc %016lx  mtval %016lx  mstatus %016lx\n", f->mepc, csr_read(mtval), f->mstatus);
    for (int i = 0; i < 31; i++) kprintf("  x%-2d %016lx%s", i + 1, f->x[i], i % 3 == 2 ? "\n" : "");
    kprintf("\n");
    machine_exit(70);
}

void trap_handle(struct trap_frame *f) {
    u64 cause = csr_read(mcause);
    if ((i64)cause < 0) {
        take_interrupt(cause & 63);
        return;
    }
    bool ecall_from_below = cause == CAUSE_ECALL_U || cause == CAUSE_ECALL_S;
    if (ecall_from_below && f->x[16] == MODE_LEAVE) { // x17 is a7
        csr_write(satp, 0);
        __asm__ volatile("sfence.vma" : : : "memory");
        f->mepc = (u64)mode_return;
        f->mstatus |= 3ul << MPP_SHIFT;
        return;
    }
    trap_counts.exceptions++;
    struct caught *c = catching;
    if (!c || csr_read(mhartid) != 0) report_and_stop(f, cause);
    catching = NULL;
    c->cause = cause;
    c->epc = f->mepc;
    c->tval = csr_read(mtval);
    c->from = f->mstatus >> MPP_SHIFT & 3;
    f->x[1] = c->sp; // x2
    f->mepc = (u64)try_resume;
}

#define PMP_NAPOT 0x18ul
#define PMP_RWX 0x07ul

static u64 write_pmp(u64 guarded) {
    u64 everything = PMP_NAPOT | PMP_RWX;
    csr_write(pmpcfg0, 0);
    csr_write(pmpaddr0, guarded >> 2); // NAPOT of 8 bytes: the low bit of the address field is 0
    csr_write(pmpaddr1, ~0ul >> 10);
    csr_write(pmpcfg0, guarded ? everything << 8 | PMP_NAPOT : everything << 8);
    __asm__ volatile("sfence.vma" : : : "memory");
    return 0;
}

void pmp_open_but(const u64 *guarded) {
    struct caught caught;
    try_call(&caught, write_pmp, (u64)guarded);
}

static u64 read_menvcfg(u64 unused) {
    (void)unused;
    return csr_read(0x30a);
}

bool probe_menvcfg(u64 *value) {
    struct caught caught;
    if (try_call(&caught, read_menvcfg, 0)) return false;
    *value = caught.value;
    return true;
}
