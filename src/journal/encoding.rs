//! Base64 and hexadecimal with one spelling each: what decodes must encode to the same characters again.

use base64::Engine;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};

pub(crate) fn base64(bytes: &[u8]) -> String {
    BASE64_STANDARD.encode(bytes)
}

pub(crate) fn from_base64(text: &str) -> Option<Vec<u8>> {
    BASE64_STANDARD.decode(text).ok().filter(|bytes| base64(bytes) == text)
}

pub(crate) fn base64url(bytes: &[u8]) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

pub(crate) fn from_base64url(text: &str) -> Option<Vec<u8>> {
    BASE64_URL_SAFE_NO_PAD.decode(text).ok().filter(|bytes| base64url(bytes) == text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn other_spellings_are_refused() {
        assert_eq!(from_base64("YQ=="), Some(b"a".to_vec()));
        for bad in ["YQ", "YQ=", "YR==", "YQ==\n", " YQ==", "YQ==YQ=="] {
            assert_eq!(from_base64(bad), None, "{bad:?}");
        }
        assert_eq!(from_base64url("_w"), Some(vec![0xff]));
        for bad in ["_w==", "/w", "_x", "_w\n"] {
            assert_eq!(from_base64url(bad), None, "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn what_decodes_encodes_to_itself(text in "[A-Za-z0-9+/=_\\-\\n ]{0,12}", bytes in prop::collection::vec(any::<u8>(), 0..20)) {
            prop_assert!(from_base64(&text).is_none_or(|b| base64(&b) == text));
            prop_assert!(from_base64url(&text).is_none_or(|b| base64url(&b) == text));
            prop_assert_eq!(from_base64(&base64(&bytes)), Some(bytes));
        }
    }
}
