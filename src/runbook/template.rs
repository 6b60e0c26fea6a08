//! Templates: text with `{{ expression }}` in it, rendered to segments.
//!
//! Owns how a template is cut into parts and how one expression is evaluated (minijinja, strict, with fuel, no
//! clock, no randomness, no input or output). It never sees a secret: `{{ secrets.name }}` becomes a reference
//! segment that only the runner can fill, and what is not known yet becomes a reference as well. References are
//! segments, not marks in the text, so no value from outside can forge one.

mod address;
mod called;
mod claims;
mod parse;
mod rename;
mod time;
mod tree;

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::sync::LazyLock;

use minijinja::value::Serde;
use minijinja::{Environment, Expression, UndefinedBehavior};
use serde::{Deserialize, Serialize};
use serde_json::Value;

pub(super) use called::tokens;
pub use rename::{Renaming, literal};

/// The name of the run's scratch folder.
pub const WORK: &str = "run.work";

/// Instructions that one expression may take before it is stopped.
pub const FUEL: u64 = 50_000;

/// Text with expressions, as written in the runbook.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Template {
    source: String,
    /// In the order of the text.
    exprs: Vec<Braced>,
}

/// An expression of a template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Braced {
    pub expr: Expr,
    /// Its bytes in the text, braces included.
    pub at: Range<usize>,
}

/// A piece of a template.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part<'a> {
    /// Never empty.
    Text(&'a str),
    Expr(&'a Expr),
}

/// An expression without braces, and the names it reads.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Expr {
    source: String,
    /// Dotted paths as far as they are constant: `steps.before.name`, `inputs.tenant_id`. `None`: it is one itself.
    refs: Option<Vec<String>>,
}

/// A template or expression that cannot be read, with the byte offset in its own text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct TemplateError {
    pub offset: usize,
    pub message: String,
}

/// A template or expression that could not be evaluated. Carries no values.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{expr}`: {message}")]
pub struct RenderError {
    pub expr: String,
    pub message: String,
}

/// A piece of rendered text.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Segment {
    Text(String),
    /// The secret of that name, filled in by the runner.
    Secret(String),
    /// An expression whose value is not known yet.
    Later(String),
    /// The run's scratch folder, whose path the runner alone knows: a plan is the same on every machine.
    Work,
}

/// Rendered text: literal pieces and references. Neighbouring literals are joined, so equal texts are equal.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Rendered(Vec<Segment>);

/// A JSON structure whose strings are `S`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Tree<S> {
    Null,
    Bool(bool),
    /// A number in its original spelling.
    Number(String),
    Text(S),
    List(Vec<Tree<S>>),
    Map(Vec<(String, Tree<S>)>),
}

/// What every expression may name. Any other name is that of an item.
pub const ROOTS: [&str; 6] = ["inputs", "vars", "steps", "step", "run", "secrets"];

/// What a name stands for at the moment of rendering.
#[derive(Debug, Clone, PartialEq)]
pub enum Lookup {
    Known(Value),
    /// Will be known when its step has ended (or, for `step.started_at`, begun).
    Later,
    /// No such name: an error, unless the expression gives a default.
    Missing,
}

/// Where expressions find their values.
pub trait Scope {
    /// `root` is `inputs`, `vars`, `steps`, `step`, `run`, …; `name` the key below it.
    fn lookup(&self, root: &str, name: &str) -> Lookup;

    /// Under which name a runner finds what a path stands for, where that is a secret.
    fn secret(&self, _path: &str) -> Option<String> {
        None
    }

    /// For a name that is a value by itself, with nothing that has to be named below it.
    fn whole(&self, _root: &str) -> Option<Lookup> {
        None
    }

    /// How a host of that name is reached, as data.
    fn host(&self, _name: &str) -> Lookup {
        Lookup::Missing
    }
}

impl Template {
    /// Text without any expression.
    pub fn literal(text: &str) -> Self {
        Self { source: text.to_owned(), exprs: Vec::new() }
    }

    /// One expression in its braces.
    pub fn of(expr: &Expr) -> Self {
        let source = format!("{{{{ {} }}}}", expr.source);
        let braced = Braced { expr: expr.clone(), at: 0..source.len() };
        Self { source, exprs: vec![braced] }
    }

    pub fn source(&self) -> &str {
        &self.source
    }

    /// Its expressions, in the order of the text.
    pub fn exprs(&self) -> &[Braced] {
        &self.exprs
    }

    /// The expression that it is, when there is nothing beside it.
    pub fn whole(&self) -> Option<&Expr> {
        let [Braced { expr, at }] = self.exprs.as_slice() else { return None };
        (*at == (0..self.source.len())).then_some(expr)
    }

    /// Texts and expressions, in their order.
    pub fn parts(&self) -> impl Iterator<Item = Part<'_>> {
        let ends = self.exprs.iter().map(|braced| braced.at.end);
        let starts = self.exprs.iter().map(|braced| braced.at.start).chain([self.source.len()]);
        let texts = [0].into_iter().chain(ends).zip(starts).map(|(from, to)| &self.source[from..to]);
        let exprs = self.exprs.iter().map(|braced| Part::Expr(&braced.expr));
        let texts = texts.map(|text| Some(Part::Text(text)).filter(|_| !text.is_empty()));
        texts.zip(exprs.map(Some).chain([None])).flat_map(|(text, expr)| [text, expr]).flatten()
    }

    /// Every name that its expressions read.
    pub fn refs(&self) -> impl Iterator<Item = &str> {
        self.exprs.iter().flat_map(|braced| braced.expr.refs().iter().map(String::as_str))
    }

    /// Renders to text.
    ///
    /// # Errors
    /// An undefined name, a failed evaluation, too much work.
    pub fn render(&self, scope: &dyn Scope) -> Result<Rendered, RenderError> {
        let mut out = Rendered::default();
        for part in self.parts() {
            match part {
                Part::Text(text) => out.push_text(text),
                Part::Expr(expr) => match expr.evaluate(scope)? {
                    Evaluated::Value(value) => out.push_text(&as_text(&value)),
                    Evaluated::Reference(segment) => out.0.push(segment),
                },
            }
        }
        Ok(out)
    }

    /// Renders to a JSON value: a template that is one whole `{{ }}` keeps the type of its value.
    ///
    /// # Errors
    /// As [`Template::render`].
    pub fn render_tree(&self, scope: &dyn Scope) -> Result<Tree<Rendered>, RenderError> {
        Ok(match self.whole() {
            Some(expr) => match expr.evaluate(scope)? {
                Evaluated::Value(value) => Tree::from_value(&value),
                Evaluated::Reference(segment) => Tree::Text(Rendered(vec![segment])),
            },
            None => Tree::Text(self.render(scope)?),
        })
    }
}

impl Expr {
    pub fn source(&self) -> &str {
        &self.source
    }

    pub fn refs(&self) -> &[String] {
        self.refs.as_deref().unwrap_or(std::slice::from_ref(&self.source))
    }

    /// The secret that this expression names, when it is exactly `secrets.name`.
    pub fn secret(&self) -> Option<&str> {
        let name = self.source.strip_prefix("secrets.")?;
        (!name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')).then_some(name)
    }

    /// The path that this expression is, when it is nothing else: `steps.rotate.key`.
    pub fn path(&self) -> Option<&str> {
        let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'.';
        let [path] = self.refs() else { return None };
        let whole = *path == self.source && self.source.bytes().all(plain);
        (whole || called::is_indexed(&self.source, path)).then_some(path)
    }

    /// Whether it is exactly the run's scratch folder.
    fn is_work(&self) -> bool {
        self.source == WORK
    }

    /// The value of the expression.
    ///
    /// # Errors
    /// As [`Template::render`]; a secret or something not known yet is an error here.
    pub fn value(&self, scope: &dyn Scope) -> Result<Value, RenderError> {
        match self.evaluate(scope)? {
            Evaluated::Value(value) => Ok(value),
            Evaluated::Reference(Segment::Secret(_)) => Err(self.error("a secret cannot be used here")),
            Evaluated::Reference(Segment::Work) => Err(self.error("only a runner knows the path")),
            Evaluated::Reference(_) => Err(self.error("its value is not known yet")),
        }
    }

    /// Whether the expression holds, by the rules of minijinja: empty, zero and none are false.
    ///
    /// # Errors
    /// As [`Expr::value`].
    pub fn holds(&self, scope: &dyn Scope) -> Result<bool, RenderError> {
        let value = self.value(scope)?;
        Ok(minijinja::Value::from(Serde(&value)).is_true())
    }

    fn evaluate(&self, scope: &dyn Scope) -> Result<Evaluated, RenderError> {
        if let Some(name) = self.secret() {
            return Ok(Evaluated::Reference(Segment::Secret(name.to_owned())));
        }
        if let Some(name) = self.path().and_then(|path| scope.secret(path)) {
            return Ok(Evaluated::Reference(Segment::Secret(name)));
        }
        if self.is_work() {
            return Ok(Evaluated::Reference(Segment::Work));
        }
        let mut context: BTreeMap<&str, serde_json::Map<String, Value>> = BTreeMap::new();
        let mut wholes: BTreeMap<&str, Value> = BTreeMap::new();
        for path in self.refs() {
            let mut names = path.split('.');
            let root = path.split('.').next().unwrap_or_default();
            match scope.whole(root) {
                Some(Lookup::Known(value)) => {
                    wholes.insert(root, value);
                    continue;
                }
                Some(Lookup::Later) => return Ok(Evaluated::Reference(Segment::Later(self.source.clone()))),
                Some(Lookup::Missing) | None => {}
            }
            let (Some(root), Some(name)) = (names.next(), names.next()) else {
                return Err(self.error(&format!("`{path}` is not a value: name something below it")));
            };
            if root == "secrets" || scope.secret(path).is_some() {
                return Err(
                    self.error("a secret is used whole, without filters or text beside it in the braces")
                );
            }
            if path == WORK {
                return Err(self.error("it is used whole: write text around the braces, no filters"));
            }
            match scope.lookup(root, name) {
                Lookup::Known(value) => {
                    context.entry(root).or_default().insert(name.to_owned(), value);
                }
                Lookup::Later => return Ok(Evaluated::Reference(Segment::Later(self.source.clone()))),
                Lookup::Missing => {
                    context.entry(root).or_default();
                }
            }
        }
        let compiled = compile(&self.source).map_err(|e| self.error(&e.message))?;
        wholes.extend(context.into_iter().map(|(root, values)| (root, Value::Object(values))));
        let value = compiled.eval(Serde(wholes)).map_err(|e| self.error(&describe(&e)))?;
        if value.is_undefined() {
            return Err(self.error("is not defined"));
        }
        let value = serde_json::to_value(&value).map_err(|_| self.error("its value is not data"))?;
        Ok(Evaluated::Value(value))
    }

    fn error(&self, message: &str) -> RenderError {
        RenderError { expr: self.source.clone(), message: message.to_owned() }
    }
}

enum Evaluated {
    Value(Value),
    Reference(Segment),
}

impl Rendered {
    pub fn literal(text: &str) -> Self {
        let mut out = Self::default();
        out.push_text(text);
        out
    }

    pub fn segments(&self) -> &[Segment] {
        &self.0
    }

    /// The text, when it holds no reference.
    pub fn as_plain(&self) -> Option<&str> {
        match self.0.as_slice() {
            [] => Some(""),
            [Segment::Text(text)] => Some(text),
            _ => None,
        }
    }

    /// The names of the secrets it refers to.
    pub fn secrets(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|segment| match segment {
            Segment::Secret(name) => Some(name.as_str()),
            _ => None,
        })
    }

    /// Whether it names the run's scratch folder.
    pub fn uses_work(&self) -> bool {
        self.0.contains(&Segment::Work)
    }

    pub fn push_text(&mut self, text: &str) {
        if text.is_empty() {
            return;
        }
        if let Some(Segment::Text(last)) = self.0.last_mut() {
            last.push_str(text);
        } else {
            self.0.push(Segment::Text(text.to_owned()));
        }
    }

    /// Fills what is known by now into the references that `value` answers for.
    #[must_use]
    pub fn filled(&self, value: impl Fn(&Segment) -> Option<String>) -> Self {
        let mut out = Self::default();
        for segment in &self.0 {
            match (segment, value(segment)) {
                (_, Some(text)) => out.push_text(&text),
                (Segment::Text(text), None) => out.push_text(text),
                (reference, None) => out.0.push(reference.clone()),
            }
        }
        out
    }
}

/// As people read it: `<secret admin_token>`, `<decided later by steps.x.y>`.
impl fmt::Display for Rendered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|segment| match segment {
            Segment::Text(text) => f.write_str(text),
            Segment::Secret(name) => write!(f, "<secret {name}>"),
            Segment::Later(expr) => write!(f, "<decided later by {expr}>"),
            Segment::Work => f.write_str("<run.work>"),
        })
    }
}

impl From<String> for Rendered {
    fn from(text: String) -> Self {
        Self::literal(&text)
    }
}

impl TryFrom<String> for Template {
    type Error = TemplateError;

    fn try_from(source: String) -> Result<Self, TemplateError> {
        Self::parse(&source)
    }
}

impl From<Template> for String {
    fn from(template: Template) -> Self {
        template.source
    }
}

impl TryFrom<String> for Expr {
    type Error = TemplateError;

    fn try_from(source: String) -> Result<Self, TemplateError> {
        Self::parse(&source)
    }
}

impl From<Expr> for String {
    fn from(expr: Expr) -> Self {
        expr.source
    }
}

static ENGINE: LazyLock<Environment<'static>> = LazyLock::new(|| {
    let mut engine = Environment::new();
    engine.set_undefined_behavior(UndefinedBehavior::Strict);
    engine.set_fuel(Some(FUEL));
    engine.remove_global("debug");
    time::add_to(&mut engine);
    claims::add_to(&mut engine);
    engine
});

fn compile(source: &str) -> Result<Expression<'_, '_>, TemplateError> {
    ENGINE.compile_expression(source).map_err(|e| TemplateError {
        offset: e.range().map_or(0, |range| range.start).min(source.len()),
        message: describe(&e),
    })
}

/// The kind and the detail of an engine error, never its debug form, which lists the values it saw.
fn describe(error: &minijinja::Error) -> String {
    match error.detail() {
        Some(detail) => detail.to_owned(),
        None => error.kind().to_string(),
    }
}

/// A value as it appears in text: strings as they are, nothing for null, JSON for the rest.
fn as_text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    struct World;

    impl Scope for World {
        fn lookup(&self, root: &str, name: &str) -> Lookup {
            match (root, name) {
                ("inputs", "id") => Lookup::Known(json!("acme")),
                ("inputs", "n") => Lookup::Known(json!(3)),
                ("steps", "a") => Lookup::Known(json!({"list": ["x", "{{ secrets.token }}"], "none": null})),
                ("steps", "later") | ("step", "started_at") => Lookup::Later,
                _ => Lookup::Missing,
            }
        }
    }

    fn render(source: &str) -> Result<Rendered, RenderError> {
        Template::parse(source).unwrap().render(&World)
    }

    #[test]
    fn text_and_expressions_mix() {
        assert_eq!(
            render("/t/{{ inputs.id }}?n={{ inputs.n + 1 }}").unwrap().as_plain(),
            Some("/t/acme?n=4")
        );
        assert_eq!(render(r#"{{ "}}" ~ {"a": 1}.a }} { x }"#).unwrap().as_plain(), Some("}}1 { x }"));
    }

    #[test]
    fn a_value_cannot_forge_a_reference() {
        let out = render("{{ steps.a.list[1] }}/{{ secrets.token }}").unwrap();
        assert_eq!(
            out.segments(),
            [Segment::Text("{{ secrets.token }}/".into()), Segment::Secret("token".into())]
        );
        assert_eq!(out.to_string(), "{{ secrets.token }}/<secret token>");
    }

    #[test]
    fn undefined_names_are_errors_unless_defaulted() {
        assert!(render("{{ inputs.nope }}").is_err());
        assert!(render("{{ steps.a.nope }}").is_err());
        assert!(render("{{ steps }}").is_err());
        assert_eq!(render("{{ steps.a.x | default('d') }}").unwrap().as_plain(), Some("d"));
    }

    #[test]
    fn a_bare_expression_is_strict_too() {
        let error = Expr::parse("steps.a.nope").unwrap().holds(&World).unwrap_err();
        assert_eq!(error.to_string(), "`steps.a.nope`: is not defined");
        assert!(Expr::parse("steps.a.list | length == 2").unwrap().holds(&World).unwrap());
    }

    #[test]
    fn filters_on_secrets_are_refused() {
        assert!(render("{{ secrets.token | upper }}").is_err());
        assert!(render("{{ secrets.token ~ 'x' }}").is_err());
    }

    #[test]
    fn the_scratch_folder_stays_a_reference_and_is_used_whole() {
        let out = render("{{ run.work }}/{{ inputs.id }}.csv").unwrap();
        assert_eq!(out.segments(), [Segment::Work, Segment::Text("/acme.csv".into())]);
        assert!(out.uses_work());
        assert_eq!(out.to_string(), "<run.work>/acme.csv");
        assert_eq!(serde_json::to_string(&out).unwrap(), r#"["work",{"text":"/acme.csv"}]"#);
        assert!(render("{{ run.work | upper }}").is_err());
        assert!(render("{{ run.work ~ '/x' }}").is_err());
        assert!(Expr::parse("run.work").unwrap().holds(&World).is_err());
    }

    #[test]
    fn what_is_not_known_yet_stays_a_reference() {
        let out = render("a {{ steps.later.x }} b").unwrap();
        assert_eq!(out.to_string(), "a <decided later by steps.later.x> b");
        let full = out.filled(|s| matches!(s, Segment::Later(_)).then(|| "now".to_owned()));
        assert_eq!(full.as_plain(), Some("a now b"));
    }

    #[test]
    fn one_whole_expression_keeps_its_type() {
        let tree = |source: &str| Template::parse(source).unwrap().render_tree(&World).unwrap();
        assert_eq!(tree("{{ inputs.n }}"), Tree::Number("3".into()));
        assert_eq!(tree("{{ steps.a.none }}"), Tree::Null);
        assert_eq!(tree(" {{ inputs.n }}"), Tree::Text(Rendered::literal(" 3")));
    }

    #[test]
    fn errors_carry_their_offset() {
        for (source, offset) in [("ab {{ x", 3), ("ab {{ }}", 3), ("{% if %}", 0), ("ab {{ 1 | nope( }}", 14)]
        {
            assert_eq!(Template::parse(source).unwrap_err().offset, offset, "{source}");
        }
    }

    #[test]
    fn endless_work_runs_out_of_fuel() {
        let long = "range(100000)|map('upper')|list|length".to_owned();
        assert!(render(&format!("{{{{ {long} + {long} }}}}")).is_err());
    }
}
