//! What a person would see of a guest's console: its bytes through a terminal.

use alacritty_terminal::event::VoidListener;
use alacritty_terminal::grid::Dimensions;
use alacritty_terminal::index::{Column, Line};
use alacritty_terminal::term::cell::{Cell, Flags};
use alacritty_terminal::term::{Config, Term};
use alacritty_terminal::vte::ansi::{Color, NamedColor, Processor};

const COLUMNS: usize = 80;
const ROWS: usize = 24;

struct Size;

impl Dimensions for Size {
    fn total_lines(&self) -> usize {
        ROWS
    }
    fn screen_lines(&self) -> usize {
        ROWS
    }
    fn columns(&self) -> usize {
        COLUMNS
    }
}

/// A terminal of 80 by 24.
pub struct Screen {
    term: Term<VoidListener>,
    parser: Processor,
    /// Bytes of the console that it has seen.
    fed: usize,
}

impl Default for Screen {
    fn default() -> Screen {
        Screen { term: Term::new(Config::default(), &Size, VoidListener), parser: Processor::new(), fed: 0 }
    }
}

impl Screen {
    /// Takes what it has not seen of everything that a console has said.
    pub fn follow(&mut self, console: &[u8]) {
        self.parser.advance(&mut self.term, &console[self.fed.min(console.len())..]);
        self.fed = console.len();
    }

    /// The text, a line for each row.
    pub fn text(&self) -> String {
        self.rows(|_| true)
    }

    /// The text on red: the entry that the keys act on, in the installer's dialogs.
    pub fn chosen(&self) -> String {
        self.rows(|cell| match cell.flags.contains(Flags::INVERSE) {
            true => cell.fg == Color::Named(NamedColor::Red),
            false => cell.bg == Color::Named(NamedColor::Red),
        })
    }

    fn rows(&self, keep: impl Fn(&Cell) -> bool) -> String {
        let mut out = String::new();
        for row in 0..ROWS {
            let cells = (0..COLUMNS).map(|column| &self.term.grid()[Line(row as i32)][Column(column)]);
            let line: String = cells.map(|c| if keep(c) { c.c } else { ' ' }).collect();
            out.push_str(line.trim_end());
            out.push('\n');
        }
        out
    }
}
