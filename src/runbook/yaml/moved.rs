//! The same tree at another place.

use super::{Node, Value};
use crate::diag::Span;

impl Node<'_> {
    /// The same tree in a file that begins `base` bytes later. As deep as files may be nested.
    pub fn shift(&mut self, base: u32) {
        self.span = self.span.shifted(base);
        match &mut self.value {
            Value::Scalar { .. } => {}
            Value::List(list) => list.iter_mut().for_each(|node| node.shift(base)),
            Value::Map { entries, .. } => {
                for (key, node) in entries {
                    key.span = key.span.shifted(base);
                    node.shift(base);
                }
            }
        }
    }

    /// The same tree, all of it at one place.
    pub fn put(&mut self, span: Span) {
        self.span = span;
        match &mut self.value {
            Value::Scalar { .. } => {}
            Value::List(list) => list.iter_mut().for_each(|node| node.put(span)),
            Value::Map { entries, .. } => {
                for (key, node) in entries {
                    key.span = span;
                    node.put(span);
                }
            }
        }
    }
}
