//! The practice platform over the wire: every call, every refusal, every fault, and a restart.
#![allow(clippy::disallowed_methods, reason = "those rules are for the core")]

mod admin;
mod api_keys;
mod creation;
mod faults;
mod firestore;
mod mail;
mod messages;
mod restart;
mod stripe;
mod tenant_side;
mod world;
