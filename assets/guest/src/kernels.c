// Benchmark kernels, three of each kind: integer, float, memory, calls. Each does a fixed amount
// of work, 30 to 55 million RISC-V instructions, and returns a hash of its results.
#include "kernels.h"

#define KIB 1024u
#define MIB (1024u * 1024u)
#define NOINLINE __attribute__((noinline))

// One buffer for all, outside .bss: every kernel fills what it reads.
static union {
    u8 bytes[4 * MIB];
    u32 words[MIB];
    u64 longs[MIB / 2];
    double reals[MIB / 2];
} scratch __attribute__((section(".scratch"), aligned(4096)));

// ---- integer

static u64 run_crc32(void) {
    static u32 table[256];
    u64 seed = 1;
    for (u32 i = 0; i < 256; i++) {
        u32 c = i;
        for (int k = 0; k < 8; k++) c = c & 1 ? 0xedb88320 ^ c >> 1 : c >> 1;
        table[i] = c;
    }
    for (u32 i = 0; i < 16 * KIB; i++) scratch.words[i] = (u32)xorshift(&seed);
    u32 crc = ~0u;
    for (u32 pass = 0; pass < 48; pass++) {
        for (u32 i = 0; i < 64 * KIB; i++) crc = table[(crc ^ scratch.bytes[i]) & 0xff] ^ crc >> 8;
    }
    return ~crc;
}

static u64 run_sieve(void) {
    const u32 limit = MIB;
    u64 hash = HASH_START;
    for (u32 pass = 0; pass < 2; pass++) {
        u32 primes = 0;
        for (u32 i = 0; i < limit; i++) scratch.bytes[i] = 1;
        for (u32 i = 2; i < limit; i++) {
            if (!scratch.bytes[i]) continue;
            primes++;
            for (u32 j = 2 * i; j < limit; j += i) scratch.bytes[j] = 0;
        }
        hash = hash_step(hash, primes);
    }
    return hash;
}

static void sift(u32 *heap, u32 root, u32 n) {
    u32 v = heap[root];
    for (u32 child; (child = 2 * root + 1) < n; root = child) {
        if (child + 1 < n && heap[child] < heap[child + 1]) child++;
        if (v >= heap[child]) break;
        heap[root] = heap[child];
    }
    heap[root] = v;
}

static u64 run_sort(void) {
    const u32 n = 64 * KIB;
    u64 seed = 2, hash = HASH_START;
    u32 *a = scratch.words;
    for (u32 pass = 0; pass < 2; pass++) {
        for (u32 i = 0; i < n; i++) a[i] = (u32)xorshift(&seed);
        for (u32 i = n / 2; i-- > 0;) sift(a, i, n);
        for (u32 end = n - 1; end > 0; end--) {
            u32 top = a[0];
            a[0] = a[end];
            a[end] = top;
            sift(a, 0, end);
        }
        for (u32 i = 1; i < n; i++) hash = hash_step(hash, a[i - 1] <= a[i] ? a[i] : 0);
    }
    return hash;
}

// ---- float

static u64 run_matmul(void) {
    enum { N = 96 };
    double *a = scratch.reals, *b = a + N * N, *c = b + N * N;
    u64 seed = 3, hash = HASH_START;
    for (u32 i = 0; i < 2 * N * N; i++) a[i] = (double)(i64)(xorshift(&seed) >> 40) / 16777216.0 - 0.5;
    for (u32 pass = 0; pass < 6; pass++) {
        for (u32 i = 0; i < N; i++) {
            for (u32 j = 0; j < N; j++) {
                double sum = 0;
                for (u32 k = 0; k < N; k++) sum = __builtin_fma(a[i * N + k], b[k * N + j], sum);
                c[i * N + j] = sum;
            }
        }
        for (u32 i = 0; i < N * N; i++) a[i] = c[i] * 0.25;
    }
    for (u32 i = 0; i < N * N; i++) hash = hash_step(hash, bits_of(c[i]));
    return hash;
}

struct body {
    double p[3], v[3], mass;
};

static void attract(struct body *a, struct body *b, double dt) {
    double d[3], square = 0.01;
    for (int k = 0; k < 3; k++) {
        d[k] = a->p[k] - b->p[k];
        square += d[k] * d[k];
    }
    double pull = dt / (square * __builtin_sqrt(square));
    for (int k = 0; k < 3; k++) {
        a->v[k] -= d[k] * b->mass * pull;
        b->v[k] += d[k] * a->mass * pull;
    }
}

static u64 run_nbody(void) {
    enum { BODIES = 5 };
    struct body body[BODIES];
    u64 seed = 4, hash = HASH_START;
    for (int i = 0; i < BODIES; i++) {
        for (int k = 0; k < 3; k++) {
            body[i].p[k] = (double)(i64)(xorshift(&seed) >> 48) / 8192.0 - 4.0;
            body[i].v[k] = (double)(i64)(xorshift(&seed) >> 48) / 65536.0 - 0.5;
        }
        body[i].mass = 1.0 + i;
    }
    for (u32 step = 0; step < 50000; step++) {
        for (int i = 0; i < BODIES; i++) {
            for (int j = i + 1; j < BODIES; j++) attract(&body[i], &body[j], 0.001);
        }
        for (int i = 0; i < BODIES; i++) {
            for (int k = 0; k < 3; k++) body[i].p[k] += 0.001 * body[i].v[k];
        }
    }
    for (int i = 0; i < BODIES; i++) {
        for (int k = 0; k < 3; k++) hash = hash_step(hash, bits_of(body[i].p[k]));
    }
    return hash;
}

// Single precision, with conversions: the logistic map from many starting points.
static u64 run_chaos(void) {
    u64 hash = HASH_START;
    for (u32 start = 1; start <= 1000; start++) {
        float x = (float)(start % 1000 + 1) / 1002.0f, low = 1.0f, high = 0.0f;
        u32 above = 0;
        for (u32 i = 0; i < 3000; i++) {
            x = 3.9f * x * (1.0f - x);
            low = x < low ? x : low;
            high = x > high ? x : high;
            above += (u32)(x * 2.0f);
        }
        hash = hash_step(hash, above);
        hash = hash_step(hash, bits_of((double)low) ^ bits_of((double)high));
    }
    return hash;
}

// ---- memory

static u64 run_copy(void) {
    const u32 n = 2 * MIB / 8;
    u64 seed = 5, hash = HASH_START, *from = scratch.longs, *to = from + n;
    for (u32 i = 0; i < n; i++) from[i] = xorshift(&seed);
    for (u32 pass = 0; pass < 20; pass++) {
        for (u32 i = 0; i < n; i++) to[i] = from[i] + pass;
        u64 *swap = from;
        from = to, to = swap;
    }
    for (u32 i = 0; i < n; i += 61) hash = hash_step(hash, from[i]);
    return hash;
}

static u64 run_fill(void) {
    u64 hash = HASH_START;
    for (u32 pass = 0; pass < 2; pass++) {
        for (u32 i = 0; i < 4 * MIB; i++) scratch.bytes[i] = (u8)(i + pass);
        for (u32 i = 0; i < 4 * MIB / 8; i += 509) hash = hash_step(hash, scratch.longs[i]);
    }
    return hash;
}

static u64 run_chase(void) {
    const u32 n = 512 * KIB; // one cycle through 4 MiB (Sattolo's shuffle)
    u64 seed = 6, *next = scratch.longs, at = 0, hash = HASH_START;
    for (u32 i = 0; i < n; i++) next[i] = i;
    for (u32 i = n - 1; i > 0; i--) {
        u64 j = xorshift(&seed) % i, v = next[i];
        next[i] = next[j];
        next[j] = v;
    }
    for (u32 step = 0; step < 4 * MIB; step++) at = next[at];
    hash = hash_step(hash, at);
    return hash;
}

// ---- calls

static NOINLINE u64 fib(u64 n) {
    if (n < 2) return n;
    u64 a = fib(n - 1);
    __asm__ volatile("" : "+r"(a)); // keeps the compiler from folding one call into a loop
    return a + fib(n - 2);
}

static u64 run_fib(void) {
    return hash_step(HASH_START, fib(31));
}

#define OPERATION(name, expression) \
    static NOINLINE u64 name(u64 x, u64 y) { (void)y; return expression; }
OPERATION(op_add, x + y)
OPERATION(op_sub, x - (y << 1))
OPERATION(op_xor, x ^ y >> 3)
OPERATION(op_mul, x * (y | 1))
OPERATION(op_rot, x << 13 | x >> 51)
OPERATION(op_div, x / (y >> 32 | 1))
OPERATION(op_not, ~x + y)
OPERATION(op_cmp, x < y ? y - x : x - y)

static u64 run_indirect(void) {
    static u64 (*const table[8])(u64, u64) = {op_add, op_sub, op_xor, op_mul, op_rot, op_div, op_not, op_cmp};
    u64 x = 7, seed = 7;
    for (u32 i = 0; i < 1500000; i++) {
        u64 y = xorshift(&seed);
        x = table[y >> 61](x, y);
    }
    return x;
}

// A byte-code machine of four registers running a nest of loops: one jump table, taken every turn.
enum op { LOAD, ADD, XOR, SHIFT, MIX, DEC, LOOP, SKIP, STOP };

static u64 run_switch(void) {
    static const u8 program[] = {
        LOAD, 0, 1,  LOAD, 1, 200,  LOAD, 2, 250,            // at 9: the inner loop
        ADD, 0, 2,  XOR, 0, 3,  SHIFT, 0, 7,  MIX, 3, 0,  SKIP, 3, 0,  ADD, 3, 1,
        DEC, 2, 0,  LOOP, 2, 9,  DEC, 1, 0,  LOOP, 1, 6,  STOP, 0, 0,
    };
    u64 reg[4] = {0, 0, 0, 9};
    for (u32 pass = 0; pass < 4; pass++) {
        for (u32 pc = 0;;) {
            u8 op = program[pc], a = program[pc + 1], b = program[pc + 2];
            pc += 3;
            switch (op) {
            case LOAD: reg[a] = b; break;
            case ADD: reg[a] += reg[b & 3]; break;
            case XOR: reg[a] ^= reg[b & 3]; break;
            case SHIFT: reg[a] ^= reg[a] << b; break;
            case MIX: reg[a] = reg[a] * 31 + reg[b & 3]; break;
            case DEC: reg[a]--; break;
            case LOOP: if (reg[a]) pc = b; break;
            case SKIP: if (reg[a] & 1) pc += 3; break;
            default: goto stop;
            }
        }
    stop:;
    }
    return hash_step(hash_step(HASH_START, reg[0]), reg[3]);
}

const struct kernel kernels[] = {
    {"crc32", "table-driven checksum", run_crc32, 0x1983e474},
    {"sieve", "primes below 2^20", run_sieve, 0x177e6bdc},
    {"sort", "heap sort, 64 Ki words", run_sort, 0x7b8cd06b},
    {"matmul", "96x96 doubles, fused", run_matmul, 0xf0d05d3b},
    {"nbody", "5 bodies, sqrt, divide", run_nbody, 0x2a61eeb2},
    {"chaos", "logistic map, single", run_chaos, 0x2a0a5d5c},
    {"copy", "2 MiB by 8 bytes", run_copy, 0xec07416c},
    {"fill", "4 MiB by single bytes", run_fill, 0x7ac20176},
    {"chase", "random walk over 4 MiB", run_chase, 0x29620a93},
    {"fib", "recursion", run_fib, 0x6b084024},
    {"indirect", "calls through a table", run_indirect, 0xc778d9f5},
    {"switch", "a byte-code machine", run_switch, 0xe062e21e},
};
const u32 kernel_count = ARRAY_LEN(kernels);
