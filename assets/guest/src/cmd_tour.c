// `tour`: every exhibit in turn, with a line of explanation, at the visitor's pace.
#include "console.h"
#include "machine.h"
#include "shell.h"

static const struct {
    const char *line, *why;
} stops[] = {
    {"info", "What the machine says of itself, in device tree and registers."},
    {"mandel", "Doubles at work: the Mandelbrot set, two pixels to a character."},
    {"bench", "Small kernels of every kind. Hot code gets faster."},
    {"harts", "All harts counting in the same memory words."},
    {"page", "Virtual memory, seen from supervisor mode."},
    {"trap", "What happens when something goes wrong, on purpose."},
    {"smc", "Code that writes code, and a processor that must notice."},
    {"fp", "Floating point to the last bit."},
    {"ticks 5 200", "Asleep between timer interrupts."},
    {"status", "And how busy all that was."},
};

// True to go on. Without anybody at the console (commands from the boot arguments) nothing waits.
static bool next_please(void) {
    if (machine.bootargs[0]) return true;
    kprintf("  %sany key goes on, q ends the tour%s", sty(DIM), sty(OFF));
    int key = console_getc();
    kprintf("\r\033[K");
    return key != 'q' && key != 3;
}

void cmd_tour(int argc, char **argv) {
    (void)argc, (void)argv;
    for (u32 i = 0; i < ARRAY_LEN(stops); i++) {
        char line[32];
        gap();
        kprintf("  %s%u/%u%s  %s%s%s  %s\n", sty(DIM), i + 1, (u32)ARRAY_LEN(stops), sty(OFF), sty(BOLD),
                stops[i].line, sty(OFF), stops[i].why);
        memcpy(line, stops[i].line, strlen(stops[i].line) + 1);
        shell_run_line(line);
        if (console_interrupted() || (i + 1 < ARRAY_LEN(stops) && !next_please())) break;
    }
    console_clear_interrupt();
}
