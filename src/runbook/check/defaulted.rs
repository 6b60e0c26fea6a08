//! Whether an expression says what stands in for an output that may not be there.

/// `steps.id.field | default(…)` or `steps.id.field is defined`, whatever the white space.
pub(super) fn has_default(source: &str, id: &str, field: Option<&str>) -> bool {
    let step = if id.contains('/') { format!("steps[\"{id}\"]") } else { format!("steps.{id}") };
    let path = field.map_or_else(|| step.clone(), |field| format!("{step}.{field}"));
    let source = &source.replace("['", "[\"").replace("']", "\"]");
    let mut from = 0;
    let mut every = false;
    while let Some(found) = source[from..].find(&path) {
        let end = from + found + path.len();
        from = end;
        let rest = &source[end..];
        if rest.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_') {
            continue;
        }
        // Members below the output: the default may stand behind them.
        let rest = rest
            .trim_start_matches(|c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '[' | ']'));
        let rest = rest.trim_start();
        let filter = rest.strip_prefix('|').map(str::trim_start);
        let guarded = filter
            .is_some_and(|filter| filter.starts_with("default(") || filter.starts_with("default "))
            || rest.strip_prefix("is ").map(str::trim_start).is_some_and(|test| {
                test.starts_with("defined")
                    || test.starts_with("undefined")
                    || test.starts_with("not defined")
            });
        if !guarded {
            return source.contains(&format!("{path} is defined"));
        }
        every = true;
    }
    every
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_seen() {
        assert!(has_default("steps.a.x | default('')", "a", Some("x")));
        assert!(has_default("steps.a.x.y|default(1) + 1", "a", Some("x")));
        assert!(has_default("steps.a.x is defined and steps.a.x == 1", "a", Some("x")));
        assert!(has_default("steps['a/b'].x | default('')", "a/b", Some("x")));
        assert!(!has_default("steps.a.x", "a", Some("x")));
        assert!(!has_default("steps.a.x | upper | default('')", "a", Some("x")));
        assert!(!has_default("steps.a.xy | default('')", "a", Some("x")));
    }
}
