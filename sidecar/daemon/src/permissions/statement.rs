//! Statements: what a device has said about a tool, as a document of its own that nobody else can write.
//!
//! A statement of another device is read with the caution due to what comes from outside: what is malformed, too much or
//! not its author's own is left out, and nothing fails. What a later version may add is read so that it never loosens.

use std::collections::{BTreeMap, HashMap};

use myownmesh_control::types::{self, Rule};
use myownmesh_mesh::{DeviceId, Document, DocumentEdit, DocumentId, Hlc, RecordId};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::limits::Limits;
use super::rule::{Setting, Written};
use super::tool::Tool;
use crate::collections;

/// Largest statement that is read, in bytes: all lists full of the longest entries, and some room.
const MAX_BYTES: usize = 112 * 1024;
/// Most tools of MCP servers that one device is heard about.
pub(super) const MAX_MCP_TOOLS: usize = 256;

/// When something was said. Of two statements the later one stands, by the clock that orders all records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Stamp {
    /// The clock.
    pub(crate) hlc: Hlc,
    /// Who said it; also decides where the clocks are equal.
    pub(crate) author: DeviceId,
}

/// One statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Statement {
    /// The record that carries it.
    pub(crate) record: RecordId,
    /// When, and by whom.
    pub(crate) at: Stamp,
    /// What it sets.
    pub(crate) setting: Setting,
    /// The limits as they were written: under deny, those to return to.
    pub(crate) limits: Limits,
}

impl Statement {
    /// Reads a document of [`collections::permissions`]; none when it is no statement.
    pub(crate) fn read(document: &Document) -> Option<(Tool, Self)> {
        // A key that everybody writes would let anybody take back what somebody else has said.
        if document.owner != Some(document.author) {
            return None;
        }
        let tool = document.id.as_str().parse().ok()?;
        let value = document.value.as_deref().filter(|value| value.len() <= MAX_BYTES)?;
        let (setting, limits) = read_value(value)?;
        let at = Stamp { hlc: document.hlc, author: document.author };
        Some((tool, Self { record: document.record, at, setting, limits }))
    }

    /// The edit that says this.
    pub(crate) fn edit(tool: &Tool, rule: Rule, limits: &Limits) -> DocumentEdit {
        let written = Written { rule, limits: types::Limits::from(limits) };
        DocumentEdit {
            collection: collections::permissions(),
            own: true,
            id: DocumentId::parse(&tool.to_string()).expect("the name of a tool is the id of a document"),
            // Plain data always serialises.
            value: Some(serde_json::to_vec(&written).unwrap_or_default()),
        }
    }
}

/// All statements among documents, by tool. Of one device no more tools of MCP servers count than anybody has.
pub(crate) fn read_all(documents: &[Document]) -> BTreeMap<Tool, Vec<Statement>> {
    let mut heard: HashMap<DeviceId, usize> = HashMap::new();
    let mut all: BTreeMap<Tool, Vec<Statement>> = BTreeMap::new();
    for (tool, statement) in documents.iter().filter_map(Statement::read) {
        if matches!(tool, Tool::Mcp { .. }) {
            let heard = heard.entry(statement.at.author).or_default();
            *heard += 1;
            if *heard > MAX_MCP_TOOLS {
                continue;
            }
        }
        all.entry(tool).or_default().push(statement);
    }
    all
}

#[derive(Deserialize)]
struct Outer {
    rule: Rule,
    #[serde(default)]
    limits: Value,
}

fn read_value(value: &[u8]) -> Option<(Setting, Limits)> {
    let Outer { rule, limits } = serde_json::from_slice(value).ok()?;
    match (rule, read_limits(limits)) {
        // A no is a no, whatever stands beside it.
        (Rule::Deny, read) => Some((Setting::deny(), read.unwrap_or_default().0)),
        (_, None) => None,
        (rule, Some((limits, all))) => {
            // A limit that only a later version knows cannot be kept here, so a person has to look.
            let rule = if all { rule } else { rule.min(Rule::Ask) };
            Some((Setting::new(rule, limits.clone()), limits))
        }
    }
}

/// The limits, and whether those are all; none when they are malformed.
fn read_limits(limits: Value) -> Option<(Limits, bool)> {
    let mut lists = match limits {
        Value::Null => Map::new(),
        Value::Object(lists) => lists,
        _ => return None,
    };
    let mut list = |name: &str| lists.remove(name).map_or_else(|| Some(Vec::new()), |list| Vec::deserialize(list).ok());
    let given = types::Limits { folders: list("folders")?, commands: list("commands")?, hosts: list("hosts")? };
    Some((Limits::parse(&given).ok()?, lists.is_empty()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn author(n: u8) -> DeviceId {
        DeviceId::of_secret(&[n; 32])
    }

    fn document(id: &str, value: &Value) -> Document {
        Document {
            collection: collections::permissions(),
            owner: Some(author(1)),
            id: DocumentId::parse(id).expect("an id"),
            record: RecordId::from_bytes([7; 32]),
            author: author(1),
            hlc: Hlc::at(5),
            value: Some(value.to_string().into_bytes().into()),
        }
    }

    fn read(value: &Value) -> Option<Setting> {
        Statement::read(&document("shell", value)).map(|(_, statement)| statement.setting)
    }

    #[test]
    fn what_is_written_reads_back() {
        let given = types::Limits { commands: vec!["git log".to_owned()], ..types::Limits::default() };
        let limits = Limits::parse(&given).expect("limits");
        for rule in [Rule::Deny, Rule::Ask, Rule::Allow] {
            let edit = Statement::edit(&Tool::Shell, rule, &limits);
            assert!(edit.own, "nobody else can overwrite it");
            let value = serde_json::from_slice(&edit.value.expect("a value")).expect("JSON");
            let (tool, statement) = Statement::read(&document(edit.id.as_str(), &value)).expect("a statement");
            assert_eq!((tool, statement.limits), (Tool::Shell, limits.clone()), "also under deny");
            assert_eq!(statement.setting, Setting::new(rule, limits.clone()));
        }
    }

    #[test]
    fn hostile_statements_are_left_out() {
        let long: Vec<String> = (0..65).map(|n| format!("/{n}")).collect();
        for value in [
            json!(null),
            json!([]),
            json!("allow"),
            json!({}),
            json!({"rule": "Allow"}),
            json!({"rule": "always"}),
            json!({"rule": 2}),
            json!({"rule": ["allow"]}),
            json!({"rule": "allow", "limits": "none"}),
            json!({"rule": "allow", "limits": {"folders": "/"}}),
            json!({"rule": "allow", "limits": {"folders": [7]}}),
            json!({"rule": "allow", "limits": {"folders": null}}),
            json!({"rule": "allow", "limits": {"folders": ["/a/../../etc"]}}),
            json!({"rule": "allow", "limits": {"commands": ["ls; rm -rf /"]}}),
            json!({"rule": "allow", "limits": {"hosts": ["*"]}}),
            json!({"rule": "ask", "limits": {"folders": long}}),
            json!({"rule": "allow", "noise": "x".repeat(MAX_BYTES)}),
        ] {
            assert_eq!(read(&value), None, "{:.80}", value.to_string());
        }
        for bytes in [&b""[..], b"\xff\xfe", b"{\"rule\":", &[b'['; 100_000]] {
            let document = Document { value: Some(bytes.into()), ..document("shell", &json!(null)) };
            assert_eq!(Statement::read(&document), None);
        }
        let allow = json!({"rule": "allow"});
        for id in ["sudo", "mcp:a", "mcp:a/b/c", "SHELL", "shell;", &"x".repeat(128)] {
            assert_eq!(Statement::read(&document(id, &allow)), None, "{id}");
        }
        let everybodys = Document { owner: None, ..document("shell", &allow) };
        let anothers = Document { owner: Some(author(2)), ..document("shell", &allow) };
        let deleted = Document { value: None, ..document("shell", &allow) };
        for odd in [everybodys, anothers, deleted] {
            assert_eq!(Statement::read(&odd), None, "{odd:?}");
        }
    }

    #[test]
    fn what_a_later_version_adds_never_loosens() {
        let plain = |rule| Some(Setting::new(rule, Limits::default()));
        assert_eq!(read(&json!({"rule": "allow", "later": {"field": 1}})), plain(Rule::Allow));
        assert_eq!(read(&json!({"rule": "allow", "limits": {"hours": ["9-17"]}})), plain(Rule::Ask));
        assert_eq!(read(&json!({"rule": "ask", "limits": {"hours": ["9-17"]}})), plain(Rule::Ask));
        for odd in [json!(3), json!({"folders": ["odd"]}), json!({"hours": 1})] {
            assert_eq!(read(&json!({"rule": "deny", "limits": odd})), plain(Rule::Deny), "a no is a no");
        }
    }

    #[test]
    fn one_device_is_heard_about_a_bounded_number_of_tools() {
        let deny = json!({"rule": "deny"});
        let mut documents: Vec<_> = (0..1000).map(|n| document(&format!("mcp:s/{n}"), &deny)).collect();
        documents.push(document("shell", &deny));
        let all = read_all(&documents);
        assert_eq!(all.len(), MAX_MCP_TOOLS + 1);
        assert!(all.contains_key(&Tool::Shell), "what everybody has is always heard");
    }
}
