// `page`: builds an Sv39 page table, looks at it from supervisor mode, and shows what translation
// does: aliases, permissions, superpages, accessed and dirty bits (Privileged Architecture, 12.3
// and 12.4). Each probe runs in S mode; whatever it traps with is caught in M mode.
#include "console.h"
#include "shell.h"
#include "trap.h"

#define PAGE 4096ul
#define MEGAPAGE (512 * PAGE)
#define GIGAPAGE (512 * MEGAPAGE)
#define SATP_SV39 (8ul << 60)
#define MENVCFG_ADUE (1ul << 61)
#define SSTATUS_SUM (1ul << 18)
#define RAM 0x80000000ul

enum { V = 1, R = 2, W = 4, X = 8, U = 16, A = 64, D = 128 };

// Virtual addresses of the exhibits: a GiB of their own, one entry of `leaves` each.
#define WINDOW GIGAPAGE
enum slot { FIRST, ALIAS, EMPTY, READ_ONLY, CODE, USER, FRESH };
#define AT(slot) (WINDOW + (slot) * PAGE)
#define SUPERPAGE_AT (WINDOW + MEGAPAGE)

struct table {
    u64 entry[512];
} __attribute__((aligned(4096)));
static struct table root, middle, leaves;
static u64 frame[PAGE / 8] __attribute__((aligned(4096)));
static u32 code[PAGE / 4] __attribute__((aligned(4096)));

enum access { LOAD, STORE, FETCH, LOAD_WITH_SUM };
struct probe {
    enum access access;
    u64 address, value; // stored, or found
    bool trapped;
    struct caught caught;
};

static u64 pte(const void *physical, u64 flags) { return (u64)physical >> 12 << 10 | flags; }

static void build_tables(void) {
    memset(&root, 0, sizeof root);
    memset(&middle, 0, sizeof middle);
    memset(&leaves, 0, sizeof leaves);
    // This guest itself, at its own address, in one gigapage.
    root.entry[RAM / GIGAPAGE] = pte((void *)RAM, V | R | W | X | A | D);
    root.entry[WINDOW / GIGAPAGE] = pte(&middle, V);
    middle.entry[0] = pte(&leaves, V);
    middle.entry[1] = pte((void *)RAM, V | R | A);
    leaves.entry[FIRST] = pte(frame, V | R | W | A | D);
    leaves.entry[ALIAS] = pte(frame, V | R | W | A | D);
    leaves.entry[READ_ONLY] = pte(frame, V | R | A);
    leaves.entry[CODE] = pte(code, V | X | A);
    leaves.entry[USER] = pte(frame, V | R | W | U | A | D);
    leaves.entry[FRESH] = pte(frame, V | R | W);
    code[0] = 0x02a00513; // li a0, 42
    code[1] = 0x00008067; // ret
    __asm__ volatile("fence.i" : : : "memory");
}

static u64 do_access(u64 argument) {
    struct probe *p = (struct probe *)argument;
    switch (p->access) {
    case STORE: *(volatile u64 *)p->address = p->value; return p->value;
    case FETCH: return ((u64(*)(u64))p->address)(0);
    default: return *(volatile u64 *)p->address;
    }
}

// Runs in supervisor mode.
static u64 run_probe(u64 argument) {
    struct probe *p = (struct probe *)argument;
    if (p->access == LOAD_WITH_SUM) csr_set(sstatus, SSTATUS_SUM);
    p->trapped = try_call(&p->caught, do_access, argument);
    csr_clear(sstatus, SSTATUS_SUM);
    return 0;
}

static u64 satp_value(void) { return SATP_SV39 | (u64)&root >> 12; }

static struct probe probe(enum access access, u64 address, u64 value) {
    struct probe p = {.access = access, .address = address, .value = value};
    run_in_mode(MODE_SUPERVISOR, satp_value(), run_probe, (u64)&p);
    if (!p.trapped) p.value = p.caught.value;
    return p;
}

static void show(const char *what, enum access access, u64 address, u64 value) {
    struct probe p = probe(access, address, value);
    kprintf("    %-26s %s%10lx%s  ", what, sty(DIM), address, sty(OFF));
    if (p.trapped) {
        kprintf("%s%-22s%s %2lu  %lx\n", sty(YELLOW), cause_name(p.caught.cause), sty(OFF), p.caught.cause,
                p.caught.tval);
    } else {
        kprintf("%lx\n", p.value);
    }
}

static const char *accessed_dirty(void) {
    static const char *const names[] = {"- -", "A -", "- D", "A D"};
    return names[leaves.entry[FRESH] >> 6 & 3];
}

static void show_update(const char *what, enum access access) {
    struct probe p = probe(access, AT(FRESH), 0x6672657368);
    kprintf("    %-26s %s%10lx%s  ", what, sty(DIM), AT(FRESH), sty(OFF));
    if (!p.trapped) {
        kprintf("done, the entry now says %s%s%s\n", sty(GREEN), accessed_dirty(), sty(OFF));
        return;
    }
    kprintf("%s%-22s%s %2lu  still %s\n", sty(YELLOW), cause_name(p.caught.cause), sty(OFF), p.caught.cause,
            accessed_dirty());
}

static void accessed_and_dirty(const char *who) {
    heading("Accessed and dirty bits", who);
    leaves.entry[FRESH] = pte(frame, V | R | W);
    show_update("load a fresh page", LOAD);
    leaves.entry[FRESH] = pte(frame, V | R | W | A);
    show_update("store to a clean page", STORE);
}

// With the Svadu extension menvcfg.ADUE chooses who updates the bits; without it one answer is fixed.
static void both_ways_of_updating(void) {
    u64 before;
    if (!probe_menvcfg(&before)) {
        accessed_and_dirty(NULL);
        return;
    }
    csr_write(0x30a, before & ~MENVCFG_ADUE);
    accessed_and_dirty("menvcfg.ADUE off: software is asked to set them");
    csr_write(0x30a, before | MENVCFG_ADUE);
    if (csr_read(0x30a) & MENVCFG_ADUE) accessed_and_dirty("menvcfg.ADUE on: the walk sets them");
    csr_write(0x30a, before);
}

static bool has_sv39(void) {
    build_tables();
    csr_write(satp, satp_value()); // no effect on machine mode
    bool kept = csr_read(satp) == satp_value();
    csr_write(satp, 0);
    return kept;
}

void cmd_page(int argc, char **argv) {
    (void)argc, (void)argv;
    if (!has_sv39()) {
        kprintf("page: this machine has no Sv39 translation\n");
        return;
    }
    pmp_open_but(NULL);
    heading("Sv39", "each line is one access from supervisor mode, translation on");
    show("store through one address", STORE, AT(FIRST) + 8, 0x676c617373);
    show("load it through its alias", LOAD, AT(ALIAS) + 8, 0);
    show("load it, read-only mapping", LOAD, AT(READ_ONLY) + 8, 0);
    show("load it from a superpage", LOAD, SUPERPAGE_AT + ((u64)&frame[1] & (MEGAPAGE - 1)), 0);
    show("call an execute-only page", FETCH, AT(CODE), 0);
    heading("Faults", "caught in machine mode: what is in mcause and mtval");
    show("load, nothing mapped", LOAD, AT(EMPTY) + 16, 0);
    show("store to a read-only page", STORE, AT(READ_ONLY) + 8, 1);
    show("call a page without X", FETCH, AT(FIRST), 0);
    show("load an execute-only page", LOAD, AT(CODE), 0);
    show("load a user page", LOAD, AT(USER) + 8, 0);
    show("the same with SUM set", LOAD_WITH_SUM, AT(USER) + 8, 0);
    show("load, not canonical", LOAD, 1ul << 38, 0);
    both_ways_of_updating();
    gap();
    kprintf("    back in machine mode, satp %lx\n", csr_read(satp));
    gap();
}
