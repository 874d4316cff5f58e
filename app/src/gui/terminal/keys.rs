//! Keys as the byte sequences of a VT220 and xterm (ctlseqs, "PC-Style Function Keys").

use alacritty_terminal::term::TermMode;
use egui::{Key, Modifiers};

/// The bytes of a key that types no text of its own (or does so with Ctrl), or `None` if the key is not for the guest.
pub fn encode(key: Key, modifiers: Modifiers, mode: TermMode) -> Option<Vec<u8>> {
    let simple = |bytes: &[u8]| {
        let mut out = Vec::with_capacity(bytes.len() + 1);
        if modifiers.alt {
            out.push(0x1b);
        }
        out.extend_from_slice(bytes);
        Some(out)
    };
    match key {
        Key::Enter if mode.contains(TermMode::LINE_FEED_NEW_LINE) => return simple(b"\r\n"),
        Key::Enter => return simple(b"\r"),
        Key::Tab if modifiers.shift => return Some(b"\x1b[Z".to_vec()),
        Key::Tab => return simple(b"\t"),
        Key::Backspace if modifiers.ctrl => return simple(b"\x08"),
        Key::Backspace => return simple(b"\x7f"),
        Key::Escape => return simple(b"\x1b"),
        _ => {}
    }
    if let Some(last) = cursor_key(key) {
        let code = modifier_code(modifiers);
        return Some(match code {
            1 if mode.contains(TermMode::APP_CURSOR) => vec![0x1b, b'O', last],
            1 => vec![0x1b, b'[', last],
            _ => format!("\x1b[1;{code}{}", char::from(last)).into_bytes(),
        });
    }
    if let Some(number) = editing_key(key) {
        return Some(match modifier_code(modifiers) {
            1 => format!("\x1b[{number}~").into_bytes(),
            code => format!("\x1b[{number};{code}~").into_bytes(),
        });
    }
    if let Some(last) = first_function_keys(key) {
        return Some(match modifier_code(modifiers) {
            1 => vec![0x1b, b'O', last],
            code => format!("\x1b[1;{code}{}", char::from(last)).into_bytes(),
        });
    }
    if modifiers.ctrl { control_character(key).and_then(|c| simple(&[c])) } else { None }
}

/// Typed text; Alt is a leading ESC.
pub fn text(text: &str, modifiers: Modifiers) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len() + 1);
    if modifiers.alt {
        out.push(0x1b);
    }
    out.extend_from_slice(text.as_bytes());
    out
}

/// xterm's number for a combination: 1 + shift + 2 × alt + 4 × ctrl.
fn modifier_code(m: Modifiers) -> u8 {
    1 + u8::from(m.shift) + 2 * u8::from(m.alt) + 4 * u8::from(m.ctrl)
}

fn cursor_key(key: Key) -> Option<u8> {
    Some(match key {
        Key::ArrowUp => b'A',
        Key::ArrowDown => b'B',
        Key::ArrowRight => b'C',
        Key::ArrowLeft => b'D',
        Key::Home => b'H',
        Key::End => b'F',
        _ => return None,
    })
}

fn editing_key(key: Key) -> Option<u8> {
    Some(match key {
        Key::Insert => 2,
        Key::Delete => 3,
        Key::PageUp => 5,
        Key::PageDown => 6,
        Key::F5 => 15,
        Key::F6 => 17,
        Key::F7 => 18,
        Key::F8 => 19,
        Key::F9 => 20,
        Key::F10 => 21,
        Key::F11 => 23,
        Key::F12 => 24,
        Key::F13 => 25,
        Key::F14 => 26,
        Key::F15 => 28,
        Key::F16 => 29,
        Key::F17 => 31,
        Key::F18 => 32,
        Key::F19 => 33,
        Key::F20 => 34,
        _ => return None,
    })
}

fn first_function_keys(key: Key) -> Option<u8> {
    Some(match key {
        Key::F1 => b'P',
        Key::F2 => b'Q',
        Key::F3 => b'R',
        Key::F4 => b'S',
        _ => return None,
    })
}

/// The control character of Ctrl and this key (ECMA-48: the low five bits of the character).
fn control_character(key: Key) -> Option<u8> {
    Some(match key {
        Key::Space | Key::Num2 => 0x00,
        Key::OpenBracket | Key::Num3 => 0x1b,
        Key::Backslash | Key::Num4 => 0x1c,
        Key::CloseBracket | Key::Num5 => 0x1d,
        Key::Num6 => 0x1e,
        Key::Slash | Key::Minus | Key::Num7 => 0x1f,
        Key::Num8 => 0x7f,
        _ => {
            let mut name = key.name().bytes();
            match (name.next(), name.next()) {
                (Some(letter @ b'A'..=b'Z'), None) => letter & 0x1f,
                _ => return None,
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const CTRL: Modifiers = Modifiers { ctrl: true, command: true, ..Modifiers::NONE };

    fn bytes(key: Key, m: Modifiers, mode: TermMode) -> Vec<u8> {
        encode(key, m, mode).unwrap_or_default()
    }

    #[test]
    fn cursor_keys_follow_the_mode() {
        assert_eq!(bytes(Key::ArrowUp, Modifiers::NONE, TermMode::NONE), b"\x1b[A");
        assert_eq!(bytes(Key::ArrowUp, Modifiers::NONE, TermMode::APP_CURSOR), b"\x1bOA");
        assert_eq!(bytes(Key::ArrowLeft, CTRL, TermMode::APP_CURSOR), b"\x1b[1;5D");
        assert_eq!(bytes(Key::End, Modifiers::SHIFT, TermMode::NONE), b"\x1b[1;2F");
    }

    #[test]
    fn control_and_alt_characters() {
        assert_eq!(bytes(Key::A, CTRL, TermMode::NONE), [1]);
        assert_eq!(bytes(Key::Z, CTRL, TermMode::NONE), [26]);
        assert_eq!(bytes(Key::Space, CTRL, TermMode::NONE), [0]);
        assert_eq!(bytes(Key::Backslash, CTRL, TermMode::NONE), [0x1c]);
        assert_eq!(bytes(Key::X, CTRL | Modifiers::ALT, TermMode::NONE), [0x1b, 24]);
        assert_eq!(encode(Key::A, Modifiers::NONE, TermMode::NONE), None);
        assert_eq!(text("x", Modifiers::ALT), b"\x1bx");
    }

    #[test]
    fn function_and_editing_keys() {
        assert_eq!(bytes(Key::F1, Modifiers::NONE, TermMode::NONE), b"\x1bOP");
        assert_eq!(bytes(Key::F1, Modifiers::SHIFT, TermMode::NONE), b"\x1b[1;2P");
        assert_eq!(bytes(Key::F12, Modifiers::NONE, TermMode::NONE), b"\x1b[24~");
        assert_eq!(bytes(Key::Delete, CTRL, TermMode::NONE), b"\x1b[3;5~");
        assert_eq!(bytes(Key::Backspace, Modifiers::NONE, TermMode::NONE), b"\x7f");
        assert_eq!(bytes(Key::Tab, Modifiers::SHIFT, TermMode::NONE), b"\x1b[Z");
        assert_eq!(bytes(Key::Enter, Modifiers::NONE, TermMode::LINE_FEED_NEW_LINE), b"\r\n");
    }
}
