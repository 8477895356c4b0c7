//! The prompts of a network at one moment, in their order, and what a change of them comes to: pure, so that it can be
//! tested without a mesh.

use std::collections::HashMap;

use myownmesh_control::types::PromptDraft;
use myownmesh_mesh::{DeviceId, Document};

use super::error::PromptError;
use super::order::make_room;
use super::text::{self, PromptId, PromptText};
use crate::text::random_id;

/// A prompt as it is kept.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Kept {
    /// Its id.
    pub(crate) id: PromptId,
    /// What it says.
    pub(crate) text: PromptText,
    /// Its place; the smallest comes first.
    pub(crate) order: f64,
    /// Who changed it last.
    pub(crate) author: DeviceId,
    /// When, by the author's clock.
    pub(crate) at: i64,
}

impl Kept {
    /// A document as a prompt; `None` when it is none.
    pub(super) fn read(document: &Document) -> Option<Self> {
        let id = PromptId::parse(document.id.as_str()).ok()?;
        let (text, order) = text::read(document.value.as_ref()?)?;
        Some(Self { id, text, order, author: document.author, at: document.at() })
    }
}

/// What is to be written, all or nothing.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Plan {
    /// Prompts as they should be.
    pub(super) writes: Vec<(PromptId, PromptText, f64)>,
}

/// What an import would do.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct ImportPlan {
    /// What is to be written.
    pub(super) plan: Plan,
    /// Ids of new prompts.
    pub(super) added: Vec<PromptId>,
    /// Ids of prompts that say something else now.
    pub(super) changed: Vec<PromptId>,
    /// How many are there already, word for word.
    pub(super) unchanged: u32,
}

/// The prompts, in their order.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct PromptList(Vec<Kept>);

impl PromptList {
    /// The documents that are prompts. Equal places are ordered by id, so that all devices show the same list.
    pub(super) fn read(documents: &[Document]) -> Self {
        Self::new(documents.iter().filter_map(Kept::read).collect())
    }

    fn new(mut prompts: Vec<Kept>) -> Self {
        prompts.sort_by(|a, b| a.order.total_cmp(&b.order).then_with(|| a.id.cmp(&b.id)));
        Self(prompts)
    }

    /// One of them.
    pub(super) fn find(&self, id: &PromptId) -> Option<&Kept> {
        self.0.iter().find(|kept| kept.id == *id)
    }

    fn place(&self, id: &PromptId) -> Result<usize, PromptError> {
        self.0.iter().position(|kept| kept.id == *id).ok_or_else(|| PromptError::NotFound(id.to_string()))
    }

    /// Those whose label or text contains `search`, whatever the case.
    pub(super) fn search(&self, search: Option<&str>) -> Vec<Kept> {
        let wanted = search.map(str::trim).unwrap_or_default().to_lowercase();
        let fits = |text: &str| text.to_lowercase().contains(&wanted);
        let found = self.0.iter().filter(|kept| wanted.is_empty() || fits(&kept.text.label) || fits(&kept.text.body));
        found.cloned().collect()
    }

    /// Those with these ids, in the order of the list; all of them when `ids` is empty.
    pub(super) fn chosen(&self, ids: &[PromptId]) -> Result<Vec<Kept>, PromptError> {
        for id in ids {
            self.place(id)?;
        }
        Ok(self.0.iter().filter(|kept| ids.is_empty() || ids.contains(&kept.id)).cloned().collect())
    }

    /// Makes a prompt, or changes one. Gives its id.
    pub(super) fn set(&self, draft: PromptDraft) -> Result<(PromptId, Plan), PromptError> {
        let given = draft.id.as_deref().map(PromptId::parse).transpose()?;
        if let Some(kept) = given.as_ref().and_then(|id| self.find(id)) {
            let mut text = kept.text.clone();
            text.apply(draft)?;
            return Ok((kept.id.clone(), Self::rewrite(kept, text)));
        }
        if draft.label.is_none() || draft.body.is_none() {
            let named = given.map_or_else(|| draft.label.clone().unwrap_or_default(), |id| id.to_string());
            return Err(PromptError::Incomplete(crate::text::quotable(&named)));
        }
        let mut text = PromptText::default();
        text.apply(draft)?;
        let id = given.unwrap_or_else(|| self.fresh_id(&text.label));
        let plan = self.insert(id.clone(), text, self.0.len());
        Ok((id, plan))
    }

    /// Nothing when nothing is different.
    fn rewrite(kept: &Kept, text: PromptText) -> Plan {
        let writes = if text == kept.text { Vec::new() } else { vec![(kept.id.clone(), text, kept.order)] };
        Plan { writes }
    }

    /// Puts a prompt in front of the one at `at`.
    fn insert(&self, id: PromptId, text: PromptText, at: usize) -> Plan {
        let orders: Vec<f64> = self.0.iter().map(|kept| kept.order).collect();
        let (own, moved) = make_room(&orders, at);
        let mut writes = vec![(id, text, own)];
        writes.extend(moved.into_iter().map(|(index, order)| {
            let kept = &self.0[index];
            (kept.id.clone(), kept.text.clone(), order)
        }));
        Plan { writes }
    }

    /// An id for a new prompt: from its label, with letters by chance behind it, so that two devices that do not hear
    /// each other never mean two prompts by one id.
    fn fresh_id(&self, label: &str) -> PromptId {
        let slug = PromptId::of_label(label);
        loop {
            let id = slug.with(&random_id()[..6]);
            if self.find(&id).is_none() {
                return id;
            }
        }
    }

    /// Makes a copy right below a prompt.
    pub(super) fn duplicate(&self, id: &PromptId) -> Result<(PromptId, Plan), PromptError> {
        let at = self.place(id)?;
        let mut text = self.0[at].text.clone();
        text.label = text::label_of_copy(&text.label);
        text.complete()?;
        let copy = self.fresh_id(&self.0[at].text.label);
        let plan = self.insert(copy.clone(), text, at + 1);
        Ok((copy, plan))
    }

    /// Moves a prompt in front of another one; to the end when `before` is none.
    pub(super) fn put_before(&self, id: &PromptId, before: Option<&PromptId>) -> Result<Plan, PromptError> {
        let from = self.place(id)?;
        let to = before.map(|before| self.place(before)).transpose()?.unwrap_or(self.0.len());
        if to == from || to == from + 1 {
            return Ok(Plan::default());
        }
        let mut others = self.0.clone();
        let moved = others.remove(from);
        let at = if to > from { to - 1 } else { to };
        Ok(Self(others).insert(moved.id, moved.text, at))
    }

    /// Brings a text back. A prompt that is there keeps its place.
    pub(super) fn restore(&self, id: &PromptId, text: PromptText, order: f64) -> Plan {
        match self.find(id) {
            Some(kept) => Self::rewrite(kept, text),
            None => Plan { writes: vec![(id.clone(), text, order)] },
        }
    }

    /// Takes the prompts of a file: new ones at the end, in the order of the file; those that are there stay in their
    /// place. What later versions wrote into them stays, where the file does not say otherwise.
    pub(super) fn import(&self, prompts: Vec<(PromptId, PromptText)>) -> ImportPlan {
        let known: HashMap<&PromptId, usize> = self.0.iter().enumerate().map(|(at, kept)| (&kept.id, at)).collect();
        let mut import = ImportPlan::default();
        let mut orders: Vec<f64> = self.0.iter().map(|kept| kept.order).collect();
        let mut texts: HashMap<usize, PromptText> = HashMap::new();
        let mut added = Vec::new();
        for (id, mut text) in prompts {
            let Some(at) = known.get(&id).copied() else {
                let (own, moved) = make_room(&orders, orders.len());
                moved.into_iter().for_each(|(index, order)| orders[index] = order);
                orders.push(own);
                added.push((id, text));
                continue;
            };
            let kept = &self.0[at].text;
            for (field, value) in &kept.rest {
                text.rest.entry(field).or_insert_with(|| value.clone());
            }
            if text == *kept {
                import.unchanged += 1;
            } else {
                import.changed.push(id);
                texts.insert(at, text);
            }
        }
        let (before, new) = orders.split_at(self.0.len());
        for (at, (kept, order)) in self.0.iter().zip(before).enumerate() {
            let text = texts.remove(&at);
            // Only prompts of hostile devices lie where the end of the list cannot be told from the last one.
            if text.is_some() || order.to_bits() != kept.order.to_bits() {
                import.plan.writes.push((kept.id.clone(), text.unwrap_or_else(|| kept.text.clone()), *order));
            }
        }
        import.added = added.iter().map(|(id, _)| id.clone()).collect();
        import.plan.writes.extend(added.into_iter().zip(new).map(|((id, text), order)| (id, text, *order)));
        import
    }
}

#[cfg(test)]
mod tests;
