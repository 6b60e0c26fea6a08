//! The journal: what happened in a run, in order, as lines that can be hashed, chained and signed.
//!
//! Owns the bytes of a line (`canonical`), how values from outside are written into one (`outside`) and the
//! Merkle tree over the lines (`tree`). It hashes exact bytes and never canonicalises in order to verify: a
//! line that is not canonical of itself is refused. It signs nothing and trusts nobody: that is `record`.

pub mod canonical;
pub mod outside;
pub mod tree;

pub use canonical::{CanonicalError, Fault, Unwritable, canonical, parse_canonical};
pub use outside::{Outside, outside_bytes, outside_json, outside_text};
pub use tree::{Hash, Tree, leaf_hash};
