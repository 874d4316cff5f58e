// Formatted text: a small printf, and the looks that all commands share.
#include <stdarg.h>

#include "console.h"

bool colours = true;

struct spec {
    bool left, zero, group, wide;
    int width, precision;
};

static int characters(const char *s) {
    int n = 0;
    for (; *s; s++) n += (*s & 0xc0) != 0x80; // UTF-8 continuation bytes take no column
    return n;
}

static void put_padded(const char *s, const struct spec *f) {
    int pad = f->width - characters(s);
    if (!f->left) {
        for (; pad > 0; pad--) console_putc(f->zero ? '0' : ' ');
    }
    while (*s) console_putc(*s++);
    for (; pad > 0; pad--) console_putc(' ');
}

static char *digits(char *end, u64 v, u32 base, bool group) {
    int n = 0;
    *--end = 0;
    do {
        if (group && n && n % 3 == 0) *--end = ',';
        *--end = "0123456789abcdef"[v % base];
        v /= base;
        n++;
    } while (v);
    return end;
}

static void put_number(u64 v, bool negative, u32 base, const struct spec *f) {
    char buf[48], *s = digits(buf + sizeof buf, v, base, f->group);
    if (negative) *--s = '-';
    put_padded(s, f);
}

static void put_double(double d, const struct spec *f) {
    char buf[64], *end = buf + sizeof buf;
    int precision = f->precision < 0 ? 2 : f->precision > 9 ? 9 : f->precision;
    u64 scale = 1;
    for (int i = 0; i < precision; i++) scale *= 10;
    bool negative = bits_of(d) >> 63;
    if (negative) d = -d;
    if (!(d < 9e9)) {
        put_padded(d != d ? "NaN" : negative ? "-huge" : "huge", f);
        return;
    }
    u64 fixed = (u64)(d * (double)scale + 0.5), fraction = fixed % scale;
    *--end = 0;
    for (int i = 0; i < precision; i++, fraction /= 10) *--end = '0' + fraction % 10;
    if (precision) *--end = '.';
    char saved = *end;
    char *s = digits(end + 1, fixed / scale, 10, f->group);
    *end = saved;
    if (negative) *--s = '-';
    put_padded(s, f);
}

static const char *parse(const char *p, struct spec *f, va_list *args) {
    for (;; p++) {
        if (*p == '-') f->left = true;
        else if (*p == '0') f->zero = true;
        else if (*p == ',') f->group = true;
        else break;
    }
    if (*p == '*') {
        f->width = va_arg(*args, int);
        p++;
    }
    for (; *p >= '0' && *p <= '9'; p++) f->width = f->width * 10 + *p - '0';
    if (*p == '.') {
        f->precision = 0;
        for (p++; *p >= '0' && *p <= '9'; p++) f->precision = f->precision * 10 + *p - '0';
    }
    for (; *p == 'l'; p++) f->wide = true;
    return p;
}

void kprintf(const char *format, ...) {
    va_list args;
    va_start(args, format);
    for (const char *p = format; *p; p++) {
        if (*p != '%') {
            console_putc(*p);
            continue;
        }
        struct spec f = {.precision = -1};
        p = parse(p + 1, &f, &args);
        switch (*p) {
        case 's': put_padded(va_arg(args, const char *), &f); break;
        case 'c': console_putc((char)va_arg(args, int)); break;
        case 'd': {
            i64 v = f.wide ? va_arg(args, i64) : va_arg(args, int);
            put_number(v < 0 ? -(u64)v : (u64)v, v < 0, 10, &f);
            break;
        }
        case 'u': put_number(f.wide ? va_arg(args, u64) : va_arg(args, u32), false, 10, &f); break;
        case 'x': put_number(f.wide ? va_arg(args, u64) : va_arg(args, u32), false, 16, &f); break;
        case 'F': put_double(va_arg(args, double), &f); break;
        case 0: va_end(args); return;
        default: console_putc(*p);
        }
    }
    va_end(args);
}

const char *sty(enum style s) {
    static const char *const codes[] = {
        [OFF] = "\033[0m",     [BOLD] = "\033[1m",    [DIM] = "\033[0;90m",  [RED] = "\033[1;31m",
        [GREEN] = "\033[0;32m",  [YELLOW] = "\033[0;33m", [CYAN] = "\033[0;36m",  [SHINE] = "\033[0;96m",
        [TITLE] = "\033[1;36m",
    };
    return colours ? codes[s] : "";
}

void gap(void) {
    while (console_newlines < 2) console_putc('\n');
}

void heading(const char *text, const char *note) {
    gap();
    kprintf("  %s%s%s", sty(TITLE), text, sty(OFF));
    if (note) kprintf("  %s%s%s", sty(DIM), note, sty(OFF));
    kprintf("\n");
}

void rule(int width) {
    kprintf("  %s", sty(DIM));
    while (width--) kprintf("─");
    kprintf("%s\n", sty(OFF));
}

void verdict(u32 got, u32 wanted) {
    if (got == wanted) kprintf("%08x %sok%s\n", got, sty(GREEN), sty(OFF));
    else kprintf("%08x %swrong, %08x is right%s\n", got, sty(RED), wanted, sty(OFF));
}
