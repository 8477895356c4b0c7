//! Prompts.

use myownmesh_control::types::{Prompt, PromptDraft, PromptExport, PromptFormat, PromptImport, PromptVersion};

delegate! { documents:
    /// The prompts in their order. `search` filters by label and text.
    prompt_list(search: Option<String>) -> Vec<Prompt>;
    /// One prompt.
    prompt_show(id: String) -> Prompt;
    /// Makes a prompt or changes one.
    prompt_set(draft: PromptDraft) -> Prompt;
    /// Makes a copy of a prompt, right below it.
    prompt_duplicate(id: String) -> Prompt;
    /// Moves a prompt in front of another one; to the end when `before` is not given.
    prompt_move(id: String, before: Option<String>) -> Prompt;
    /// Deletes a prompt everywhere; `prompt_restore` brings it back.
    prompt_delete(id: String) -> ();
    /// What a prompt said, newest first: the present version and those that were replaced or lost against another.
    prompt_history(id: String) -> Vec<PromptVersion>;
    /// Brings an earlier version back, as a new one; the newest with text when `version` is not given.
    prompt_restore(id: String, version: Option<String>) -> Prompt;
    /// Takes prompts from the text of a file, as a whole or not at all.
    prompt_import(text: String, format: PromptFormat) -> PromptImport;
    /// Writes prompts as the text of a file; all of them when `ids` is empty.
    prompt_export(ids: Vec<String>, format: PromptFormat) -> PromptExport;
}
