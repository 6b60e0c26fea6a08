//! A Firestore of one database, as its REST interface shows it: documents, and queries by equality. The platform
//! keeps its tenants and users here too, so that a procedure can look where the data really is.
//!
//! It plays what the procedures use and refuses the rest as not played, instead of answering with a guess.

use axum::http::{Method, StatusCode};
use rusqlite::{Connection, OptionalExtension, params};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::answer::{Answer, Problem, Refusal};
use super::call::Call;
use super::routes::Handled;
use super::wire::Wire;
use crate::clock::Timestamp;

const DATABASE: &str = "projects/attendance-x/databases/(default)/documents";
const PAGE: i64 = 20;
const LARGEST_PAGE: i64 = 300;

/// An error as Google's interfaces tell it.
pub(crate) fn error(status: StatusCode, message: &str) -> Answer {
    let name = match status.as_u16() {
        400 => "INVALID_ARGUMENT",
        401 => "UNAUTHENTICATED",
        403 => "PERMISSION_DENIED",
        404 => "NOT_FOUND",
        409 => "ALREADY_EXISTS",
        429 => "RESOURCE_EXHAUSTED",
        _ => "INTERNAL",
    };
    let body = json!({"error": {"code": status.as_u16(), "message": message, "status": name}});
    Answer::json_bytes(status, body.to_string().into_bytes())
}

fn refuse(status: StatusCode, message: impl AsRef<str>) -> Refusal {
    Refusal(error(status, message.as_ref()))
}

fn bad(message: impl AsRef<str>) -> Refusal {
    refuse(StatusCode::BAD_REQUEST, message)
}

pub(crate) fn handle(db: &Connection, token: &str, call: &Call, path: &str) -> Result<Handled, Problem> {
    let given = call.header("authorization").and_then(|value| value.strip_prefix("Bearer "));
    if given.map(str::trim) != Some(token) {
        let message = "Request had invalid authentication credentials.";
        return Err(Wire::Firestore.unauthorized("", message).into());
    }
    let path = path.replace("%28", "(").replace("%29", ")");
    let rest = path.strip_prefix("/v1/").and_then(|path| path.strip_prefix(DATABASE));
    let Some(rest) = rest else {
        let message = "the database (default) of project attendance-x is the one that is played";
        return Err(refuse(StatusCode::NOT_FOUND, message).into());
    };
    if call.method == Method::POST && !call.says_json() {
        // As the emulator does: without the content type there is no such verb.
        return Err(refuse(StatusCode::NOT_FOUND, "Not Found").into());
    }
    let (place, verb) = match rest.rsplit_once(':') {
        Some((place, verb)) if !verb.contains('/') => (place, Some(verb)),
        _ => (rest, None),
    };
    let place = Place::read(place)?;
    match (&call.method, verb, place) {
        (&Method::POST, Some("runQuery"), Place::Document(parent)) => query(db, call, &parent),
        (&Method::POST, None, Place::Collection(collection)) => create(db, call, &collection),
        (&Method::GET, None, Place::Collection(collection)) => list(db, call, &collection),
        (&Method::GET, None, Place::Document(name)) => {
            let found = Document::find(db, &name)?.ok_or_else(|| not_found(&name))?;
            Ok(Handled::read(Answer::ok(&found.shown())?))
        }
        (&Method::PATCH, None, Place::Document(name)) => patch(db, call, &name),
        (&Method::DELETE, None, Place::Document(name)) => delete(db, call, &name),
        _ => Err(refuse(StatusCode::NOT_FOUND, "Not Found").into()),
    }
}

/// A path below the database: an even number of segments names a document, an odd one a collection. The database
/// itself is the document that holds the top collections.
enum Place {
    Document(String),
    Collection(String),
}

impl Place {
    fn read(path: &str) -> Result<Self, Refusal> {
        let path = path.strip_prefix('/').unwrap_or(path);
        if path.is_empty() {
            return Ok(Self::Document(String::new()));
        }
        let segments: Vec<&str> = path.split('/').collect();
        if segments.iter().any(|segment| !is_segment(segment)) {
            return Err(bad(format!("{path:?} is not the name of a document that is played")));
        }
        let path = path.to_owned();
        Ok(if segments.len().is_multiple_of(2) { Self::Document(path) } else { Self::Collection(path) })
    }
}

fn is_segment(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
}

struct Document {
    name: String,
    fields: Map<String, Value>,
    created: Timestamp,
    updated: Timestamp,
}

impl Document {
    fn find(db: &Connection, name: &str) -> Result<Option<Self>, Problem> {
        let columns: Option<(String, i64, i64)> = db
            .prepare_cached("SELECT fields, created, updated FROM documents WHERE name = ?1")?
            .query_row([name], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
            .optional()?;
        columns.map(|columns| Self::of(name.to_owned(), columns)).transpose()
    }

    fn of(name: String, (fields, created, updated): (String, i64, i64)) -> Result<Self, Problem> {
        Ok(Self {
            name,
            fields: serde_json::from_str(&fields)?,
            created: Timestamp::from_millis(created),
            updated: Timestamp::from_millis(updated),
        })
    }

    /// The documents of one collection, in the order of their names.
    fn of_collection(db: &Connection, collection: &str) -> Result<Vec<Self>, Problem> {
        let mut query = db.prepare_cached(
            "SELECT name, fields, created, updated FROM documents WHERE parent = ?1 ORDER BY name",
        )?;
        let rows = query.query_map([collection], |row| {
            Ok((row.get::<_, String>(0)?, (row.get(1)?, row.get(2)?, row.get(3)?)))
        })?;
        rows.map(|row| {
            let (name, columns) = row?;
            Self::of(name, columns)
        })
        .collect()
    }

    fn store(&self, db: &Connection) -> Result<(), Problem> {
        let parent = self.name.rsplit_once('/').map_or("", |(parent, _)| parent);
        let fields = serde_json::to_string(&self.fields)?;
        db.prepare_cached(
            "INSERT INTO documents (name, parent, fields, created, updated) VALUES (?1, ?2, ?3, ?4, ?5)
             ON CONFLICT (name) DO UPDATE SET fields = ?3, updated = ?5",
        )?
        .execute(params![
            self.name,
            parent,
            fields,
            self.created.millis(),
            self.updated.millis()
        ])?;
        Ok(())
    }

    fn shown(&self) -> Value {
        json!({
            "name": format!("{DATABASE}/{}", self.name),
            "fields": self.fields,
            "createTime": self.created,
            "updateTime": self.updated,
        })
    }
}

fn not_found(name: &str) -> Refusal {
    refuse(StatusCode::NOT_FOUND, format!("Document \"{DATABASE}/{name}\" not found."))
}

fn exists_already(name: &str) -> Refusal {
    refuse(StatusCode::CONFLICT, format!("Document already exists: {DATABASE}/{name}"))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Body {
    #[serde(default)]
    fields: Map<String, Value>,
}

fn body(call: &Call) -> Result<Map<String, Value>, Refusal> {
    let body: Body = serde_json::from_slice(&call.body).map_err(|error| bad(error.to_string()))?;
    body.fields.values().try_for_each(check_value)?;
    Ok(body.fields)
}

/// A value says its own type, with exactly one key.
fn check_value(value: &Value) -> Result<(), Refusal> {
    let wrong = || bad(format!("{value} is not a value, expected such as {{\"stringValue\": \"x\"}}"));
    let (kind, inner) =
        value.as_object().filter(|map| map.len() == 1).and_then(|map| map.iter().next()).ok_or_else(wrong)?;
    match (kind.as_str(), inner) {
        ("stringValue" | "timestampValue" | "referenceValue" | "bytesValue", Value::String(_))
        | ("booleanValue", Value::Bool(_))
        | ("doubleValue", Value::Number(_))
        | ("nullValue", Value::Null) => Ok(()),
        ("integerValue", Value::String(digits)) if digits.parse::<i64>().is_ok() => Ok(()),
        ("integerValue", Value::Number(number)) if number.is_i64() => Ok(()),
        ("mapValue", inner) => {
            let fields = inner.get("fields").and_then(Value::as_object);
            fields.into_iter().flat_map(Map::values).try_for_each(check_value)
        }
        ("arrayValue", inner) => {
            let values = inner.get("values").and_then(Value::as_array);
            values.into_iter().flatten().try_for_each(check_value)
        }
        _ => Err(wrong()),
    }
}

fn create(db: &Connection, call: &Call, collection: &str) -> Result<Handled, Problem> {
    let id = call.parameter("documentId").filter(|id| is_segment(id));
    let id = id.ok_or_else(|| bad("documentId is not as expected: letters, digits, - and _"))?;
    let name = format!("{collection}/{id}");
    let fields = body(call)?;
    if Document::find(db, &name)?.is_some() {
        return Err(exists_already(&name).into());
    }
    let document = Document { name, fields, created: call.at, updated: call.at };
    document.store(db)?;
    Ok(Handled::effect(Answer::ok(&document.shown())?))
}

fn list(db: &Connection, call: &Call, collection: &str) -> Result<Handled, Problem> {
    let size = match call.parameter("pageSize") {
        None => PAGE,
        Some(text) => text
            .parse()
            .ok()
            .filter(|size| (1..=LARGEST_PAGE).contains(size))
            .ok_or_else(|| bad(format!("pageSize is {text:?}, expected 1 to {LARGEST_PAGE}")))?,
    };
    let after = call.parameter("pageToken").unwrap_or("");
    let mut found = Document::of_collection(db, collection)?;
    found.retain(|document| document.name.as_str() > after);
    let size = usize::try_from(size).unwrap_or(usize::MAX);
    let more = found.len() > size;
    found.truncate(size);
    // An empty collection has no key at all, and so no more than the last page does.
    let mut answer = Map::new();
    if let Some(last) = found.last() {
        if more {
            answer.insert("nextPageToken".to_owned(), json!(last.name));
        }
        answer.insert("documents".to_owned(), found.iter().map(Document::shown).collect());
    }
    Ok(Handled::read(Answer::ok(&answer)?))
}

/// What the caller takes for granted about a document.
fn precondition(call: &Call, name: &str, there: bool) -> Result<(), Refusal> {
    match (call.parameter("currentDocument.exists"), there) {
        (Some("true"), false) => Err(not_found(name)),
        (Some("false"), true) => Err(exists_already(name)),
        (None | Some("true" | "false"), _) => Ok(()),
        (Some(text), _) => Err(bad(format!("currentDocument.exists is {text:?}, expected true or false"))),
    }
}

fn patch(db: &Connection, call: &Call, name: &str) -> Result<Handled, Problem> {
    let given = body(call)?;
    let found = Document::find(db, name)?;
    precondition(call, name, found.is_some())?;
    let mask: Vec<String> = call
        .query_pairs()
        .into_iter()
        .filter(|(key, _)| key == "updateMask.fieldPaths")
        .map(|(_, path)| path)
        .collect();
    if let Some(path) = mask.iter().find(|path| !is_segment(path) || path.contains('.')) {
        return Err(
            bad(format!("the field path {path:?} is not played, expected a field of the document")).into()
        );
    }
    let created = found.as_ref().map_or(call.at, |document| document.created);
    let fields = match found {
        Some(document) if !mask.is_empty() => masked(document.fields, &given, &mask),
        _ if mask.is_empty() => given,
        _ => masked(Map::new(), &given, &mask),
    };
    let document = Document { name: name.to_owned(), fields, created, updated: call.at };
    document.store(db)?;
    Ok(Handled::effect(Answer::ok(&document.shown())?))
}

/// A field that is named and not given goes.
fn masked(mut fields: Map<String, Value>, given: &Map<String, Value>, mask: &[String]) -> Map<String, Value> {
    for path in mask {
        match given.get(path) {
            Some(value) => drop(fields.insert(path.clone(), value.clone())),
            None => drop(fields.remove(path)),
        }
    }
    fields
}

/// Deleting what is not there is a success, unless the caller says that it has to be there.
fn delete(db: &Connection, call: &Call, name: &str) -> Result<Handled, Problem> {
    let there = Document::find(db, name)?.is_some();
    precondition(call, name, there)?;
    db.execute("DELETE FROM documents WHERE name = ?1", [name])?;
    let answer = Answer::ok(&json!({}))?;
    Ok(if there { Handled::effect(answer) } else { Handled::read(answer) })
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct QueryBody {
    structured_query: StructuredQuery,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct StructuredQuery {
    from: Vec<From>,
    r#where: Option<Where>,
    limit: Option<usize>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct From {
    collection_id: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Where {
    field_filter: FieldFilter,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct FieldFilter {
    field: Field,
    op: String,
    value: Value,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Field {
    field_path: String,
}

/// An array, also where nothing matches: then its one element has no `document`.
fn query(db: &Connection, call: &Call, parent: &str) -> Result<Handled, Problem> {
    // This verb streams, so even its errors come in an array.
    let fail = |message: String| {
        let Refusal(answer) = bad(message);
        let body = [b"[".as_slice(), &answer.body, b"]"].concat();
        Refusal(Answer::json_bytes(StatusCode::BAD_REQUEST, body))
    };
    let body: QueryBody = serde_json::from_slice(&call.body).map_err(|error| fail(error.to_string()))?;
    let StructuredQuery { from, r#where, limit } = body.structured_query;
    let [From { collection_id }] = from.as_slice() else {
        return Err(fail("a query of one collection is what is played".to_owned()).into());
    };
    let filter = r#where.map(|found| found.field_filter);
    if let Some(filter) = &filter {
        if filter.op != "EQUAL" {
            return Err(fail(format!("the operator {:?} is not played, expected EQUAL", filter.op)).into());
        }
        check_value(&filter.value).map_err(|_| fail(format!("{} is not a value", filter.value)))?;
    }
    let collection =
        if parent.is_empty() { collection_id.clone() } else { format!("{parent}/{collection_id}") };
    let mut found = Document::of_collection(db, &collection)?;
    if let Some(filter) = filter {
        found.retain(|document| document.fields.get(&filter.field.field_path) == Some(&filter.value));
    }
    found.truncate(limit.unwrap_or(usize::MAX));
    let mut answer: Vec<Value> =
        found.iter().map(|document| json!({"document": document.shown(), "readTime": call.at})).collect();
    if answer.is_empty() {
        answer.push(json!({"readTime": call.at}));
    }
    Ok(Handled::read(Answer::ok(&answer)?))
}

/// What the platform itself keeps in a document, over what stands there: fields of others stay, and what is null
/// goes.
pub(crate) fn keep(db: &Connection, at: Timestamp, name: &str, object: &Value) -> Result<(), Problem> {
    let (mut fields, created) =
        Document::find(db, name)?.map_or_else(|| (Map::new(), at), |found| (found.fields, found.created));
    for (key, value) in object.as_object().into_iter().flatten() {
        match value {
            Value::Null => drop(fields.remove(key)),
            value => drop(fields.insert(key.clone(), typed(value))),
        }
    }
    Document { name: name.to_owned(), fields, created, updated: at }.store(db)
}

/// The document of a tenant, all below it, and its users.
pub(crate) fn forget_tenant(db: &Connection, id: &str) -> Result<usize, Problem> {
    let own = format!("tenants/{id}");
    let below = format!("{own}/");
    let mut gone = 0;
    for user in Document::of_collection(db, "users")? {
        if user.fields.get("tenantId") == Some(&typed(&json!(id))) {
            gone += db.execute("DELETE FROM documents WHERE name = ?1", [&user.name])?;
        }
    }
    let sql = "DELETE FROM documents WHERE name = ?1 OR substr(name, 1, length(?2)) = ?2";
    Ok(gone + db.execute(sql, params![own, below])?)
}

fn typed(value: &Value) -> Value {
    match value {
        Value::Null => json!({"nullValue": null}),
        Value::Bool(yes) => json!({"booleanValue": yes}),
        Value::Number(number) if number.is_i64() => json!({"integerValue": number.to_string()}),
        Value::Number(number) => json!({"doubleValue": number}),
        Value::String(text) => json!({"stringValue": text}),
        Value::Array(list) => json!({"arrayValue": {"values": list.iter().map(typed).collect::<Vec<_>>()}}),
        Value::Object(map) => {
            let fields: Map<String, Value> =
                map.iter().map(|(key, value)| (key.clone(), typed(value))).collect();
            json!({"mapValue": {"fields": fields}})
        }
    }
}
