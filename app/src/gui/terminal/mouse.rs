//! Mouse reports to guests that ask for them (xterm ctlseqs, "Mouse Tracking").

use alacritty_terminal::term::TermMode;
use egui::{Modifiers, PointerButton};

/// What the pointer did.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Act {
    /// A button went down.
    Press(PointerButton),
    /// A button came up.
    Release(PointerButton),
    /// It moved, with this button down if any.
    Move(Option<PointerButton>),
    /// The wheel turned one notch up or down.
    Wheel { up: bool },
}

/// The report of `act` at this cell (from 0), or `None` if the guest has not asked for such ones.
pub fn report(act: Act, column: usize, row: usize, modifiers: Modifiers, mode: TermMode) -> Option<Vec<u8>> {
    let wanted = match act {
        Act::Move(None) => mode.contains(TermMode::MOUSE_MOTION),
        Act::Move(Some(_)) => mode.intersects(TermMode::MOUSE_MOTION | TermMode::MOUSE_DRAG),
        _ => mode.intersects(TermMode::MOUSE_MODE),
    };
    if !wanted {
        return None;
    }
    let number = |b: PointerButton| match b {
        PointerButton::Primary => Some(0u8),
        PointerButton::Middle => Some(1),
        PointerButton::Secondary => Some(2),
        _ => None,
    };
    let base = match act {
        Act::Press(b) | Act::Release(b) => number(b)?,
        Act::Move(b) => 32 + b.map_or(Some(3), number)?,
        Act::Wheel { up } => 64 + u8::from(!up),
    };
    let code =
        base + 4 * u8::from(modifiers.shift) + 8 * u8::from(modifiers.alt) + 16 * u8::from(modifiers.ctrl);
    let release = matches!(act, Act::Release(_));
    if mode.contains(TermMode::SGR_MOUSE) {
        let last = if release { 'm' } else { 'M' };
        return Some(format!("\x1b[<{code};{};{}{last}", column + 1, row + 1).into_bytes());
    }
    let coordinate = |n: usize| u8::try_from(n + 33).ok();
    let code = if release { (code & !3) | 3 } else { code };
    Some(vec![0x1b, b'[', b'M', code + 32, coordinate(column)?, coordinate(row)?])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reports_only_what_was_asked_for() {
        let press = Act::Press(PointerButton::Primary);
        let none = Modifiers::NONE;
        assert_eq!(report(press, 0, 0, none, TermMode::NONE), None);
        let click = TermMode::MOUSE_REPORT_CLICK;
        assert_eq!(report(press, 0, 0, none, click), Some(b"\x1b[M !!".to_vec()));
        assert_eq!(report(Act::Move(None), 0, 0, none, click), None);
        let sgr = click | TermMode::SGR_MOUSE;
        let release = Act::Release(PointerButton::Secondary);
        assert_eq!(report(release, 300, 9, none, sgr), Some(b"\x1b[<2;301;10m".to_vec()));
        assert_eq!(report(press, 300, 0, none, click), None, "the old form ends at column 222");
        assert_eq!(report(Act::Wheel { up: false }, 1, 1, none, sgr), Some(b"\x1b[<65;2;2M".to_vec()));
    }
}
