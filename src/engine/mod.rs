//! Drivers: they compare what the core wants with what is in flight, start and stop, and turn what happens into
//! inputs. They decide nothing.
//!
//! - `local`: this process, real time, files. `narrate` is what it tells people, `signals` what wakes it besides.
//! - `sim`: virtual time, for rehearsals and tests.
//! - `book`: the one way anything is written down; `evidence`: files that people attach.
//! - `launch`: from a plan to a driven run, and from a directory back to one; `preflight` is what it checks first.
//! - `unbegun`: what is left of runs that died before their first entry; `unlock`: a target taken away from a run.
//! - `services`: the processes of a practice environment.
//! - `identity`: who is at this process; `word`: what somebody says who is not at its prompt.

pub mod book;
pub mod evidence;
pub mod identity;
pub mod launch;
pub mod local;
mod narrate;
pub mod preflight;
pub mod services;
mod signals;
pub mod sim;
pub mod unbegun;
pub mod unlock;
pub mod word;
