//! Monitoring: calls per tenant, and the platform's own metrics in the two forms Prometheus speaks. As in the
//! real thing, the values of the query API are strings.

use std::fmt::Write;

use axum::http::StatusCode;
use rusqlite::Connection;
use serde_json::{Value, json};

use super::answer::{Answer, Problem};
use super::call::Call;
use super::routes::Handled;
use super::tenants::{self, Status};
use crate::clock::Timestamp;

const TEXT_FORMAT: &str = "text/plain; version=0.0.4; charset=utf-8";

struct Metric {
    name: &'static str,
    kind: &'static str,
    help: &'static str,
    samples: Vec<Sample>,
}

struct Sample {
    labels: Vec<(&'static str, String)>,
    value: i64,
}

pub(crate) fn usage(db: &Connection) -> Result<Handled, Problem> {
    let calls: Vec<_> =
        calls(db)?.into_iter().map(|(id, calls)| json!({"id": id, "apiCalls": calls})).collect();
    Ok(Handled::read(Answer::ok(&json!({"tenants": calls}))?))
}

pub(crate) fn exposition(db: &Connection) -> Result<Handled, Problem> {
    let mut text = String::new();
    for metric in metrics(db)? {
        let Metric { name, kind, help, samples } = metric;
        let _infallible = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}");
        for Sample { labels, value } in samples {
            let labels: Vec<_> =
                labels.iter().map(|(label, value)| format!("{label}=\"{}\"", escaped(value))).collect();
            let _infallible = writeln!(text, "{name}{{{}}} {value}", labels.join(","));
        }
    }
    Ok(Handled::read(Answer::text(TEXT_FORMAT, text)))
}

/// Instant queries for a metric by its bare name; PromQL proper is told to be out of reach, not guessed at.
pub(crate) fn query(db: &Connection, call: &Call) -> Result<Handled, Problem> {
    let name = match call.parameter("query").map(str::trim) {
        None | Some("") => {
            return bad_query(r#"invalid parameter "query": unknown position: no expression found in input"#);
        }
        Some(name) if is_metric_name(name) => name,
        Some(_) => return bad_query("the practice platform answers the bare name of a metric only"),
    };
    let mut result = Vec::new();
    for metric in metrics(db)?.into_iter().filter(|metric| metric.name == name) {
        for Sample { labels, value } in metric.samples {
            let mut names = json!({"__name__": metric.name});
            for (label, value) in labels {
                names[label] = Value::String(value);
            }
            result.push(json!({"metric": names, "value": [seconds(call.at), value.to_string()]}));
        }
    }
    let answer = json!({"status": "success", "data": {"resultType": "vector", "result": result}});
    Ok(Handled::read(Answer::ok(&answer)?))
}

fn bad_query(message: &str) -> Result<Handled, Problem> {
    let body = json!({"status": "error", "errorType": "bad_data", "error": message});
    Ok(Handled::read(Answer::json(StatusCode::BAD_REQUEST, &body)?))
}

fn metrics(db: &Connection) -> Result<Vec<Metric>, Problem> {
    let all = tenants::all(db)?;
    let by_status = [Status::Active, Status::Suspended, Status::Maintenance].map(|status| {
        let count = all.iter().filter(|tenant| tenant.status == status).count();
        let value = i64::try_from(count).unwrap_or(i64::MAX);
        Sample { labels: vec![("status", status.to_string())], value }
    });
    let by_tenant =
        calls(db)?.into_iter().map(|(id, value)| Sample { labels: vec![("tenant", id)], value }).collect();
    Ok(vec![
        Metric {
            name: "up",
            kind: "gauge",
            help: "Whether the target answers.",
            samples: vec![Sample { labels: vec![("job", "attendance-api".to_owned())], value: 1 }],
        },
        Metric {
            name: "attendance_tenants",
            kind: "gauge",
            help: "Tenants by status.",
            samples: by_status.into(),
        },
        Metric {
            name: "attendance_api_calls_total",
            kind: "counter",
            help: "Calls by the users of a tenant.",
            samples: by_tenant,
        },
    ])
}

fn calls(db: &Connection) -> Result<Vec<(String, i64)>, Problem> {
    let mut query = db.prepare_cached("SELECT id, api_calls FROM tenants ORDER BY id")?;
    let rows = query.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn is_metric_name(text: &str) -> bool {
    let mut bytes = text.bytes();
    let starts = bytes.next().is_some_and(|byte| byte.is_ascii_alphabetic() || matches!(byte, b'_' | b':'));
    starts && bytes.all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b':'))
}

fn escaped(label: &str) -> String {
    label.replace('\\', r"\\").replace('"', "\\\"").replace('\n', r"\n")
}

#[allow(clippy::cast_precision_loss, reason = "milliseconds since 1970 fit a double exactly")]
fn seconds(at: Timestamp) -> f64 {
    at.millis() as f64 / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_is_a_bare_name() {
        assert!(
            is_metric_name("up") && is_metric_name("attendance_api_calls_total") && is_metric_name("a:b")
        );
        for other in ["", "up == 0", "sum(up)", "1up", r#"up{job="x"}"#] {
            assert!(!is_metric_name(other), "{other}");
        }
    }

    #[test]
    fn label_values_are_escaped() {
        assert_eq!(escaped("a\"b\\c\nd"), r#"a\"b\\c\nd"#);
    }
}
