//! Whether two HTTP requests are the same: by method, path and query, and by host where the file knows the host at all.
//!
//! A text that is struck out on either side fits any text: a file may know less than the step, and the step never knows
//! its secrets.

use std::collections::BTreeSet;

use reqwest::Url;

use crate::runner::MASK;

/// A request, cut into what is compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Target {
    method: String,
    /// Scheme, host and port.
    origin: String,
    path: String,
    /// By name; several values of one name in their order.
    query: Vec<(String, String)>,
}

impl Target {
    pub(super) fn of(method: &str, url: &str) -> Self {
        let method = method.to_ascii_uppercase();
        let Ok(url) = Url::parse(url) else {
            return Self { method, origin: String::new(), path: url.to_owned(), query: Vec::new() };
        };
        let mut query: Vec<(String, String)> =
            url.query_pairs().map(|(name, value)| (name.into_owned(), value.into_owned())).collect();
        query.sort_by(|(one, _), (other, _)| one.cmp(other));
        let origin = url.origin().ascii_serialization();
        Self { method, origin, path: url.path().to_owned(), query }
    }

    /// Among these targets of a file.
    pub(super) fn fits(&self, recorded: &Self, origins: &BTreeSet<String>) -> bool {
        self.method == recorded.method
            && (self.origin == recorded.origin || !origins.contains(&self.origin))
            && same(&self.path, &recorded.path)
            && self.query.len() == recorded.query.len()
            && self
                .query
                .iter()
                .zip(&recorded.query)
                .all(|((name, value), (known, recorded))| name == known && same(value, recorded))
    }

    pub(super) fn origin(&self) -> &str {
        &self.origin
    }

    /// For people.
    pub(super) fn shown(&self) -> String {
        format!("{} {}", self.method, self.path)
    }
}

fn same(one: &str, other: &str) -> bool {
    one == other || covers(one, other) || covers(other, one)
}

/// Whether a text that may be struck out in places fits another one.
fn covers(struck: &str, text: &str) -> bool {
    let Some((first, rest)) = struck.split_once(MASK) else { return false };
    let Some(mut text) = text.strip_prefix(first) else { return false };
    let mut parts: Vec<&str> = rest.split(MASK).collect();
    let last = parts.pop().unwrap_or_default();
    for part in parts {
        match text.find(part) {
            Some(at) => text = &text[at + part.len()..],
            None => return false,
        }
    }
    text.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fits(request: &str, recorded: &str, known: &[&str]) -> bool {
        let of = |text: &str| {
            let (method, url) = text.split_once(' ').unwrap();
            Target::of(method, url)
        };
        let origins = known.iter().map(|origin| (*origin).to_owned()).collect();
        of(request).fits(&of(recorded), &origins)
    }

    #[test]
    fn a_request_is_known_by_method_path_and_query() {
        assert!(fits("GET http://h/a?x=1&y=2", "get http://h:80/a?y=2&x=1#there", &["http://h"]));
        assert!(fits("GET http://h/a%20b", "GET http://h/a b", &["http://h"]));
        for other in ["POST http://h/a", "GET http://h/b", "GET http://h/a?x=1", "GET http://h/a/"] {
            assert!(!fits("GET http://h/a", other, &["http://h"]), "{other}");
        }
        assert!(!fits("GET http://h/a?x=1&x=2", "GET http://h/a?x=2&x=1", &["http://h"]));
    }

    #[test]
    fn another_host_counts_only_where_the_file_knows_the_own_one() {
        assert!(fits("GET http://h/a", "GET https://elsewhere/a", &["https://elsewhere"]));
        assert!(!fits("GET http://h/a", "GET https://elsewhere/a", &["https://elsewhere", "http://h"]));
    }

    #[test]
    fn what_is_struck_out_on_either_side_fits_anything() {
        for (one, other) in [
            ("http://h/k/***/x", "http://h/k/s3cret/x"),
            ("http://h/a?key=***&n=1", "http://h/a?n=1&key=s3cret"),
            ("http://h/***-***/x", "http://h/a-b/x"),
            ("http://h/k/***/x", "http://h/k/***/x"),
        ] {
            assert!(fits(&format!("GET {one}"), &format!("GET {other}"), &[]), "{one} {other}");
            assert!(fits(&format!("GET {other}"), &format!("GET {one}"), &[]), "{one} {other}");
        }
        for (one, other) in
            [("http://h/k/***/x", "http://h/k/s3cret/y"), ("http://h/a?k=***b", "http://h/a?k=c")]
        {
            assert!(!fits(&format!("GET {one}"), &format!("GET {other}"), &[]), "{one} {other}");
        }
        assert!(!covers("ab***b", "ab"), "what is matched once is not matched again");
    }
}
