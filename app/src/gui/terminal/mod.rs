//! A terminal for a serial port: the emulation is `alacritty_terminal`'s, this wraps it for a guest on the other end of
//! a wire: bytes in both directions, bounded, with no file descriptor and no thread.

mod boxes;
mod colors;
mod keys;
mod mouse;
mod paint;
mod widget;

pub use widget::{TerminalOptions, copy, request_paste, show};

use alacritty_terminal::event::{Event, EventListener, WindowSize};
use alacritty_terminal::grid::{Dimensions, Scroll};
use alacritty_terminal::index::{Column, Line, Point, Side};
use alacritty_terminal::selection::{Selection, SelectionType};
use alacritty_terminal::term::cell::Flags;
use alacritty_terminal::term::{Config, Osc52, Term, TermMode};
use alacritty_terminal::vte::ansi::{Processor, Timeout};
use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::{Duration, Instant};

/// Bytes that may wait for a slow guest; what a paste or the guest's own queries add beyond is dropped.
const OUTGOING_MAX: usize = 1 << 20;
/// Longest title taken from the guest, in characters.
const TITLE_MAX: usize = 120;
/// Smallest size: what programs on a serial line take for granted.
pub const MIN_COLUMNS: usize = 80;
/// See [`MIN_COLUMNS`].
pub const MIN_ROWS: usize = 24;

/// Size in cells.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Size {
    /// Width.
    pub columns: usize,
    /// Height.
    pub rows: usize,
}

impl Dimensions for Size {
    fn total_lines(&self) -> usize {
        self.rows
    }
    fn screen_lines(&self) -> usize {
        self.rows
    }
    fn columns(&self) -> usize {
        self.columns
    }
}

/// Collects what the emulation wants to tell; drained after each feed.
#[derive(Clone, Default)]
struct Outbox(Rc<RefCell<Vec<Event>>>);

impl EventListener for Outbox {
    fn send_event(&self, event: Event) {
        self.0.borrow_mut().push(event);
    }
}

/// One terminal.
pub struct Terminal {
    term: Term<Outbox>,
    parser: Processor,
    outbox: Outbox,
    outgoing: VecDeque<u8>,
    size: Size,
    scrollback: usize,
    title: Option<String>,
    bell: Option<Instant>,
    state: widget::State,
}

impl Terminal {
    /// An empty terminal of 80 by 24 cells with this many lines of scrollback.
    pub fn new(scrollback: usize) -> Terminal {
        let size = Size { columns: MIN_COLUMNS, rows: MIN_ROWS };
        let outbox = Outbox::default();
        Terminal {
            term: Term::new(config(scrollback), &size, outbox.clone()),
            parser: Processor::new(),
            outbox,
            outgoing: VecDeque::new(),
            size,
            scrollback,
            title: None,
            bell: None,
            state: widget::State::default(),
        }
    }

    /// Takes bytes from the guest.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.parser.advance(&mut self.term, bytes);
        self.collect();
    }

    /// Ends a synchronised update (DEC mode 2026) that the guest has left open; says how long until one will have to be.
    pub fn end_stale_update(&mut self) -> Option<Duration> {
        let timeout = self.parser.sync_timeout();
        if !timeout.pending_timeout() {
            return None;
        }
        let left = timeout.sync_timeout()?.saturating_duration_since(Instant::now());
        if left.is_zero() {
            self.parser.stop_sync(&mut self.term);
            self.collect();
            return None;
        }
        Some(left)
    }

    fn collect(&mut self) {
        let events = std::mem::take(&mut *self.outbox.0.borrow_mut());
        for event in events {
            match event {
                Event::PtyWrite(text) => self.send(text.as_bytes()),
                Event::ColorRequest(index, answer) => {
                    let color = colors::indexed_or_override(self.term.colors(), index);
                    self.send(answer(color).as_bytes());
                }
                Event::TextAreaSizeRequest(answer) => {
                    let cell = self.state.cell_pixels();
                    let reply = answer(WindowSize {
                        num_lines: clamp_u16(self.size.rows),
                        num_cols: clamp_u16(self.size.columns),
                        cell_width: cell.0,
                        cell_height: cell.1,
                    });
                    self.send(reply.as_bytes());
                }
                Event::Title(title) => {
                    let clean: String = title.chars().filter(|c| !c.is_control()).take(TITLE_MAX).collect();
                    self.title = Some(clean).filter(|t| !t.is_empty());
                }
                Event::ResetTitle => self.title = None,
                Event::Bell => self.bell = Some(Instant::now()),
                // The guest gets no access to the host's clipboard, and no process stands behind this terminal.
                _ => {}
            }
        }
    }

    /// Queues bytes for the guest.
    pub fn send(&mut self, bytes: &[u8]) {
        let room = OUTGOING_MAX.saturating_sub(self.outgoing.len());
        self.outgoing.extend(&bytes[..bytes.len().min(room)]);
    }

    /// Queues typed bytes and shows the end of the output again.
    pub fn type_bytes(&mut self, bytes: &[u8]) {
        self.term.scroll_display(Scroll::Bottom);
        self.term.selection = None;
        self.send(bytes);
    }

    /// Queues pasted text, marked as such if the guest asks for it. Control characters other than tab and line ends are dropped.
    pub fn paste(&mut self, text: &str) {
        let clean: String = text
            .replace("\r\n", "\r")
            .chars()
            .map(|c| if c == '\n' { '\r' } else { c })
            .filter(|c| !c.is_control() || matches!(c, '\r' | '\t'))
            .collect();
        if self.term.mode().contains(TermMode::BRACKETED_PASTE) {
            self.type_bytes(b"\x1b[200~");
            self.send(clean.as_bytes());
            self.send(b"\x1b[201~");
        } else {
            self.type_bytes(clean.as_bytes());
        }
    }

    /// Hands the queued bytes to `write`, which says how many it took. Says whether some are left.
    pub fn flush(&mut self, mut write: impl FnMut(&[u8]) -> usize) -> bool {
        while !self.outgoing.is_empty() {
            let (front, _) = self.outgoing.as_slices();
            let taken = write(front).min(front.len());
            if taken == 0 {
                return true;
            }
            self.outgoing.drain(..taken);
        }
        false
    }

    /// Changes the size in cells.
    pub fn resize(&mut self, size: Size) {
        let size = Size { columns: size.columns.clamp(2, 1000), rows: size.rows.clamp(1, 1000) };
        if size != self.size {
            self.size = size;
            self.term.resize(size);
        }
    }

    /// Size in cells.
    pub fn size(&self) -> Size {
        self.size
    }

    /// Changes how many lines of scrollback are kept.
    pub fn set_scrollback(&mut self, lines: usize) {
        if lines != self.scrollback {
            self.scrollback = lines;
            self.term.set_options(config(lines));
        }
    }

    /// Empties the scrollback.
    pub fn clear_scrollback(&mut self) {
        self.term.grid_mut().clear_history();
    }

    /// Back to the state after power-on: the machine starts anew.
    pub fn reset(&mut self) {
        let size = self.size;
        let state = std::mem::take(&mut self.state);
        *self = Terminal::new(self.scrollback);
        self.state = state;
        self.resize(size);
    }

    /// The title that the guest has set.
    pub fn title(&self) -> Option<&str> {
        self.title.as_deref()
    }

    /// The text on the screen, one line per row, without trailing blanks.
    pub fn screen_text(&self) -> String {
        let grid = self.term.grid();
        let rows = i32::try_from(self.size.rows).unwrap_or(0);
        let mut text = String::new();
        for row in 0..rows {
            let line: String = (0..self.size.columns)
                .map(|column| &grid[Point::new(Line(row), Column(column))])
                .filter(|cell| {
                    !cell.flags.intersects(Flags::WIDE_CHAR_SPACER | Flags::LEADING_WIDE_CHAR_SPACER)
                })
                .map(|cell| if cell.c == '\0' { ' ' } else { cell.c })
                .collect();
            text.push_str(line.trim_end());
            text.push('\n');
        }
        text.truncate(text.trim_end().len());
        text
    }

    /// The selected text.
    pub fn selection(&self) -> Option<String> {
        self.term.selection_to_string().filter(|s| !s.is_empty())
    }

    /// Selects everything, scrollback included.
    pub fn select_all(&mut self) {
        let history = i32::try_from(self.term.grid().history_size()).unwrap_or(0);
        let last = i32::try_from(self.size.rows).unwrap_or(1) - 1;
        let start = Point::new(Line(-history), Column(0));
        let mut selection = Selection::new(SelectionType::Lines, start, Side::Left);
        selection.update(Point::new(Line(last), Column(self.size.columns - 1)), Side::Right);
        self.term.selection = Some(selection);
    }

    /// Scrolls by lines, up for positive numbers.
    pub fn scroll(&mut self, lines: i32) {
        self.term.scroll_display(Scroll::Delta(lines));
    }

    fn mode(&self) -> TermMode {
        *self.term.mode()
    }
}

fn clamp_u16(n: usize) -> u16 {
    u16::try_from(n).unwrap_or(u16::MAX)
}

fn config(scrollback: usize) -> Config {
    Config { scrolling_history: scrollback, osc52: Osc52::Disabled, ..Config::default() }
}

#[cfg(test)]
mod tests;
