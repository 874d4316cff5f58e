// Benchmark kernels that are the machine's: system calls, page faults, changes of address space.
// Programs in user mode and a small kernel in supervisor mode with Sv39 and an ASID for each task;
// exceptions are delegated to it (Privileged Architecture, 3.1.8), so that machine mode sees none.
#include "events.h"

#include "kernels.h"
#include "trap.h"

#define PAGE 4096ul
#define MEGAPAGE (512 * PAGE)
#define GIGAPAGE (512 * MEGAPAGE)
#define RAM 0x80000000ul
#define SATP_SV39 (8ul << 60)
#define ASID_SHIFT 44
#define SSTATUS_SPP (1ul << 8)
#define SSTATUS_SPIE (1ul << 5)
#define CAUSE_ECALL_U 8
#define CAUSE_STORE_PAGE_FAULT 15
#define DELEGATED (1ul << CAUSE_ECALL_U | 1ul << 12 | 1ul << 13 | 1ul << CAUSE_STORE_PAGE_FAULT)

enum { V = 1, R = 2, W = 4, X = 8, U = 16, G = 32, A = 64, D = 128 };

// Each address space: code and one page of data in the first 2 MiB, demand-paged memory in the next.
#define CODE_AT GIGAPAGE
#define DATA_AT (GIGAPAGE + PAGE)
#define LAZY_AT (GIGAPAGE + MEGAPAGE)

struct space {
    u64 root[512], middle[512], first[512], lazy[512], data[512];
} __attribute__((aligned(4096)));

struct task {
    struct trap_frame frame;
    u64 satp;
};

static struct space spaces[2] __attribute__((section(".scratch")));
static struct task tasks[2];
static u64 calls, faults, yields, mistakes;
static u32 running;

extern char user_code[], user_call[], user_touch[], user_yield[], event_entry[];
void event_run(struct trap_frame *first);
struct trap_frame *event_handle(struct trap_frame *frame, u64 cause, u64 at);

static u64 pte(const void *physical, u64 flags) { return (u64)physical >> 12 << 10 | flags | V; }

static void make_task(u32 n, const char *program, u64 count, u64 address) {
    struct space *s = &spaces[n];
    memset(s, 0, sizeof *s);
    s->root[RAM / GIGAPAGE] = pte((void *)RAM, R | W | X | A | D | G);
    s->root[CODE_AT / GIGAPAGE] = pte(s->middle, 0);
    s->middle[0] = pte(s->first, 0);
    s->middle[1] = pte(s->lazy, 0);
    s->first[0] = pte(user_code, R | X | U | A);
    s->first[1] = pte(s->data, R | W | U | A | D);
    struct task *t = &tasks[n];
    memset(t, 0, sizeof *t);
    t->satp = SATP_SV39 | (u64)(n + 1) << ASID_SHIFT | (u64)s->root >> 12;
    t->frame.mepc = CODE_AT + (u64)(program - user_code);
    t->frame.mstatus = csr_read(sstatus) & ~(SSTATUS_SPP | SSTATUS_SPIE);
    t->frame.x[7] = count;   // s0
    t->frame.x[8] = address; // s1
}

static void map_lazy_page(u64 at) {
    u64 n = (at - LAZY_AT) / PAGE;
    if (at < LAZY_AT || n >= EVENT_PAGES) {
        mistakes++;
        return;
    }
    u8 *memory = kernels_memory();
    spaces[running].lazy[n] = pte(memory + n * PAGE, R | W | U | A | D);
    __asm__ volatile("sfence.vma %0, zero" : : "r"(at) : "memory");
}

static void unmap_lazy_pages(void) {
    memset(spaces[running].lazy, 0, sizeof spaces[running].lazy);
    __asm__ volatile("sfence.vma zero, %0" : : "r"((u64)running + 1) : "memory");
}

// In supervisor mode, from event_entry. The frame to go on with; null when a task has ended.
struct trap_frame *event_handle(struct trap_frame *frame, u64 cause, u64 at) {
    if (cause == CAUSE_STORE_PAGE_FAULT) {
        faults++;
        map_lazy_page(at);
        return mistakes ? NULL : frame;
    }
    if (cause != CAUSE_ECALL_U) {
        mistakes++;
        return NULL;
    }
    frame->mepc += 4;
    switch (frame->x[16]) { // a7
    case EVENT_CALL:
        frame->x[9] = ++calls; // a0
        return frame;
    case EVENT_YIELD:
        yields++;
        running ^= 1;
        csr_write(satp, tasks[running].satp);
        return &tasks[running].frame;
    case EVENT_UNMAP: unmap_lazy_pages(); return frame;
    default: return NULL;
    }
}

static u64 in_supervisor_mode(u64 unused) {
    (void)unused;
    csr_write(stvec, event_entry);
    event_run(&tasks[0].frame);
    return 0;
}

// The first task runs until it ends. Interrupts wait: they belong to machine mode, which must not use a user's stack.
static u64 run_tasks(void) {
    calls = faults = yields = mistakes = running = 0;
    u64 interrupts = csr_read(mie), delegated = csr_read(medeleg);
    pmp_open_but(NULL);
    csr_write(mie, 0);
    csr_set(medeleg, DELEGATED);
    run_in_mode(MODE_SUPERVISOR, tasks[0].satp, in_supervisor_mode, 0);
    csr_write(medeleg, delegated);
    csr_write(mie, interrupts);
    u64 hash = hash_step(hash_step(HASH_START, calls), faults);
    return hash_step(hash_step(hash, yields), mistakes);
}

static u64 run_syscall(void) {
    make_task(0, user_call, 200000, 0);
    return run_tasks();
}

static u64 run_fault(void) {
    make_task(0, user_touch, 200, LAZY_AT);
    u64 hash = run_tasks(), *memory = kernels_memory();
    for (u32 i = 0; i < EVENT_PAGES; i++) hash = hash_step(hash, memory[i * PAGE / 8]);
    return hash;
}

static u64 run_context(void) {
    make_task(0, user_yield, 100000, DATA_AT);
    make_task(1, user_yield, 200000, DATA_AT);
    u64 hash = run_tasks();
    return hash_step(hash_step(hash, spaces[0].data[0]), spaces[1].data[0]);
}

bool events_possible(void) {
    make_task(0, user_call, 1, 0);
    csr_write(satp, tasks[0].satp); // no effect on machine mode
    bool kept = csr_read(satp) >> 60 == 8;
    csr_write(satp, 0);
    return kept;
}

const struct kernel events[] = {
    {"syscall", "user mode and back", EVENTS, run_syscall, 0xd8ea0d26},
    {"fault", "page faults, by demand", EVENTS, run_fault, 0x0f3827d9},
    {"context", "address spaces in turn", EVENTS, run_context, 0x6d5fed9c},
};
const u32 event_count = ARRAY_LEN(events);
