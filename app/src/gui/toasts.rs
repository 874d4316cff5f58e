//! Messages in the lower right corner: what happened, to what, and what to do next.

use super::icons::Icon;
use super::theme::{self, SPACE};
use super::widgets;
use crate::machine::api::{Severity, UserError};
use egui::{Align2, Area, Context, Frame, Id, Margin, RichText, Stroke, vec2};
use std::time::{Duration, Instant};

/// How long a message stays that needs no answer.
const INFO_TIME: Duration = Duration::from_secs(6);
/// Older ones go when there are more.
const MOST: usize = 5;

struct Toast {
    number: u64,
    severity: Severity,
    text: String,
    advice: String,
    until: Option<Instant>,
}

/// All messages on the screen.
#[derive(Default)]
pub struct Toasts {
    list: Vec<Toast>,
    count: u64,
}

impl Toasts {
    /// Something went well.
    pub fn info(&mut self, text: impl Into<String>) {
        self.add(Severity::Info, text.into(), String::new());
    }

    /// Something failed.
    pub fn error(&mut self, error: &UserError) {
        let text = if error.to_what.is_empty() {
            format!("{}.", error.what)
        } else {
            format!("{}: {}.", error.to_what, error.what)
        };
        self.add(Severity::Error, text, error.what_next.clone());
    }

    /// Any message. Errors stay until closed; the same one is not shown twice.
    pub fn add(&mut self, severity: Severity, text: String, advice: String) {
        self.list.retain(|t| t.text != text);
        self.count += 1;
        let until = (severity == Severity::Info).then(|| Instant::now() + INFO_TIME);
        self.list.push(Toast { number: self.count, severity, text, advice, until });
        if self.list.len() > MOST {
            self.list.remove(0);
        }
    }

    /// Shows them and forgets those whose time is over.
    pub fn show(&mut self, ctx: &Context) {
        let now = Instant::now();
        self.list.retain(|t| t.until.is_none_or(|u| u > now));
        let p = theme::palette_of(ctx);
        let mut bottom = theme::STATUS_HEIGHT + SPACE[3];
        let mut closed = None;
        for toast in self.list.iter().rev() {
            let (icon, color) = match toast.severity {
                Severity::Info => (Icon::Check, p.accent),
                Severity::Warning => (Icon::Warning, p.warning),
                Severity::Error => (Icon::Error, p.error),
            };
            let area = Area::new(Id::unique(("toast", toast.number)))
                .anchor(Align2::RIGHT_BOTTOM, vec2(-SPACE[3], -bottom))
                .order(egui::Order::Foreground)
                .show(ctx, |ui| {
                    Frame::new()
                        .fill(p.raised)
                        .stroke(Stroke::new(1.0, color.gamma_multiply(0.6)))
                        .corner_radius(8)
                        .inner_margin(Margin::symmetric(12, 10))
                        .shadow(ui.visuals().popup_shadow)
                        .show(ui, |ui| {
                            ui.horizontal_top(|ui| {
                                widgets::icon(ui, icon, 16.0, color);
                                ui.vertical(|ui| {
                                    ui.set_width(320.0);
                                    ui.label(&toast.text);
                                    if !toast.advice.is_empty() {
                                        ui.label(RichText::new(&toast.advice).color(p.weak));
                                    }
                                });
                                if widgets::icon_button(ui, Icon::Close, "Close message", "Close", true)
                                    .clicked()
                                {
                                    closed = Some(toast.number);
                                }
                            });
                        });
                });
            bottom += area.response.rect.height() + SPACE[1];
            if let Some(until) = toast.until {
                ctx.request_repaint_after(until.saturating_duration_since(now));
            }
        }
        self.list.retain(|t| Some(t.number) != closed);
    }

    /// The newest message, for tests.
    #[cfg(test)]
    pub fn newest(&self) -> Option<&str> {
        self.list.last().map(|t| t.text.as_str())
    }
}
