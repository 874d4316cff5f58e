// The benchmark kernels: plain C without any register of the machine, so that another compiler on
// another machine computes the same checksums, and tells what the machine costs.
#pragma once

#include "base.h"

enum kernel_group { INTEGER, FLOAT, MEMORY, CALLS, ATOMICS, EVENTS };

struct kernel {
    const char *name, *what;
    enum kernel_group group;
    u64 (*run)(void);
    u32 expected; // hash_end() of the result
};
extern const struct kernel kernels[];
extern const u32 kernel_count;

// The buffer of 4 MiB that each kernel fills anew.
void *kernels_memory(void);

// Kernels that no other machine has: system calls, page faults, changes of address space.
extern const struct kernel events[];
extern const u32 event_count;
bool events_possible(void);
