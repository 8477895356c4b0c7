//! What a person fills in before a prompt is used: names between double braces.

use std::collections::{HashMap, HashSet};

use myownmesh_control::types::PromptVariable;
use serde_json::{Map, Value};

use super::error::PromptError;
use super::text::{self, MAX_LABEL, MAX_VARIABLES};
use crate::text::{clean_cut, quotable};

/// Longest name, in characters.
const MAX_NAME: usize = 64;
/// Longest default, in bytes.
const MAX_DEFAULT: usize = 4 * 1024;

/// A variable of a prompt.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Variable {
    /// Its name as it stands between the braces.
    pub(crate) name: String,
    /// What a person is asked for.
    pub(crate) label: Option<String>,
    /// What is filled in at first.
    pub(crate) default: Option<String>,
    /// Fields of later versions, kept as they are.
    pub(crate) rest: Map<String, Value>,
}

impl Variable {
    /// One of which nothing is known but its name.
    fn bare(name: &str) -> Self {
        Self { name: name.to_owned(), ..Self::default() }
    }

    fn is_bare(&self) -> bool {
        self.label.is_none() && self.default.is_none() && self.rest.is_empty()
    }

    /// One as a person, or a file, gives it.
    fn parse(given: PromptVariable, rest: Map<String, Value>) -> Result<Self, PromptError> {
        let PromptVariable { name, label, default } = given;
        if !is_name(&name) {
            return Err(PromptError::BadVariable(quotable(&name)));
        }
        let label = label.as_deref().filter(|label| !label.trim().is_empty()).map(text::label).transpose()?;
        let default = default.as_deref().filter(|text| !text.is_empty());
        let default = default.map(|given| text::checked("default of a variable", given, MAX_DEFAULT)).transpose()?;
        Ok(Self { name, label, default, rest })
    }

    /// One from a document of another device; `None` when it makes no sense.
    pub(super) fn read(value: Value) -> Option<Self> {
        let Value::Object(mut rest) = value else { return None };
        let mut taken = |field: &str| match rest.remove(field) {
            Some(Value::String(text)) => Some(text),
            _ => None,
        };
        let name = taken("name").filter(|name| is_name(name))?;
        let label = taken("label").map(|label| clean_cut(&label, MAX_LABEL)).filter(|label| !label.is_empty());
        let default = taken("default").map(|given| text::cleaned(&given)).filter(|text| text.len() <= MAX_DEFAULT);
        Some(Self { name, label, default: default.filter(|text| !text.is_empty()), rest })
    }

    /// As it stands in a document or a file.
    pub(super) fn to_value(&self) -> Value {
        let mut fields = self.rest.clone();
        fields.insert("name".to_owned(), Value::from(self.name.as_str()));
        for (field, text) in [("label", &self.label), ("default", &self.default)] {
            if let Some(text) = text {
                fields.insert(field.to_owned(), Value::from(text.as_str()));
            }
        }
        Value::Object(fields)
    }
}

/// Variables as a person gives them. What later versions wrote beside those of the same name in `before` stays.
pub(super) fn parse(given: Vec<PromptVariable>, before: &[Variable]) -> Result<Vec<Variable>, PromptError> {
    let rest: HashMap<&str, &Map<_, _>> = before.iter().map(|one| (one.name.as_str(), &one.rest)).collect();
    let with_rest = given.into_iter().map(|one| {
        let rest = rest.get(one.name.as_str()).map(|rest| (*rest).clone()).unwrap_or_default();
        (one, rest)
    });
    collect(with_rest)
}

/// Variables as a file has them.
pub(super) fn parse_values(values: Vec<Value>) -> Result<Vec<Variable>, PromptError> {
    let given = values.into_iter().map(|value| {
        let Value::Object(mut rest) = value else { return (PromptVariable::default(), Map::new()) };
        // A field of the wrong kind is no text, and a name that is no text is no name.
        let mut taken = |field: &str| rest.remove(field).and_then(|value| value.as_str().map(str::to_owned));
        let name = taken("name").unwrap_or_default();
        let given = PromptVariable { name, label: taken("label"), default: taken("default") };
        (given, rest)
    });
    collect(given)
}

fn collect(given: impl Iterator<Item = (PromptVariable, Map<String, Value>)>) -> Result<Vec<Variable>, PromptError> {
    let mut variables: Vec<Variable> = Vec::new();
    for (one, rest) in given {
        let one = Variable::parse(one, rest)?;
        if variables.iter().any(|known| known.name == one.name) {
            return Err(PromptError::VariableTwice(one.name));
        }
        if variables.len() == MAX_VARIABLES {
            return Err(PromptError::TooManyVariables(MAX_VARIABLES + 1));
        }
        variables.push(one);
    }
    Ok(variables)
}

/// Drops those that stand in none of `texts` and of which nothing is known but a name: they were found in a text that
/// has changed since.
pub(super) fn prune(variables: &mut Vec<Variable>, texts: &[&str]) {
    let names = found(texts);
    variables.retain(|one| !one.is_bare() || names.contains(&one.name.as_str()));
}

/// Adds those that stand in `texts` and are not there yet.
pub(super) fn complete(variables: &mut Vec<Variable>, texts: &[&str]) -> Result<(), PromptError> {
    for name in found(texts) {
        if !variables.iter().any(|known| known.name == name) {
            variables.push(Variable::bare(name));
        }
    }
    if variables.len() > MAX_VARIABLES {
        return Err(PromptError::TooManyVariables(variables.len()));
    }
    Ok(())
}

/// Names between double braces, in the order in which they first stand there.
fn found<'a>(texts: &[&'a str]) -> Vec<&'a str> {
    let (mut names, mut seen) = (Vec::new(), HashSet::new());
    for text in texts {
        let mut rest = *text;
        while let Some(at) = rest.find("{{") {
            // Of more than two braces in a row the last two open a name.
            rest = rest[at..].trim_start_matches('{');
            let end = rest.find(|c| !is_name_character(c)).unwrap_or(rest.len());
            let (name, after) = rest.split_at(end);
            if is_name(name) && after.starts_with("}}") && seen.insert(name) {
                names.push(name);
            }
            rest = after;
        }
    }
    names
}

fn is_name(name: &str) -> bool {
    !name.is_empty() && name.len() <= MAX_NAME && name.chars().all(is_name_character)
}

fn is_name_character(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn given(name: &str, label: Option<&str>, default: Option<&str>) -> PromptVariable {
        PromptVariable { name: name.to_owned(), label: label.map(str::to_owned), default: default.map(str::to_owned) }
    }

    #[test]
    fn names_are_found_where_they_stand() {
        let texts = ["{{b}} and {{a}}, {{b}} again {{{c}}} {{ d }} {{}} {{e} {{f-g}} {{ü}}", "{{late_1}}{{"];
        assert_eq!(found(&texts), ["b", "a", "c", "late_1"]);
        let long = format!("{{{{{}}}}}", "x".repeat(65));
        assert!(found(&[&long]).is_empty(), "too long for a name");
    }

    #[test]
    fn what_stands_in_the_text_is_added_and_what_left_it_is_dropped() {
        let known = parse(vec![given("a", Some("First"), None), given("gone", None, None)], &[]).expect("plain");
        let mut variables = known.clone();
        prune(&mut variables, &["{{b}}"]);
        complete(&mut variables, &["{{b}}", "{{c}} {{a}}"]).expect("few");
        // The first one is known by more than its name: somebody wrote that, so it stays.
        assert_eq!(variables.iter().map(|one| one.name.as_str()).collect::<Vec<_>>(), ["a", "b", "c"]);
        let many: String = (0..33).map(|n| format!("{{{{v{n}}}}}")).collect();
        assert!(matches!(complete(&mut Vec::new(), &[&many]), Err(PromptError::TooManyVariables(33))));
    }

    #[test]
    fn fields_of_later_versions_stay_when_a_person_edits() {
        let before: Vec<_> = Variable::read(json!({"name": "a", "choices": [1, 2]})).into_iter().collect();
        let after = parse(vec![given("a", Some(" New\u{202e} label "), Some("x"))], &before).expect("plain");
        assert_eq!(after[0].to_value(), json!({"name": "a", "label": "New label", "default": "x", "choices": [1, 2]}));
        assert_eq!(Variable::read(after[0].to_value()).as_ref(), Some(&after[0]));
    }

    #[test]
    fn malformed_variables_are_refused_with_a_sentence() {
        for bad in ["", "a b", "ü", "a-b", &"x".repeat(65)] {
            let error = parse(vec![given(bad, None, None)], &[]).expect_err(bad);
            assert!(matches!(error, PromptError::BadVariable(_)), "{error}");
        }
        let twice = parse(vec![given("a", None, None), given("a", Some("b"), None)], &[]);
        assert!(matches!(twice, Err(PromptError::VariableTwice(_))));
        let long = "x".repeat(MAX_DEFAULT + 1);
        assert!(matches!(parse(vec![given("a", None, Some(&long))], &[]), Err(PromptError::TooLong { .. })));
        let many = (0..=MAX_VARIABLES).map(|n| given(&format!("v{n}"), None, None)).collect();
        assert!(matches!(parse(many, &[]), Err(PromptError::TooManyVariables(_))));
        for odd in [json!("a"), json!({}), json!({"name": 3}), json!(null)] {
            assert!(parse_values(vec![odd.clone()]).is_err(), "{odd}");
        }
    }

    #[test]
    fn a_document_of_another_device_is_read_with_caution() {
        assert_eq!(Variable::read(json!("text")), None);
        assert_eq!(Variable::read(json!({"name": "no name"})), None);
        assert_eq!(Variable::read(json!({"label": "x"})), None);
        let odd = json!({"name": "a", "label": "\u{202e}\u{7}L", "default": "b\u{1b}[2J", "more": true});
        let read = Variable::read(odd).expect("a variable");
        assert_eq!((read.label.as_deref(), read.default.as_deref()), (Some("L"), Some("b[2J")));
        assert_eq!(read.rest.len(), 1);
    }
}
