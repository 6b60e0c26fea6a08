//! Extraction: jq filters and JSON Schema over the result document of an attempt.
//!
//! Owns how a filter is compiled and run, and how a schema is checked. Filters are jq without what reaches outside
//! or ends the process: no `halt`, `env`, `input`, `debug`, `stderr`, `$ENV`, no modules. They define no functions,
//! and everything that may repeat spends [`FUEL`], so a filter ends by itself: no clock is needed to stop it. Nesting, of a
//! filter, of a value that it builds and of a text that it reads, never overflows a stack. What
//! fuel cannot bound is the size of one value (`"x" * 1000000000`); runners call this on a blocking thread and stop
//! waiting after a while. No message quotes the document, which may hold secrets.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use jaq_core::load::lex::{StrPart, Tok, Token};
use jaq_core::load::{self, Arena, File, Lexer, Loader};
use jaq_core::native::{Fun, bome, v};
use jaq_core::{Compiler, Ctx, Filter, Vars, data, unwrap_valr};
use jaq_json::Val;
use serde_json::Value;

/// Repetitions (of `range`, `recurse`, `repeat`, `while`, `until`) that one run of a filter may take.
pub const FUEL: u64 = 100_000;
/// Bytes of JSON that one filter may give.
pub const OUTPUT_LIMIT: usize = 16 * 1024 * 1024;
/// Nesting that a document may have.
pub const DEPTH_LIMIT: usize = 128;
/// Bytes that a filter may have.
pub const SOURCE_LIMIT: usize = 16 * 1024;
/// Longer filters may be nested so deeply that reading them takes more stack than a thread commonly has.
const SHORT: usize = 256;
/// Stack for what recurses over a filter or a value: reserved, and used only as far as it is needed.
const ROOM: usize = 512 * 1024 * 1024;
/// Compiled filters that are kept.
const CACHE_LIMIT: usize = 1_024;

/// A filter or schema that cannot be used, with the byte offset in its own text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct FilterError {
    pub offset: usize,
    pub message: String,
}

/// A filter that gave no usable value. Never quotes data.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RunError {
    #[error("the filter cannot be used: {0}")]
    Filter(FilterError),
    #[error("the filter gives nothing for this document")]
    Empty,
    #[error("the filter failed: {0}")]
    Failed(&'static str),
    #[error("the filter gives a value that JSON cannot hold")]
    NotJson,
    #[error("the filter gives more than {OUTPUT_LIMIT} bytes")]
    TooLarge,
    #[error("the filter repeats more than {FUEL} times")]
    Fuel,
}

/// A text that is not a JSON document. Never quotes it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DocumentError {
    #[error("it is not JSON")]
    NotJson,
    #[error("it is nested deeper than {DEPTH_LIMIT} levels")]
    TooDeep,
}

/// A JSON value as filters see it; numbers keep their spelling.
#[derive(Debug, Clone, Default)]
pub struct Document(Val);

/// What filters may read besides the document: `$inputs` and `$vars`.
#[derive(Debug, Clone, Default)]
pub struct Globals {
    inputs: Val,
    vars: Val,
}

impl Document {
    /// # Errors
    /// The text is not exactly one JSON value, or is nested too deeply.
    pub fn parse(text: &str) -> Result<Self, DocumentError> {
        if too_deep(text.as_bytes()) {
            return Err(DocumentError::TooDeep);
        }
        // jaq reads a superset of JSON (comments, NaN): what is stored has to be JSON.
        serde_json::from_str::<serde::de::IgnoredAny>(text).map_err(|_| DocumentError::NotJson)?;
        jaq_json::read::parse_single(text.as_bytes()).map(Self).map_err(|_| DocumentError::NotJson)
    }

    /// The document as JSON text.
    pub fn text(&self) -> String {
        self.0.to_string()
    }
}

impl Globals {
    pub fn new(inputs: &BTreeMap<String, Value>, vars: &BTreeMap<String, Value>) -> Self {
        Self { inputs: object(inputs), vars: object(vars) }
    }
}

/// # Errors
/// A syntax error, an unknown or forbidden name, a definition.
pub fn check_filter(source: &str) -> Result<(), FilterError> {
    compiled(source).map(drop)
}

/// The first output of a filter, as JSON text. Numbers that the filter passes through keep their spelling.
///
/// # Errors
/// See [`RunError`].
pub fn run(filter: &str, document: &Document, globals: &Globals) -> Result<String, RunError> {
    let text = roomy(|| first(filter, document, globals).map(|value| value.to_string()))?;
    if text.len() > OUTPUT_LIMIT {
        return Err(RunError::TooLarge);
    }
    serde_json::from_str::<serde::de::IgnoredAny>(&text).map_err(|_| RunError::NotJson)?;
    Ok(text)
}

/// Whether the first output of a filter is true: neither `false` nor `null`.
///
/// # Errors
/// See [`RunError`].
pub fn holds(filter: &str, document: &Document, globals: &Globals) -> Result<bool, RunError> {
    roomy(|| first(filter, document, globals).map(|value| !matches!(value, Val::Null | Val::Bool(false))))
}

/// # Errors
/// Not a JSON Schema, or one that refers to another place.
pub fn check_schema(schema: &Value) -> Result<(), FilterError> {
    validator(schema).map(drop)
}

/// Where an instance breaks a schema: the place and the rule, never the value. `None` when it conforms.
///
/// # Errors
/// As [`check_schema`].
pub fn breach(schema: &Value, instance: &Value) -> Result<Option<String>, FilterError> {
    let validator = validator(schema)?;
    Ok(validator.iter_errors(instance).next().map(|e| {
        let place = e.instance_path().to_string();
        let place = if place.is_empty() { "/".to_owned() } else { bounded(&place) };
        format!("{place} breaks {}", bounded(&e.schema_path().to_string()))
    }))
}

fn validator(schema: &Value) -> Result<jsonschema::Validator, FilterError> {
    jsonschema::options().should_validate_formats(true).build(schema).map_err(|e| FilterError {
        offset: 0,
        message: format!("not a usable JSON Schema: {}", bounded(&e.to_string())),
    })
}

fn first(filter: &str, document: &Document, globals: &Globals) -> Result<Val, RunError> {
    let compiled = compiled(filter).map_err(RunError::Filter)?;
    let vars = Vars::new([globals.inputs.clone(), globals.vars.clone()]);
    let context = Ctx::<data::JustLut<Val>>::new(&compiled.lut, vars);
    SPENT.set(0);
    let output = compiled.id.run((context, document.0.clone())).map(unwrap_valr).next();
    match output {
        _ if SPENT.get() > FUEL => Err(RunError::Fuel),
        None => Err(RunError::Empty),
        Some(Ok(value)) => Ok(value),
        Some(Err(error)) => Err(RunError::Failed(kind_of(&error.to_string()))),
    }
}

/// The kind of a run-time error. The texts of jaq quote the values they fail on.
fn kind_of(text: &str) -> &'static str {
    const KINDS: [(&str, &str); 4] = [
        ("cannot index", "a value cannot be indexed like that"),
        ("cannot calculate", "these values cannot be calculated with"),
        ("cannot use", "a value is of the wrong type"),
        ("invalid path", "not a path"),
    ];
    KINDS.iter().find(|(start, _)| text.starts_with(start)).map_or("an error was raised", |(_, kind)| kind)
}

/// Does something recursive where there is stack for it: a filter can build a value that is nested as deeply as it may
/// repeat, and dropping that recurses as well.
fn roomy<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| match std::thread::Builder::new().stack_size(ROOM).spawn_scoped(scope, work) {
        Ok(thread) => thread.join().unwrap_or_else(|panicked| std::panic::resume_unwind(panicked)),
        Err(error) => panic!("the system gives no thread for a filter: {error}"),
    })
}

type Compiled = Filter<data::JustLut<Val>>;

static CACHE: Mutex<BTreeMap<String, Arc<Compiled>>> = Mutex::new(BTreeMap::new());

fn compiled(source: &str) -> Result<Arc<Compiled>, FilterError> {
    let known = CACHE.lock().unwrap_or_else(PoisonError::into_inner).get(source).cloned();
    if let Some(filter) = known {
        return Ok(filter);
    }
    if source.len() > SOURCE_LIMIT {
        return Err(at(source, "", format!("the filter is longer than {SOURCE_LIMIT} bytes")));
    }
    let filter = Arc::new(if source.len() > SHORT { roomy(|| compile(source)) } else { compile(source) }?);
    let mut cache = CACHE.lock().unwrap_or_else(PoisonError::into_inner);
    if cache.len() >= CACHE_LIMIT {
        cache.clear();
    }
    cache.insert(source.to_owned(), Arc::clone(&filter));
    Ok(filter)
}

fn compile(source: &str) -> Result<Compiled, FilterError> {
    let tokens = Lexer::new(source).lex().map_err(|errors| match errors.first() {
        Some((expected, rest)) => at(source, rest, format!("expected {}", lexed(expected))),
        None => at(source, source, "not a jq filter".into()),
    })?;
    if tokens.is_empty() {
        return Err(at(source, source, "the filter is empty; `.` is the whole document".into()));
    }
    if let Some(word) = forbidden(&tokens) {
        return Err(at(source, word, format!("`{word}` is not available here")));
    }
    let arena = Arena::default();
    let modules =
        Loader::new(definitions()).load(&arena, File { code: source, path: () }).map_err(|errors| {
            match errors.into_iter().next() {
                Some((_, load::Error::Parse(e))) if !e.is_empty() => {
                    at(source, e[0].1, format!("expected {}", e[0].0.as_str()))
                }
                _ => at(source, source, "not a jq filter".into()),
            }
        })?;
    Compiler::default()
        .with_funs(functions())
        .with_global_vars(["$inputs", "$vars"])
        .compile(modules)
        .map_err(|errors| match errors.into_iter().flat_map(|(_, e)| e).next() {
            Some((name, kind)) => at(source, name, format!("no such {}: `{}`", kind.as_str(), bounded(name))),
            None => at(source, source, "not a jq filter".into()),
        })
}

fn lexed(expected: &load::lex::Expect<&str>) -> &'static str {
    match expected {
        // `as_str` panics for delimiters it does not know.
        load::lex::Expect::Delim(open) if !["(", "[", "{", "\""].contains(open) => "a closing delimiter",
        other => other.as_str(),
    }
}

/// Words that define, load or reach outside, wherever they stand but in plain strings.
fn forbidden<'a>(tokens: &[Token<&'a str>]) -> Option<&'a str> {
    const WORDS: [&str; 15] = [
        "def",
        "import",
        "include",
        "halt",
        "halt_error",
        "env",
        "input",
        "inputs",
        "debug",
        "stderr",
        "consigne_tick",
        "consigne_range",
        "consigne_shallow",
        "consigne_fromjson",
        "modulemeta",
    ];
    tokens.iter().enumerate().find_map(|(i, Token(text, kind))| match kind {
        // `.input` and `{env: 1}` are names of fields, not calls.
        Tok::Word if WORDS.contains(text) => {
            let field = i > 0 && tokens[i - 1].0 == ".";
            let key = tokens.get(i + 1).is_some_and(|next| next.0 == ":");
            (!field && !key).then_some(*text)
        }
        Tok::Var if *text == "$ENV" => Some(*text),
        Tok::Block(inner) => forbidden(inner),
        Tok::Str(parts) => parts.iter().find_map(|part| match part {
            StrPart::Term(token) => forbidden(std::slice::from_ref(token)),
            _ => None,
        }),
        _ => None,
    })
}

fn at(source: &str, part: &str, message: String) -> FilterError {
    let (start, place) = (source.as_ptr() as usize, part.as_ptr() as usize);
    let inside = place.checked_sub(start).filter(|offset| *offset <= source.len());
    FilterError { offset: inside.unwrap_or(source.len()), message }
}

thread_local! {
    /// Fuel spent by the filter that this thread runs.
    static SPENT: Cell<u64> = const { Cell::new(0) };
}

/// What jq repeats with, rewritten so that each round spends fuel.
const REPEATERS: &str = "
def range($from; $to; $by): consigne_range($from; $to; $by) | consigne_tick as $t | .;
def fromjson: consigne_shallow | consigne_fromjson;
def repeat(f): def rec: consigne_tick as $t | f, rec; rec;
def recurse(f): def rec: consigne_tick as $t | ., (f | rec); rec;
def while(cond; update): def rec: consigne_tick as $t | if cond then ., (update | rec) else empty end; rec;
def until(cond; update): def rec: consigne_tick as $t | if cond then . else update | rec end; rec;
";

fn definitions() -> impl Iterator<Item = load::parse::Def<&'static str>> {
    let mut ours = load::parse(REPEATERS, |p| p.defs()).unwrap_or_default();
    // What has no definition elsewhere stands in front of those that use it.
    let natives: Vec<_> = ours.drain(..ours.len().min(2)).collect();
    let theirs = jaq_core::defs().chain(jaq_std::defs()).chain(jaq_json::defs());
    let kept =
        theirs.filter(|def| !["halt", "halt_error", "debug", "stderr"].contains(&def.name)).map(move |def| {
            match ours.iter().position(|o| o.name == def.name && o.args.len() == def.args.len()) {
                Some(i) => ours.remove(i),
                None => def,
            }
        });
    natives.into_iter().chain(kept)
}

fn functions() -> impl Iterator<Item = Fun<data::JustLut<Val>>> {
    let tick: jaq_core::RunPtr<data::JustLut<Val>> = |_| {
        SPENT.set(SPENT.get() + 1);
        let spent = SPENT.get() > FUEL;
        bome(if spent { Err(jaq_core::Error::str("out of fuel")) } else { Ok(Val::Null) })
    };
    // Data from outside may hold a text that is nested deeper than the stack.
    let shallow: jaq_core::RunPtr<data::JustLut<Val>> = |cv| {
        let deep = matches!(&cv.1, Val::TStr(text) | Val::BStr(text) if !is_shallow(text));
        bome(if deep { Err(jaq_core::Error::str("nested too deeply")) } else { Ok(cv.1) })
    };
    jaq_core::funs()
        .chain(jaq_std::funs())
        .chain(jaq_json::funs())
        .filter(|(name, ..)| !["halt", "env", "debug_empty", "stderr_empty"].contains(name))
        .map(|(name, args, run)| match name {
            "range" => ("consigne_range", args, run),
            "fromjson" => ("consigne_fromjson", args, run),
            _ => (name, args, run),
        })
        .chain(
            [("consigne_tick", tick), ("consigne_shallow", shallow)]
                .map(|(name, run)| jaq_core::native::run::<data::JustLut<Val>>((name, v(0), run))),
        )
}

fn object(map: &BTreeMap<String, Value>) -> Val {
    let text = serde_json::to_string(map).unwrap_or_default();
    jaq_json::read::parse_single(text.as_bytes()).unwrap_or_default()
}

/// Nesting is counted before parsing: the parser of jaq recurses without a limit.
fn too_deep(text: &[u8]) -> bool {
    let (mut depth, mut quoted, mut escaped) = (0_usize, false, false);
    for &byte in text {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b'[' | b'{' if !quoted => {
                depth += 1;
                if depth > DEPTH_LIMIT {
                    return true;
                }
            }
            b']' | b'}' if !quoted => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    false
}

/// Whether jaq may read these values. What is not JSON (it knows comments, in which a quote is no quote) may hold few
/// brackets at all.
fn is_shallow(text: &[u8]) -> bool {
    let mut values = serde_json::Deserializer::from_slice(text).into_iter::<serde::de::IgnoredAny>();
    if values.all(|value| value.is_ok()) {
        return !too_deep(text);
    }
    text.iter().filter(|byte| matches!(byte, b'[' | b'{')).count() <= DEPTH_LIMIT
}

fn bounded(text: &str) -> String {
    const LIMIT: usize = 160;
    match text.char_indices().nth(LIMIT) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nesting_overflows_no_stack() {
        let document = Document::parse(&format!("{{\"deep\":\"{}\"}}", "[".repeat(100_000))).unwrap();
        let failed = Err(RunError::Failed("an error was raised"));
        assert_eq!(run(".deep | fromjson", &document, &Globals::default()), failed);
        assert_eq!(run("\"#\\\"\\n\" + .deep | fromjson", &document, &Globals::default()), failed);
        assert_eq!(run("\"[1] 2\" | [fromjson] | length", &document, &Globals::default()).unwrap(), "2");
        let built = run("reduce range(90000) as $i (0; [.]) | 1", &document, &Globals::default());
        assert_eq!(built.unwrap(), "1");
        for (open, inner, close) in
            [("(", ".", ")"), ("[", "1", "]"), ("-", "1", ""), ("try ", ".", ""), ("", ".", ".a?")]
        {
            let times = SOURCE_LIMIT / 2 / (open.len() + close.len()) - 2;
            let filter = format!("{}{inner}{}", open.repeat(times), close.repeat(times));
            let _any = run(&filter, &document, &Globals::default());
        }
        let long = format!(".{}", " ".repeat(SOURCE_LIMIT));
        assert!(check_filter(&long).unwrap_err().message.contains("longer"));
    }

    use serde_json::json;

    fn doc(value: &Value) -> Document {
        Document::parse(&value.to_string()).unwrap()
    }

    fn of(filter: &str, text: &str) -> Result<String, RunError> {
        run(filter, &Document::parse(text).unwrap(), &Globals::default())
    }

    #[test]
    fn numbers_keep_their_spelling() {
        assert_eq!(of(".a", r#"{"a":12345678901234567890123}"#).unwrap(), "12345678901234567890123");
        assert_eq!(of(".a", r#"{"a":1.10}"#).unwrap(), "1.10");
        assert_eq!(of(".", r#"{"z":1,"a":[]}"#).unwrap(), r#"{"z":1,"a":[]}"#);
    }

    #[test]
    fn globals_are_visible() {
        let inputs = BTreeMap::from([("min".to_owned(), json!(3))]);
        let globals = Globals::new(&inputs, &BTreeMap::new());
        let document = doc(&json!([{"id": "a", "n": 2}, {"id": "b", "n": 4}]));
        assert_eq!(run("[.[] | select(.n > $inputs.min) | .id]", &document, &globals).unwrap(), r#"["b"]"#);
        assert!(holds("$vars == {}", &document, &globals).unwrap());
    }

    #[test]
    fn what_reaches_outside_is_refused_with_its_place() {
        for (filter, offset) in [
            ("halt", 0),
            (". | halt_error", 4),
            ("env.HOME", 0),
            ("[$ENV]", 1),
            ("input", 0),
            ("\"\\(inputs)\"", 3),
            (". | debug", 4),
            ("stderr", 0),
            ("def f: f; f", 0),
            ("import \"a\" as a; .", 0),
            (".a | nope", 5),
            ("$nope", 0),
            (".a[", 3),
            (". |", 3),
            ("", 0),
        ] {
            let error = check_filter(filter).expect_err(filter);
            assert_eq!(error.offset, offset, "{filter}: {error}");
        }
    }

    #[test]
    fn field_names_are_not_calls() {
        for filter in [".input", "{env: .a}", ".a.debug", ".body | .halt?"] {
            check_filter(filter).unwrap_or_else(|e| panic!("{filter}: {e}"));
        }
    }

    #[test]
    fn repetition_ends() {
        for filter in [
            "[repeat(1)]",
            "[range(infinite)]",
            "0 | until(false; . + 1)",
            "[recurse(.)] | length",
            "[while(true; .)] | length",
            "last(range(1; 1e12))",
            "try last(repeat(1)) catch 1",
        ] {
            assert_eq!(of(filter, "0"), Err(RunError::Fuel), "{filter}");
        }
        assert_eq!(of("[range(4)] | add", "0").unwrap(), "6");
        assert_eq!(of("[range(0; 10; 5)]", "0").unwrap(), "[0,5]");
        assert_eq!(of("[limit(2; repeat(1))]", "0").unwrap(), "[1,1]");
        assert_eq!(of("(recurse(.c[]?) | .n) |= 7", r#"{"n":1,"c":[]}"#).unwrap(), r#"{"n":7,"c":[]}"#);
    }

    #[test]
    fn errors_never_quote_the_document() {
        for filter in [".a + 1", ".a[0]", ".a | error", ".a | tonumber", ".a | fromjson", ".a | keys"] {
            let error = of(filter, r#"{"a":"canary-value"}"#).unwrap_err().to_string();
            assert!(!error.contains("canary"), "{filter}: {error}");
        }
        assert_eq!(of(".a[]?", r#"{"a":1}"#), Err(RunError::Empty));
        assert_eq!(of("nan", "0"), Err(RunError::NotJson));
    }

    #[test]
    fn documents_are_json_and_bounded_in_depth() {
        assert_eq!(Document::parse("# no\n1").unwrap_err(), DocumentError::NotJson);
        assert_eq!(Document::parse("1 2").unwrap_err(), DocumentError::NotJson);
        assert_eq!(Document::parse(&"[".repeat(100_000)).unwrap_err(), DocumentError::TooDeep);
        assert!(Document::parse(&format!("\"{}\"", "[".repeat(1_000))).is_ok());
    }

    #[test]
    fn schemas_assert_formats_and_fetch_nothing() {
        let schema = json!({"type": "object", "properties": {"id": {"type": "string", "format": "uuid"}}});
        assert_eq!(breach(&schema, &json!({"id": "3f2504e0-4f89-11d3-9a0c-0305e82c3301"})).unwrap(), None);
        let breach = breach(&schema, &json!({"id": "canary"})).unwrap().unwrap();
        assert!(breach.contains("/id") && !breach.contains("canary"), "{breach}");
        assert!(check_schema(&json!({"$ref": "http://127.0.0.1:1/x.json"})).is_err());
        assert!(check_schema(&json!({"$ref": "file:///etc/hostname"})).is_err());
        assert!(check_schema(&json!({"type": 3})).is_err());
    }
}
