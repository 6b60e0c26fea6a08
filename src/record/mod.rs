//! The record: what a finished run leaves for somebody who trusts nobody.
//!
//! Owns signatures and what they are over: tree heads (`note`), the record's envelope (`dsse`), texts that
//! people and the executor sign (`sshsig`), the file list (`sums`), certificates of rehearsals (`certificate`); the executor's key (`keys`) and who may sign what (`allowed_signers`, `namespace`, `trust`).
//!
//! The laws: exact bytes are signed and verified, nothing is canonicalised in order to verify; every encoding
//! has one spelling and any other is refused; trust comes from the verifier's own
//! directory, never from the record; whatever we accept, stock tools accept too.

pub mod allowed_signers;
pub mod approval;
pub mod block;
pub mod build;
pub mod certificate;
pub mod coverage;
pub mod dsse;
pub mod enrol;
pub mod history;
pub mod keys;
pub(crate) mod layout;
pub mod ledger;
mod limits;
pub mod namespace;
pub mod note;
pub mod origin;
pub mod render;
pub mod review;
pub mod sshsig;
mod summary;
pub mod sums;
pub mod trust;
pub mod verify;

pub(crate) use crate::journal::encoding;
pub use crate::journal::{disclosure, place};
pub use allowed_signers::{AllowedSigners, NotAllowed, Signer};
pub use disclosure::{Commitment, Disclosure};
pub use dsse::{Envelope, Statement, Subject};
pub use keys::{ExecutorKey, KeyError};
pub use note::{SignedTreeHead, TreeHead, VerifierKey};
pub use place::Malformed;
pub use sshsig::{FileKey, SignerKey, SshSignature};
pub use sums::Sums;
pub use trust::Trust;
