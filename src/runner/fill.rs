//! Filling: the last moment before an action, when references to secrets become their values, and that to the scratch
//! folder its path.
//!
//! What is filled in lives in memory that is wiped, and is never part of anything that is returned.

use std::collections::BTreeMap;

use secrecy::{ExposeSecret, SecretString};
use zeroize::Zeroizing;

use super::RunContext;
use super::secrets::SecretError;
use super::work::WorkError;
use crate::plan::{Action, Auth, Body, Fill};
use crate::runbook::template::{Rendered, Segment, Tree, WORK};

/// Text that may hold secrets.
pub(crate) type Plain = Zeroizing<String>;

/// An action ready to be done.
pub(crate) struct Filled {
    pub(crate) action: Action<Plain>,
    pub(crate) secrets: BTreeMap<String, SecretString>,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum FillError {
    #[error(transparent)]
    Secret(#[from] SecretError),
    #[error(transparent)]
    Work(#[from] WorkError),
    #[error("`{0}` is not known at the time of the attempt")]
    Later(String),
}

/// Fetches the secrets of an action and puts them in. Makes the scratch folder where the action names it.
pub(crate) async fn fill(action: &Action<Rendered>, context: &RunContext) -> Result<Filled, FillError> {
    let mut fetched = BTreeMap::new();
    for name in action.secrets() {
        fetched.insert(name.to_owned(), context.secrets.get(name).await?);
    }
    let uses_work = action.texts().into_iter().any(Rendered::uses_work);
    let work = if uses_work { Some(context.work.ready()?) } else { None };
    let action = action.fill(&mut Filler { secrets: &fetched, work: work.as_deref() })?;
    Ok(Filled { action, secrets: fetched })
}

impl Filled {
    /// A secret that the authentication of the action names.
    pub(crate) fn secret(&self, name: &str) -> &str {
        self.secrets.get(name).map_or("", |secret| secret.expose_secret())
    }
}

struct Filler<'a> {
    secrets: &'a BTreeMap<String, SecretString>,
    /// Where the action names the scratch folder.
    work: Option<&'a str>,
}

impl Fill<Rendered, Plain> for Filler<'_> {
    type Error = FillError;

    fn text(&mut self, text: &Rendered) -> Result<Plain, FillError> {
        // Grown to its full size at once, so that no copy of a secret is left behind by growing.
        let size = text
            .segments()
            .iter()
            .map(|segment| self.part(segment).map(str::len))
            .sum::<Result<usize, _>>()?;
        let mut out = Zeroizing::new(String::with_capacity(size));
        for segment in text.segments() {
            out.push_str(self.part(segment)?);
        }
        Ok(out)
    }
}

impl<'a> Filler<'a> {
    fn part<'b>(&self, segment: &'b Segment) -> Result<&'b str, FillError>
    where
        'a: 'b,
    {
        match segment {
            Segment::Text(text) => Ok(text),
            Segment::Secret(name) => match self.secrets.get(name) {
                Some(secret) => Ok(secret.expose_secret()),
                None => Err(SecretError::Undeclared { name: name.clone() }.into()),
            },
            Segment::Work => self.work.ok_or_else(|| FillError::Later(WORK.to_owned())),
            Segment::Later(expr) => Err(FillError::Later(expr.clone())),
        }
    }
}

/// A filled structure as JSON text, numbers in their original spelling.
pub(crate) fn json_text(tree: &Tree<Plain>) -> Plain {
    let mut out = Zeroizing::new(String::new());
    write_json(tree, &mut out);
    out
}

fn write_json(tree: &Tree<Plain>, out: &mut String) {
    match tree {
        Tree::Null => out.push_str("null"),
        Tree::Bool(yes) => out.push_str(if *yes { "true" } else { "false" }),
        Tree::Number(number) => out.push_str(number),
        Tree::Text(text) => quote(text, out),
        Tree::List(list) => {
            out.push('[');
            for (i, item) in list.iter().enumerate() {
                out.push_str(if i == 0 { "" } else { "," });
                write_json(item, out);
            }
            out.push(']');
        }
        Tree::Map(map) => {
            out.push('{');
            for (i, (key, value)) in map.iter().enumerate() {
                out.push_str(if i == 0 { "" } else { "," });
                quote(key, out);
                out.push(':');
                write_json(value, out);
            }
            out.push('}');
        }
    }
}

fn quote(text: &str, out: &mut String) {
    out.push_str(&Zeroizing::new(serde_json::Value::from(text).to_string()));
}

/// The header that an authentication becomes: its name and value.
pub(crate) fn auth_header(filled: &Filled, auth: &Auth<Plain>) -> Option<(String, Plain)> {
    use base64::Engine;
    match auth {
        Auth::None => None,
        Auth::Bearer(name) => {
            Some(("authorization".into(), Zeroizing::new(format!("Bearer {}", filled.secret(name)))))
        }
        Auth::Basic(user, name) => {
            let pair = Zeroizing::new(format!("{}:{}", user.as_str(), filled.secret(name)));
            let coded = base64::engine::general_purpose::STANDARD.encode(pair.as_bytes());
            Some(("authorization".into(), Zeroizing::new(format!("Basic {coded}"))))
        }
        Auth::Header(header, name) => {
            Some((header.to_ascii_lowercase(), Zeroizing::new(filled.secret(name).to_owned())))
        }
    }
}

/// The bytes of a body that is not a file, and their content type.
pub(crate) fn body_bytes(body: &Body<Plain>) -> Option<(Plain, &'static str)> {
    match body {
        Body::None | Body::File(_) => None,
        Body::Json(tree) => Some((json_text(tree), "application/json")),
        Body::Form(fields) => {
            let mut form = reqwest::Url::parse("form:").ok()?;
            fields.iter().for_each(|(name, value)| {
                form.query_pairs_mut().append_pair(name, value);
            });
            Some((Zeroizing::new(form.query().unwrap_or("").to_owned()), "application/x-www-form-urlencoded"))
        }
        Body::Text(text) => Some((text.clone(), "text/plain; charset=utf-8")),
    }
}
