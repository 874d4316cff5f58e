// The shell: its commands, and the line editor below it.
#pragma once

#include "base.h"

#define LINE_MAX 160
#define WORDS_MAX 8
#define PROMPT "glass> "

struct command {
    const char *name, *arguments, *help;
    void (*run)(int argc, char **argv);
};
extern const struct command commands[];
extern const u32 command_count;

void shell_run_line(char *line);          // `;` separates commands
_Noreturn void shell_loop(void);
bool line_read(char *line);               // false when Ctrl-C dropped it
u64 number_or(const char *word, u64 otherwise); // decimal or 0x…; `otherwise` when it is no number
void banner(void);

void cmd_info(int argc, char **argv);
void cmd_status(int argc, char **argv);
void cmd_bench(int argc, char **argv);
void cmd_mandel(int argc, char **argv);
void cmd_ticks(int argc, char **argv);
void cmd_page(int argc, char **argv);
void cmd_trap(int argc, char **argv);
void cmd_smc(int argc, char **argv);
void cmd_harts(int argc, char **argv);
void cmd_fp(int argc, char **argv);
void cmd_tour(int argc, char **argv);
