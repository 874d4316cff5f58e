// The first instructions: every hart arrives here in machine mode with its id in a0 and the
// device tree in a1. Hart 0 clears memory and becomes the shell; the others sleep until an
// interprocessor interrupt brings them a job.

    .file "start.S" // in the symbol table instead of a temporary name: builds are reproducible

#define MAX_HARTS 16
#define STACK_SHIFT 14

    .section .text.start, "ax"
    .globl _start
_start:
    csrw    mie, zero
    .option push
    .option norelax
    la      gp, __global_pointer$
    .option pop
    csrr    tp, mhartid
    li      t0, MAX_HARTS
    bgeu    tp, t0, sleep_for_ever

    la      t0, trap_entry
    csrw    mtvec, t0
    la      sp, stacks
    addi    t0, tp, 1
    slli    t0, t0, STACK_SHIFT
    add     sp, sp, t0
    li      t0, 1 << 13                 // mstatus.FS = initial: floating point on
    csrs    mstatus, t0
    csrw    fcsr, zero
    bnez    tp, wait_for_job

    la      t0, __bss_start
    la      t1, __bss_end
1:  bgeu    t0, t1, 2f
    sd      zero, 0(t0)
    addi    t0, t0, 8
    j       1b
2:  mv      a0, a1
    call    glass_main
    j       sleep_for_ever

// Interrupts stay masked in mstatus: wfi wakes on a pending one all the same.
wait_for_job:
    csrwi   mie, 8
1:  wfi
    csrr    t0, mip
    andi    t0, t0, 8
    beqz    t0, 1b
    mv      a0, tp
    call    hart_take_job
    j       1b

sleep_for_ever:
    csrw    mie, zero
1:  wfi
    j       1b

    .section .scratch, "aw", @nobits
    .balign 4096
stacks:
    .space  MAX_HARTS << STACK_SHIFT
