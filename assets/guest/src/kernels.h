// The benchmark kernels: plain C without any register of the machine, so that another compiler on
// another machine computes the same checksums.
#pragma once

#include "base.h"

struct kernel {
    const char *name, *what;
    u64 (*run)(void);
    u32 expected; // hash_end() of the result
};
extern const struct kernel kernels[];
extern const u32 kernel_count;
