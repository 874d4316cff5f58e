//! The system's file dialogs, on a thread of their own. Every place that uses them has a text field too: without a desktop
//! portal a dialog ends as if it had been cancelled.

use egui::Context;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, channel};

/// A dialog that may be open, and for what.
pub struct FilePicker<T> {
    open: Option<(T, Receiver<Option<PathBuf>>)>,
}

impl<T> Default for FilePicker<T> {
    fn default() -> FilePicker<T> {
        FilePicker { open: None }
    }
}

impl<T: Clone> FilePicker<T> {
    /// Opens a dialog for `purpose`, unless one is open.
    pub fn pick(&mut self, ctx: &Context, purpose: T, title: &str) {
        if self.open.is_some() {
            return;
        }
        let (sender, receiver) = channel();
        let (title, ctx) = (title.to_owned(), ctx.clone());
        let thread = std::thread::Builder::new().name("file dialog".to_owned()).spawn(move || {
            let chosen = rfd::FileDialog::new().set_title(title).pick_file();
            // The window may be closed by now.
            let _ = sender.send(chosen);
            ctx.request_repaint();
        });
        if thread.is_ok() {
            self.open = Some((purpose, receiver));
        }
    }

    /// What was chosen, once.
    pub fn poll(&mut self) -> Option<(T, PathBuf)> {
        let (purpose, receiver) = self.open.as_ref()?;
        let result = match receiver.try_recv() {
            Err(std::sync::mpsc::TryRecvError::Empty) => return None,
            Ok(chosen) => chosen.map(|path| (purpose.clone(), path)),
            Err(std::sync::mpsc::TryRecvError::Disconnected) => None,
        };
        self.open = None;
        result
    }
}
