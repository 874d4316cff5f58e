// The virt board as this guest uses it: what the device tree says, clock, interrupts, power.
#pragma once

#include "base.h"

struct machine {
    bool has_tree;
    u32 harts;
    u8 hart_ids[MAX_HARTS];
    u64 memory_base, memory_size; // bytes
    u64 timebase;                 // Hz
    const char *model, *isa, *mmu, *bootargs; // point into the tree; never null
};
extern struct machine machine;

// Reads the flattened device tree at that address (Devicetree Specification 0.4, chapter 5).
// Whatever is missing or malformed leaves the virt board's usual value in place.
void machine_read_tree(const void *tree);

// Core-local interruptor.
static inline u64 time_now(void) { return csr_read(time); }
u64 time_us(u64 ticks);
void ipi_send(u64 hart);
void ipi_clear(u64 hart);
void timer_interrupt(void);

// Sleeps until the clock reaches `deadline`, by a timer interrupt. False when Ctrl-C cut it short.
bool sleep_until(u64 deadline);

// Interrupts of the machine: on for hart 0 after this.
void interrupts_start(void);
void plic_interrupt(void);

// Waits for any interrupt, and keeps the account of time spent asleep. Interrupts must be masked;
// they are taken before it returns, masked again.
void idle_once(void);
extern u64 idle_ticks;

// Runs `job(hart)` on every hart of the machine but this one. The harts that have taken it up are
// in the mask that hart_job_taken() gives.
void harts_start_job(void (*job)(u64 hart));
u64 harts_job_done(void);

_Noreturn void machine_exit(u32 code);
_Noreturn void machine_poweroff(void);
_Noreturn void machine_reboot(void);
