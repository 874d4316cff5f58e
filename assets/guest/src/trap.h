// Traps: catching the ones that are provoked, and running code in a lower privilege mode.
#pragma once

#include "base.h"

// Laid out by trap_entry: slot 0 is mepc, slots 1 to 31 are x1 to x31.
struct trap_frame {
    u64 mepc;
    u64 x[31];
    u64 mstatus;
};

// What try_call() found. The first two fields are known to trap.S.
struct caught {
    u64 sp;
    u64 value;
    u64 cause;
    u64 epc;
    u64 tval;
    u64 from; // privilege mode that trapped: 0 user, 1 supervisor, 3 machine
};

enum { MODE_USER = 0, MODE_SUPERVISOR = 1, MODE_MACHINE = 3 };

struct trap_counts {
    u64 timer, software, external, exceptions;
};
extern struct trap_counts trap_counts;

bool try_call(struct caught *caught, u64 (*function)(u64), u64 argument);
u64 run_in_mode(u64 mpp, u64 satp, u64 (*function)(u64), u64 argument);
const char *cause_name(u64 cause);

// Opens all memory to the lower modes but, if there is one, this naturally aligned word of 8 bytes.
// Does nothing where there is no PMP.
void pmp_open_but(const u64 *guarded);

// True, and the value in *value, when the CSR exists.
bool probe_menvcfg(u64 *value);
