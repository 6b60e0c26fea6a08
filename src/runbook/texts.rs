//! Every template and condition of a step, with the place it stands in: what may be named depends on it.

use super::act::Act;
use super::decode::Spanned;
use super::position;
use super::scalar::{Condition, Data, Entries, Text};
use super::schema::{HttpDefaults, Step};
use super::shell::Script;
use super::template::{Braced, Expr, Template};
use crate::diag::{Source, Span};

/// What the filter of an approval calls the value that it judges.
pub const TARGET: &str = "target";

/// Where a text stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Use {
    Url,
    Query,
    Header,
    Env,
    Json,
    /// Form fields, raw bodies, paths of files.
    Body,
    Argv,
    Script,
    Folder,
    /// The name of a host.
    Host,
    /// Titles and messages, the words of people.
    Words,
    /// What people are sent.
    Letter,
    Condition,
    /// About one entry of a list, which is called `item` there.
    Entry,
    /// The list of a `for_each`: read before there is an item.
    List,
    /// About one item of a `for_each`: its name in the run.
    Key,
    /// Judged after each round of a `repeat`.
    Until,
    /// Judged about each target that an approval could not see.
    Filter,
    /// The input of a runbook that is used.
    Argument,
    /// Idempotency keys, names of locks, words to type, instants.
    Other,
}

impl Use {
    /// A secret may stand here: its value goes to the far side and nowhere else.
    pub const fn takes_secrets(self) -> bool {
        matches!(self, Self::Header | Self::Env | Self::Json | Self::Argument)
    }

    /// The path of the scratch folder may stand here.
    pub const fn takes_work(self) -> bool {
        matches!(self, Self::Argv | Self::Env | Self::Folder)
    }

    pub const fn name(self) -> &'static str {
        match self {
            Self::Url => "an address",
            Self::Query => "a query",
            Self::Header => "a header",
            Self::Env => "an environment variable",
            Self::Json => "a JSON body",
            Self::Body => "a body",
            Self::Argv => "an argument",
            Self::Script => "a script",
            Self::Folder => "a path",
            Self::Host => "the name of a host",
            Self::Words | Self::Letter => "a text that people read",
            Self::Condition | Self::Entry | Self::List | Self::Key | Self::Until | Self::Filter => {
                "a condition"
            }
            Self::Argument => "an input",
            Self::Other => "this place",
        }
    }

    /// What may decide on whom or what a step acts: everything it sends or is given.
    pub const fn is_target(self) -> bool {
        !matches!(
            self,
            Self::Words
                | Self::Letter
                | Self::Condition
                | Self::Entry
                | Self::List
                | Self::Key
                | Self::Until
                | Self::Filter
                | Self::Argument
                | Self::Other
        )
    }

    /// Where an instant is never a target, but a stamp: in what is sent, not in where it is sent.
    pub const fn takes_stamps(self) -> bool {
        matches!(self, Self::Header | Self::Json | Self::Body)
    }
}

/// One text of a step.
#[derive(Debug, Clone, Copy)]
pub struct TextRef<'a> {
    pub text: Written<'a>,
    pub place: Use,
    /// It belongs to the proof of the step, which may read what the step itself gave.
    pub after: bool,
}

#[derive(Debug, Clone, Copy)]
pub enum Written<'a> {
    Template(&'a Spanned<Template>),
    Script(&'a Spanned<Script>),
    Condition(&'a Condition),
}

/// An expression in a text: where its text begins in the whole, and the whole with its position.
#[derive(Debug, Clone, Copy)]
pub struct ExprRef<'a> {
    pub expr: &'a Expr,
    pub whole: &'a str,
    pub offset: usize,
    pub span: Span,
}

impl ExprRef<'_> {
    /// Where in the file it reads `path`; the expression where the path is written otherwise.
    pub fn place(&self, source: &Source, path: &str) -> Span {
        let written = self.whole.get(self.offset..).unwrap_or("");
        let named = written.match_indices(path).map(|(at, _)| at).find(|at| {
            let before = written[..*at].chars().next_back();
            let after = written[at + path.len()..].chars().next();
            let joins = |c: char| c.is_alphanumeric() || c == '_';
            !before.is_some_and(|c| joins(c) || c == '.') && !after.is_some_and(joins)
        });
        let (at, length) = match named {
            Some(at) => (at, path.len()),
            None => match written.find(self.expr.source()) {
                Some(at) => (at, self.expr.source().len()),
                None => return self.span,
            },
        };
        position::inner(source, self.span, self.whole, self.offset + at, length)
    }
}

impl<'a> Written<'a> {
    pub fn exprs(self) -> impl Iterator<Item = ExprRef<'a>> + Clone {
        let (template, span, condition) = match self {
            Self::Template(template) => (Some(&template.value), template.span, None),
            Self::Script(script) => (Some(script.value.template()), script.span, None),
            Self::Condition(condition) => (None, condition.span, Some(&condition.value)),
        };
        let condition = condition.map(|expr| ExprRef { expr, whole: expr.source(), offset: 0, span });
        let of_template = template.into_iter().flat_map(move |template| {
            let whole = template.source();
            template.exprs().iter().map(move |Braced { expr, at }| ExprRef {
                expr,
                whole,
                offset: at.start,
                span,
            })
        });
        of_template.chain(condition)
    }
}

/// Every text of a step.
pub fn of_step(step: &Step) -> Vec<TextRef<'_>> {
    let mut all = Collector { out: Vec::new(), after: false };
    all.words(step.title.as_ref());
    all.words(step.message.as_ref());
    step.show.iter().flat_map(|show| &show.0).for_each(|text| all.one(Some(text), Use::Words));
    for link in step.links.iter().flatten() {
        all.one(Some(&link.url), Use::Words);
        all.words(link.title.as_ref());
    }
    all.condition(step.when.as_ref());
    if let Some(each) = &step.for_each {
        all.expression(Some(&each.items), Use::List);
        all.expression(each.key.as_ref(), Use::Key);
    }
    for (_, data) in step.runbook.iter().flat_map(|used| &used.inputs).flat_map(Entries::iter) {
        all.argument(&data.value);
    }
    all.expression(step.repeat.as_ref().map(|repeat| &repeat.until), Use::Until);
    all.expression(step.approve.as_ref().and_then(|approve| approve.filter.as_ref()), Use::Filter);
    all.other(step.idempotency_key.as_ref());
    all.act(step.act());
    for (_, artifact) in step.artifacts.iter().flat_map(Entries::iter) {
        all.one(Some(&artifact.path), Use::Folder);
    }
    all.other(step.confirm.as_ref().and_then(|confirm| confirm.typed.as_ref()));
    all.other(step.wait.as_ref().and_then(|wait| wait.until.as_ref()));
    for claim in step.assert.iter().flat_map(|assert| &assert.that) {
        all.condition(Some(&claim.expr));
        all.words(claim.message.as_ref());
    }
    if let Some(notify) = &step.notify {
        all.letter(notify.subject.as_ref());
        all.letter(notify.text.as_ref());
    }
    if let Some(choice) = &step.choice {
        choice.options.iter().flat_map(|list| &list.value).for_each(|option| all.words(Some(&option.text)));
        all.condition(choice.from.as_ref());
        all.entry(choice.id.as_ref());
        all.entry(choice.label.as_ref());
    }
    for item in step.checklist.iter().flat_map(|list| &list.items.value) {
        all.words(Some(&item.text));
        all.other(item.read_back.as_ref());
        if let Some(probe) = &item.probe {
            all.act(probe.act());
        }
    }
    all.after = true;
    if let Some(verify) = &step.verify {
        all.act(verify.act());
    }
    // Reversals are written down before their step starts, so they know no more than its action does.
    all.after = false;
    if let Some(undo) = &step.undo {
        all.act(undo.act());
    }
    if let Some(back) = &step.put_back {
        all.act(back.act());
        if let Some(probe) = &back.only_if {
            all.act(probe.act());
        }
    }
    all.out
}

/// The texts of one action.
pub fn of_act(act: Act<'_>) -> Vec<TextRef<'_>> {
    let mut all = Collector { out: Vec::new(), after: false };
    all.act(act);
    all.out
}

/// The texts of the defaults, which any call may take over.
pub fn of_defaults(defaults: &HttpDefaults) -> Vec<TextRef<'_>> {
    let mut all = Collector { out: Vec::new(), after: false };
    all.one(defaults.base.as_ref(), Use::Url);
    all.pairs(defaults.headers.as_ref(), Use::Header);
    all.out
}

struct Collector<'a> {
    out: Vec<TextRef<'a>>,
    after: bool,
}

impl<'a> Collector<'a> {
    fn one(&mut self, text: Option<&'a Spanned<Template>>, place: Use) {
        let after = self.after;
        self.out.extend(text.map(|text| TextRef { text: Written::Template(text), place, after }));
    }

    fn pairs(&mut self, entries: Option<&'a Entries<Spanned<Template>>>, place: Use) {
        entries.into_iter().flat_map(Entries::iter).for_each(|(_, text)| self.one(Some(text), place));
    }

    fn words(&mut self, text: Option<&'a Text>) {
        text.into_iter().flat_map(Text::templates).for_each(|text| self.one(Some(text), Use::Words));
    }

    fn letter(&mut self, text: Option<&'a Text>) {
        text.into_iter().flat_map(Text::templates).for_each(|text| self.one(Some(text), Use::Letter));
    }

    fn other(&mut self, text: Option<&'a Spanned<Template>>) {
        self.one(text, Use::Other);
    }

    fn condition(&mut self, condition: Option<&'a Condition>) {
        self.expression(condition, Use::Condition);
    }

    fn entry(&mut self, expression: Option<&'a Condition>) {
        self.expression(expression, Use::Entry);
    }

    fn expression(&mut self, expression: Option<&'a Condition>, place: Use) {
        let after = self.after;
        let text = expression.map(Written::Condition);
        self.out.extend(text.map(|text| TextRef { text, place, after }));
    }

    fn data(&mut self, data: &'a Data) {
        let mut texts = Vec::new();
        data.templates(&mut texts);
        texts.into_iter().for_each(|text| self.one(Some(text), Use::Json));
    }

    fn argument(&mut self, data: &'a Data) {
        let mut texts = Vec::new();
        data.templates(&mut texts);
        texts.into_iter().for_each(|text| self.one(Some(text), Use::Argument));
    }

    fn act(&mut self, act: Act<'a>) {
        if let Some(http) = act.http {
            http.calls().for_each(|(_, url)| self.one(Some(url), Use::Url));
            self.pairs(http.headers.as_ref(), Use::Header);
            self.pairs(http.query.as_ref(), Use::Query);
            self.pairs(http.form.as_ref(), Use::Body);
            self.one(http.body.as_ref(), Use::Body);
            self.one(http.file.as_ref(), Use::Folder);
            http.json.iter().for_each(|data| self.data(data));
            self.one(http.basic.as_ref().map(|basic| &basic.user), Use::Other);
        }
        let after = self.after;
        let script = act.shell.map(Written::Script);
        self.out.extend(script.map(|text| TextRef { text, place: Use::Script, after }));
        act.argv.iter().flat_map(|argv| &argv.value).for_each(|arg| self.one(Some(arg), Use::Argv));
        self.pairs(act.env, Use::Env);
        self.one(act.cwd, Use::Folder);
        self.one(act.host, Use::Host);
    }
}
