//! The runbook language: what a file may say, and whether it makes sense.

pub mod extract;
pub mod template;
