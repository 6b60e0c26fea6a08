//! Confidential fields of an event: what is read from them.

use std::collections::BTreeMap;

use super::attempt::{BlobRef, Json};
use super::event::Hidden;

impl Hidden {
    /// The outputs among the fields.
    pub(super) fn outputs(&self) -> BTreeMap<String, Json> {
        self.prefixed("output.").filter_map(|(name, text)| Some((name, Json::parse(text).ok()?))).collect()
    }

    pub(super) fn texts(&self, prefix: &str) -> BTreeMap<String, String> {
        self.prefixed(prefix)
            .filter_map(|(name, text)| Some((name, serde_json::from_str(text).ok()?)))
            .collect()
    }

    pub fn blobs(&self) -> BTreeMap<String, BlobRef> {
        self.prefixed("blob.")
            .filter_map(|(name, text)| Some((name, serde_json::from_str(text).ok()?)))
            .collect()
    }

    /// A field that is a text.
    pub fn text(&self, name: &str) -> Option<String> {
        serde_json::from_str(self.0.get(name)?).ok()
    }

    fn prefixed<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = (String, &'a str)> + 'a {
        self.0
            .iter()
            .filter_map(move |(name, text)| Some((name.strip_prefix(prefix)?.to_owned(), text.as_str())))
    }
}
