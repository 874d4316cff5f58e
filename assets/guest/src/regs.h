// Macros of the assembly files: all registers of a frame, and those that a call keeps.

    // x1..x31 but sp, at their number times 8 from sp.
    .macro each_reg op
    \op x1, 1*8(sp)
    .irp n, 3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
    \op x\n, \n*8(sp)
    .endr
    .endm

    .macro each_saved op
    \op ra, 0*8(sp)
    \op s0, 1*8(sp)
    \op s1, 2*8(sp)
    .irp n, 2,3,4,5,6,7,8,9,10,11
    \op s\n, (\n+1)*8(sp)
    .endr
    .endm
