//! The journal: what happened in a run, in order, as lines that can be hashed, chained and signed.
//!
//! Owns the bytes of a line (`canonical`), what a line says (`entry`), how values from outside and hidden values are
//! written (`outside`, `disclosure`), the chain and the Merkle tree over the lines (`chain`, `tree`), and where they
//! are kept: in files (`file`, with `blobs`, `lock` and `queue` beside them) or in memory with faults (`memory`).
//!
//! The laws: exact bytes are hashed, nothing is canonicalised in order to verify; an entry is on disk before anything
//! it enables starts; a torn end is set aside and reported, damage anywhere else is refused with its place. It signs
//! nothing and trusts nobody: that is `record`.

pub mod blobs;
pub mod canonical;
pub mod chain;
pub mod disclosure;
pub(crate) mod encoding;
pub mod entry;
mod error;
pub mod file;
pub(crate) mod files;
pub mod lock;
pub mod memory;
pub mod outside;
pub mod place;
pub mod queue;
pub mod salt;
pub mod tree;

pub use blobs::Blobs;
pub use canonical::{CanonicalError, Fault, Unwritable, canonical, parse_canonical};
pub use chain::Chain;
pub use disclosure::{Commitment, Disclosure};
pub use entry::{Disclosed, Encoded, Entry, Parsed, Pending};
pub use error::JournalError;
pub use file::{Journal, Opened, Recorded, Torn};
pub use lock::{LockError, RunLock, TargetHolder, TargetLocks};
pub use memory::{Memory, MemoryFault};
pub use outside::{Outside, outside_bytes, outside_json, outside_text};
pub use place::Malformed;
pub use queue::{Queue, Ticket, Waiting};
pub use salt::{Salt, SeededSalt, SystemSalt};
pub use tree::{Hash, Tree, leaf_hash};

/// What a driver needs of a journal: the files of a run, or memory.
pub trait Append {
    /// Writes one entry per item, all of them with one sync, and gives them back as they stand.
    ///
    /// # Errors
    /// Nothing of the batch counts, and nothing more can be appended: the driver ends, and opening the journal again
    /// says what is on disk.
    fn append(&mut self, batch: Vec<Pending>) -> Result<Vec<Entry>, JournalError>;

    /// Entries so far.
    fn size(&self) -> u64;
}
