// A reader of the flattened device tree: one walk that picks out what the guest shows and needs.
// Every offset is checked against the size that the header gives.
#include "machine.h"

#define FDT_MAGIC 0xd00dfeed
#define FDT_MAX_SIZE (1u << 21)
#define FDT_DEPTH 8
enum { FDT_BEGIN_NODE = 1, FDT_END_NODE = 2, FDT_PROP = 3, FDT_NOP = 4 };

struct machine machine = {
    .harts = 1,
    .memory_base = 0x80000000ul,
    .memory_size = 0,
    .timebase = 10000000,
    .model = "unknown",
    .isa = "",
    .mmu = "",
    .bootargs = "",
};

static u32 be32(const u8 *p) { return (u32)p[0] << 24 | (u32)p[1] << 16 | (u32)p[2] << 8 | p[3]; }
static u64 be64(const u8 *p) { return (u64)be32(p) << 32 | be32(p + 4); }

static bool starts(const char *s, const char *prefix) { return strncmp(s, prefix, strlen(prefix)) == 0; }

// A property's value as text, or the fallback when it is not a terminated string.
static const char *text(const u8 *value, u32 len, const char *fallback) {
    for (u32 i = 0; i < len; i++) {
        if (!value[i]) return (const char *)value;
    }
    return fallback;
}

static void root_property(const char *name, const u8 *value, u32 len) {
    if (!strcmp(name, "model")) machine.model = text(value, len, machine.model);
}

static void cpu_property(const char *name, const u8 *value, u32 len) {
    if (!strcmp(name, "reg") && (len == 4 || len == 8)) {
        u64 id = len == 4 ? be32(value) : be64(value);
        if (id < MAX_HARTS && machine.harts < MAX_HARTS) machine.hart_ids[machine.harts++] = (u8)id;
    } else if (!strcmp(name, "riscv,isa")) {
        machine.isa = text(value, len, machine.isa);
    } else if (!strcmp(name, "mmu-type")) {
        machine.mmu = text(value, len, machine.mmu);
    }
}

static void memory_property(const char *name, const u8 *value, u32 len) {
    if (strcmp(name, "reg") != 0 || len < 16) return;
    if (!machine.memory_size) machine.memory_base = be64(value);
    for (u32 at = 0; at + 16 <= len; at += 16) machine.memory_size += be64(value + at + 8);
}

static void property(const char *const *path, u32 depth, const char *name, const u8 *value, u32 len) {
    if (depth == 1) {
        root_property(name, value, len);
    } else if (depth == 2 && !strcmp(path[1], "cpus") && !strcmp(name, "timebase-frequency") && len == 4) {
        if (be32(value)) machine.timebase = be32(value);
    } else if (depth == 3 && !strcmp(path[1], "cpus") && starts(path[2], "cpu@")) {
        cpu_property(name, value, len);
    } else if (depth == 2 && starts(path[1], "memory")) {
        memory_property(name, value, len);
    } else if (depth == 2 && !strcmp(path[1], "chosen") && !strcmp(name, "bootargs")) {
        machine.bootargs = text(value, len, machine.bootargs);
    }
}

static void walk(const u8 *tree, u32 at, u32 end, u32 strings, u32 size) {
    const char *path[FDT_DEPTH] = {0};
    u32 depth = 0;
    while (at + 4 <= end) {
        u32 token = be32(tree + at);
        at += 4;
        if (token == FDT_BEGIN_NODE) {
            const char *name = (const char *)tree + at;
            while (at < end && tree[at]) at++;
            if (at >= end) return;
            if (depth < FDT_DEPTH) path[depth] = name;
            depth++;
            at = (at + 4) & ~3u;
        } else if (token == FDT_PROP) {
            if (at + 8 > end) return;
            u32 len = be32(tree + at), name = be32(tree + at + 4);
            at += 8;
            if (len > end - at || name >= size - strings) return;
            if (depth && depth <= FDT_DEPTH) {
                property(path, depth, (const char *)tree + strings + name, tree + at, len);
            }
            at += (len + 3) & ~3u;
        } else if (token == FDT_END_NODE) {
            if (!depth--) return;
        } else if (token != FDT_NOP) {
            return;
        }
    }
}

void machine_read_tree(const void *pointer) {
    const u8 *tree = pointer;
    if (!tree || ((u64)tree & 3) || be32(tree) != FDT_MAGIC) return;
    u32 size = be32(tree + 4), structure = be32(tree + 8), strings = be32(tree + 12);
    u32 length = be32(tree + 36);
    if (size > FDT_MAX_SIZE || size < 40 || structure > size || strings >= size) return;
    if (length > size - structure || tree[size - 1] != 0) length = size - structure;
    machine.has_tree = true;
    machine.harts = 0;
    walk(tree, structure, structure + length, strings, size);
    if (!machine.harts) machine.harts = 1; // the hart that runs this: id 0
}
