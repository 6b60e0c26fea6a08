//! Names whose values are secrets, whoever wrote them: what a server hands out in a header is declared nowhere, and no
//! masker knows it.
//!
//! Owns the list, and how much of the headers of an answer is kept.

use std::collections::BTreeMap;

use super::mask::MASK;

/// Compared without `-`, `_` and the difference between small and capital letters.
const NAMES: [&str; 33] = [
    "accesstoken",
    "apikey",
    "apitoken",
    "authenticationinfo",
    "authorization",
    "authtoken",
    "clientsecret",
    "cookie",
    "csrftoken",
    "idtoken",
    "passphrase",
    "passwd",
    "password",
    "privatekey",
    "proxyauthorization",
    "pwd",
    "refreshtoken",
    "secret",
    "secretkey",
    "sessionid",
    "sessiontoken",
    "setcookie",
    "setcookie2",
    "sig",
    "signature",
    "token",
    "xamzsecuritytoken",
    "xamzsignature",
    "xapikey",
    "xauthtoken",
    "xcsrftoken",
    "xgoogsignature",
    "xvaulttoken",
];

/// What of the headers of one answer is kept.
const HEADERS_LIMIT: usize = 8 * 1024;

/// Whether a header, a parameter or a field of this name is taken for a secret.
pub fn is_sensitive(name: &str) -> bool {
    let bare: String =
        name.chars().filter(|c| !matches!(c, '-' | '_')).map(|c| c.to_ascii_lowercase()).collect();
    NAMES.binary_search(&bare.as_str()).is_ok()
}

/// The headers of an answer, a line each; what does not fit is left out, header by header.
pub(super) fn kept(headers: &BTreeMap<String, String>) -> String {
    let mut out = String::new();
    for (name, value) in headers {
        let value = if is_sensitive(name) { MASK } else { value };
        if out.len() + name.len() + value.len() + 3 <= HEADERS_LIMIT {
            out.extend([name, ": ", value, "\n"]);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_sorted_and_written_as_it_is_compared() {
        assert!(NAMES.is_sorted());
        assert!(NAMES.iter().all(|name| name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())));
        for name in ["Authorization", "set-cookie", "X-API-Key", "access_token", "Password"] {
            assert!(is_sensitive(name), "{name}");
        }
        for name in ["content-type", "next_page_token", "location", "keyboard"] {
            assert!(!is_sensitive(name), "{name}");
        }
    }

    #[test]
    fn headers_are_kept_without_what_a_server_hands_out_and_within_bounds() {
        let headers = [("a", "1".to_owned()), ("big", "x".repeat(9_000)), ("set-cookie", "s=1".to_owned())];
        let headers = headers.map(|(name, value)| (name.to_owned(), value)).into();
        assert_eq!(kept(&headers), "a: 1\nset-cookie: ***\n");
    }
}
