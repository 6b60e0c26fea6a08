//! Addresses: what a value may be in the URL of a call.
//!
//! Owns that a value never changes where a request goes: it stays one segment of a path, one value of a query, or one
//! part of a host name, whatever is in it. Only what the runbook or its environment says shapes an address: its text,
//! an expression that it begins with (the base), and `vars`. What cannot be written safely (`..`) the runner refuses.

use super::{Evaluated, Expr, Part, RenderError, Rendered, Scope, Template, as_text};

impl Template {
    /// Renders to the URL of a call.
    ///
    /// # Errors
    /// As [`Template::render`].
    pub fn render_address(&self, scope: &dyn Scope) -> Result<Rendered, RenderError> {
        let mut out = Rendered::default();
        let mut before = String::new();
        // An expression that gave nothing, and nothing beside it in its segment of the path.
        let mut nothing: Option<&Expr> = None;
        for (number, part) in self.parts().enumerate() {
            match part {
                Part::Text(text) => {
                    ended(&mut nothing, text)?;
                    out.push_text(text);
                    before.push_str(text);
                }
                Part::Expr(expr) => match expr.evaluate(scope)? {
                    Evaluated::Value(value) => {
                        let text = as_text(&value);
                        let shapes = number == 0 || is_of_the_environment(expr);
                        let text = if shapes { text } else { encoded(&text, in_authority(&before)) };
                        if !shapes && text.is_empty() && before.ends_with('/') && in_path(&before) {
                            nothing = nothing.or(Some(expr));
                        } else if !text.is_empty() {
                            nothing = None;
                        }
                        out.push_text(&text);
                        before.push_str(&text);
                    }
                    Evaluated::Reference(segment) => {
                        nothing = None;
                        out.0.push(segment);
                        before.push('…');
                    }
                },
            }
        }
        ended(&mut nothing, "/")?;
        Ok(out)
    }
}

/// Without its last segment an address is that of something else: `DELETE /tenants/` is not about one tenant.
fn ended(nothing: &mut Option<&Expr>, text: &str) -> Result<(), RenderError> {
    match nothing.take() {
        Some(expr) if text.starts_with(['/', '?', '#']) => {
            Err(expr.error("is empty here, and the address would be that of something else"))
        }
        _ => Ok(()),
    }
}

fn is_of_the_environment(expr: &Expr) -> bool {
    !expr.refs().is_empty() && expr.refs().iter().all(|path| path.starts_with("vars."))
}

/// Whether what comes next still belongs to the host and port.
fn in_authority(before: &str) -> bool {
    before.split_once("://").is_some_and(|(_, rest)| !rest.contains(['/', '?', '#', '\\']))
}

/// Whether what comes next belongs to the path.
fn in_path(before: &str) -> bool {
    (before.starts_with(['/', '…']) || before.contains("://"))
        && !in_authority(before)
        && !before.contains(['?', '#'])
}

/// Percent-encoded except for unreserved characters, and in a host for those of a port and an IPv6 address.
fn encoded(text: &str, authority: bool) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        let kept =
            byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) || (authority && b":[]".contains(&byte));
        if kept {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::super::Lookup;
    use super::*;
    use serde_json::json;

    struct World(&'static str);

    impl Scope for World {
        fn lookup(&self, root: &str, name: &str) -> Lookup {
            match (root, name) {
                ("inputs", _) => Lookup::Known(json!(self.0)),
                ("vars", "api") => Lookup::Known(json!("http://api.example:8080/v1")),
                ("vars", "none") => Lookup::Known(json!("")),
                ("vars", "prefix") => Lookup::Known(json!("/a/b")),
                ("steps", _) => Lookup::Later,
                _ => Lookup::Missing,
            }
        }
    }

    fn address(source: &str, value: &'static str) -> String {
        Template::parse(source).unwrap().render_address(&World(value)).unwrap().to_string()
    }

    #[test]
    fn a_value_stays_one_segment_of_a_path() {
        for (value, written) in [
            ("acme-42", "acme-42"),
            ("../../x?y#z", "..%2F..%2Fx%3Fy%23z"),
            ("a%2fb", "a%252fb"),
            ("a\r\nX: 1", "a%0D%0AX%3A%201"),
            ("\\é", "%5C%C3%A9"),
        ] {
            let expected = format!("http://api.example:8080/v1/t/{written}/jobs");
            assert_eq!(address("{{ vars.api }}/t/{{ inputs.id }}/jobs", value), expected);
        }
    }

    #[test]
    fn a_value_stays_one_value_of_a_query() {
        let written = address("https://h/q?t={{ inputs.id }}&admin=no", "x&admin=yes#");
        assert_eq!(written, "https://h/q?t=x%26admin%3Dyes%23&admin=no");
    }

    #[test]
    fn a_value_in_a_host_cannot_leave_it() {
        assert_eq!(address("https://{{ inputs.h }}/x", "a.example:8443"), "https://a.example:8443/x");
        assert_eq!(address("https://{{ inputs.h }}.example/x", "evil/"), "https://evil%2F.example/x");
        assert_eq!(address("https://ok.example{{ inputs.h }}/x", "@evil"), "https://ok.example%40evil/x");
    }

    #[test]
    fn a_segment_that_would_be_empty_is_refused() {
        let refused = |source: &str| {
            Template::parse(source).unwrap().render_address(&World("")).err().map(|error| error.to_string())
        };
        let why = "`inputs.x`: is empty here, and the address would be that of something else";
        for source in [
            "http://h/tenants/{{ inputs.x }}",
            "http://h/tenants/{{ inputs.x }}/users",
            "http://h/tenants/{{ inputs.x }}?force=1",
            "http://h/tenants/{{ inputs.x }}{{ inputs.y }}/users",
            "/{{ inputs.x }}#a",
            "{{ vars.api }}/tenants/{{ inputs.x }}",
            "{{ steps.a.b }}/tenants/{{ inputs.x }}",
        ] {
            assert_eq!(refused(source).as_deref(), Some(why), "{source}");
        }
        for source in [
            "http://h/a{{ inputs.x }}/b",
            "http://h/{{ inputs.x }}b",
            "http://h/{{ inputs.x }}{{ steps.a.b }}",
            "http://h/{{ steps.a.b }}{{ inputs.x }}",
            "http://h/a?x={{ inputs.x }}",
            "http://h/a?x=/{{ inputs.x }}",
            "{{ vars.api }}{{ inputs.x }}/b",
            "{{ inputs.x }}/b",
            "http://h/{{ vars.none }}/b",
        ] {
            assert_eq!(refused(source), None, "{source}");
        }
    }

    #[test]
    fn the_base_and_the_environment_shape_an_address() {
        assert_eq!(address("{{ inputs.next }}", "http://h/a/b?c=d"), "http://h/a/b?c=d");
        assert_eq!(address("{{ vars.api }}{{ vars.prefix }}/x", ""), "http://api.example:8080/v1/a/b/x");
        assert_eq!(address("{{ vars.api }}/{{ vars.prefix ~ inputs.x }}", "/"), {
            "http://api.example:8080/v1/%2Fa%2Fb%2F"
        });
        assert_eq!(address("http://h/{{ steps.a.b }}", ""), "http://h/<decided later by steps.a.b>");
    }
}
