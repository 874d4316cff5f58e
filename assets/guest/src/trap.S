// Traps and changes of privilege: the one trap entry, a call that survives the trap which it
// provokes, and a call that runs in a lower privilege mode.

    .file "trap.S" // in the symbol table instead of a temporary name: builds are reproducible

// struct trap_frame in trap.h: x1..x31 at their number times 8, mepc in slot 0, mstatus in slot 32.
#define FRAME (34 * 8)
#define MODE_LEAVE 0x6c656176           // a7 of the ecall by which a lower mode comes home

#include "regs.h"

    .text
    .balign 4
    .globl trap_entry
trap_entry:
    addi    sp, sp, -FRAME
    each_reg sd
    addi    t0, sp, FRAME
    sd      t0, 2*8(sp)
    csrr    t0, mepc
    csrr    t1, mstatus
    sd      t0, 0*8(sp)
    sd      t1, 32*8(sp)
    mv      a0, sp
    call    trap_handle
    ld      t0, 0*8(sp)
    ld      t1, 32*8(sp)
    csrw    mepc, t0
    csrw    mstatus, t1
    each_reg ld
    ld      sp, 2*8(sp)
    mret

// bool try_call(struct caught *caught, u64 (*function)(u64), u64 argument)
// False when the function returned (its result is in caught->value), true when it trapped.
    .globl try_call
try_call:
    addi    sp, sp, -14*8
    each_saved sd
    sd      a0, 13*8(sp)
    sd      sp, 0(a0)
    la      t0, catching
    sd      a0, 0(t0)
    mv      a0, a2
    jalr    a1
    la      t0, catching
    sd      zero, 0(t0)
    ld      t1, 13*8(sp)
    sd      a0, 8(t1)
    li      a0, 0
1:  each_saved ld
    addi    sp, sp, 14*8
    ret
// The trap handler returns to this place, in the mode that trapped, with sp as it was above.
    .globl try_resume
try_resume:
    li      a0, 1
    j       1b

// u64 run_in_mode(u64 mpp, u64 satp, u64 (*function)(u64), u64 argument)
// Machine interrupts stay enabled in the lower mode; they come back here through trap_entry.
    .globl run_in_mode
run_in_mode:
    addi    sp, sp, -14*8
    each_saved sd
    la      t0, mode_sp
    sd      sp, 0(t0)
    csrw    satp, a1
    sfence.vma
    li      t0, 3 << 11
    csrc    mstatus, t0
    slli    a0, a0, 11
    ori     a0, a0, 1 << 7              // MPIE: interrupts are on again after the way home
    csrs    mstatus, a0
    csrw    mepc, a2
    mv      a0, a3
    la      ra, mode_leave
    mret
mode_leave:
    li      a7, MODE_LEAVE
    ecall
    .globl mode_return
mode_return:
    la      t0, mode_sp
    ld      sp, 0(t0)
    each_saved ld
    addi    sp, sp, 14*8
    ret

    .bss
    .balign 8
mode_sp:
    .space  8
