// The line editor: cursor keys, history, word and line deletion, completion of command names.
#include "console.h"
#include "shell.h"

#define HISTORY 16

enum key {
    KEY_UP = 256, KEY_DOWN, KEY_LEFT, KEY_RIGHT, KEY_HOME, KEY_END, KEY_DELETE, KEY_OTHER
};
#define CTRL(c) ((c) & 31)

static char history[HISTORY][LINE_MAX];
static u32 history_count;

struct edit {
    char *text;
    u32 length, cursor;
    u32 shown; // lines back in history; 0 is the line being typed
    char typed[LINE_MAX];
};

static int read_key(void) {
    int c = console_getc();
    if (c != 27) return c;
    int kind = console_getc();
    if (kind != '[' && kind != 'O') return KEY_OTHER;
    int n = 0, final;
    while ((final = console_getc()) < '@') n = final == ';' ? 0 : n * 10 + (final - '0');
    switch (final) {
    case 'A': return KEY_UP;
    case 'B': return KEY_DOWN;
    case 'C': return KEY_RIGHT;
    case 'D': return KEY_LEFT;
    case 'H': return KEY_HOME;
    case 'F': return KEY_END;
    case '~': return n == 3 ? KEY_DELETE : n == 1 || n == 7 ? KEY_HOME : n == 4 || n == 8 ? KEY_END : KEY_OTHER;
    default: return KEY_OTHER;
    }
}

static void draw(const struct edit *e) {
    kprintf("\r%s" PROMPT "%s%s\033[K", sty(TITLE), sty(OFF), e->text);
    if (e->cursor < e->length) kprintf("\033[%uD", e->length - e->cursor);
}

static void erase(struct edit *e, u32 from, u32 to) {
    memmove(e->text + from, e->text + to, e->length - to + 1);
    e->length -= to - from;
    e->cursor = from;
    draw(e);
}

static void insert(struct edit *e, char c) {
    if (e->length + 1 >= LINE_MAX) return;
    memmove(e->text + e->cursor + 1, e->text + e->cursor, e->length - e->cursor + 1);
    e->text[e->cursor++] = c;
    e->length++;
    if (e->cursor == e->length) console_putc(c);
    else draw(e);
}

static void replace(struct edit *e, const char *text) {
    e->length = e->cursor = (u32)strlen(text);
    memmove(e->text, text, e->length + 1);
    draw(e);
}

static void walk_history(struct edit *e, int step) {
    u32 known = history_count < HISTORY ? history_count : HISTORY;
    if ((step > 0 && e->shown == known) || (step < 0 && e->shown == 0)) return;
    if (e->shown == 0) memcpy(e->typed, e->text, e->length + 1);
    e->shown += (u32)step;
    replace(e, e->shown ? history[(history_count - e->shown) % HISTORY] : e->typed);
}

static void remember(const char *line) {
    if (!*line || (history_count && !strcmp(line, history[(history_count - 1) % HISTORY]))) return;
    memcpy(history[history_count++ % HISTORY], line, strlen(line) + 1);
}

// Completes the last word's command name as far as it is unique.
static void complete(struct edit *e) {
    u32 start = e->length, matches = 0;
    if (e->cursor != e->length) return;
    while (start && e->text[start - 1] != ' ' && e->text[start - 1] != ';') start--;
    const char *common = NULL;
    u32 same = 0;
    for (u32 i = 0; i < command_count; i++) {
        const char *name = commands[i].name;
        if (strncmp(name, e->text + start, e->length - start) != 0) continue;
        if (!matches++) common = name, same = (u32)strlen(name);
        u32 n = 0;
        while (n < same && name[n] == common[n]) n++;
        same = n;
    }
    for (u32 n = e->length - start; n < same; n++) insert(e, common[n]);
    if (matches == 1) insert(e, ' ');
}

static void delete_word(struct edit *e) {
    u32 from = e->cursor;
    while (from && e->text[from - 1] == ' ') from--;
    while (from && e->text[from - 1] != ' ') from--;
    erase(e, from, e->cursor);
}

static void edit_key(struct edit *e, int key) {
    switch (key) {
    case 8:
    case 127:
        if (e->cursor) erase(e, e->cursor - 1, e->cursor);
        break;
    case KEY_DELETE:
    case CTRL('d'):
        if (e->cursor < e->length) erase(e, e->cursor, e->cursor + 1);
        break;
    case CTRL('u'): erase(e, 0, e->cursor); break;
    case CTRL('k'): erase(e, e->cursor, e->length); break;
    case CTRL('w'): delete_word(e); break;
    case CTRL('l'):
        kprintf("\033[2J\033[H");
        draw(e);
        break;
    case '\t': complete(e); break;
    case KEY_UP:
    case CTRL('p'): walk_history(e, 1); break;
    case KEY_DOWN:
    case CTRL('n'): walk_history(e, -1); break;
    case KEY_LEFT:
    case CTRL('b'):
        if (e->cursor) e->cursor--, kprintf("\033[D");
        break;
    case KEY_RIGHT:
    case CTRL('f'):
        if (e->cursor < e->length) e->cursor++, kprintf("\033[C");
        break;
    case KEY_HOME:
    case CTRL('a'):
        e->cursor = 0;
        draw(e);
        break;
    case KEY_END:
    case CTRL('e'):
        e->cursor = e->length;
        draw(e);
        break;
    default:
        if (key >= ' ' && key < 127) insert(e, (char)key);
    }
}

bool line_read(char *line) {
    static struct edit e;
    e = (struct edit){.text = line};
    line[0] = 0;
    kprintf("%s" PROMPT "%s", sty(TITLE), sty(OFF));
    for (;;) {
        int key = read_key();
        if (key == '\r' || key == '\n') {
            kprintf("\n");
            remember(line);
            return true;
        }
        if (key == CTRL('c')) {
            kprintf("^C\n");
            console_clear_interrupt();
            return false;
        }
        edit_key(&e, key);
    }
}
