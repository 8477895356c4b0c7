//! Which models suit a purpose, by their names: what the bundled catalogue says of their family, else words that makers
//! put into names. A name may carry a folder, a quantisation and any writing (`org/Qwen3-8B-GGUF:Q4_K_M`), so names are compared by
//! their letters and digits alone.

use std::sync::OnceLock;

use myownmesh_compute::Purpose;
use myownmesh_compute::library::{Catalogue, ModelPurpose};
use myownmesh_control::types::RoutePurpose;

use crate::card::CardModel;

/// Words in the names of models made for programs.
const CODE: [&str; 6] = ["coder", "code", "codestral", "devstral", "starcoder", "codegemma"];
/// Words in the names of models that look at pictures; those of two letters stand by themselves.
const VISION: [&str; 9] = ["vl", "vlm", "vision", "llava", "pixtral", "moondream", "minicpm-v", "smolvlm", "internvl"];

/// How well a model suits a purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Suits {
    /// It is made for it.
    MadeFor,
    /// It can do it.
    Can,
    /// It cannot do it.
    Cannot,
}

/// How well `model` suits `purpose`.
pub(super) fn suits(model: &CardModel, purpose: RoutePurpose) -> Suits {
    let embeds = model.purpose == Purpose::Embedding;
    match purpose {
        RoutePurpose::Embeddings if embeds => Suits::MadeFor,
        RoutePurpose::Embeddings => Suits::Cannot,
        _ if embeds => Suits::Cannot,
        RoutePurpose::Chat | RoutePurpose::Summarise => Suits::Can,
        RoutePurpose::Code if made_for(&model.id, ModelPurpose::Code) => Suits::MadeFor,
        RoutePurpose::Code => Suits::Can,
        RoutePurpose::Vision if made_for(&model.id, ModelPurpose::Vision) => Suits::MadeFor,
        RoutePurpose::Vision => Suits::Cannot,
    }
}

fn made_for(id: &str, purpose: ModelPurpose) -> bool {
    let words = match purpose {
        ModelPurpose::Code => CODE.as_slice(),
        ModelPurpose::Vision => VISION.as_slice(),
        ModelPurpose::Chat | ModelPurpose::Embeddings | ModelPurpose::Speech => return false,
    };
    let (id, plain) = (id.to_lowercase(), letters(last_part(id)));
    let in_name = words.iter().any(|word| {
        let short = word.len() <= 3;
        id.match_indices(word).any(|(at, _)| {
            let apart = |c: Option<char>| c.is_none_or(|c| !c.is_alphabetic());
            !short || (apart(id[..at].chars().next_back()) && apart(id[at + word.len()..].chars().next()))
        })
    });
    // The longest family that the name begins with says most: `qwen2.5-coder` before `qwen2.5`.
    let known = families().iter().filter(|(family, _)| plain.starts_with(family.as_str()));
    let family = known.max_by_key(|(family, _)| family.len());
    in_name || family.is_some_and(|(_, purposes)| purposes.first() == Some(&purpose))
}

/// The families of the bundled catalogue, by the letters and digits of their ids.
fn families() -> &'static [(String, Vec<ModelPurpose>)] {
    static FAMILIES: OnceLock<Vec<(String, Vec<ModelPurpose>)>> = OnceLock::new();
    FAMILIES.get_or_init(|| {
        let families = Catalogue::bundled().families;
        families.into_iter().map(|family| (letters(family.id.as_str()), family.purposes)).collect()
    })
}

/// Whether a model is of a family: its name, with or without its folder, begins with it.
pub(super) fn of_family(id: &str, family: &str) -> bool {
    let family = letters(family);
    !family.is_empty() && (letters(id).starts_with(&family) || letters(last_part(id)).starts_with(&family))
}

fn last_part(id: &str) -> &str {
    id.rsplit('/').next().unwrap_or(id)
}

fn letters(text: &str) -> String {
    text.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_what_a_model_is_for() {
        for (id, code, vision) in [
            ("qwen2.5-coder-7b-instruct-q4_k_m", true, false),
            ("hf.co/unsloth/Qwen3-Coder-30B-GGUF:Q4_K_M", true, false),
            ("codellama:7b", true, false),
            ("qwen2.5-vl-7b-instruct-q4_k_m", false, true),
            ("llama3.2-vision:11b", false, true),
            ("llava:7b", false, true),
            ("evladdict", false, false),
            ("qwen3-8b-q4_k_m", false, false),
            ("", false, false),
        ] {
            assert_eq!(made_for(id, ModelPurpose::Code), code, "{id}");
            assert_eq!(made_for(id, ModelPurpose::Vision), vision, "{id}");
        }
    }

    #[test]
    fn a_family_is_how_a_name_begins() {
        for (id, family, is) in [
            ("qwen3-8b-q4_k_m", "qwen3", true),
            ("Qwen/Qwen3-8B-GGUF", "qwen3", true),
            ("llama3.2:1b", "Llama-3.2", true),
            ("smollm2-360m", "llama", false),
            ("qwen3-8b", "", false),
            ("qwen3-8b", "-", false),
        ] {
            assert_eq!(of_family(id, family), is, "{id} {family}");
        }
    }
}
