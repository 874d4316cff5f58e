//! The Debian mirror that this machine already uses, read from its own apt sources: no address is written in this program.

use crate::machine::api::UserError;
use std::fs;
use std::path::{Path, PathBuf};

/// A mirror, and the keys that sign it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Mirror {
    /// As apt writes it.
    pub uri: String,
    /// The key ring.
    pub keys: PathBuf,
}

/// Where Debian's `debian-archive-keyring` puts its keys; newer ones have the second name only.
const KEY_RINGS: [&str; 2] =
    ["/usr/share/keyrings/debian-archive-keyring.gpg", "/usr/share/keyrings/debian-archive-keyring.pgp"];

/// One entry of the sources.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Entry {
    uri: String,
    suite: String,
    signed_by: Option<String>,
}

/// Finds the mirror. `VITRINE_DEBIAN_MIRROR` in the environment overrides what the sources say.
pub fn find(etc_apt: &Path) -> Result<Mirror, UserError> {
    let keys = KEY_RINGS.iter().map(PathBuf::from).find(|k| k.is_file());
    if let Ok(uri) = std::env::var("VITRINE_DEBIAN_MIRROR") {
        let keys = keys.ok_or_else(no_keys)?;
        return Ok(Mirror { uri, keys });
    }
    let entry = entries(etc_apt).into_iter().find(is_debian).ok_or_else(|| {
        UserError::new(
            "There is no Debian mirror in this machine's apt sources",
            etc_apt.display().to_string(),
            "Guests are built from Debian's packages: do it on a Debian machine or container with `vitrine images fetch NAME \
             --dir DIR` and copy the folder here, or name a mirror in VITRINE_DEBIAN_MIRROR.",
        )
    })?;
    let own = entry.signed_by.map(PathBuf::from).filter(|k| k.is_absolute() && k.is_file());
    let keys = own.or(keys).ok_or_else(no_keys)?;
    Ok(Mirror { uri: entry.uri, keys })
}

fn no_keys() -> UserError {
    UserError::new(
        "Debian's keys are not installed, so its packages cannot be checked",
        "",
        "Install the package debian-archive-keyring.",
    )
}

fn entries(etc_apt: &Path) -> Vec<Entry> {
    let mut files: Vec<PathBuf> = fs::read_dir(etc_apt.join("sources.list.d"))
        .map(|dir| dir.filter_map(|e| Some(e.ok()?.path())).collect())
        .unwrap_or_default();
    files.sort();
    files.push(etc_apt.join("sources.list"));
    let mut found = Vec::new();
    for file in files {
        let Ok(text) = fs::read_to_string(&file) else { continue };
        match file.extension().and_then(|e| e.to_str()) {
            Some("sources") => found.extend(deb822(&text)),
            Some("list") => found.extend(text.lines().filter_map(one_line)),
            _ => {}
        }
    }
    found
}

/// `Types: deb` stanzas.
fn deb822(text: &str) -> Vec<Entry> {
    let mut found = Vec::new();
    for stanza in text.split("\n\n") {
        let field = |name: &str| {
            stanza
                .lines()
                .filter(|l| !l.starts_with('#'))
                .find_map(|l| l.strip_prefix(name)?.strip_prefix(':'))
                .map(|v| v.trim().to_owned())
        };
        let is_deb = field("Types").is_some_and(|t| t.split_whitespace().any(|w| w == "deb"));
        let enabled = field("Enabled").is_none_or(|e| e != "no");
        let (Some(uris), Some(suites)) = (field("URIs"), field("Suites")) else { continue };
        let (Some(uri), Some(suite)) = (uris.split_whitespace().next(), suites.split_whitespace().next())
        else {
            continue;
        };
        if is_deb && enabled {
            let signed_by = field("Signed-By").filter(|s| !s.is_empty());
            found.push(Entry { uri: uri.to_owned(), suite: suite.to_owned(), signed_by });
        }
    }
    found
}

/// `deb [options] URI suite components`.
fn one_line(line: &str) -> Option<Entry> {
    let rest = line.trim().strip_prefix("deb")?.strip_prefix([' ', '\t'])?.trim_start();
    let (options, rest) = match rest.strip_prefix('[') {
        Some(rest) => rest.split_once(']')?,
        None => ("", rest),
    };
    let mut words = rest.split_whitespace();
    let (uri, suite) = (words.next()?.to_owned(), words.next()?.to_owned());
    let signed_by = options.split_whitespace().find_map(|o| o.strip_prefix("signed-by=")).map(str::to_owned);
    Some(Entry { uri, suite, signed_by })
}

/// A mirror of Debian itself: its path ends in `/debian` (or says what it mirrors in apt's `mirror` lists), and it is no archive
/// of security updates only.
fn is_debian(entry: &Entry) -> bool {
    let path = entry.uri.trim_end_matches('/');
    let named = path.ends_with("/debian") || path.ends_with("/debian.list");
    let signed = entry.signed_by.as_deref().is_some_and(|k| k.contains("debian-archive-keyring"));
    (named || signed) && !entry.suite.contains("-security") && !path.ends_with("-security")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mirror_of(name: &str, text: &str) -> Option<String> {
        let dir = tempfile::tempdir().expect("a folder");
        fs::create_dir(dir.path().join("sources.list.d")).expect("a folder");
        fs::write(dir.path().join(name), text).expect("written");
        entries(dir.path()).into_iter().find(is_debian).map(|e| e.uri)
    }

    #[test]
    fn mirrors_are_found_in_both_forms() {
        let stanzas = "Types: deb\nURIs: http://a.example/debian-security\nSuites: bookworm-security\n\
            Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg\n\n# comment\nTypes: deb deb-src\n\
            URIs: http://b.example/mirror/\nSuites: bookworm bookworm-updates\n\
            Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg\n";
        let found = mirror_of("sources.list.d/x.sources", stanzas);
        assert_eq!(found.as_deref(), Some("http://b.example/mirror/"));
        let lines = "# deb http://c.example/debian x main\ndeb-src http://c.example/debian x main\n\
            deb [arch=amd64 signed-by=/k] http://d.example/other x main\ndeb http://e.example/debian/ sid main\n";
        assert_eq!(mirror_of("sources.list", lines).as_deref(), Some("http://e.example/debian/"));
    }

    #[test]
    fn strangers_and_disabled_entries_are_not_debian() {
        assert_eq!(mirror_of("sources.list", "deb http://a.example/ubuntu noble main\n"), None);
        let off = "Types: deb\nURIs: http://a.example/debian\nSuites: sid\nEnabled: no\n";
        assert_eq!(mirror_of("sources.list.d/x.sources", off), None);
        assert_eq!(mirror_of("sources.list.d/x.sources", "Types: deb\nURIs:\nSuites:\n"), None);
        assert_eq!(mirror_of("sources.list", "deb\ndeb [\ndeb http://x\n"), None);
    }
}
