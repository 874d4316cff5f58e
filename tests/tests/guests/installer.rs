//! Debian's installer as it comes from the network: its screens on a serial terminal, and keys that move in them.

use anyhow::{Result, ensure};
use std::time::Duration;
use tests::guest::screen::Screen;
use tests::guest::{Guest, images, linux};

const LIMIT: Duration = Duration::from_secs(1200);
const DOWN: &str = "\x1b[B";
const UP: &str = "\x1b[A";
const ENTER: &str = "\r";

/// The installer and what its terminal shows.
struct Installer {
    guest: Guest,
    screen: Screen,
}

impl Installer {
    fn start() -> Result<Installer> {
        let kernel = images::file("installer-riscv64", "linux")?;
        let initrd = images::file("installer-riscv64", "initrd.gz")?;
        let config = linux("installer", &kernel, &initrd, "console=ttyS0");
        Ok(Installer { guest: Guest::start(&config, LIMIT)?, screen: Screen::default() })
    }

    fn until(&mut self, what: &str, seen: impl Fn(&Screen) -> bool) -> Result<()> {
        let screen = &mut self.screen;
        let found = self.guest.wait(what, |g| {
            screen.follow(g.bytes());
            seen(screen).then_some(())
        });
        found.map_err(|e| e.context(format!("the screen shows:\n{}", self.screen.text())))
    }

    fn shows(&mut self, text: &str) -> Result<()> {
        self.until(text, |s| s.text().contains(text))
    }

    fn chosen(&mut self, entry: &str) -> Result<()> {
        self.until(&format!("{entry} to be chosen"), |s| {
            s.chosen().lines().any(|l| l.trim().starts_with(entry))
        })
    }
}

#[test]
fn keys_lead_from_screen_to_screen() -> Result<()> {
    let mut i = Installer::start()?;
    i.shows("Select a language")?;
    i.chosen("English")?;
    // A terminal without UTF-8 is offered two languages: "C", and below it English.
    i.guest.keys(UP)?;
    i.chosen("C")?;
    i.guest.keys(DOWN)?;
    i.chosen("English")?;
    // Frames are drawn with the terminal's line-drawing characters.
    ensure!(
        i.screen.text().contains('─') && i.screen.text().contains('│'),
        "no frames:\n{}",
        i.screen.text()
    );
    i.guest.keys(ENTER)?;
    i.shows("Select your location")?;
    i.chosen("United States")?;
    i.guest.keys(UP)?;
    i.chosen("United Kingdom")?;
    i.guest.keys(ENTER)?;
    i.shows("Configure the keyboard")?;
    Ok(())
}
