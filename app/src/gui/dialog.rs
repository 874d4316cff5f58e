//! Questions that must be answered before something is lost.

use super::action::Action;
use super::rects;
use super::theme::SPACE;
use super::widgets;
use egui::{Align, Context, Frame, Id, Layout, Modal, vec2};

/// A window before all others, with the margin of a window; egui gives it that of a menu.
pub fn modal(ctx: &Context, name: &str) -> Modal {
    let style = ctx.global_style();
    Modal::new(Id::unique(name)).frame(Frame::popup(&style).inner_margin(style.spacing.window_margin))
}

/// A question with one answer that does something.
pub struct Question {
    /// The question, as a heading.
    pub title: String,
    /// What would be lost.
    pub text: String,
    /// Words on the button that does it.
    pub yes: String,
    /// What it does.
    pub action: Action,
    /// Another way out: words and action.
    pub other: Option<(String, Action)>,
}

/// What became of a question.
pub enum Answer {
    /// Still open.
    Open,
    /// Cancelled.
    No,
    /// Do this.
    Do(Action),
}

/// Shows the question over everything.
pub fn show(ctx: &Context, question: &Question) -> Answer {
    let mut answer = Answer::Open;
    let modal = modal(ctx, "question").show(ctx, |ui| {
        ui.set_width(400.0);
        widgets::heading(ui, &question.title);
        ui.add_space(SPACE[0]);
        widgets::weak(ui, &question.text);
        ui.add_space(SPACE[2]);
        ui.allocate_ui_with_layout(vec2(400.0, 28.0), Layout::right_to_left(Align::Center), |ui| {
            let yes = widgets::primary_button(ui, &question.yes, true);
            rects::note(ui.ctx(), "question.yes", yes.rect);
            if yes.clicked() {
                answer = Answer::Do(question.action.clone());
            }
            if let Some((text, action)) = &question.other
                && widgets::button(ui, text).clicked()
            {
                answer = Answer::Do(action.clone());
            }
            if widgets::button(ui, "Cancel").clicked() {
                answer = Answer::No;
            }
        });
    });
    if matches!(answer, Answer::Open) && modal.should_close() { Answer::No } else { answer }
}
