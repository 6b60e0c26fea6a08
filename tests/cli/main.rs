//! The command line as a person or a script meets it: exit code, data and talk of whole commands. What can be shown
//! lower down is tested there; here it is proved that the wiring says it.
#![allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "tests are not the core")]

mod again;
mod author;
mod certificate;
mod choice;
mod clock;
mod closed;
mod completion;
mod coverage;
mod damage;
mod disk;
mod elsewhere;
mod environment;
mod exhibits;
mod files;
mod first;
mod flow;
mod foreseen;
mod form;
mod glass;
mod guards;
mod held;
mod hosts;
mod limits;
mod lists;
mod messages;
mod missing;
mod people;
mod pictures;
mod plan;
mod preflight;
mod queue;
mod reference;
mod scratch;
mod signed;
mod surroundings;
mod told;
mod used;
mod window;
