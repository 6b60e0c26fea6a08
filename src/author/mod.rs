//! The author's tools: a first runbook from nothing or from Markdown, and any runbook on paper.
//!
//! Everything here is a function from texts to texts: it opens no file, starts no process and executes nothing that
//! it reads. What becomes of a text is decided by the verbs of the command line.

pub mod first;
pub mod paper;
pub mod procedure;
mod slug;
mod written;

pub use slug::runbook_id;
