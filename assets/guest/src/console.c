// The 16550 serial port: polled on the way out, interrupt-driven on the way in, so that an idle
// shell sleeps in wfi.
#include "console.h"

#include "machine.h"

#define UART 0x10000000ul
enum { RBR = 0, THR = 0, IER = 1, FCR = 2, LCR = 3, MCR = 4, LSR = 5 };
#define LSR_DATA 0x01
#define LSR_THR_EMPTY 0x20
#define LSR_ALL_SENT 0x40
#define CTRL_C 3
#define RING 1024

static u8 ring[RING];
static volatile u32 head, tail; // the interrupt handler moves head, the reader tail
static volatile bool interrupted;

static inline u8 get(u32 reg) { return *(volatile u8 *)(UART + reg); }
static inline void put(u32 reg, u8 v) { *(volatile u8 *)(UART + reg) = v; }

void console_start(void) {
    put(IER, 0);
    put(LCR, 0x03); // 8 bits, no parity, 1 stop bit
    put(FCR, 0x07); // queues on and empty, interrupt at the first byte
    put(MCR, 0x0b); // DTR, RTS, interrupt line on
    put(IER, 0x01); // interrupt on received data
}

static void send(u8 byte) {
    while (!(get(LSR) & LSR_THR_EMPTY)) {}
    put(THR, byte);
}

u32 console_newlines;

void console_putc(char c) {
    console_newlines = c == '\n' ? console_newlines + 1 : 0;
    if (c == '\n') send('\r');
    send((u8)c);
}

void console_flush(void) {
    while (!(get(LSR) & LSR_ALL_SENT)) {}
}

void console_receive(void) {
    while (get(LSR) & LSR_DATA) {
        u8 byte = get(RBR);
        if (byte == CTRL_C) interrupted = true;
        if (head - tail < RING) {
            ring[head % RING] = byte;
            head = head + 1;
        }
    }
}

bool console_pending(void) { return head != tail; }
void console_drop_input(void) { tail = head; }

int console_getc(void) {
    csr_clear(mstatus, MSTATUS_MIE);
    while (!console_pending()) idle_once();
    csr_set(mstatus, MSTATUS_MIE);
    u8 byte = ring[tail % RING];
    tail = tail + 1;
    return byte;
}

bool console_interrupted(void) { return interrupted; }
void console_clear_interrupt(void) { interrupted = false; }
