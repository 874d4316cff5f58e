//! QEMU's `word,key=value,key=value` lists; two commas stand for one in a value.

use super::near;
use super::report::{Failure, usage};

/// A list whose entries are taken out one by one; what is left over at the end is a mistake.
pub struct KeyValues {
    option: &'static str,
    text: String,
    entries: Vec<(String, String)>,
    asked: Vec<&'static str>,
}

impl KeyValues {
    /// Reads the value of an option. A first entry without `=` is the value of the key `implied`; a later one is switched on.
    pub fn parse(
        option: &'static str,
        text: &str,
        implied: Option<&'static str>,
    ) -> Result<KeyValues, Failure> {
        let mut entries = Vec::new();
        for (i, entry) in split(text).into_iter().enumerate() {
            let pair = match (entry.split_once('='), implied) {
                (Some((key, value)), _) => (key.to_owned(), value.to_owned()),
                (None, Some(key)) if i == 0 => (key.to_owned(), entry),
                (None, _) if entry.is_empty() => {
                    let next = "Remove the comma, or double it if it belongs to a value.";
                    return Err(usage(
                        format!("-{option} has an empty entry"),
                        format!("-{option} {text}"),
                        next,
                    ));
                }
                (None, _) => (entry, "on".to_owned()),
            };
            entries.push(pair);
        }
        Ok(KeyValues { option, text: text.to_owned(), entries, asked: Vec::new() })
    }

    /// The option with its value, for messages.
    pub fn place(&self) -> String {
        format!("-{} {}", self.option, self.text)
    }

    /// A mistake in this list.
    pub fn wrong(&self, what: impl Into<String>, what_next: impl Into<String>) -> Failure {
        usage(what, self.place(), what_next)
    }

    /// Takes all values of a key, in order.
    pub fn take_all(&mut self, key: &'static str) -> Vec<String> {
        self.asked.push(key);
        let (taken, left) = std::mem::take(&mut self.entries).into_iter().partition(|(k, _)| k == key);
        self.entries = left;
        let taken: Vec<(String, String)> = taken;
        taken.into_iter().map(|(_, value)| value).collect()
    }

    /// Takes the value of a key; of several the last one, as QEMU does.
    pub fn take(&mut self, key: &'static str) -> Option<String> {
        self.take_all(key).pop()
    }

    /// Takes a switch.
    pub fn take_switch(&mut self, key: &'static str) -> Result<Option<bool>, Failure> {
        self.take(key).map(|value| switch(key, &value).map_err(|what| self.wrong(what, ""))).transpose()
    }

    /// Takes a number.
    pub fn take_number(&mut self, key: &'static str) -> Result<Option<u64>, Failure> {
        self.take(key)
            .map(|value| {
                value
                    .parse()
                    .map_err(|_| self.wrong(format!("{key}={value} is not a number"), "Write digits only."))
            })
            .transpose()
    }

    /// Takes keys that tune speed or safety of things which this program does its own way.
    pub fn ignore(&mut self, keys: &[&'static str]) {
        for key in keys {
            for value in self.take_all(key) {
                tracing::info!("-{}: {key}={value} has no effect here", self.option);
            }
        }
    }

    /// Takes everything that is left, as pairs.
    pub fn take_rest(&mut self) -> Vec<(String, String)> {
        std::mem::take(&mut self.entries)
    }

    /// Ends the reading: an entry that nobody took is a mistake.
    pub fn finish(mut self) -> Result<(), Failure> {
        match self.entries.first() {
            None => Ok(()),
            Some((key, _)) => {
                self.asked.sort_unstable();
                let advice = near::advice(key, &self.asked);
                Err(self.wrong(format!("-{} has no option \"{key}\"", self.option), advice))
            }
        }
    }
}

/// QEMU's words for on and off.
pub fn switch(key: &str, value: &str) -> Result<bool, String> {
    match value {
        "on" | "yes" | "true" | "y" => Ok(true),
        "off" | "no" | "false" | "n" => Ok(false),
        _ => Err(format!("{key}={value} is neither on nor off")),
    }
}

/// Doubles the commas of a value.
pub fn escape(value: &str) -> String {
    value.replace(',', ",,")
}

fn split(text: &str) -> Vec<String> {
    let mut entries = vec![String::new()];
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        if c == ',' && chars.next_if_eq(&',').is_none() {
            entries.push(String::new());
        } else if let Some(entry) = entries.last_mut() {
            entry.push(c);
        }
    }
    entries
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_escapes_and_leftovers() {
        let mut list = KeyValues::parse("drive", "a,,b,if=none,readonly,x=1", Some("file")).expect("a list");
        assert_eq!(list.take("file").as_deref(), Some("a,b"));
        assert_eq!(list.take_switch("readonly").ok().flatten(), Some(true));
        assert_eq!(list.take("if").as_deref(), Some("none"));
        assert_eq!(list.take_number("x").ok().flatten(), Some(1));
        assert_eq!(list.take("none"), None);
        assert!(list.finish().is_ok());
        assert_eq!(split("a,,,b"), ["a,", "b"]);
        assert_eq!(split(&escape("a,b")), ["a,b"]);
    }

    #[test]
    fn leftovers_are_named_with_what_was_meant() {
        let mut list = KeyValues::parse("drive", "flie=x", None).expect("a list");
        list.take("file");
        let text = list.finish().expect_err("a slip").text();
        assert!(text.contains("\"flie\"") && text.contains("\"file\""), "{text}");
        assert!(KeyValues::parse("drive", "file=x,", None).is_err());
        let mut odd = KeyValues::parse("drive", "readonly=maybe", None).expect("a list");
        assert!(odd.take_switch("readonly").is_err());
    }
}
