//! Another emulator: QEMU, a program that takes QEMU's words, or any by a template of its command line.

use super::guest::Guest;
use crate::machine::api::UserError;
use std::ffi::OsString;
use std::path::Path;

/// The program that the word "qemu" stands for.
const QEMU: &str = "qemu-system-riscv64";
/// What a template may name.
const PLACES: [&str; 4] = ["kernel", "initrd", "append", "elf"];

/// A piece of a template's word.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Piece {
    Text(String),
    Place(&'static str),
}

/// A command line with place-holders.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Template {
    words: Vec<Vec<Piece>>,
}

/// How a peer is told what to run.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Form {
    /// In QEMU's words.
    Words(String),
    Template(Template),
}

/// Another emulator. Several templates with one name are one emulator: one for ELF files, one for Linux.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Peer {
    /// What the table calls it.
    pub name: String,
    forms: Vec<Form>,
}

fn wrong(what: impl Into<String>, text: &str) -> UserError {
    let next = "Write a command with {kernel}, {initrd} and {append}, or with {elf}; quotes keep spaces.";
    UserError::new(what, format!("--against {text}"), next)
}

/// Splits at spaces; single and double quotes keep them.
fn split(text: &str) -> Result<Vec<String>, UserError> {
    let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None);
    for c in text.chars() {
        match (c, quote) {
            (c, Some(q)) if c == q => quote = None,
            ('"' | '\'', None) => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (c, None) if c.is_whitespace() => words.extend(word.take()),
            (c, _) => word.get_or_insert_default().push(c),
        }
    }
    if quote.is_some() {
        return Err(wrong("A quote of the template is not closed", text));
    }
    words.extend(word);
    Ok(words)
}

fn pieces(word: &str, text: &str) -> Result<Vec<Piece>, UserError> {
    let mut rest = word;
    let mut found = Vec::new();
    while let Some((before, after)) = rest.split_once('{') {
        let (name, behind) =
            after.split_once('}').ok_or_else(|| wrong("A brace of the template is not closed", text))?;
        let place = PLACES.into_iter().find(|p| *p == name);
        let place = place.ok_or_else(|| wrong(format!("A template has no place-holder {{{name}}}"), text))?;
        found.extend([Piece::Text(before.to_owned()), Piece::Place(place)]);
        rest = behind;
    }
    found.push(Piece::Text(rest.to_owned()));
    Ok(found)
}

impl Template {
    fn parse(text: &str) -> Result<Template, UserError> {
        let words: Result<Vec<_>, _> = split(text)?.iter().map(|w| pieces(w, text)).collect();
        let template = Template { words: words? };
        if !template.names("kernel") && !template.names("elf") {
            return Err(wrong("The template does not say where the guest goes", text));
        }
        Ok(template)
    }

    fn names(&self, place: &str) -> bool {
        self.words.iter().flatten().any(|p| matches!(p, Piece::Place(name) if *name == place))
    }

    /// The command line, if all that it names is there.
    fn fill(&self, guest: &Guest) -> Option<Vec<OsString>> {
        let word = |pieces: &Vec<Piece>| {
            let mut word = OsString::new();
            for piece in pieces {
                match piece {
                    Piece::Text(text) => word.push(text),
                    Piece::Place(name) => word.push(guest.value(name)?),
                }
            }
            Some(word)
        };
        self.words.iter().map(word).collect()
    }
}

impl Peer {
    /// Reads `--against`: "qemu", a program, or a template, each with `NAME=` before it or not.
    fn parse(text: &str) -> Result<Peer, UserError> {
        let named = text.split_once('=').filter(|(name, _)| {
            !name.is_empty()
                && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
        });
        let command = named.map_or(text, |(_, command)| command);
        let form = match command {
            "qemu" => Form::Words(QEMU.to_owned()),
            template if template.contains('{') => Form::Template(Template::parse(template)?),
            program => Form::Words(program.to_owned()),
        };
        let program = split(command)?.into_iter().next().unwrap_or_default();
        if program.is_empty() {
            return Err(wrong("No program is named", text));
        }
        let stem =
            Path::new(&program).file_name().map_or(program.clone(), |n| n.to_string_lossy().into_owned());
        let name = named.map_or(stem, |(name, _)| name.to_owned());
        Ok(Peer { name, forms: vec![form] })
    }

    /// All that are named.
    pub fn all(texts: &[String]) -> Result<Vec<Peer>, UserError> {
        let mut peers: Vec<Peer> = Vec::new();
        for text in texts {
            let peer = Peer::parse(text)?;
            match peers.iter_mut().find(|p| p.name == peer.name) {
                Some(known) => known.forms.extend(peer.forms),
                None => peers.push(peer),
            }
        }
        Ok(peers)
    }

    /// Program and arguments for a guest; `None` if nobody said how this peer runs one of its kind.
    pub fn command(&self, guest: &Guest) -> Option<Vec<OsString>> {
        self.forms.iter().find_map(|form| match form {
            Form::Words(program) => Some(std::iter::once(program.into()).chain(guest.words()).collect()),
            Form::Template(template) => template.fill(guest),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bare() -> Guest {
        Guest::Bare { elf: "/g.elf".into(), append: "a b".to_owned(), harts: 1 }
    }

    fn linux() -> Guest {
        Guest::Linux { kernel: "/Image".into(), initrd: "/i.cpio".into(), append: "run=x y".to_owned() }
    }

    fn line(peer: &Peer, guest: &Guest) -> Option<Vec<String>> {
        let command = peer.command(guest)?;
        Some(command.into_iter().map(|w| w.to_string_lossy().into_owned()).collect())
    }

    #[test]
    fn qemu_and_programs_take_qemus_words() {
        let peers = Peer::all(&["qemu".to_owned(), "/opt/q/other".to_owned()]).expect("peers");
        assert_eq!((peers[0].name.as_str(), peers[1].name.as_str()), ("qemu", "other"));
        let words = line(&peers[0], &bare()).expect("a command");
        assert_eq!(words[0], "qemu-system-riscv64");
        assert!(words.ends_with(&["-kernel", "/g.elf", "-append", "a b"].map(String::from)), "{words:?}");
        let words = line(&peers[1], &linux()).expect("a command").join(" ");
        assert!(
            words.starts_with("/opt/q/other") && words.contains("-initrd /i.cpio -append run=x y"),
            "{words}"
        );
    }

    #[test]
    fn templates_are_filled_word_by_word_and_fit_their_guests() {
        let texts = [
            "rv=emu -m 1G fw.bin -k {kernel} --initrd={initrd} -a '{append} more'".to_owned(),
            "rv=emu -bare {elf} \"{append}\"".to_owned(),
        ];
        let peers = Peer::all(&texts).expect("peers");
        assert_eq!(peers.len(), 1);
        let wanted = ["emu", "-m", "1G", "fw.bin", "-k", "/Image", "--initrd=/i.cpio", "-a", "run=x y more"];
        assert_eq!(line(&peers[0], &linux()), Some(wanted.map(String::from).to_vec()));
        assert_eq!(
            line(&peers[0], &bare()),
            Some(["emu", "-bare", "/g.elf", "a b"].map(String::from).to_vec())
        );
        let only_elf = Peer::all(&texts[1..]).expect("a peer");
        assert_eq!(line(&only_elf[0], &linux()), None);
    }

    #[test]
    fn slips_are_told() {
        let error = |text: &str| Peer::all(&[text.to_owned()]).expect_err(text).to_string();
        assert!(error("emu {kernle}").contains("{kernle}"));
        assert!(error("emu {kernel").contains("brace"));
        assert!(error("emu '{kernel}").contains("quote"));
        assert!(error("emu {append}").contains("where the guest goes"));
        assert!(error("").contains("No program"));
    }
}
