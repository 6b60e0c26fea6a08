//! Drivers: they compare what the core wants with what is in flight, start and stop, and turn what happens into
//! inputs. They decide nothing.
//!
//! - `local`: this process, real time, files. `narrate` is what it tells people, `signals` what wakes it besides.
//! - `sim`: virtual time, for rehearsals and tests; `rehearsal`: real people in a simulated world.
//! - `board`: what the operator has in front of him.
//! - `book`: the one way anything is written down; `signed`: decisions under their givers' own signatures; `evidence`:
//!   files that people attach; `folder`: what is frozen.
//! - `launch`: from a plan to a driven run, and from a directory back to one; `preflight` is what it checks first,
//!   `certified` whether it may begin for want of a rehearsal certificate.
//! - `surroundings`: what a run's children inherit, frozen at its start; `ambient` is what their tools take for granted.
//! - `queue`: the targets of a run that is about to begin, and waiting for them.
//! - `unbegun`: what is left of runs that died before their first entry; `unlock`: a target taken away from a run.
//! - `services`: the processes of a practice environment.
//! - `identity`: who is at this process; `word`: what somebody says who is not at its prompt; `socket`: how that
//!   reaches the process that drives the run; `reminders`: when people are reminded of what they are asked.

pub mod ambient;
mod board;
pub mod book;
pub mod certified;
pub mod evidence;
mod folder;
pub mod identity;
pub mod launch;
pub mod local;
mod messengers;
mod narrate;
pub mod preflight;
pub mod queue;
pub mod rehearsal;
mod reminders;
pub mod services;
mod signals;
pub mod signed;
pub mod sim;
pub mod socket;
pub mod surroundings;
pub mod unbegun;
pub mod unlock;
pub mod word;
