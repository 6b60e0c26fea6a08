//! The record as an in-toto Statement v1 in a DSSE envelope with exactly one signature.
//!
//! Owns the pre-authentication encoding, the key id and both JSON forms. The file is one canonical line with
//! its line feed, so it has one spelling. The payload is read only after its signature has been verified.

use std::collections::BTreeMap;

use ed25519_dalek::pkcs8::EncodePublicKey;
use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::encoding::{base64, from_base64};
use super::place::{Malformed, utf8};
use crate::journal::{Hash, Unwritable, canonical, parse_canonical};

pub const PAYLOAD_TYPE: &str = "application/vnd.in-toto+json";
pub const STATEMENT_TYPE: &str = "https://in-toto.io/Statement/v1";

/// What DSSE signs: the payload together with its type.
pub fn pae(payload_type: &str, payload: &[u8]) -> Vec<u8> {
    let mut bytes = format!("DSSEv1 {} {payload_type} {} ", payload_type.len(), payload.len()).into_bytes();
    bytes.extend_from_slice(payload);
    bytes
}

/// Hexadecimal SHA-256 of the key as SPKI DER: `openssl pkey -pubin -outform DER | sha256sum`.
pub fn key_id(key: &VerifyingKey) -> String {
    let der = key.to_public_key_der().expect("an Ed25519 key always has an SPKI form");
    Hash::of(der.as_bytes()).to_string()
}

/// An envelope, its payload not yet verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope {
    payload: Vec<u8>,
    key_id: String,
    signature: Signature,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DsseError {
    #[error("the envelope names key {found}, expected {expected}")]
    OtherKey { found: String, expected: String },
    #[error("the signature of the envelope does not match its payload")]
    BadSignature,
    #[error("the payload of the envelope: {0}")]
    Payload(Malformed),
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct EnvelopeFile {
    payload: String,
    #[serde(rename = "payloadType")]
    payload_type: String,
    signatures: Vec<SignatureFile>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SignatureFile {
    keyid: String,
    sig: String,
}

impl Envelope {
    pub fn sign(statement: &Statement, key: &SigningKey) -> Result<Self, Unwritable> {
        let payload = canonical(statement)?.into_bytes();
        let signature = key.sign(&pae(PAYLOAD_TYPE, &payload));
        Ok(Self { payload, key_id: key_id(&key.verifying_key()), signature })
    }

    pub fn parse(bytes: &[u8]) -> Result<Self, Malformed> {
        let Some(line) = bytes.strip_suffix(b"\n") else {
            return Err(Malformed {
                offset: bytes.len(),
                ..Malformed::start("the envelope does not end in a line feed")
            });
        };
        let value = parse_canonical(line)?;
        let file: EnvelopeFile = serde_json::from_value(value)
            .map_err(|e| Malformed::start(format!("not a DSSE envelope: {e}")))?;
        let [signature] = file.signatures.as_slice() else {
            let what = format!("found {} signatures in the envelope, expected one", file.signatures.len());
            return Err(Malformed::start(what));
        };
        if file.payload_type != PAYLOAD_TYPE {
            return Err(Malformed::start(format!(
                "found a payload of type {:?}, expected {PAYLOAD_TYPE}",
                file.payload_type
            )));
        }
        let payload =
            from_base64(&file.payload).ok_or_else(|| Malformed::start("the payload is not strict base64"))?;
        let signed = from_base64(&signature.sig).and_then(|bytes| Signature::from_slice(&bytes).ok());
        let signed =
            signed.ok_or_else(|| Malformed::start("the signature is not 64 bytes in strict base64"))?;
        Ok(Self { payload, key_id: signature.keyid.clone(), signature: signed })
    }

    /// The bytes of the file.
    pub fn to_bytes(&self) -> Vec<u8> {
        let file = EnvelopeFile {
            payload: base64(&self.payload),
            payload_type: PAYLOAD_TYPE.into(),
            signatures: vec![SignatureFile {
                keyid: self.key_id.clone(),
                sig: base64(&self.signature.to_bytes()),
            }],
        };
        let line =
            canonical(&file).expect("base64 and a key id, parsed from or written as canonical strings");
        (line + "\n").into_bytes()
    }

    /// The key id it names: a hint, never a reason to trust.
    pub fn key_id(&self) -> &str {
        &self.key_id
    }

    /// The statement, if `key` signed it and the key id is that key's.
    pub fn verify(&self, key: &VerifyingKey) -> Result<Statement, DsseError> {
        let expected = key_id(key);
        if self.key_id != expected {
            return Err(DsseError::OtherKey { found: self.key_id.clone(), expected });
        }
        key.verify_strict(&pae(PAYLOAD_TYPE, &self.payload), &self.signature)
            .map_err(|_| DsseError::BadSignature)?;
        Statement::parse(&self.payload).map_err(DsseError::Payload)
    }
}

/// An in-toto Statement v1.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Statement {
    #[serde(rename = "_type")]
    kind: String,
    #[serde(rename = "subject")]
    pub subjects: Vec<Subject>,
    #[serde(rename = "predicateType")]
    pub predicate_type: String,
    pub predicate: Value,
}

/// A file of the record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Subject {
    pub name: String,
    digest: BTreeMap<String, String>,
}

impl Statement {
    pub fn new(subjects: Vec<Subject>, predicate_type: impl Into<String>, predicate: Value) -> Self {
        Self { kind: STATEMENT_TYPE.into(), subjects, predicate_type: predicate_type.into(), predicate }
    }

    fn parse(payload: &[u8]) -> Result<Self, Malformed> {
        utf8(payload)?;
        let statement: Self = serde_json::from_value(parse_canonical(payload)?)
            .map_err(|e| Malformed::start(format!("not an in-toto statement: {e}")))?;
        if statement.kind != STATEMENT_TYPE {
            return Err(Malformed::start(format!(
                "found a statement of type {:?}, expected {STATEMENT_TYPE}",
                statement.kind
            )));
        }
        match statement.subjects.iter().find(|s| s.sha256().is_none()) {
            Some(s) => Err(Malformed::start(format!("subject {:?} has no single SHA-256 digest", s.name))),
            None => Ok(statement),
        }
    }
}

impl Subject {
    pub fn new(name: impl Into<String>, sha256: Hash) -> Self {
        Self { name: name.into(), digest: BTreeMap::from([("sha256".into(), sha256.to_string())]) }
    }

    /// None only if it was read from a statement that says something else.
    pub fn sha256(&self) -> Option<Hash> {
        match self.digest.iter().collect::<Vec<_>>().as_slice() {
            [(name, hash)] if *name == "sha256" => hash.parse().ok(),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::place::tests::every_changed_byte_is_refused;
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn key(seed: u8) -> SigningKey {
        SigningKey::from_bytes(&[seed; 32])
    }

    fn statement() -> Statement {
        let subjects = vec![Subject::new("events.jsonl", Hash::of(b"x"))];
        Statement::new(
            subjects,
            "https://consigne.example/attestation/runbook-run/v1",
            json!({"outcome": "succeeded"}),
        )
    }

    /// The example of the DSSE specification.
    #[test]
    fn the_encoding_of_the_specification() {
        assert_eq!(
            pae("http://example.com/HelloWorld", b"hello world"),
            b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
        );
        assert_eq!(pae("é", b""), "DSSEv1 2 é 0 ".as_bytes());
    }

    #[test]
    fn a_statement_comes_back() {
        let envelope = Envelope::sign(&statement(), &key(1)).unwrap();
        let read = Envelope::parse(&envelope.to_bytes()).unwrap();
        assert_eq!(read, envelope);
        assert_eq!(read.verify(&key(1).verifying_key()).unwrap(), statement());
        assert!(matches!(read.verify(&key(2).verifying_key()), Err(DsseError::OtherKey { .. })));
    }

    #[test]
    fn no_byte_can_be_changed() {
        let bytes = Envelope::sign(&statement(), &key(1)).unwrap().to_bytes();
        let public = key(1).verifying_key();
        every_changed_byte_is_refused(&bytes, |bytes| {
            Envelope::parse(bytes).is_ok_and(|e| e.verify(&public).is_ok())
        });
    }

    #[test]
    fn other_shapes_are_refused() {
        let good: Value =
            serde_json::from_slice(&Envelope::sign(&statement(), &key(1)).unwrap().to_bytes()).unwrap();
        let refused = |change: &dyn Fn(&mut Value)| {
            let mut value = good.clone();
            change(&mut value);
            Envelope::parse((canonical(&value).unwrap() + "\n").as_bytes()).unwrap_err().what
        };
        let twice = json!([good["signatures"][0], good["signatures"][0]]);
        assert!(refused(&|v| v["signatures"] = twice.clone()).contains("found 2 signatures"));
        assert!(refused(&|v| v["signatures"] = json!([])).contains("found 0 signatures"));
        assert!(refused(&|v| v["payloadType"] = json!("text/plain")).contains("text/plain"));
        assert!(refused(&|v| v["more"] = json!(1)).contains("unknown field"));
        assert!(refused(&|v| v["payload"] = json!("YR==")).contains("strict base64"));
    }

    #[test]
    fn a_signed_payload_that_is_no_statement_is_refused() {
        let verify = |payload: &[u8]| {
            let signature = key(1).sign(&pae(PAYLOAD_TYPE, payload));
            let envelope =
                Envelope { payload: payload.into(), key_id: key_id(&key(1).verifying_key()), signature };
            envelope.verify(&key(1).verifying_key()).unwrap_err().to_string()
        };
        assert!(verify(b"{}").contains("not an in-toto statement"));
        let good = canonical(&statement()).unwrap();
        assert!(verify(good.replace("Statement/v1", "Statement/v0").as_bytes()).contains("expected https"));
        assert!(verify(good.replace("sha256", "sha512").as_bytes()).contains("SHA-256"));
        assert!(verify(good.replace(':', ": ").as_bytes()).contains("line 1, byte"));
    }

    proptest! {
        #[test]
        fn noise_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
            let _ = (Envelope::parse(&bytes), Statement::parse(&bytes));
        }
    }
}
