// The smallest kernel that a system call, a page fault and a change of address space need: one
// entry in supervisor mode that keeps all registers of a task in its frame, and three programs for
// user mode. The handler behind the entry is in events.c.

    .file "events.S" // in the symbol table instead of a temporary name: builds are reproducible

#include "regs.h"
#include "events.h"

    .text
    .balign 4
    .globl event_entry
event_entry:                            // sscratch: frame of the running task
    csrrw   sp, sscratch, sp
    each_reg sd
    csrr    t0, sscratch
    csrr    t1, sepc
    csrr    t2, sstatus
    sd      t0, 2*8(sp)
    sd      t1, 0*8(sp)
    sd      t2, 32*8(sp)
    mv      a0, sp
    csrr    a1, scause
    csrr    a2, stval
    .option push
    .option norelax
    la      gp, __global_pointer$
    .option pop
    la      sp, event_stack_end
    call    event_handle
    beqz    a0, event_over
event_resume:                           // a0: frame of the task that goes on
    csrw    sscratch, a0
    ld      t1, 0*8(a0)
    ld      t2, 32*8(a0)
    csrw    sepc, t1
    csrw    sstatus, t2
    mv      sp, a0
    each_reg ld
    ld      sp, 2*8(sp)
    sret

// void event_run(struct trap_frame *first): in supervisor mode; returns when a task has ended.
    .globl event_run
event_run:
    addi    sp, sp, -14*8
    each_saved sd
    sd      gp, 13*8(sp)
    la      t0, event_home
    sd      sp, 0(t0)
    j       event_resume
event_over:
    la      t0, event_home
    ld      sp, 0(t0)
    each_saved ld
    ld      gp, 13*8(sp)
    addi    sp, sp, 14*8
    ret

    .bss
    .balign 16
event_home:
    .space  8
    .balign 16
    .space  2048
event_stack_end:

// A page of its own, because user mode may fetch from all of it. s0 counts; s1 is an address.
    .section .text.user, "ax"
    .balign 4096
    .globl user_code
user_code:

    .globl user_call
user_call:                              // asks for nothing, again and again
    li      a7, EVENT_CALL
    ecall
    addi    s0, s0, -1
    bnez    s0, user_call
    j       user_end

    .globl user_touch
user_touch:                             // writes to pages that are not there
    mv      t0, s1
    li      t1, EVENT_PAGES
    li      t2, 4096
1:  sd      t1, 0(t0)
    add     t0, t0, t2
    addi    t1, t1, -1
    bnez    t1, 1b
    li      a7, EVENT_UNMAP
    ecall
    addi    s0, s0, -1
    bnez    s0, user_touch
    j       user_end

    .globl user_yield
user_yield:                             // counts in its own memory, then gives way to the other task
    ld      t0, 0(s1)
    addi    t0, t0, 1
    sd      t0, 0(s1)
    li      a7, EVENT_YIELD
    ecall
    addi    s0, s0, -1
    bnez    s0, user_yield

user_end:
    li      a7, EVENT_END
    ecall
    j       user_end
    .balign 4096
