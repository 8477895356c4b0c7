use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

/// A document with one model.
fn document() -> Value {
    json!({
        "format": 1, "name": "Test", "ttl_hours": 24,
        "families": [{
            "id": "tiny", "name": "Tiny", "publisher": "Us", "licence": "MIT", "purposes": ["chat", "telepathy", "chat"],
            "models": [{
                "id": "tiny-1b", "name": "Tiny 1B", "parameters_millions": 1000, "context_length": 2048,
                "cache": { "layers": 1, "kv_heads": 1, "head_length": 32 }, "repo": "us/tiny",
                "variants": [{ "quantisation": "Q8_0", "files": [{ "name": "q8/tiny.gguf", "size_bytes": 1 }] }]
            }]
        }],
        "later": { "field": true }
    })
}

fn named(name: &str, family: &str, imports: &[&str]) -> Catalogue {
    let mut document = document();
    document["name"] = json!(name);
    document["imports"] = json!(imports);
    document["families"][0]["id"] = json!(family);
    document["families"][0]["publisher"] = json!(name);
    Catalogue::parse(&document.to_string()).expect("a catalogue")
}

fn at(url: &str) -> CatalogueUrl {
    CatalogueUrl::parse(url).expect("an address")
}

#[test]
fn the_bundled_catalogue_is_whole() {
    let catalogue = Catalogue::bundled();
    assert!(catalogue.families.len() >= 10, "{}", catalogue.families.len());
    for purpose in ModelPurpose::ALL {
        assert!(catalogue.families.iter().any(|family| family.purposes.contains(&purpose)), "{purpose:?}");
    }
    let models: Vec<_> = catalogue.families.iter().flat_map(|family| &family.models).collect();
    for model in &models {
        assert!(!model.variants.is_empty(), "{}", model.id);
        for variant in &model.variants {
            // From 2 bits (with a vocabulary that is large beside a small model) to 32 bits a parameter.
            let weights =
                variant.files.iter().filter(|file| file.part == FilePart::Weights).map(|file| file.size_bytes);
            let bits = weights.sum::<u64>() * 8 / (u64::from(model.parameters_millions) * 1_000_000);
            assert!((2..=17).contains(&bits), "{} has {bits} bits a parameter", variant.id);
        }
    }
    let talks = |family: &&Family| family.purposes.contains(&ModelPurpose::Chat);
    for model in catalogue.families.iter().filter(talks).flat_map(|family| &family.models) {
        assert!(model.cache.is_some() && model.context_length.is_some(), "{}", model.id);
    }
}

#[test]
fn a_document_is_read_and_what_is_new_to_it_ignored() {
    let catalogue = Catalogue::parse(&document().to_string()).expect("a catalogue");
    let family = &catalogue.families[0];
    assert_eq!(family.purposes, [ModelPurpose::Chat]);
    let model = &family.models[0];
    assert_eq!((model.active_millions, model.revision.as_str()), (1000, "main"));
    assert_eq!(model.cache.expect("a cache").bytes_per_token(), 128);
    assert_eq!((model.variants[0].id.as_str(), model.variants[0].size_bytes()), ("tiny-1b-q8_0", 1));
    assert_eq!(catalogue.ttl_hours, 24);
}

#[test]
fn a_document_that_cannot_be_is_refused_whole() {
    let family = json!(document()["families"][0]);
    let model = json!(family["models"][0]);
    let file = json!({ "name": "tiny.gguf", "size_bytes": 1 });
    let cases: [(&str, Value, &str); 16] = [
        ("/format", json!(2), "newer version"),
        ("/format", json!("one"), "not a model catalogue"),
        ("/families", json!("none"), "not a model catalogue"),
        ("/families", json!([family, family]), "names \"family tiny\" twice"),
        ("/families/0/models", json!([model, model]), "names \"model tiny-1b\" twice"),
        ("/families/0/id", json!("../x"), "is not an id"),
        ("/families/0/name", json!("a\u{202e}b"), "not a name for people"),
        ("/families/0/models/0/repo", json!("../../etc"), "is not a repository"),
        ("/families/0/models/0/parameters_millions", json!(0), "its parameters"),
        ("/families/0/models/0/active_millions", json!(2000), "its parameters"),
        ("/families/0/models/0/cache/layers", json!(4_000_000_000u32), "the shape of its cache"),
        ("/families/0/models/0/variants/0/files", json!([]), "without weights"),
        ("/families/0/models/0/variants/0/files", json!([file, file]), "twice"),
        ("/families/0/models/0/variants/0/files/0/name", json!("../../.bashrc"), "is not a file name"),
        ("/families/0/models/0/variants/0/files/0/size_bytes", json!(0), "the size of a file"),
        ("/families/0/models/0/variants/0/files/0/sha256", json!("abc"), "is not a SHA-256"),
    ];
    for (path, value, reason) in cases {
        let mut odd = document();
        let (parent, key) = path.rsplit_once('/').expect("a path");
        odd.pointer_mut(parent).expect("it is there")[key] = value;
        let error = Catalogue::parse(&odd.to_string()).expect_err(path).to_string();
        assert!(error.contains(reason), "{path}: {error}");
        assert!(error.ends_with('.') && error.len() < 500, "{error}");
    }
    assert!(Catalogue::parse("").is_err() && Catalogue::parse("[]").is_err());
    let many: Vec<Value> = (0..1_001).map(|_| json!({})).collect();
    let mut odd = document();
    odd["imports"] = json!(vec!["x"; 17]);
    assert!(matches!(Catalogue::parse(&odd.to_string()), Err(CatalogueError::TooMuch { what: "imports" })));
    odd["families"] = json!(many);
    assert!(Catalogue::parse(&odd.to_string()).is_err());
    assert!(matches!(Catalogue::parse(&" ".repeat(MAX_DOCUMENT + 1)), Err(CatalogueError::TooMuch { .. })));
}

#[test]
fn addresses_are_web_addresses_without_secrets() {
    for odd in ["", "models.json", "file:///etc/passwd", "ftp://a/b", "https://", "data:application/json,{}"] {
        assert!(CatalogueUrl::parse(odd).is_err(), "{odd}");
    }
    let error = CatalogueUrl::parse("https://me:hunter2@example.org/x").expect_err("a password").to_string();
    assert!(!error.contains("hunter2"), "{error}");
    let here = at("https://example.org/a/b.json#part");
    assert_eq!(here.to_string(), "https://example.org/a/b.json");
    assert_eq!(here.import("c.json").expect("beside it"), at("https://example.org/a/c.json"));
    assert_eq!(here.import("//other.org/d.json").expect("elsewhere"), at("https://other.org/d.json"));
    assert!(here.import("file:///etc/passwd").is_err() && here.import("javascript:alert(1)").is_err());
}

/// Drives a composer over documents that are all there; gives what was fetched, in order, and the whole.
fn compose(added: &[&str], documents: &[(&str, Catalogue)]) -> (Vec<String>, Collection) {
    let mut composer = Composer::new(added.iter().map(|url| at(url)));
    let mut fetched = Vec::new();
    while let Some((url, _)) = composer.ask() {
        let found = documents.iter().find(|(place, _)| at(place) == url).map(|(_, catalogue)| catalogue.clone());
        composer.take(found.ok_or("Nothing is there."));
        fetched.push(url.to_string());
    }
    (fetched, composer.finish(named("bundled", "bundled", &[])))
}

fn ids(collection: &Collection) -> Vec<(&str, &str)> {
    collection.families.iter().map(|family| (family.id.as_str(), family.publisher.as_str())).collect()
}

#[test]
fn imports_are_put_together_and_the_nearer_one_wins() {
    let documents = [
        ("https://a.org/1.json", named("one", "x", &["2.json", "https://b.org/3.json"])),
        ("https://a.org/2.json", named("two", "y", &["https://b.org/3.json"])),
        ("https://b.org/3.json", named("three", "x", &[])),
    ];
    let (fetched, whole) = compose(&["https://a.org/1.json"], &documents);
    assert_eq!(fetched, ["https://a.org/1.json", "https://a.org/2.json", "https://b.org/3.json"], "each once");
    assert_eq!(ids(&whole), [("x", "one"), ("y", "two"), ("bundled", "bundled")]);
    assert!(whole.problems.is_empty(), "{:?}", whole.problems);
}

#[test]
fn a_catalogue_knows_who_led_to_it() {
    let mut composer = Composer::new([at("https://a.org/1.json")]);
    assert_eq!(composer.ask(), Some((at("https://a.org/1.json"), at("https://a.org/1.json"))));
    composer.take(Ok::<_, String>(named("one", "x", &["http://127.0.0.1/2.json"])));
    assert_eq!(composer.ask(), Some((at("http://127.0.0.1/2.json"), at("https://a.org/1.json"))));
}

#[test]
fn circles_are_cut_and_told() {
    let documents = [
        ("https://a.org/1.json", named("one", "x", &["https://a.org/1.json", "2.json"])),
        ("https://a.org/2.json", named("two", "y", &["1.json#again"])),
    ];
    let (fetched, whole) = compose(&["https://a.org/1.json"], &documents);
    assert_eq!(fetched.len(), 2);
    assert_eq!(ids(&whole), [("x", "one"), ("y", "two"), ("bundled", "bundled")]);
    assert_eq!(
        whole.problems,
        [
            "Catalogues import each other in a circle, which is cut: https://a.org/1.json -> https://a.org/1.json.",
            "Catalogues import each other in a circle, which is cut: https://a.org/1.json -> https://a.org/2.json -> \
             https://a.org/1.json."
        ]
    );
}

#[test]
fn what_is_missing_or_too_far_is_told_and_the_rest_stays() {
    let (_, whole) = compose(&["https://a.org/none.json"], &[]);
    assert_eq!(whole.problems, ["The catalogue https://a.org/none.json is left out. Nothing is there."]);
    assert_eq!(ids(&whole), [("bundled", "bundled")]);

    let chain: Vec<(String, Catalogue)> = (0..50)
        .map(|n| {
            (
                format!("https://a.org/{n}.json"),
                named("link", &format!("f{n}"), &[&format!("{}.json", n + 1), "file:///x"]),
            )
        })
        .collect();
    let chain: Vec<(&str, Catalogue)> =
        chain.iter().map(|(url, catalogue)| (url.as_str(), catalogue.clone())).collect();
    let (fetched, whole) = compose(&["https://a.org/0.json"], &chain);
    assert_eq!(fetched.len(), MAX_REACH);
    assert!(whole.problems.iter().any(|problem| problem.contains("over more than")), "{:?}", whole.problems);
    assert!(whole.problems.iter().any(|problem| problem.contains("only http and https")), "{:?}", whole.problems);
}

/// The catalogue a person added, and five imports one behind the other.
const MAX_REACH: usize = 6;

#[test]
fn a_wide_net_of_imports_ends() {
    let wide: Vec<String> = (0..16).map(|n| format!("{n}/x.json")).collect();
    let imports: Vec<&str> = wide.iter().map(String::as_str).collect();
    let mut composer = Composer::new([at("https://a.org/x.json")]);
    let mut fetched = 0;
    while let Some((url, _)) = composer.ask() {
        composer.take(Ok::<_, String>(named("wide", &format!("f{fetched}"), &imports)));
        fetched += 1;
        assert!(fetched <= 32, "{url}");
    }
    let whole = composer.finish(named("bundled", "bundled", &[]));
    assert_eq!((fetched, whole.families.len()), (32, 33));
    assert!(!whole.problems.is_empty() && whole.problems.len() <= 32);
}

#[test]
fn a_kept_catalogue_lives_as_long_as_it_says() {
    let folder = tempfile::tempdir().expect("a folder");
    let kept = CatalogueFolder::new(folder.path().join("catalogues"));
    let url = at("https://a.org/1.json");
    let hour = 3_600_000;
    assert_eq!(kept.get(&url, 0), None);
    let text = document().to_string();
    let catalogue = kept.put(&url, &text, Some("\"v1\""), 10 * hour).expect("kept");
    for (now, due) in [(10, false), (33, false), (34, true), (9, true), (i64::MAX / hour, true)] {
        let stored = Stored {
            catalogue: catalogue.clone(),
            due,
            fetched_at: 10 * hour,
            due_at: 34 * hour,
            tag: Some("\"v1\"".to_owned()),
        };
        assert_eq!(kept.get(&url, now * hour), Some(stored), "{now}");
    }
    kept.renew(&url, 30 * hour).expect("it is kept");
    let renewed = kept.get(&url, 34 * hour).expect("it is kept");
    assert_eq!((renewed.due, renewed.fetched_at, renewed.tag.as_deref()), (false, 30 * hour, Some("\"v1\"")));
    assert!(kept.renew(&at("https://a.org/2.json"), 0).is_err());
    assert!(kept.put(&url, "no catalogue", None, 20 * hour).is_err());
    assert!(kept.get(&url, 30 * hour).is_some(), "what is broken does not replace what works");
    assert_eq!(kept.get(&at("https://a.org/2.json"), 0), None);
}

#[test]
fn a_kept_catalogue_that_is_damaged_is_not_there() {
    let folder = tempfile::tempdir().expect("a folder");
    let kept = CatalogueFolder::new(folder.path());
    let url = at("https://a.org/1.json");
    kept.put(&url, &document().to_string(), None, 0).expect("kept");
    let file = std::fs::read_dir(folder.path()).expect("a folder").next().expect("a file").expect("a file").path();
    for odd in [&b""[..], b"{}", b"\xff", br#"{"url":"https://a.org/2.json","fetched_at":0,"text":"{}"}"#] {
        std::fs::write(&file, odd).expect("written");
        assert_eq!(kept.get(&url, 0), None);
    }
    let blocked = CatalogueFolder::new(file);
    let error = blocked.put(&url, &document().to_string(), None, 0).expect_err("a file is in the way");
    assert!(error.to_string().contains("cannot be used"), "{error}");
}

proptest! {
    #[test]
    fn odd_documents_never_panic(text in "\\PC{0,200}", at in any::<prop::sample::Index>(), byte: u8) {
        let _ = Catalogue::parse(&text);
        let mut bytes = document().to_string().into_bytes();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        if let Ok(text) = String::from_utf8(bytes) {
            let _ = Catalogue::parse(&text);
        }
    }
}
