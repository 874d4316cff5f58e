// Benchmark kernels: integer, float, memory, calls, atomics. Each does a fixed amount of work, some
// tens of millions of RISC-V instructions, and returns a hash of its results.
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

void *kernels_memory(void) { return &scratch; }

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

static u32 rotate(u32 x, u32 by) { return x >> by | x << (32 - by); }

// FIPS 180-4, over words as they lie in memory.
static void sha256_block(u32 *state, const u32 *block) {
    static const u32 k[64] = {
        0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
        0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
        0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
        0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
        0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
        0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
        0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
        0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
    };
    u32 w[64], s[8];
    for (int i = 0; i < 16; i++) w[i] = block[i];
    for (int i = 16; i < 64; i++) {
        u32 a = w[i - 15], b = w[i - 2];
        w[i] = w[i - 16] + (rotate(a, 7) ^ rotate(a, 18) ^ a >> 3) + w[i - 7] + (rotate(b, 17) ^ rotate(b, 19) ^ b >> 10);
    }
    for (int i = 0; i < 8; i++) s[i] = state[i];
    for (int i = 0; i < 64; i++) {
        u32 e = s[4], a = s[0];
        u32 t1 = s[7] + (rotate(e, 6) ^ rotate(e, 11) ^ rotate(e, 25)) + ((e & s[5]) ^ (~e & s[6])) + k[i] + w[i];
        u32 t2 = (rotate(a, 2) ^ rotate(a, 13) ^ rotate(a, 22)) + ((a & s[1]) ^ (a & s[2]) ^ (s[1] & s[2]));
        s[7] = s[6], s[6] = s[5], s[5] = s[4], s[4] = s[3] + t1;
        s[3] = s[2], s[2] = s[1], s[1] = s[0], s[0] = t1 + t2;
    }
    for (int i = 0; i < 8; i++) state[i] += s[i];
}

static u64 run_sha256(void) {
    const u32 words = 16 * KIB;
    u32 state[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
    u64 seed = 8;
    for (u32 i = 0; i < words; i++) scratch.words[i] = (u32)xorshift(&seed);
    for (u32 pass = 0; pass < 10; pass++) {
        for (u32 i = 0; i < words; i += 16) sha256_block(state, &scratch.words[i]);
    }
    return (u64)state[0] << 32 | state[7];
}

// Searches repetitions as compressors do: the last place of each hash of four bytes, then byte by byte.
static u64 run_lz(void) {
    const u32 n = 512 * KIB, slots = 16 * KIB;
    u8 *text = scratch.bytes;
    u32 *last = scratch.words + n / 4;
    u64 seed = 9, hash = HASH_START;
    for (u32 i = 0; i < n;) {
        u64 r = xorshift(&seed);
        u32 length = 3 + (r & 15), from = i ? (u32)(r >> 16) % i : 0;
        bool again = i > 64 && (r >> 8 & 3) != 0;
        for (u32 j = 0; j < length && i < n; j++, i++) text[i] = again ? text[from + j] : (u8)('a' + (r >> (20 + j) & 15));
    }
    for (u32 pass = 0; pass < 2; pass++) {
        u32 literals = 0, matches = 0, covered = 0;
        for (u32 i = 0; i < slots; i++) last[i] = 0;
        for (u32 i = 1; i + 8 < n;) {
            u32 four = text[i] | text[i + 1] << 8 | text[i + 2] << 16 | (u32)text[i + 3] << 24;
            u32 slot = (four * 2654435761u) >> 18, at = last[slot], length = 0;
            last[slot] = i;
            while (i + length < n && text[at + length] == text[i + length] && length < 255) length++;
            if (length < 4) {
                literals++, i++;
                continue;
            }
            matches++, covered += length, i += length;
        }
        hash = hash_step(hash_step(hash_step(hash, literals), matches), covered);
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

// Forward and back again, 1,024 points.
static void fft(double *re, double *im, const double *cosine, const double *sine, u32 n, double sign) {
    for (u32 i = 1, j = 0; i < n; i++) {
        u32 bit = n >> 1;
        for (; j & bit; bit >>= 1) j ^= bit;
        j ^= bit;
        if (i < j) {
            double r = re[i], m = im[i];
            re[i] = re[j], im[i] = im[j], re[j] = r, im[j] = m;
        }
    }
    for (u32 half = 1; half < n; half *= 2) {
        u32 step = n / (2 * half);
        for (u32 base = 0; base < n; base += 2 * half) {
            for (u32 k = 0; k < half; k++) {
                double c = cosine[k * step], s = sign * sine[k * step];
                u32 a = base + k, b = a + half;
                double r = re[b] * c - im[b] * s, m = re[b] * s + im[b] * c;
                re[b] = re[a] - r, im[b] = im[a] - m;
                re[a] += r, im[a] += m;
            }
        }
    }
}

static u64 run_fft(void) {
    enum { N = 1024 };
    double *re = scratch.reals, *im = re + N, *cosine = im + N, *sine = cosine + N;
    // The angle of one step by halving a right angle, then step by step.
    double c = 0, s = 1;
    for (u32 parts = 4; parts < N; parts *= 2) {
        s = __builtin_sqrt((1 - c) * 0.5);
        c = __builtin_sqrt((1 + c) * 0.5);
    }
    cosine[0] = 1, sine[0] = 0;
    for (u32 i = 1; i < N / 2; i++) {
        cosine[i] = cosine[i - 1] * c - sine[i - 1] * s;
        sine[i] = cosine[i - 1] * s + sine[i - 1] * c;
    }
    u64 seed = 10, hash = HASH_START;
    for (u32 i = 0; i < N; i++) {
        re[i] = (double)(i64)(xorshift(&seed) >> 44) / 1048576.0;
        im[i] = 0;
    }
    for (u32 pass = 0; pass < 150; pass++) {
        fft(re, im, cosine, sine, N, 1);
        fft(re, im, cosine, sine, N, -1);
        for (u32 i = 0; i < N; i++) re[i] *= 1.0 / N, im[i] *= 1.0 / N;
    }
    for (u32 i = 0; i < N; i++) hash = hash_step(hash, bits_of(re[i]) ^ bits_of(im[i]) << 1);
    return hash;
}

// Heat in a plate: every point becomes the mean of its neighbours.
static u64 run_plate(void) {
    enum { N = 256 };
    double *from = scratch.reals, *to = from + N * N;
    u64 seed = 11, hash = HASH_START;
    for (u32 i = 0; i < N * N; i++) from[i] = to[i] = (double)(i64)(xorshift(&seed) >> 52);
    for (u32 pass = 0; pass < 40; pass++) {
        for (u32 y = 1; y < N - 1; y++) {
            const double *above = from + (y - 1) * N, *row = above + N, *below = row + N;
            double *out = to + y * N;
            for (u32 x = 1; x < N - 1; x++) out[x] = (row[x - 1] + row[x + 1] + above[x] + below[x]) * 0.25;
        }
        double *swap = from;
        from = to, to = swap;
    }
    for (u32 i = 0; i < N * N; i += 7) hash = hash_step(hash, bits_of(from[i]));
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

// Words of a text: their lengths, their ends, and how far each agrees with the one before.
static u64 run_strings(void) {
    const u32 n = 256 * KIB;
    u8 *text = scratch.bytes;
    u64 seed = 12, hash = HASH_START;
    for (u32 i = 0; i < n; i++) {
        u64 r = xorshift(&seed) >> 32;
        text[i] = r % 23 == 0 || i == n - 1 ? 0 : (u8)('a' + (r >> 8 & 1));
    }
    for (u32 pass = 0; pass < 12; pass++) {
        u64 lengths = 0, common = 0;
        const u8 *before = text;
        for (const u8 *word = text; word < text + n;) {
            const u8 *end = word;
            while (*end) end++;
            const u8 *a = before, *b = word;
            while (*a && *a == *b) a++, b++;
            lengths += (u64)(end - word) * (pass + 1);
            common += (u64)(b - word);
            before = word;
            word = end + 1;
        }
        hash = hash_step(hash_step(hash, lengths), common);
    }
    return hash;
}

// Random updates of a table of 2 MiB.
static u64 run_scatter(void) {
    const u32 n = 256 * KIB;
    u64 seed = 13, hash = HASH_START, *table = scratch.longs;
    for (u32 i = 0; i < n; i++) table[i] = i;
    for (u32 i = 0; i < 3 * MIB; i++) {
        u64 r = xorshift(&seed);
        table[r >> 46] += r;
    }
    for (u32 i = 0; i < n; i += 61) hash = hash_step(hash, table[i]);
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

static NOINLINE i64 tak(i64 x, i64 y, i64 z) {
    if (y >= x) return z;
    i64 a = tak(x - 1, y, z), b = tak(y - 1, z, x), c = tak(z - 1, x, y);
    __asm__ volatile("" : "+r"(a));
    return tak(a, b, c) + 0 * b;
}

static u64 run_tak(void) {
    u64 hash = HASH_START;
    for (i64 i = 0; i < 3; i++) hash = hash_step(hash, (u64)tak(21 + i, 14, 7));
    return hash;
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

// ---- atomics, without anybody else at the words

static u64 run_amo(void) {
    u64 longs[4] = {0, 1, 2, 3}, hash = HASH_START;
    u32 words[4] = {4, 5, 6, 7};
    for (u32 i = 0; i < 1500000; i++) {
        u32 at = i & 3;
        hash += __atomic_fetch_add(&longs[at], i, __ATOMIC_RELAXED);
        hash ^= __atomic_fetch_or(&words[at], i, __ATOMIC_ACQUIRE);
        hash += __atomic_exchange_n(&longs[at ^ 1], hash, __ATOMIC_ACQ_REL);
        hash ^= __atomic_fetch_and(&words[at ^ 2], (u32)(hash >> 7), __ATOMIC_RELEASE);
    }
    return hash;
}

static u64 run_cas(void) {
    u64 value = 1, hash = HASH_START;
    u32 lock = 0;
    for (u32 i = 0; i < 1500000; i++) {
        u64 old = __atomic_load_n(&value, __ATOMIC_RELAXED);
        while (!__atomic_compare_exchange_n(&value, &old, old * 5 + i, true, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED));
        while (__atomic_exchange_n(&lock, 1, __ATOMIC_ACQUIRE));
        hash = hash_step(hash, old);
        __atomic_store_n(&lock, 0, __ATOMIC_RELEASE);
    }
    return hash;
}

const struct kernel kernels[] = {
    {"crc32", "table-driven checksum", INTEGER, run_crc32, 0x1983e474},
    {"sieve", "primes below 2^20", INTEGER, run_sieve, 0x177e6bdc},
    {"sort", "heap sort, 64 Ki words", INTEGER, run_sort, 0x7b8cd06b},
    {"sha256", "rotate, add, choose", INTEGER, run_sha256, 0x64d302ac},
    {"lz", "search of repetitions", INTEGER, run_lz, 0x92566273},
    {"matmul", "96x96 doubles, fused", FLOAT, run_matmul, 0xf0d05d3b},
    {"nbody", "5 bodies, sqrt, divide", FLOAT, run_nbody, 0x2a61eeb2},
    {"chaos", "logistic map, single", FLOAT, run_chaos, 0x2a0a5d5c},
    {"fft", "1,024 points and back", FLOAT, run_fft, 0x2064b253},
    {"plate", "means of neighbours", FLOAT, run_plate, 0xf8cd67c4},
    {"copy", "2 MiB by 8 bytes", MEMORY, run_copy, 0xec07416c},
    {"fill", "4 MiB by single bytes", MEMORY, run_fill, 0x7ac20176},
    {"chase", "random walk over 4 MiB", MEMORY, run_chase, 0x29620a93},
    {"strings", "words by single bytes", MEMORY, run_strings, 0x92c8d8e1},
    {"scatter", "random updates, 2 MiB", MEMORY, run_scatter, 0xbe6508e7},
    {"fib", "recursion", CALLS, run_fib, 0x6b084024},
    {"tak", "recursion, 3 arguments", CALLS, run_tak, 0x84f728d7},
    {"indirect", "calls through a table", CALLS, run_indirect, 0xc778d9f5},
    {"switch", "a byte-code machine", CALLS, run_switch, 0xe062e21e},
    {"amo", "add, or, swap, and", ATOMICS, run_amo, 0xf0453ca3},
    {"cas", "compare and swap, lock", ATOMICS, run_cas, 0xdbbbd737},
};
const u32 kernel_count = ARRAY_LEN(kernels);
