//! What a step asks a runner to do, with its texts as templates (in the plan) or rendered (in a request).

use serde::{Deserialize, Serialize};

use super::host::Reach;
use super::notice::Notice;
use crate::runbook::act::PRECONDITIONS;
use crate::runbook::template::{Lookup, RenderError, Rendered, Scope, Template, Tree};

/// One HTTP call, shell script or program. `S` is [`Template`] in a plan and [`Rendered`] in a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Action<S> {
    Http(Box<HttpCall<S>>),
    Shell(ShellCall<S>),
    Argv(ProgramCall<S>),
    /// A script or program on another host.
    Remote(Box<RemoteCall<S>>),
    Notify(Box<Notice<S>>),
}

/// An HTTP call. The URL is absolute once rendered; `base` has been joined to it by the plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HttpCall<S> {
    /// `GET`, `POST`, …
    pub method: String,
    pub url: S,
    /// In the order of the runbook.
    pub headers: Vec<(String, S)>,
    pub query: Vec<(String, S)>,
    pub body: Body<S>,
    pub auth: Auth<S>,
    /// PEM file of additional trusted roots.
    pub ca_file: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Body<S> {
    None,
    Json(Tree<S>),
    Form(Vec<(String, S)>),
    Text(S),
    /// Path of a file that is streamed.
    File(S),
}

/// How a call proves who it is from. Secrets are named, never present.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Auth<S> {
    None,
    /// Name of the secret that is the token.
    Bearer(String),
    /// User, and name of the secret that is the password.
    Basic(S, String),
    /// Header name, and name of the secret that is its value.
    Header(String, String),
}

/// A script for `bash -euo pipefail`. The text is literal: values travel in `env` only.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ShellCall<S> {
    pub script: String,
    pub env: Vec<(String, S)>,
    pub cwd: Option<S>,
}

/// A program and its arguments, no shell.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProgramCall<S> {
    pub argv: Vec<S>,
    pub env: Vec<(String, S)>,
    pub cwd: Option<S>,
}

/// A script or program on a host of the environment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RemoteCall<S> {
    /// Name of the host.
    pub host: S,
    /// The way there, once the name is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reach: Option<Reach>,
    pub program: Program<S>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Program<S> {
    Shell(ShellCall<S>),
    Argv(ProgramCall<S>),
}

/// Turns every text of an action into another.
pub trait Fill<S, T> {
    type Error;

    fn text(&mut self, text: &S) -> Result<T, Self::Error>;

    /// The address of an HTTP call, where a value must not change what the request is sent to.
    fn address(&mut self, address: &S) -> Result<T, Self::Error> {
        self.text(address)
    }

    /// The name of the secret of an authentication.
    fn secret(&mut self, name: &str) -> String {
        name.to_owned()
    }

    /// A text inside a JSON structure, where it may become something other than text.
    fn leaf(&mut self, text: &S) -> Result<Tree<T>, Self::Error> {
        self.text(text).map(Tree::Text)
    }
}

impl<S> Action<S> {
    /// # Errors
    /// The first error of `fill`.
    pub fn fill<T, F: Fill<S, T>>(&self, fill: &mut F) -> Result<Action<T>, F::Error> {
        Ok(match self {
            Self::Http(call) => Action::Http(Box::new(call.fill(fill)?)),
            Self::Shell(call) => Action::Shell(call.fill(fill)?),
            Self::Argv(call) => Action::Argv(call.fill(fill)?),
            Self::Remote(call) => Action::Remote(Box::new(RemoteCall {
                host: fill.text(&call.host)?,
                reach: call.reach.clone(),
                program: match &call.program {
                    Program::Shell(call) => Program::Shell(call.fill(fill)?),
                    Program::Argv(call) => Program::Argv(call.fill(fill)?),
                },
            })),
            Self::Notify(notice) => Action::Notify(Box::new(notice.fill(fill)?)),
        })
    }

    /// Every text of the action, in a fixed order.
    pub fn texts(&self) -> Vec<&S> {
        let mut out = Vec::new();
        match self {
            Self::Http(call) => call.texts(&mut out),
            Self::Shell(call) => call.texts(&mut out),
            Self::Argv(call) => call.texts(&mut out),
            Self::Remote(call) => {
                out.push(&call.host);
                match &call.program {
                    Program::Shell(call) => call.texts(&mut out),
                    Program::Argv(call) => call.texts(&mut out),
                }
            }
            Self::Notify(notice) => notice.texts(&mut out),
        }
        out
    }
}

impl<S> Action<S> {
    /// Every text that may decide on whom or what it acts, in a fixed order: whatever it sends or is given.
    pub fn targets(&self) -> Vec<&S> {
        let Self::Http(call) = self else { return self.texts() };
        let headers = call.headers.iter();
        let headers = headers.filter(|(name, _)| !PRECONDITIONS.contains(&&*name.to_ascii_lowercase()));
        let mut out = vec![&call.url];
        out.extend(headers.map(|(_, value)| value));
        call.content(&mut out);
        out
    }

    /// The name of the secret that proves who a call is from.
    pub fn auth_secret(&self) -> Option<&str> {
        let Self::Http(call) = self else { return None };
        match &call.auth {
            Auth::None => None,
            Auth::Bearer(name) | Auth::Basic(_, name) | Auth::Header(_, name) => Some(name),
        }
    }
}

impl Action<Template> {
    /// # Errors
    /// See [`Template::render`].
    pub fn render(&self, scope: &dyn Scope) -> Result<Action<Rendered>, RenderError> {
        let mut action = self.fill(&mut Renderer(scope))?;
        if let Action::Remote(call) = &mut action
            && let Some(name) = call.host.as_plain()
        {
            call.reach = match scope.host(name) {
                Lookup::Known(reach) => serde_json::from_value(reach).ok(),
                Lookup::Later => None,
                Lookup::Missing => {
                    let message = "the environment has no host of this name".to_owned();
                    return Err(RenderError { expr: name.to_owned(), message });
                }
            };
        }
        Ok(action)
    }
}

impl Action<Rendered> {
    /// The names of the secrets the runner must fill in, those of the authentication included.
    pub fn secrets(&self) -> Vec<&str> {
        let mut names: Vec<&str> = self.texts().into_iter().flat_map(Rendered::secrets).collect();
        names.extend(self.auth_secret());
        if let Self::Notify(notice) = self {
            names.extend(notice.secrets());
        }
        names.sort_unstable();
        names.dedup();
        names
    }
}

struct Renderer<'a>(&'a dyn Scope);

impl Fill<Template, Rendered> for Renderer<'_> {
    type Error = RenderError;

    fn text(&mut self, text: &Template) -> Result<Rendered, RenderError> {
        text.render(self.0)
    }

    fn address(&mut self, address: &Template) -> Result<Rendered, RenderError> {
        address.render_address(self.0)
    }

    fn secret(&mut self, name: &str) -> String {
        self.0.secret(name).unwrap_or_else(|| name.to_owned())
    }

    fn leaf(&mut self, text: &Template) -> Result<Tree<Rendered>, RenderError> {
        text.render_tree(self.0)
    }
}

impl<S> HttpCall<S> {
    fn fill<T, F: Fill<S, T>>(&self, fill: &mut F) -> Result<HttpCall<T>, F::Error> {
        Ok(HttpCall {
            method: self.method.clone(),
            url: fill.address(&self.url)?,
            headers: pairs(&self.headers, fill)?,
            query: pairs(&self.query, fill)?,
            body: match &self.body {
                Body::None => Body::None,
                Body::Json(tree) => Body::Json(fill_tree(tree, fill)?),
                Body::Form(fields) => Body::Form(pairs(fields, fill)?),
                Body::Text(text) => Body::Text(fill.text(text)?),
                Body::File(path) => Body::File(fill.text(path)?),
            },
            auth: match &self.auth {
                Auth::None => Auth::None,
                Auth::Bearer(name) => Auth::Bearer(fill.secret(name)),
                Auth::Basic(user, name) => Auth::Basic(fill.text(user)?, fill.secret(name)),
                Auth::Header(header, name) => Auth::Header(header.clone(), fill.secret(name)),
            },
            ca_file: self.ca_file.clone(),
        })
    }

    fn texts<'a>(&'a self, out: &mut Vec<&'a S>) {
        out.push(&self.url);
        out.extend(self.headers.iter().map(|(_, value)| value));
        self.content(out);
        if let Auth::Basic(user, _) = &self.auth {
            out.push(user);
        }
    }

    fn content<'a>(&'a self, out: &mut Vec<&'a S>) {
        out.extend(self.query.iter().map(|(_, value)| value));
        match &self.body {
            Body::None => {}
            Body::Json(tree) => tree.texts(out),
            Body::Form(fields) => out.extend(fields.iter().map(|(_, value)| value)),
            Body::Text(text) | Body::File(text) => out.push(text),
        }
    }
}

impl<S> ShellCall<S> {
    fn fill<T, F: Fill<S, T>>(&self, fill: &mut F) -> Result<ShellCall<T>, F::Error> {
        Ok(ShellCall {
            script: self.script.clone(),
            env: pairs(&self.env, fill)?,
            cwd: self.cwd.as_ref().map(|cwd| fill.text(cwd)).transpose()?,
        })
    }

    fn texts<'a>(&'a self, out: &mut Vec<&'a S>) {
        out.extend(self.env.iter().map(|(_, value)| value));
        out.extend(&self.cwd);
    }
}

impl<S> ProgramCall<S> {
    fn fill<T, F: Fill<S, T>>(&self, fill: &mut F) -> Result<ProgramCall<T>, F::Error> {
        Ok(ProgramCall {
            argv: self.argv.iter().map(|arg| fill.text(arg)).collect::<Result<_, _>>()?,
            env: pairs(&self.env, fill)?,
            cwd: self.cwd.as_ref().map(|cwd| fill.text(cwd)).transpose()?,
        })
    }

    fn texts<'a>(&'a self, out: &mut Vec<&'a S>) {
        out.extend(&self.argv);
        out.extend(self.env.iter().map(|(_, value)| value));
        out.extend(&self.cwd);
    }
}

fn pairs<S, T, F: Fill<S, T>>(list: &[(String, S)], fill: &mut F) -> Result<Vec<(String, T)>, F::Error> {
    list.iter().map(|(name, value)| Ok((name.clone(), fill.text(value)?))).collect()
}

fn fill_tree<S, T, F: Fill<S, T>>(tree: &Tree<S>, fill: &mut F) -> Result<Tree<T>, F::Error> {
    Ok(match tree {
        Tree::Null => Tree::Null,
        Tree::Bool(yes) => Tree::Bool(*yes),
        Tree::Number(number) => Tree::Number(number.clone()),
        Tree::Text(text) => fill.leaf(text)?,
        Tree::List(list) => Tree::List(list.iter().map(|t| fill_tree(t, fill)).collect::<Result<_, _>>()?),
        Tree::Map(map) => Tree::Map(
            map.iter().map(|(k, t)| Ok((k.clone(), fill_tree(t, fill)?))).collect::<Result<_, F::Error>>()?,
        ),
    })
}
