// What every file of the guest shares: integer types, CSR access, memory helpers.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;
typedef int32_t i32;
typedef int64_t i64;

#define MAX_HARTS 16
#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

#define csr_read(csr)                                            \
    ({                                                           \
        u64 value_;                                              \
        __asm__ volatile("csrr %0, " #csr : "=r"(value_) : : "memory"); \
        value_;                                                  \
    })
#define csr_write(csr, v) __asm__ volatile("csrw " #csr ", %0" : : "rK"((u64)(v)) : "memory")
#define csr_set(csr, v) __asm__ volatile("csrs " #csr ", %0" : : "rK"((u64)(v)) : "memory")
#define csr_clear(csr, v) __asm__ volatile("csrc " #csr ", %0" : : "rK"((u64)(v)) : "memory")

#define MSTATUS_MIE (1ul << 3)
#define MIP_MSIP (1ul << 3)
#define MIP_MTIP (1ul << 7)
#define MIP_MEIP (1ul << 11)

static inline u32 mmio_read32(u64 addr) { return *(volatile u32 *)addr; }
static inline void mmio_write32(u64 addr, u32 v) { *(volatile u32 *)addr = v; }
static inline u64 mmio_read64(u64 addr) { return *(volatile u64 *)addr; }
static inline void mmio_write64(u64 addr, u64 v) { *(volatile u64 *)addr = v; }

static inline u64 bits_of(double d) {
    u64 b;
    __builtin_memcpy(&b, &d, sizeof b);
    return b;
}

// One step of the 64-bit FNV-1a hash, by whole words: the checksums of all commands.
#define HASH_START 0xcbf29ce484222325ul
static inline u64 hash_step(u64 hash, u64 word) { return (hash ^ word) * 0x100000001b3ul; }
static inline u32 hash_end(u64 hash) { return (u32)(hash ^ (hash >> 32)); }

// Marsaglia's xorshift: the only source of "random" numbers, so that every run is the same.
static inline u64 xorshift(u64 *state) {
    u64 x = *state;
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    return *state = x;
}

void *memcpy(void *to, const void *from, size_t n);
void *memmove(void *to, const void *from, size_t n);
void *memset(void *to, int byte, size_t n);
int memcmp(const void *a, const void *b, size_t n);
size_t strlen(const char *s);
int strcmp(const char *a, const char *b);
int strncmp(const char *a, const char *b, size_t n);
