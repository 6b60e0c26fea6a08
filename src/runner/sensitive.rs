//! Names whose values are secrets, whoever wrote them: what a server hands out in a header is declared nowhere, and no
//! masker knows it.
//!
//! Owns the list, and how much of the headers of an answer is kept.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::LazyLock;

use regex::{Captures, Regex};

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

/// What is a secret with a word before it, too: `new_password`, `X-Access-Token`, `Private-Token`.
const ENDINGS: [&str; 10] = [
    "accesskey",
    "accesstoken",
    "apikey",
    "apitoken",
    "jobtoken",
    "passphrase",
    "password",
    "privatetoken",
    "secret",
    "sessiontoken",
];

/// A parameter in an address, or a form field.
static PARAMETER: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r#"(?m)(^|[?&#])([A-Za-z0-9_.%~-]+)=([^&#\s"'<>]+)"#).expect("the pattern is written here")
});
/// Who asks, in an address.
static USER: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r#"://[^/?#\s"'<>@{}]+@"#).expect("the pattern is written here"));
/// A field in what is no JSON as a whole: several documents, or a beginning.
static FIELD: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r#""([^"\\]+)"(\s*:\s*)("(?:[^"\\]|\\.)*(?:"|\\?$)|-?[0-9][0-9.eE+-]*)"#)
        .expect("the pattern is written here")
});

/// What of the headers of one answer is kept.
const HEADERS_LIMIT: usize = 8 * 1024;

/// Whether a header, a parameter or a field of this name is taken for a secret.
pub fn is_sensitive(name: &str) -> bool {
    let bare: String =
        name.chars().filter(|c| !matches!(c, '-' | '_')).map(|c| c.to_ascii_lowercase()).collect();
    NAMES.binary_search(&bare.as_str()).is_ok() || ENDINGS.iter().any(|ending| bare.ends_with(ending))
}

/// A text without what is a secret by its name in the addresses, forms and JSON fields that stand in it.
pub fn struck_within(text: &str) -> Cow<'_, str> {
    let user = replaced(&USER, text.into(), |_| Some(format!("://{MASK}@")));
    let parameters = replaced(&PARAMETER, user, |found| {
        (is_sensitive(&found[2]) && !found[3].ends_with(MASK))
            .then(|| format!("{}{}={MASK}", &found[1], &found[2]))
    });
    replaced(&FIELD, parameters, |found| {
        is_sensitive(&found[1]).then(|| format!("\"{}\"{}\"{MASK}\"", &found[1], &found[2]))
    })
}

fn replaced<'t>(
    pattern: &Regex,
    text: Cow<'t, str>,
    with: impl Fn(&Captures<'_>) -> Option<String>,
) -> Cow<'t, str> {
    let other =
        pattern.replace_all(&text, |found: &Captures<'_>| with(found).unwrap_or_else(|| found[0].to_owned()));
    match other {
        Cow::Borrowed(_) => text,
        Cow::Owned(other) => other.into(),
    }
}

/// The headers of an answer, a line each; what does not fit is left out, header by header.
pub(super) fn kept(headers: &BTreeMap<String, String>) -> String {
    let mut out = String::new();
    for (name, value) in headers {
        let value = if is_sensitive(name) { MASK.into() } else { struck_within(value) };
        if out.len() + name.len() + value.len() + 3 <= HEADERS_LIMIT {
            out.extend([name, ": ", &value, "\n"]);
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
        for name in [
            "Authorization",
            "set-cookie",
            "X-API-Key",
            "access_token",
            "Password",
            "new_password",
            "Private-Token",
        ] {
            assert!(is_sensitive(name), "{name}");
        }
        for name in ["content-type", "next_page_token", "location", "keyboard"] {
            assert!(!is_sensitive(name), "{name}");
        }
    }

    #[test]
    fn secrets_by_name_are_struck_out_wherever_they_stand_in_a_text() {
        for (text, struck) in [
            ("http://h/cb?access_token=a&x=1#id_token=b", "http://h/cb?access_token=***&x=1#id_token=***"),
            ("0; url=/a?token=a", "0; url=/a?token=***"),
            ("</p?signature=a>; rel=next", "</p?signature=***>; rel=next"),
            ("grant=x&password=a", "grant=x&password=***"),
            ("https://a@h/x https://u:p@h/y", "https://***@h/x https://***@h/y"),
            (
                "{\"token\":\"a\"}\n{\"n\": 1, \"token\": \"b\\\"c\"}",
                "{\"token\":\"***\"}\n{\"n\": 1, \"token\": \"***\"}",
            ),
            ("{\"password\": \"cut of", "{\"password\": \"***\""),
            ("mail a@b.c, page=2&next_page_token=x", "mail a@b.c, page=2&next_page_token=x"),
        ] {
            assert_eq!(struck_within(text), struck);
        }
        let headers = BTreeMap::from([("location".to_owned(), "/a?token=b".to_owned())]);
        assert_eq!(kept(&headers), "location: /a?token=***\n");
    }

    #[test]
    fn headers_are_kept_without_what_a_server_hands_out_and_within_bounds() {
        let headers = [("a", "1".to_owned()), ("big", "x".repeat(9_000)), ("set-cookie", "s=1".to_owned())];
        let headers = headers.map(|(name, value)| (name.to_owned(), value)).into();
        assert_eq!(kept(&headers), "a: 1\nset-cookie: ***\n");
    }
}
