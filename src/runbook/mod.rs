//! The runbook language: what a file may say, and whether it makes sense.

pub mod decode;
pub mod scalar;
pub mod schema;
pub mod template;
pub mod yaml;
