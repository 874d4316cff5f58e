// What user mode asks the kernel of events.c for (in a7), and how many pages it touches.
#pragma once

#define EVENT_CALL 0
#define EVENT_YIELD 1
#define EVENT_UNMAP 2
#define EVENT_END 3

#define EVENT_PAGES 512
