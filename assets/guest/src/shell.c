// The shell: splits lines into commands and runs them; its own small commands live here.
#include "shell.h"

#include "console.h"
#include "machine.h"

static void cmd_help(int argc, char **argv);

static void cmd_colour(int argc, char **argv) {
    colours = argc < 2 ? !colours : strcmp(argv[1], "off") != 0;
}

static void cmd_echo(int argc, char **argv) {
    for (int i = 1; i < argc; i++) kprintf("%s%s", argv[i], i + 1 < argc ? " " : "");
    kprintf("\n");
}

static void cmd_clear(int argc, char **argv) {
    (void)argc, (void)argv;
    kprintf("\033[2J\033[H");
}

static void cmd_reboot(int argc, char **argv) {
    (void)argc, (void)argv;
    kprintf("Restarting.\n");
    machine_reboot();
}

static void cmd_poweroff(int argc, char **argv) {
    (void)argc, (void)argv;
    kprintf("Switching off.\n");
    machine_poweroff();
}

static void cmd_exit(int argc, char **argv) {
    machine_exit((u32)number_or(argc > 1 ? argv[1] : "", 0) & 0xffff);
}

// A name that starts with '-' is a heading of the help text.
const struct command commands[] = {
    {"-Start here", "", "", NULL},
    {"tour", "", "everything below, one after another", cmd_tour},
    {"info", "", "the machine: harts, ISA, memory, clock", cmd_info},
    {"mandel", "[zoom] [plain]", "the Mandelbrot set in text, zoom 0 to 9", cmd_mandel},
    {"-Work for the machine", "", "", NULL},
    {"bench", "[name] [times]", "kernels of every kind, from integers to faults", cmd_bench},
    {"harts", "", "all harts count together, with atomics", cmd_harts},
    {"smc", "[rounds]", "code that rewrites itself and runs", cmd_smc},
    {"fp", "", "rounding modes and exception flags", cmd_fp},
    {"-Privilege and time", "", "", NULL},
    {"page", "", "Sv39 page tables, aliases, page faults", cmd_page},
    {"trap", "", "exceptions on purpose, caught and explained", cmd_trap},
    {"ticks", "[n] [ms]", "timer interrupts", cmd_ticks},
    {"status", "", "time up, time asleep, interrupts taken", cmd_status},
    {"-The rest", "", "", NULL},
    {"help", "", "this list", cmd_help},
    {"echo", "[words]", "says the words", cmd_echo},
    {"clear", "", "empties the screen", cmd_clear},
    {"colour", "[on|off]", "switches colours", cmd_colour},
    {"reboot", "", "restarts the machine", cmd_reboot},
    {"poweroff", "", "switches the machine off", cmd_poweroff},
    {"exit", "[code]", "ends with an exit code", cmd_exit},
};
const u32 command_count = ARRAY_LEN(commands);

static void cmd_help(int argc, char **argv) {
    (void)argc, (void)argv;
    for (u32 i = 0; i < command_count; i++) {
        const struct command *c = &commands[i];
        if (!c->run) heading(c->name + 1, NULL);
        else kprintf("    %s%-9s%s%-16s%s%s\n", sty(BOLD), c->name, sty(DIM), c->arguments, sty(OFF), c->help);
    }
    gap();
    kprintf("  %sSeveral commands on a line: separate them by `;`. Ctrl-C stops one.%s\n", sty(DIM), sty(OFF));
    gap();
}

u64 number_or(const char *word, u64 otherwise) {
    u64 v = 0, base = 10;
    if (word[0] == '0' && word[1] == 'x') base = 16, word += 2;
    if (!*word) return otherwise;
    for (; *word; word++) {
        u64 digit = *word >= 'a' && *word <= 'f' ? (u64)(*word - 'a' + 10) : (u64)(*word - '0');
        if (digit >= base) return otherwise;
        v = v * base + digit;
    }
    return v;
}

static void run_words(int argc, char **argv) {
    if (!strcmp(argv[0], "uptime") || !strcmp(argv[0], "ps")) argv[0] = "status";
    for (u32 i = 0; i < command_count; i++) {
        if (!commands[i].run || strcmp(commands[i].name, argv[0]) != 0) continue;
        console_clear_interrupt();
        commands[i].run(argc, argv);
        return;
    }
    kprintf("%s: no such command; `help` lists them\n", argv[0]);
}

static void run_command(char *text) {
    char *argv[WORDS_MAX];
    int argc = 0;
    for (char *p = text; argc < WORDS_MAX;) {
        while (*p == ' ' || *p == '\t') *p++ = 0;
        if (!*p) break;
        argv[argc++] = p;
        while (*p && *p != ' ' && *p != '\t') p++;
    }
    if (argc) run_words(argc, argv);
}

void shell_run_line(char *line) {
    console_clear_interrupt();
    for (char *p = line; *p && !console_interrupted();) {
        char *command = p;
        while (*p && *p != ';') p++;
        if (*p) *p++ = 0;
        run_command(command);
    }
    if (console_interrupted()) {
        console_drop_input();
        kprintf("%s\n", colours ? "\033[0m^C" : "^C");
    }
}

_Noreturn void shell_loop(void) {
    static char line[LINE_MAX];
    for (;;) {
        if (line_read(line)) shell_run_line(line);
    }
}
