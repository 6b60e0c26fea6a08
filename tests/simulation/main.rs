//! The simulation: random plans, every fault of the model, checkers after every entry.
//!
//! - `plans`, `world`, `people`, `drive`: what is run, and what happens to it.
//! - `nests`: plans with groups, lists, rounds and reverts.
//! - `places`, `model`, `checkers`, `compounds`: a second opinion on every entry.
//! - `told`: what an event says beyond its fact.
//! - `choices`: what is chosen was on the list that stood in the question.
//! - `glass`: gates that somebody opens alone.
//! - `points`: items of a checklist are ticked by what they show, where they are read back.
//! - `limits`: what goes through an approval without having been shown.
//! - `sabotage`: each checker objects when the core or the driver is broken on purpose.
//! - `doctored`: the same for groups, lists, rounds and reverts.
//! - `laws`: each law of ARCHITECTURE.md by its name.
//! - `runs`: thousands of seeds, crash variants of each.
//! - `exhaustive`: every small plan, in every order, with a crash after every entry.
//! - `small`: every small plan with groups, lists and rounds, likewise.
//! - `leavings`: secrets that are born, files that are left, hosts.
//! - `guards`: what must hold for guards, and what happens to them.
//! - `gates`: every short sequence of what can happen to a gate.
//! - `rules`: the rules of the language by their numbers.
//! - `toggles`: rule 10 over many runs.
//! - `rerun`: a part of a finished run done again.
//! - `arbitrary`: inputs without sense.
#![allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "tests are not the core")]

mod arbitrary;
mod checkers;
mod choices;
mod compounds;
mod doctored;
mod drive;
mod exhaustive;
mod gates;
mod glass;
mod guards;
mod laws;
mod leavings;
mod limits;
mod model;
mod nests;
mod people;
mod places;
mod plans;
mod points;
mod rerun;
mod rng;
mod rules;
mod runs;
mod sabotage;
mod small;
mod toggles;
mod told;
mod world;
