// Clock, interrupts between harts, interrupt controller, power switch: the registers of the virt
// board (CLINT, PLIC, test device) that this guest touches.
#include "machine.h"

#include "console.h"
#include "trap.h"

#define CLINT 0x02000000ul
#define CLINT_MSIP(hart) (CLINT + 4 * (hart))
#define CLINT_MTIMECMP(hart) (CLINT + 0x4000 + 8 * (hart))

// Context 0 of the PLIC is hart 0 in machine mode.
#define PLIC 0x0c000000ul
#define PLIC_PRIORITY(irq) (PLIC + 4 * (irq))
#define PLIC_ENABLE (PLIC + 0x2000)
#define PLIC_THRESHOLD (PLIC + 0x200000)
#define PLIC_CLAIM (PLIC + 0x200004)
#define UART_IRQ 10

#define TEST_DEVICE 0x00100000ul
#define TEST_FAIL 0x3333
#define TEST_PASS 0x5555
#define TEST_RESET 0x7777

u64 idle_ticks;

static volatile bool timer_rang;
static void (*volatile job)(u64);
static volatile u64 job_number;
static u64 job_last[MAX_HARTS];
static volatile u64 job_done[MAX_HARTS];

u64 time_us(u64 ticks) {
    u64 seconds = ticks / machine.timebase, rest = ticks % machine.timebase;
    return seconds * 1000000 + rest * 1000000 / machine.timebase;
}

void ipi_send(u64 hart) {
    __asm__ volatile("fence rw, ow" : : : "memory");
    mmio_write32(CLINT_MSIP(hart), 1);
}

void ipi_clear(u64 hart) { mmio_write32(CLINT_MSIP(hart), 0); }

void timer_interrupt(void) {
    mmio_write64(CLINT_MTIMECMP(csr_read(mhartid)), ~0ul);
    timer_rang = true;
}

void idle_once(void) {
    u64 start = time_now();
    __asm__ volatile("wfi" : : : "memory");
    idle_ticks += time_now() - start;
    csr_set(mstatus, MSTATUS_MIE);
    csr_clear(mstatus, MSTATUS_MIE);
}

bool sleep_until(u64 deadline) {
    csr_clear(mstatus, MSTATUS_MIE);
    timer_rang = false;
    mmio_write64(CLINT_MTIMECMP(0), deadline);
    while (!timer_rang && !console_interrupted()) idle_once();
    mmio_write64(CLINT_MTIMECMP(0), ~0ul);
    csr_set(mstatus, MSTATUS_MIE);
    return !console_interrupted();
}

void interrupts_start(void) {
    mmio_write64(CLINT_MTIMECMP(0), ~0ul);
    mmio_write32(PLIC_PRIORITY(UART_IRQ), 1);
    mmio_write32(PLIC_ENABLE, 1u << UART_IRQ);
    mmio_write32(PLIC_THRESHOLD, 0);
    csr_write(mie, MIP_MSIP | MIP_MTIP | MIP_MEIP);
    csr_set(mstatus, MSTATUS_MIE);
}

void plic_interrupt(void) {
    u32 irq;
    while ((irq = mmio_read32(PLIC_CLAIM)) != 0) {
        if (irq == UART_IRQ) console_receive();
        mmio_write32(PLIC_CLAIM, irq);
    }
}

// Called by start.S on the other harts, once for each interprocessor interrupt.
void hart_take_job(u64 hart) {
    ipi_clear(hart);
    __asm__ volatile("fence iorw, iorw" : : : "memory");
    u64 number = job_number;
    if (number == job_last[hart]) return;
    job_last[hart] = number;
    job(hart);
    __asm__ volatile("fence rw, rw" : : : "memory");
    job_done[hart] = number;
}

void harts_start_job(void (*new_job)(u64 hart)) {
    job = new_job;
    job_number = job_number + 1;
    for (u32 i = 0; i < machine.harts; i++) {
        if (machine.hart_ids[i] != 0) ipi_send(machine.hart_ids[i]);
    }
}

u64 harts_job_done(void) {
    u64 mask = 0;
    for (u64 h = 0; h < MAX_HARTS; h++) {
        if (job_number && job_done[h] == job_number) mask |= 1ul << h;
    }
    return mask;
}

static _Noreturn void test_device(u32 word) {
    console_flush();
    csr_clear(mstatus, MSTATUS_MIE);
    mmio_write32(TEST_DEVICE, word);
    for (;;) __asm__ volatile("wfi");
}

_Noreturn void machine_exit(u32 code) { test_device(code << 16 | TEST_FAIL); }
_Noreturn void machine_poweroff(void) { test_device(TEST_PASS); }
_Noreturn void machine_reboot(void) { test_device(TEST_RESET); }
