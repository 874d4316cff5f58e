// `mandel`: the Mandelbrot set in doubles, two pixels a character by half blocks and 256 colours,
// or in plain letters.
#include "console.h"
#include "machine.h"
#include "shell.h"

#define COLUMNS 76
#define ROWS 21
#define MAX_ITERATIONS 600
#define MAX_ZOOM 9
#define RIGHT_CHECK 0x08499e15 // of zoom 0

struct view {
    double x, y, step;
};

static u32 iterations(double cx, double cy) {
    double x = 0, y = 0, xx = 0, yy = 0;
    u32 n = 0;
    while (xx + yy <= 4.0 && n < MAX_ITERATIONS) {
        y = 2.0 * x * y + cy;
        x = xx - yy + cx;
        xx = x * x;
        yy = y * y;
        n++;
    }
    return n;
}

static u8 colour_of(u32 n, u64 zoom) {
    static const u8 ramp[] = {17, 18, 19, 20, 26, 32, 38, 44, 80, 122, 158, 194, 230, 229, 222, 215,
                              208, 202, 166, 130, 94, 58, 23, 24, 25};
    if (n == MAX_ITERATIONS) return 16;
    u32 base = 6 * (u32)zoom; // deep views have no fast escapes: start the ramp where they do
    return ramp[(n > base ? n - base : 0) % ARRAY_LEN(ramp)];
}

static char letter_of(u32 n) {
    static const char ramp[] = ".,:;-=+ox*%#";
    return n == MAX_ITERATIONS ? ' ' : ramp[n % (sizeof ramp - 1)];
}

static struct view view_at(u64 zoom) {
    struct view v = {-0.62, 0.0, 3.95 / COLUMNS};
    if (zoom) v.x = -0.743643887037151, v.y = 0.131825904205330;
    for (; zoom; zoom--) v.step *= 0.3;
    return v;
}

static void put_half_blocks(u8 upper, u8 lower, int *last_upper, int *last_lower) {
    if (upper != *last_upper) kprintf("\033[38;5;%um", (u32)(*last_upper = upper));
    if (lower != *last_lower) kprintf("\033[48;5;%um", (u32)(*last_lower = lower));
    kprintf("▀");
}

void cmd_mandel(int argc, char **argv) {
    bool plain = !colours;
    u64 zoom = 0, hash = HASH_START, start = time_now(), total = 0;
    for (int i = 1; i < argc; i++) {
        if (!strcmp(argv[i], "plain")) plain = true;
        else zoom = number_or(argv[i], 0);
    }
    if (zoom > MAX_ZOOM) zoom = MAX_ZOOM;
    struct view v = view_at(zoom);
    gap();
    for (int row = 0; row < ROWS && !console_interrupted(); row++) {
        int upper = -1, lower = -1;
        kprintf("  ");
        for (int column = 0; column < COLUMNS; column++) {
            double x = v.x + (column - COLUMNS / 2) * v.step;
            double y = v.y + (ROWS - 2 * row - 0.5) * v.step;
            u32 n[2] = {iterations(x, y), iterations(x, y - v.step)};
            hash = hash_step(hash_step(hash, n[0]), n[1]);
            total += n[0] + n[1];
            if (plain) console_putc(letter_of(n[0]));
            else put_half_blocks(colour_of(n[0], zoom), colour_of(n[1], zoom), &upper, &lower);
        }
        kprintf(plain ? "\n" : "\033[0m\n");
    }
    if (console_interrupted()) return;
    u64 us = time_us(time_now() - start);
    gap();
    kprintf("  %szoom %lu, %,lu iterations, %lu.%03lu ms, check%s ", sty(DIM), zoom, total, us / 1000, us % 1000,
            sty(OFF));
    if (zoom == 0) verdict(hash_end(hash), RIGHT_CHECK);
    else kprintf("%08x\n", hash_end(hash));
    gap();
}
