//! Drivers: they compare what the core wants with what is in flight, start and stop, and turn what happens into
//! inputs. They decide nothing.
//!
//! - `sim`: virtual time, for rehearsals and tests.

pub mod sim;
