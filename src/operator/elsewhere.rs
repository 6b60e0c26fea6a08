//! What is said about deciding elsewhere: the block to send to whoever may decide, and how it comes back.
//!
//! Pure. The lines between the frames are the exact text that is signed; nothing here is wrapped, since what is to be
//! copied must not break.

use super::question::{Question, ToSign};
use super::quoted::quoted;
use super::wording::Text;
use crate::core::AskKind;

/// The block of a question with what to do with it, as lines ending in one. `run` as the command line names it.
pub fn block(question: &Question, run: &str) -> Option<String> {
    let to_sign = question.to_sign.as_ref()?;
    let mut out = format!("  {}\n{}", question.lang.text(Text::SignElsewhere), to_sign.framed);
    for line in ways(question, to_sign, run) {
        out.push_str(&format!("  {line}\n"));
    }
    Some(out)
}

/// How the text is signed, and how the signature is handed in.
pub fn ways(question: &Question, to_sign: &ToSign, run: &str) -> Vec<String> {
    let lang = question.lang;
    let word = if question.kind == AskKind::Approve { "approve" } else { "yes" };
    let typed = question.typed.as_deref().map(quoted);
    let word = typed.as_deref().unwrap_or(word);
    let file = format!("{}.txt", question.step);
    let name = if to_sign.unnamed { lang.text(Text::SignName) } else { "" };
    let values = [("file", file.as_str()), ("name", name)];
    let back = [("run", run), ("step", question.step.as_str()), ("word", word)];
    vec![
        lang.text(Text::SignThere).to_owned(),
        lang.fill(Text::SignStock, &values),
        format!("  ssh-keygen -Y sign -n {} -f KEY {file}", to_sign.namespace),
        lang.text(Text::SignBack).to_owned(),
        lang.fill(Text::SignAnswer, &back),
    ]
}
