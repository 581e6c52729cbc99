//! `--format`: Go templates with Docker's functions.
//!
//! The template engine keeps maps without order, JSON must keep it: the `json` function looks up
//! the text of what it is given in a table made from the document being printed.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, HashMap};
use std::fmt;

use gtmpl_ng::{Context, Func, FuncError, Template, Value};
use serde_json::Value as Json;

use super::shapes::{ELEMENT, Shape};
use super::{shown, table};
use crate::error::CliError;

type Fields = serde_json::Map<String, Json>;

thread_local! {
    /// JSON texts by the rendered form of the value, for the one document being printed.
    /// Template functions are plain function pointers: there is no other way to hand it to them.
    static ORDERED: RefCell<HashMap<String, String>> = RefCell::new(HashMap::new());
    /// Whether what is printed is a line of a listing.
    static LISTING: Cell<bool> = const { Cell::new(false) };
}

/// What `--format` asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Format {
    /// Columns chosen by us.
    Table,
    /// Columns chosen by a template.
    TableOf(String),
    /// JSON.
    Json,
    /// A template for each object.
    Template(String),
}

impl Format {
    /// Reads the flag.
    pub fn parse(text: Option<&str>) -> Self {
        match text.unwrap_or_default() {
            "" | "table" => Self::Table,
            "json" => Self::Json,
            text => match text.strip_prefix("table ") {
                Some(template) => Self::TableOf(unescape(template.trim())),
                None => Self::Template(unescape(text)),
            },
        }
    }
}

impl Format {
    /// Whether a template speaks of a field.
    pub fn names(&self, field: &str) -> bool {
        match self {
            Self::TableOf(text) | Self::Template(text) => text.contains(field),
            Self::Table | Self::Json => false,
        }
    }
}

/// `\t` and `\n` typed as two characters mean the one.
fn unescape(text: &str) -> String {
    text.replace("\\t", "\t").replace("\\n", "\n")
}

/// One object of a listing: its fields as text, by the names templates use.
pub type Row = BTreeMap<&'static str, String>;

/// Prints a listing by template. `headings` are for `table TEMPLATE`.
pub fn rows(format: &Format, rows: &[Row], headings: &Row) -> Result<String, CliError> {
    match format {
        Format::Json | Format::Table => rows.iter().try_fold(String::new(), |mut text, row| {
            let fields = row.iter().map(|(name, value)| (*name, value.clone()));
            text.push_str(&line(fields));
            text.push('\n');
            Ok(text)
        }),
        Format::Template(template) => each(template, rows),
        Format::TableOf(template) => {
            let mut lines = each(template, std::slice::from_ref(headings))?;
            lines.push_str(&each(template, rows)?);
            Ok(table::align(&lines))
        }
    }
}

/// A line of a listing as JSON.
fn line<'a>(fields: impl Iterator<Item = (&'a str, String)>) -> String {
    let object: serde_json::Map<String, Json> = fields
        .filter(|(name, _)| *name != "Label")
        .map(|(name, value)| (name.to_owned(), in_json(name, &value)))
        .collect();
    escaped(&Json::Object(object).to_string())
}

/// Platforms are objects, and this daemon names none.
fn in_json(name: &str, value: &str) -> Json {
    match (name, value) {
        ("Platform", "") => Json::Null,
        _ => Json::String(value.to_owned()),
    }
}

/// What Go's encoder escapes so that JSON can stand in HTML. Outside of strings none of it occurs.
pub(super) fn escaped(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    for c in json.chars() {
        match c {
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => {
                out.push_str(&format!("\\u{:04x}", u32::from(c)));
            }
            c => out.push(c),
        }
    }
    out
}

fn each(template: &str, rows: &[Row]) -> Result<String, CliError> {
    let template = compile(template)?;
    LISTING.set(true);
    rows.iter().try_fold(String::new(), |mut text, row| {
        let fields = row
            .iter()
            .map(|(name, value)| ((*name).to_owned(), Value::String(value.clone())))
            .collect();
        text.push_str(&execute(&template, Value::Object(fields))?);
        text.push('\n');
        Ok(text)
    })
}

/// Prints one document, as `version` and `info` do.
pub fn document(template: &str, document: &Json) -> Result<String, CliError> {
    shaped(template, document, Shape::Plain)
}

/// Prints one document of a kind, as `inspect` does: it has the fields of its kind.
pub fn shaped(template: &str, document: &Json, shape: Shape) -> Result<String, CliError> {
    let fields = shape.fields();
    let text = with_nulls(&unescape(template), document, &fields);
    let compiled = compile(&text)?;
    LISTING.set(false);
    let whole = ORDERED.with_borrow_mut(|table| {
        table.clear();
        remembered(document, &fields, table)
    });
    if shape != Shape::Plain {
        let shown = compile(&shown::wrapped(&text, shape));
        if let Ok(text) = shown.and_then(|shown| execute(&shown, whole.clone())) {
            return Ok(text);
        }
        // Its mistakes are told as it was written.
    }
    execute(&compiled, whole)
}

/// A template for many documents.
pub struct Documents(Template);

impl fmt::Debug for Documents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Documents(..)")
    }
}

impl Documents {
    /// Reads it.
    pub fn new(template: &str) -> Result<Self, CliError> {
        compile(&unescape(template)).map(Self)
    }

    /// Prints a document whose fields have other names in JSON than in templates.
    pub fn print(&self, fields: &Json, json: String) -> Result<String, CliError> {
        LISTING.set(false);
        ORDERED.with_borrow_mut(|table| {
            table.clear();
            let value = remembered(fields, &Json::Null, table);
            table.insert(key(&value), json);
        });
        execute(&self.0, value(fields))
    }
}

fn compile(text: &str) -> Result<Template, CliError> {
    let mut template = Template::default();
    template.add_funcs(&FUNCTIONS);
    template.add_funcs(&shown::FUNCTIONS);
    template
        .parse(with_labels(text))
        .map_err(|error| CliError::Template(error.to_string()))?;
    Ok(template)
}

fn execute(template: &Template, dot: Value) -> Result<String, CliError> {
    template.render(&Context::from(dot)).map_err(|error| {
        // The engine ends with the whole value that lacks a field: nobody reads that.
        let text = error.to_string();
        let short = text.split(" in map[").next().unwrap_or_default();
        CliError::Template(short.to_owned())
    })
}

/// `.Label "x"` is a method with an argument, which this engine has not: it becomes a function.
fn with_labels(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(".Label ") {
        let (before, after) = rest.split_at(at);
        out.push_str(before);
        out.push_str("label . ");
        rest = &after[".Label ".len()..];
    }
    out.push_str(rest);
    out
}

/// The engine's form of a document. Objects whose fields are capitalised are Go structs: a field
/// they lack is an error. All others are maps: a key they lack is `<no value>`.
fn value(json: &Json) -> Value {
    of_shape(json, &Json::Null)
}

/// The same of what has a shape: what it lacks is as empty as the shape says.
fn of_shape(json: &Json, shape: &Json) -> Value {
    match json {
        Json::Null => empty(shape),
        Json::Bool(b) => Value::Bool(*b),
        Json::String(text) => Value::String(text.clone()),
        Json::Array(items) => Value::Array(items.iter().map(value).collect()),
        Json::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(n), _) => Value::from(n),
            (None, Some(n)) => Value::from(n),
            (None, None) => Value::from(number.as_f64().unwrap_or_default()),
        },
        Json::Object(fields) if fields.is_empty() && shape.is_string() => {
            Value::String(shape.as_str().unwrap_or_default().to_owned())
        }
        Json::Object(fields) => object(fields, shape),
    }
}

fn object(fields: &Fields, shape: &Json) -> Value {
    let known = shape
        .as_object()
        .filter(|known| !known.contains_key(ELEMENT));
    let own = fields.iter().map(|(name, value)| {
        let shape = shape.get(ELEMENT).unwrap_or(&shape[name]);
        (name.clone(), of_shape(value, shape))
    });
    let lacks = known.into_iter().flatten();
    let lacks = lacks.filter(|(name, _)| !fields.contains_key(*name));
    let lacks = lacks.map(|(name, shape)| (name.clone(), empty(shape)));
    let capital = |name: &String| name.starts_with(|c: char| c.is_ascii_uppercase());
    let is_struct = match shape.get(ELEMENT) {
        Some(_) => false,
        None => !fields.is_empty() && fields.keys().all(capital),
    };
    let is_struct = is_struct || known.is_some_and(|known| !known.is_empty());
    let fields = own.chain(lacks).collect();
    match is_struct {
        true => Value::Object(fields),
        false => Value::Map(fields),
    }
}

/// What Go has where JSON has nothing.
fn empty(shape: &Json) -> Value {
    match shape {
        Json::Object(fields) if fields.is_empty() || fields.contains_key(ELEMENT) => {
            Value::Map(HashMap::new())
        }
        Json::Object(_) => object(&Fields::new(), shape),
        Json::Array(_) => Value::Array(Vec::new()),
        Json::String(text) => Value::String(text.clone()),
        Json::Bool(b) => Value::Bool(*b),
        Json::Null | Json::Number(_) => Value::Nil,
    }
}

/// The value, the text of each of its parts known by the part's key.
fn remembered(json: &Json, shape: &Json, table: &mut HashMap<String, String>) -> Value {
    match json {
        Json::Object(fields) => {
            for (name, field) in fields {
                let shape = shape.get(ELEMENT).unwrap_or(&shape[name]);
                remembered(field, shape, table);
            }
        }
        Json::Array(items) => {
            for item in items {
                remembered(item, &Json::Null, table);
            }
        }
        _ => return of_shape(json, shape),
    }
    let value = of_shape(json, shape);
    table.insert(key(&value), json.to_string());
    value
}

/// What the engine makes no difference of, and Go does: `json .A.B` of an empty list or map is `[]` or `{}`, of one that
/// is not there `null`; and what is not there shows as `<nil>`. What is asked for by its path from the top is looked
/// for beforehand.
fn with_nulls(template: &str, document: &Json, shape: &Json) -> String {
    // Where the dot may be another one, a path is not from the top.
    let moves = ["range", "with", "define", "block"];
    if moves.iter().any(|word| template.contains(word)) {
        return template.to_owned();
    }
    let mut out = String::new();
    for (number, part) in template.split("{{").enumerate() {
        if number == 0 {
            out.push_str(part);
            continue;
        }
        let (action, behind) = part.split_once("}}").unwrap_or((part, ""));
        match lacking(action.trim(), document, shape) {
            Some(shown) => out.push_str(&format!("{shown}{behind}")),
            None => out.push_str(&format!("{{{{{part}")),
        }
    }
    out
}

/// What an action shows that is nothing but a path, or the JSON of one, to what is not there.
fn lacking(action: &str, document: &Json, shape: &Json) -> Option<&'static str> {
    let (path, as_json) = match action.strip_prefix("json ") {
        Some(path) => (path.trim(), true),
        None => (action, false),
    };
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_');
    let pointer = path.replace('.', "/");
    let shape = shape
        .pointer(&pointer)
        .filter(|_| pointer.starts_with('/') && path.chars().all(plain))?;
    let there = document
        .pointer(&pointer)
        .is_some_and(|value| !value.is_null());
    match (there, as_json) {
        (true, _) => None,
        (false, true) if shape.is_object() || shape.is_array() || shape.is_null() => Some("null"),
        (false, false) if shape.is_null() => Some("<nil>"),
        (false, _) => None,
    }
}

/// A text that is the same for equal values: JSON with sorted keys.
fn key(value: &Value) -> String {
    sorted(value).to_string()
}

fn sorted(value: &Value) -> Json {
    match value {
        Value::Object(fields) | Value::Map(fields) => {
            let ordered: BTreeMap<&String, &Value> = fields.iter().collect();
            let fields = ordered.iter().map(|(k, v)| ((*k).clone(), sorted(v)));
            Json::Object(fields.collect())
        }
        Value::Array(items) => Json::Array(items.iter().map(sorted).collect()),
        Value::Bool(b) => Json::Bool(*b),
        Value::String(text) => Json::String(text.clone()),
        Value::Number(number) => match (number.as_i64(), number.as_u64(), number.as_f64()) {
            (Some(n), ..) => Json::from(n),
            (None, Some(n), _) => Json::from(n),
            (None, None, n) => Json::from(n.unwrap_or_default()),
        },
        _ => Json::Null,
    }
}

const FUNCTIONS: [(&str, Func); 10] = [
    ("index", index as Func),
    ("json", json as Func),
    ("join", join as Func),
    ("split", split as Func),
    ("upper", upper as Func),
    ("lower", lower as Func),
    ("title", title as Func),
    ("pad", pad as Func),
    ("truncate", truncate as Func),
    ("label", label as Func),
];

fn bad(text: &str) -> FuncError {
    FuncError::Generic(text.to_owned())
}

fn json(args: &[Value]) -> Result<Value, FuncError> {
    let [value] = args else {
        return Err(bad("json takes one value"));
    };
    if let (Value::Object(row), true) = (value, LISTING.get()) {
        let ordered: BTreeMap<&String, &Value> = row.iter().collect();
        let fields = ordered.into_iter();
        let text = line(fields.map(|(name, value)| (name.as_str(), text(value))));
        return Ok(Value::String(text));
    }
    let plain = key(value);
    let text = ORDERED.with_borrow(|table| table.get(&plain).cloned());
    Ok(Value::String(text.unwrap_or(plain)))
}

fn text(value: &Value) -> String {
    match value {
        Value::Nil | Value::NoValue => String::new(),
        other => other.to_string(),
    }
}

/// The engine's own, but for what a map lacks: Go has the zero of its elements then.
fn index(args: &[Value]) -> Result<Value, FuncError> {
    let found = gtmpl_ng::funcs::index(args)?;
    let (Value::NoValue, Some((_, above))) = (&found, args.split_last()) else {
        return Ok(found);
    };
    let Value::Map(map) = gtmpl_ng::funcs::index(above)? else {
        return Ok(found);
    };
    Ok(match map.values().next() {
        None | Some(Value::String(_)) => Value::String(String::new()),
        Some(Value::Array(_)) => Value::Array(Vec::new()),
        Some(_) => found,
    })
}

fn join(args: &[Value]) -> Result<Value, FuncError> {
    match args {
        [Value::Array(items), separator] => {
            let items: Vec<String> = items.iter().map(text).collect();
            Ok(Value::String(items.join(&text(separator))))
        }
        [Value::Nil | Value::NoValue, _] => Ok(Value::String(String::new())),
        _ => Err(bad("join takes a list and a separator")),
    }
}

fn split(args: &[Value]) -> Result<Value, FuncError> {
    match args {
        [Value::String(whole), Value::String(separator)] => Ok(Value::Array(
            whole
                .split(separator.as_str())
                .map(|part| Value::String(part.to_owned()))
                .collect(),
        )),
        _ => Err(bad("split takes a text and a separator")),
    }
}

fn one(args: &[Value], name: &str, change: impl Fn(&str) -> String) -> Result<Value, FuncError> {
    match args {
        [value] => Ok(Value::String(change(&text(value)))),
        _ => Err(bad(&format!("{name} takes one text"))),
    }
}

fn upper(args: &[Value]) -> Result<Value, FuncError> {
    one(args, "upper", str::to_uppercase)
}

fn lower(args: &[Value]) -> Result<Value, FuncError> {
    one(args, "lower", str::to_lowercase)
}

fn title(args: &[Value]) -> Result<Value, FuncError> {
    one(args, "title", |text| {
        let mut start = true;
        text.chars()
            .map(|c| {
                let shown = if start { c.to_ascii_uppercase() } else { c };
                start = !(c.is_alphanumeric() || c == '_' || c == '\'');
                shown
            })
            .collect()
    })
}

fn number(value: &Value) -> Option<usize> {
    match value {
        Value::Number(n) => usize::try_from(n.as_i64()?).ok(),
        _ => None,
    }
}

fn pad(args: &[Value]) -> Result<Value, FuncError> {
    match args {
        [value, before, after] => {
            match (text(value), number(before), number(after)) {
                (text, _, _) if text.is_empty() => Ok(Value::String(text)),
                // As much as a line may sensibly take.
                (text, Some(before @ ..=4096), Some(after @ ..=4096)) => Ok(Value::String(
                    format!("{}{text}{}", " ".repeat(before), " ".repeat(after)),
                )),
                _ => Err(bad("pad takes a text and two widths")),
            }
        }
        _ => Err(bad("pad takes a text and two widths")),
    }
}

fn truncate(args: &[Value]) -> Result<Value, FuncError> {
    match args {
        [value, width] => match number(width) {
            Some(width) => Ok(Value::String(text(value).chars().take(width).collect())),
            None => Err(bad("truncate takes a text and a width")),
        },
        _ => Err(bad("truncate takes a text and a width")),
    }
}

/// The value of one label of a row: rows carry them as JSON in the field `Label`.
fn label(args: &[Value]) -> Result<Value, FuncError> {
    match args {
        [Value::Object(row), Value::String(name)] => {
            let labels = row.get("Label").map(text).unwrap_or_default();
            let labels: BTreeMap<String, String> =
                serde_json::from_str(&labels).unwrap_or_default();
            Ok(Value::String(labels.get(name).cloned().unwrap_or_default()))
        }
        _ => Err(bad(".Label takes the name of a label")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn show(template: &str) -> String {
        let json = serde_json::json!({
            "Id": "0123456789abcdef",
            "Args": ["-c", "true"],
            "State": {"Status": "running", "Pid": 7, "Error": ""},
            "Config": {"Labels": {"b.x": "2", "a": "1"}, "Cmd": null, "Size": 1.5},
        });
        match document(template, &json) {
            Ok(text) => format!("{template} -> {text}"),
            Err(error) => format!("{template} -> {error}"),
        }
    }

    #[test]
    fn documents() {
        let lines = [
            "{{.Id}}",
            "{{.State.Status}} {{.State.Pid}}",
            "{{json .State}}",
            "{{json .}}",
            "{{json .Config.Labels}}",
            "{{index .Config.Labels \"b.x\"}}",
            "{{.Config.Labels.none}}",
            "{{range .Args}}[{{.}}]{{end}}",
            "{{range $k, $v := .Config.Labels}}{{$k}}={{$v}};{{end}}",
            "{{join .Args \",\"}}",
            "{{upper .State.Status}} {{title .State.Status}} {{lower \"AB\"}}",
            "{{split .State.Status \"n\"}}",
            "{{truncate .Id 4}}|{{pad .State.Status 1 2}}|",
            "{{if .State.Error}}bad{{else}}good{{end}}",
            "{{json .Config.Cmd}} {{.Config.Size}}",
            "{{.State.Pid}}\\t{{len .Args}}",
            "{{printf \"%.3s\" .Id}}",
            "{{.Nosuch}}",
            "{{.Id",
        ]
        .map(show);
        insta::assert_snapshot!(lines.join("\n"), @r#"
        {{.Id}} -> 0123456789abcdef
        {{.State.Status}} {{.State.Pid}} -> running 7
        {{json .State}} -> {"Status":"running","Pid":7,"Error":""}
        {{json .}} -> {"Id":"0123456789abcdef","Args":["-c","true"],"State":{"Status":"running","Pid":7,"Error":""},"Config":{"Labels":{"b.x":"2","a":"1"},"Cmd":null,"Size":1.5}}
        {{json .Config.Labels}} -> {"b.x":"2","a":"1"}
        {{index .Config.Labels "b.x"}} -> 2
        {{.Config.Labels.none}} -> <no value>
        {{range .Args}}[{{.}}]{{end}} -> [-c][true]
        {{range $k, $v := .Config.Labels}}{{$k}}={{$v}};{{end}} -> a=1;b.x=2;
        {{join .Args ","}} -> -c,true
        {{upper .State.Status}} {{title .State.Status}} {{lower "AB"}} -> RUNNING Running ab
        {{split .State.Status "n"}} -> [ru  i g]
        {{truncate .Id 4}}|{{pad .State.Status 1 2}}| -> 0123| running  |
        {{if .State.Error}}bad{{else}}good{{end}} -> good
        {{json .Config.Cmd}} {{.Config.Size}} -> null 1.5
        {{.State.Pid}}\t{{len .Args}} -> 7	2
        {{printf "%.3s" .Id}} -> 012
        {{.Nosuch}} -> template parsing error: template: :1:3:7:no field `Nosuch`
        {{.Id -> template parsing error: template: :1:6:15:unclosed action
        "#);
    }

    #[test]
    fn what_a_document_lacks_is_empty_as_in_docker() {
        let image = serde_json::json!({
            "Id": "sha256:1", "RepoTags": ["bb:latest"],
            "Config": {"Cmd": ["sh"], "Entrypoint": null, "Volumes": {}, "ExposedPorts": {"80/tcp": {}}},
        });
        let show = |template: &str| match shaped(template, &image, Shape::Image) {
            Ok(text) => text,
            Err(error) => error.to_string(),
        };
        for (template, shown) in [
            (
                "{{.Config.Labels}} {{.Config.Entrypoint}} {{.Config.Env}} {{.Config.User}}|",
                "map[] [] [] |",
            ),
            (
                "{{json .Config.Labels}} {{json .Config.Entrypoint}} {{json .Config.Volumes}}",
                "null null {}",
            ),
            (
                "{{index .Config.Labels \"a\"}}|{{len .Config.Labels}} {{len .Config.Env}}",
                "|0 0",
            ),
            (
                "{{range .Config.Env}}{{.}}{{else}}none{{end}} {{join .Config.Cmd \",\"}}",
                "none sh",
            ),
            ("{{if .Config.Labels}}some{{else}}none{{end}}", "none"),
            (
                "{{json .Config.Cmd}} {{json .RepoTags}}",
                r#"["sh"] ["bb:latest"]"#,
            ),
            (
                "{{json .Config}}",
                r#"{"Cmd":["sh"],"Entrypoint":null,"Volumes":{},"ExposedPorts":{"80/tcp":{}}}"#,
            ),
            (
                "{{.Config.Healthcheck}} {{.Descriptor}} {{.RepoDigests}} {{.Author}}|",
                "<nil> <nil> [] |",
            ),
            (
                "{{.Config.Volumes}} {{.Config.ExposedPorts}} {{json .Config.ExposedPorts}}",
                r#"map[] map[80/tcp:{}] {"80/tcp":{}}"#,
            ),
        ] {
            assert_eq!(show(template), shown, "{template}");
        }
        assert!(show("{{.Config.Nosuch}}").contains("no field `Nosuch`"));
    }

    #[test]
    fn listings() {
        let row = |id: &str, name: &str| {
            Row::from([
                ("ID", id.to_owned()),
                ("Names", name.to_owned()),
                ("Label", r#"{"tier":"web"}"#.to_owned()),
            ])
        };
        let headings = Row::from([
            ("ID", "CONTAINER ID".to_owned()),
            ("Names", "NAMES".to_owned()),
        ]);
        let all = [row("0123456789ab", "web"), row("b", "longer-name")];
        let show = |format: &str| {
            let format = Format::parse(Some(format));
            rows(&format, &all, &headings).unwrap_or_else(|error| error.to_string())
        };
        let shown = [
            show("{{.ID}}: {{.Names}}"),
            show("table {{.Names}}\\t{{.ID}}"),
            show("json"),
            show("{{.Label \"tier\"}}"),
            show("{{.Foo}}"),
        ];
        insta::assert_snapshot!(shown.join("---\n"), @r#"
        0123456789ab: web
        b: longer-name
        ---
        NAMES         CONTAINER ID
        web           0123456789ab
        longer-name   b
        ---
        {"ID":"0123456789ab","Names":"web"}
        {"ID":"b","Names":"longer-name"}
        ---
        web
        web
        ---
        template parsing error: template: :1:3:4:no field `Foo`
        "#);
    }
}
