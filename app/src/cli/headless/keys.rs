//! What the person types: bytes for the guest, and the keys after Ctrl-A that are for us.

/// Ctrl-A.
pub const ESCAPE: u8 = 0x01;

/// The help that Ctrl-A h shows.
pub const HELP: &str = "Ctrl-A x      leave: the machine is switched off
Ctrl-A s      save the machine's state
Ctrl-A e      the next engine mode
Ctrl-A c      switch between the machine's console and the monitor
Ctrl-A h      this help
Ctrl-A Ctrl-A send Ctrl-A to the machine";

/// One thing to do.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Key {
    /// Bytes for the guest or the monitor.
    Bytes(Vec<u8>),
    /// Switch the machine off.
    Leave,
    /// Show the help.
    Help,
    /// Save the state.
    Save,
    /// Go to the monitor or back.
    Monitor,
    /// Switch to the next engine mode.
    Engine,
}

/// Finds the keys for us in what was typed.
#[derive(Debug)]
pub struct Keys {
    escapes: bool,
    pending: bool,
}

impl Keys {
    /// Without `escapes` (input is not a terminal) all bytes are the guest's.
    pub fn new(escapes: bool) -> Keys {
        Keys { escapes, pending: false }
    }

    /// Sorts what was typed.
    pub fn sort(&mut self, typed: &[u8]) -> Vec<Key> {
        let mut found = Vec::new();
        let mut bytes = Vec::new();
        for &byte in typed {
            if !self.escapes || (!self.pending && byte != ESCAPE) {
                bytes.push(byte);
                continue;
            }
            if !self.pending {
                self.pending = true;
                continue;
            }
            self.pending = false;
            let key = match byte {
                b'x' | b'X' => Key::Leave,
                b'h' | b'H' | b'?' => Key::Help,
                b's' | b'S' => Key::Save,
                b'c' | b'C' => Key::Monitor,
                b'e' | b'E' => Key::Engine,
                ESCAPE => {
                    bytes.push(ESCAPE);
                    continue;
                }
                // An unknown key is nobody's.
                _ => continue,
            };
            if !bytes.is_empty() {
                found.push(Key::Bytes(std::mem::take(&mut bytes)));
            }
            found.push(key);
        }
        if !bytes.is_empty() {
            found.push(Key::Bytes(bytes));
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(text: &str) -> Key {
        Key::Bytes(text.as_bytes().to_vec())
    }

    #[test]
    fn escapes_are_found_across_reads() {
        let mut keys = Keys::new(true);
        assert_eq!(keys.sort(b"ls\x01"), [bytes("ls")]);
        assert_eq!(keys.sort(b"xmore"), [Key::Leave, bytes("more")]);
        assert_eq!(keys.sort(b"\x01\x01\x01h\x01qa"), [bytes("\x01"), Key::Help, bytes("a")]);
        assert_eq!(keys.sort(b"\x01s\x01c\x01e"), [Key::Save, Key::Monitor, Key::Engine]);
    }

    #[test]
    fn a_pipe_has_no_escapes() {
        assert_eq!(Keys::new(false).sort(b"\x01x"), [bytes("\x01x")]);
    }
}
