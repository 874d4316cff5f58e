// Start of the guest on hart 0: console, device tree, banner, then the boot arguments as commands
// or the prompt.
#include "console.h"
#include "machine.h"
#include "shell.h"

#define BOOTARGS_MAX 1024
#define NO_COLOURS "colour off"

// The letters of misa in the customary order (Privileged Architecture, 3.1.1).
static const char *base_isa(void) {
    static char name[32];
    u64 misa = csr_read(misa);
    u32 n = 0;
    memcpy(name, "rv64", 4);
    for (const char *c = "imafdqcbvh"; *c; c++) {
        if (misa >> (*c - 'a') & 1) name[4 + n++] = *c;
    }
    name[4 + n] = 0;
    return name;
}

static void put_memory(void) {
    u64 mib = machine.memory_size >> 20;
    if (mib && mib % 1024 == 0) kprintf("%lu GiB", mib / 1024);
    else kprintf("%lu MiB", mib);
}

void banner(void) {
    const char *frame = sty(DIM), *light = sty(SHINE), *shade = sty(CYAN), *bold = sty(BOLD), *off = sty(OFF);
    kprintf("\n");
    kprintf("   %s┌───────────────┐%s\n", frame, off);
    kprintf("   %s│ ╱             │%s   %sg l a s s%s\n", frame, off, bold, off);
    kprintf("   %s│╱   %s▄▄▄%s▄▄▄▄%s    │%s   a small guest in a glass case\n", frame, light, shade, frame, off);
    kprintf("   %s│    %s▀██%s███▀%s    │%s\n", frame, light, shade, frame, off);
    kprintf("   %s│      %s▀%s█▀%s    ╱ │%s   %s, %u hart%s, ", frame, light, shade, frame, off, base_isa(),
            machine.harts, machine.harts == 1 ? "" : "s");
    put_memory();
    kprintf("\n   %s│   %s▄▄▄▄▄▄▄▄▄%s ╱ │%s   machine mode, no firmware, no disk\n", frame, off, frame, off);
    kprintf("   %s└───────────────┘%s\n", frame, off);
    gap();
}

static void run_bootargs(void) {
    static char line[BOOTARGS_MAX];
    size_t n = strlen(machine.bootargs);
    if (n >= sizeof line) n = sizeof line - 1;
    memcpy(line, machine.bootargs, n);
    shell_run_line(line);
}

_Noreturn void glass_main(const void *tree) {
    console_start();
    machine_read_tree(tree);
    interrupts_start();
    // For scripts: no escape sequences at all, the banner's included.
    colours = strncmp(machine.bootargs, NO_COLOURS, strlen(NO_COLOURS)) != 0;
    banner();
    if (machine.bootargs[0]) {
        run_bootargs();
    } else {
        kprintf("   Type %shelp%s for the commands, or %stour%s for a walk around.\n", sty(BOLD), sty(OFF), sty(BOLD), sty(OFF));
        gap();
    }
    shell_loop();
}
