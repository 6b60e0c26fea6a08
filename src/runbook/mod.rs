//! The runbook language: what a file may say, and whether it makes sense.

pub mod act;
pub mod answers;
pub mod cases;
pub mod catalogue;
pub mod check;
pub mod contacts;
pub mod coverage;
pub mod decode;
pub mod environment;
pub mod extract;
pub mod fault;
pub mod flow;
pub mod folding;
pub mod har;
mod hosts;
pub mod inputs;
pub mod letters;
pub mod lists;
pub mod load;
pub mod position;
pub mod reach;
pub mod scalar;
pub mod scenario;
pub mod schema;
pub mod shell;
pub mod template;
pub mod texts;
pub mod used;
pub mod window;
pub mod yaml;

pub use check::{CheckReport, check_file};
