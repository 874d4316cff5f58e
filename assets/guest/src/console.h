// The serial console: bytes in and out, formatted text, colours.
#pragma once

#include "base.h"

void console_start(void);
void console_putc(char c);
extern u32 console_newlines; // line ends since the last other byte
void console_flush(void); // returns when the last bit has left
void console_receive(void);
int console_getc(void);   // sleeps until a byte is there
bool console_pending(void);
void console_drop_input(void);

// Ctrl-C since the last call of console_clear_interrupt().
bool console_interrupted(void);
void console_clear_interrupt(void);

// printf with: %s %c %d %u %x, l for 64 bits, width (also *), '-', '0', ',' for
// thousands (thin groups of three), %F for a double with .precision, %% itself. Widths count
// characters, not bytes.
void kprintf(const char *format, ...);

enum style { OFF, BOLD, DIM, RED, GREEN, YELLOW, CYAN, SHINE, TITLE };
extern bool colours;
const char *sty(enum style s); // the escape sequence, or nothing when colours are off

// Makes sure that exactly one empty line stands above what comes next.
void gap(void);
void heading(const char *text, const char *note);
void rule(int width);
// "ok" in green, or what was wanted in red.
void verdict(u32 got, u32 wanted);
