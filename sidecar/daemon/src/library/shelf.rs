//! What the catalogue has, and which variant of a model a person means. No IO.

use myownmesh_compute::Hardware;
use myownmesh_compute::library::{CatalogueModel, Family, Fit, HubFile, Need, Variant, assess};
use myownmesh_control::types as control;

use super::LibraryError;
use crate::convert;

/// One variant in its place in the catalogue.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry<'a> {
    family: &'a Family,
    model: &'a CatalogueModel,
    pub(super) variant: &'a Variant,
}

/// Everything, in the catalogue's order.
fn entries(families: &[Family]) -> impl Iterator<Item = Entry<'_>> {
    let models = families.iter().flat_map(|family| family.models.iter().map(move |model| (family, model)));
    models.flat_map(|(family, model)| model.variants.iter().map(move |variant| Entry { family, model, variant }))
}

/// Every variant.
pub(super) fn variants(families: &[Family]) -> impl Iterator<Item = &Variant> {
    entries(families).map(|entry| entry.variant)
}

/// The variant of this id.
pub(super) fn variant<'a>(families: &'a [Family], id: &str) -> Option<&'a Variant> {
    let id = id.to_lowercase();
    variants(families).find(|variant| variant.id.as_str() == id)
}

impl Entry<'_> {
    /// Its files on a hub.
    pub(super) fn files(&self) -> Vec<HubFile> {
        let file = |file: &myownmesh_compute::library::ModelFile| HubFile {
            repo: self.model.repo.clone(),
            revision: self.model.revision.clone(),
            path: file.name.clone(),
            sha256: file.sha256.clone(),
        };
        self.variant.files.iter().map(file).collect()
    }
}

/// The families with the models that `search` finds, and how well each fits `hardware`. `here` tells whether a variant's
/// files are on this device.
pub(super) fn search(
    families: &[Family],
    search: &str,
    hardware: &Hardware,
    here: impl Fn(&Variant) -> bool,
) -> Vec<control::ModelFamily> {
    let words: Vec<String> = search.split_whitespace().map(str::to_lowercase).collect();
    let of_family = |family: &Family| {
        let wanted = |model: &&CatalogueModel| {
            let text = searchable(family, model);
            words.iter().all(|word| text.contains(word.as_str()))
        };
        let models = family.models.iter().filter(wanted).map(|model| control::FamilyModel {
            id: model.id.to_string(),
            name: model.name.to_string(),
            parameters_millions: model.parameters_millions,
            active_millions: model.active_millions,
            context_length: model.context_length,
            variants: model.variants.iter().map(|variant| shown(model, variant, hardware, here(variant))).collect(),
        });
        control::ModelFamily {
            id: family.id.to_string(),
            name: family.name.to_string(),
            publisher: family.publisher.to_string(),
            licence: family.licence.to_string(),
            purposes: family.purposes.iter().copied().map(convert::model_purpose).collect(),
            models: models.collect(),
        }
    };
    families.iter().map(of_family).filter(|family| !family.models.is_empty()).collect()
}

/// What a search looks in, in small letters.
fn searchable(family: &Family, model: &CatalogueModel) -> String {
    let purposes = family.purposes.iter().map(|purpose| purpose.as_str());
    let names = [family.id.as_str(), family.name.as_str(), family.publisher.as_str(), family.licence.as_str()];
    let own = [model.id.as_str(), model.name.as_str()];
    let variants = model.variants.iter().map(|variant| variant.id.as_str());
    let all: Vec<&str> = names.into_iter().chain(own).chain(purposes).chain(variants).collect();
    all.join("\n").to_lowercase()
}

fn shown(model: &CatalogueModel, variant: &Variant, hardware: &Hardware, here: bool) -> control::ModelVariant {
    let need = Need::of(model, variant);
    let verdict = assess(hardware, &need);
    control::ModelVariant {
        id: variant.id.to_string(),
        quantisation: variant.quantisation.to_string(),
        size_bytes: variant.size_bytes(),
        memory_bytes: need.total_bytes(),
        fit: convert::model_fit(verdict.fit),
        reason: verdict.reason,
        here,
    }
}

/// The variants that `id` may mean: the one of this id, else those of the model or the family of this id.
pub(super) fn candidates<'a>(families: &'a [Family], id: &str) -> Result<Vec<Entry<'a>>, LibraryError> {
    let id = id.trim().to_lowercase();
    let exact = entries(families).find(|entry| entry.variant.id.as_str() == id);
    let found: Vec<Entry<'a>> = match exact {
        Some(entry) => vec![entry],
        None => {
            entries(families).filter(|entry| entry.model.id.as_str() == id || entry.family.id.as_str() == id).collect()
        }
    };
    if found.is_empty() {
        return Err(LibraryError::Unknown { id: crate::text::quotable(&id) });
    }
    Ok(found)
}

/// What fits `hardware` best; of equals the largest, which answers best.
pub(super) fn best<'a>(candidates: &[Entry<'a>], hardware: &Hardware) -> Result<Entry<'a>, LibraryError> {
    let judged = candidates.iter().map(|entry| {
        let verdict = assess(hardware, &Need::of(entry.model, entry.variant));
        (verdict, entry)
    });
    let best = judged.max_by_key(|(verdict, entry)| (verdict.fit, entry.variant.size_bytes()));
    match best {
        Some((verdict, _)) if verdict.fit == Fit::TooBig => {
            let least = candidates.iter().min_by_key(|entry| entry.variant.size_bytes());
            let least = least.map(|entry| entry.variant.id.to_string()).unwrap_or_default();
            Err(LibraryError::TooBig { least })
        }
        Some((_, entry)) => Ok(*entry),
        None => Err(LibraryError::Unknown { id: String::new() }),
    }
}

#[cfg(test)]
mod tests {
    use myownmesh_compute::library::Catalogue;

    use super::*;

    fn laptop() -> Hardware {
        Hardware { memory_bytes: 16_000_000_000, ..Hardware::default() }
    }

    #[test]
    fn words_are_found_in_names_publishers_and_purposes() {
        let families = Catalogue::bundled().families;
        let ids = |text: &str| {
            let found = search(&families, text, &laptop(), |_| false);
            found.iter().flat_map(|family| family.models.iter().map(|model| model.id.clone())).collect::<Vec<_>>()
        };
        assert_eq!(ids("QWEN3 0.6b"), ["qwen3-0.6b"]);
        assert!(ids("meta 8b").iter().all(|id| id.contains("8b")) && !ids("meta 8b").is_empty());
        assert!(ids("embeddings").contains(&"nomic-embed-text-v1.5".to_owned()));
        assert_eq!(ids("no such model"), Vec::<String>::new());
        assert_eq!(ids("").len(), families.iter().map(|family| family.models.len()).sum::<usize>());
    }

    #[test]
    fn what_is_found_says_how_well_it_fits_and_why() {
        let found = search(&Catalogue::bundled().families, "qwen3-32b", &laptop(), |variant| {
            variant.id.as_str().ends_with("q8_0")
        });
        let variants = &found[0].models[0].variants;
        assert!(variants.iter().all(|variant| variant.fit == control::ModelFit::TooBig), "{variants:?}");
        assert!(variants[0].reason.contains("this device can give"), "{variants:?}");
        assert_eq!(variants.iter().map(|variant| variant.here).collect::<Vec<_>>(), [false, true]);
        assert!(variants[0].memory_bytes > variants[0].size_bytes);
    }

    #[test]
    fn an_id_means_one_variant_or_the_best_of_several() {
        let families = Catalogue::bundled().families;
        let choose = |id: &str, memory_bytes: u64| {
            let hardware = Hardware { memory_bytes, ..Hardware::default() };
            candidates(&families, id)
                .and_then(|found| best(&found, &hardware))
                .map(|entry| entry.variant.id.to_string())
        };
        assert_eq!(choose("llama-3.2-3b-instruct", 64_000_000_000).as_deref(), Ok("llama-3.2-3b-instruct-q8_0"));
        assert_eq!(choose("qwen3-4b", 8_000_000_000).as_deref(), Ok("qwen3-4b-q4_k_m"));
        assert_eq!(choose("qwen3", 5_000_000_000).as_deref(), Ok("qwen3-0.6b-q8_0"));
        let one = candidates(&families, " Qwen3-4B-Q8_0 ").expect("it is there");
        assert_eq!(one.len(), 1);
        assert_eq!(one[0].files()[0].path.as_str(), "Qwen3-4B-Q8_0.gguf");
        let error = choose("qwen3-32b", 8_000_000_000).expect_err("too big");
        assert!(error.to_string().contains("qwen3-32b-q4_k_m"), "{error}");
        assert!(matches!(choose("nothing", 1), Err(LibraryError::Unknown { .. })));
    }
}
