//! Hidden values: salted commitments in the line, values in disclosures outside it (RFC 9901, SD-JWT).
//!
//! Owns the encoding and the matching of disclosures to commitments. A disclosure is
//! base64url(JSON `[salt, name, value]`), its digest base64url(SHA-256(the disclosure as ASCII)). The value is
//! the one string of `journal::outside`. The caller brings the salt: this module draws no randomness.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

use super::encoding::{base64url, from_base64url};
use super::place::{Line, Malformed, lines};
use crate::journal::{Unwritable, canonical, parse_canonical};

/// A value with the salt that hides it. `Debug` shows neither.
#[derive(Clone, PartialEq, Eq)]
pub struct Disclosure {
    name: String,
    value: String,
    encoded: String,
}

impl std::fmt::Debug for Disclosure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Disclosure").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Disclosure {
    pub fn new(salt: [u8; 16], name: &str, value: &str) -> Result<Self, Unwritable> {
        let json = canonical(&[&base64url(&salt), name, value])?;
        Ok(Self { name: name.into(), value: value.into(), encoded: base64url(json.as_bytes()) })
    }

    pub fn parse(encoded: &str) -> Result<Self, Malformed> {
        parse_line(&Line { number: 1, offset: 0, text: encoded })
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// The stored form of the value, see `journal::outside`.
    pub fn value(&self) -> &str {
        &self.value
    }

    /// One line of `disclosures.jsonl`, without its line feed.
    pub fn encoded(&self) -> &str {
        &self.encoded
    }

    /// What stands under `_sd` in the line.
    pub fn digest(&self) -> String {
        base64url(&Sha256::digest(&self.encoded))
    }
}

fn parse_line(line: &Line) -> Result<Disclosure, Malformed> {
    let bad =
        || line.malformed("not a disclosure, expected [salt, name, value] in canonical JSON and base64url");
    let json = from_base64url(line.text).ok_or_else(bad)?;
    let value = parse_canonical(&json).map_err(|_| bad())?;
    let parts: [String; 3] = serde_json::from_value(value).map_err(|_| bad())?;
    let [salt, name, value] = parts;
    if from_base64url(&salt).is_none_or(|salt| salt.len() != 16) {
        return Err(line.malformed("the salt of a disclosure is not 128 bits"));
    }
    Ok(Disclosure { name, value, encoded: line.text.into() })
}

/// Reads `disclosures.jsonl`.
pub fn parse_disclosures(bytes: &[u8]) -> Result<Vec<Disclosure>, Malformed> {
    lines(bytes)?.iter().map(parse_line).collect()
}

/// One hidden field of one event: the `n`-th of `sd_names` and of `_sd`, which run in parallel.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Commitment {
    pub seq: u64,
    /// Index into the events of the line.
    pub event: usize,
    pub name: String,
    pub digest: String,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MismatchedDisclosure {
    #[error("disclosure {index} ({name}) matches no hidden field of the journal")]
    Unknown { index: usize, name: String },
    #[error("disclosure {index} is named {name:?}, but line {seq} hides {expected:?} behind its digest")]
    OtherName { index: usize, name: String, seq: u64, expected: String },
    #[error("disclosure {index} ({name}) was given before")]
    Twice { index: usize, name: String },
    #[error("lines {first} and {second} hide a field behind the same digest")]
    SharedDigest { first: u64, second: u64 },
}

/// The opened fields, in the order of the commitments; every disclosure must match exactly one. `index`
/// in an error counts from 1, as the lines of `disclosures.jsonl` do.
pub fn open<'a>(
    commitments: &'a [Commitment],
    disclosures: &'a [Disclosure],
) -> Result<BTreeMap<&'a Commitment, &'a Disclosure>, MismatchedDisclosure> {
    let mut by_digest: BTreeMap<&str, &Commitment> = BTreeMap::new();
    for commitment in commitments {
        if let Some(first) = by_digest.insert(&commitment.digest, commitment) {
            return Err(MismatchedDisclosure::SharedDigest { first: first.seq, second: commitment.seq });
        }
    }
    let mut opened = BTreeMap::new();
    for (i, disclosure) in disclosures.iter().enumerate() {
        let (index, name) = (i + 1, disclosure.name.clone());
        let Some(commitment) = by_digest.get(disclosure.digest().as_str()) else {
            return Err(MismatchedDisclosure::Unknown { index, name });
        };
        if commitment.name != name {
            let (seq, expected) = (commitment.seq, commitment.name.clone());
            return Err(MismatchedDisclosure::OtherName { index, name, seq, expected });
        }
        if opened.insert(*commitment, disclosure).is_some() {
            return Err(MismatchedDisclosure::Twice { index, name });
        }
    }
    Ok(opened)
}

#[cfg(test)]
mod tests {
    use super::super::place::tests::every_changed_byte_is_refused;
    use super::*;
    use proptest::prelude::*;

    fn commitment(seq: u64, disclosure: &Disclosure) -> Commitment {
        Commitment { seq, event: 0, name: disclosure.name.clone(), digest: disclosure.digest() }
    }

    /// The encoding of RFC 9901, section 4.2.1, checked against its published digest.
    #[test]
    fn the_digest_of_the_specification() {
        let encoded = "WyJfMjZiYzRMVC1hYzZxMktJNmNCVzVlcyIsICJmYW1pbHlfbmFtZSIsICJNw7ZiaXVzIl0";
        let disclosure = Disclosure { name: String::new(), value: String::new(), encoded: encoded.into() };
        assert_eq!(disclosure.digest(), "X9yH0Ajrdm1Oij4tWso9UzzKJvPoDxwmuEcO3XAdRC0");
        assert!(Disclosure::parse(encoded).is_err(), "its JSON has spaces: ours has one spelling");
    }

    #[test]
    fn a_disclosure_comes_back() {
        let made = Disclosure::new([7; 16], "argv", r#"["curl","é\u007f"]"#).unwrap();
        let file = format!("{}\n", made.encoded());
        assert_eq!(parse_disclosures(file.as_bytes()).unwrap(), std::slice::from_ref(&made));
        assert_eq!((made.name(), made.value()), ("argv", r#"["curl","é\u007f"]"#));
        assert!(!format!("{made:?}").contains("curl"));
        assert!(Disclosure::new([7; 16], "argv", "\u{7f}").is_err());
        assert_eq!(parse_disclosures(b"YQ\nx").unwrap_err().line, 2);
    }

    #[test]
    fn no_byte_can_be_changed() {
        let made = Disclosure::new([7; 16], "argv", "[1.50]").unwrap();
        let commitments = [commitment(0, &made)];
        every_changed_byte_is_refused(made.encoded().as_bytes(), |bytes| {
            let parsed = std::str::from_utf8(bytes).map(Disclosure::parse);
            parsed.is_ok_and(|d| d.is_ok_and(|d| open(&commitments, &[d]).is_ok()))
        });
    }

    #[test]
    fn every_disclosure_matches_one_hidden_field() {
        let (a, b) =
            (Disclosure::new([1; 16], "a", "1").unwrap(), Disclosure::new([2; 16], "b", "1").unwrap());
        let both = [commitment(3, &a), commitment(4, &b)];
        assert_eq!(open(&both, &[]).unwrap().len(), 0);
        let opened = [b.clone()];
        assert_eq!(open(&both, &opened).unwrap().into_iter().collect::<Vec<_>>(), [(&both[1], &opened[0])]);
        let refused = |commitments: &[Commitment], given: &[Disclosure]| {
            open(commitments, given).unwrap_err().to_string()
        };
        assert_eq!(
            refused(&both[..1], &[a.clone(), b.clone()]),
            "disclosure 2 (b) matches no hidden field of the journal"
        );
        assert_eq!(refused(&both, &[a.clone(), a.clone()]), "disclosure 2 (a) was given before");
        let renamed = [Commitment { name: "c".into(), ..both[0].clone() }];
        assert!(refused(&renamed, std::slice::from_ref(&a)).contains("line 3 hides \"c\""));
        assert_eq!(
            refused(&[commitment(3, &a), commitment(9, &a)], &[]),
            "lines 3 and 9 hide a field behind the same digest"
        );
    }

    proptest! {
        #[test]
        fn noise_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..60), json in "[\\[\\]\",a-z]{0,30}") {
            let _ = parse_disclosures(&bytes);
            let _ = Disclosure::parse(&base64url(json.as_bytes()));
        }

        #[test]
        fn what_parses_encodes_to_itself(salt in any::<[u8; 16]>(), name in "[ -~]{0,8}", value in "[^\\x7f]{0,20}") {
            let made = Disclosure::new(salt, &name, &value).unwrap();
            prop_assert_eq!(Disclosure::parse(made.encoded()).unwrap(), made);
        }
    }
}
