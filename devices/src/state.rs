//! Saved device state: versioned sections that are read back without trust.

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use thiserror::Error;

/// The state of one device.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Saved {
    /// What kind of device wrote it, [`crate::device::Device::kind`].
    pub kind: String,
    /// Version of the encoding, counted per kind from 1.
    pub version: u32,
    /// The encoded state.
    pub data: Vec<u8>,
}

/// A saved state cannot be used.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum StateError {
    /// The section is of another device.
    #[error("the saved state is of a {found}, this machine has a {expected} there")]
    Kind {
        /// What the machine has.
        expected: &'static str,
        /// What the section says.
        found: String,
    },
    /// Written by another version.
    #[error("the saved state of {kind} has version {found}; this program reads version {known}")]
    Version {
        /// Device kind.
        kind: &'static str,
        /// Version of the section.
        found: u32,
        /// Version that can be read.
        known: u32,
    },
    /// The bytes make no sense.
    #[error("the saved state of {kind} is damaged: {why}")]
    Damaged {
        /// Device kind.
        kind: &'static str,
        /// What was wrong.
        why: String,
    },
    /// A device that the machine has is not in the save file, or the other way round.
    #[error("the saved state and the machine differ: {0}")]
    Machine(String),
}

impl StateError {
    /// Damaged state of a `kind`.
    pub fn damaged(kind: &'static str, why: impl Into<String>) -> StateError {
        StateError::Damaged { kind, why: why.into() }
    }
}

impl Saved {
    /// Encodes `state`.
    pub fn pack<T: Serialize>(kind: &'static str, version: u32, state: &T) -> Saved {
        // Serialising plain data into a vector has no failure but a `Serialize` that refuses; an empty section is then
        // refused on restore.
        let data = postcard::to_allocvec(state).unwrap_or_default();
        Saved { kind: kind.to_owned(), version, data }
    }

    /// Decodes what [`Saved::pack`] made. Never panics on hostile bytes; the caller checks ranges of what it gets.
    pub fn unpack<T: DeserializeOwned>(&self, kind: &'static str, version: u32) -> Result<T, StateError> {
        if self.kind != kind {
            return Err(StateError::Kind { expected: kind, found: self.kind.clone() });
        }
        if self.version != version {
            return Err(StateError::Version { kind, found: self.version, known: version });
        }
        match postcard::take_from_bytes(&self.data) {
            Ok((state, [])) => Ok(state),
            Ok((_, rest)) => Err(StateError::damaged(kind, format!("{} bytes too many", rest.len()))),
            Err(e) => Err(StateError::damaged(kind, e.to_string())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_come_back_and_foreign_ones_do_not() {
        let s = Saved::pack("uart", 2, &(7u32, vec![1u8, 2]));
        assert_eq!(s.unpack::<(u32, Vec<u8>)>("uart", 2), Ok((7, vec![1, 2])));
        assert!(matches!(s.unpack::<(u32, Vec<u8>)>("plic", 2), Err(StateError::Kind { .. })));
        assert!(matches!(s.unpack::<(u32, Vec<u8>)>("uart", 1), Err(StateError::Version { .. })));
        assert!(matches!(s.unpack::<u32>("uart", 2), Err(StateError::Damaged { .. })));
        let short = Saved { data: s.data[..2].to_vec(), ..s };
        assert!(matches!(short.unpack::<(u32, Vec<u8>)>("uart", 2), Err(StateError::Damaged { .. })));
    }
}
