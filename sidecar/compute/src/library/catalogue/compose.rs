//! Puts catalogues together: the bundled one, those a person added, and what they import. No IO: whoever drives it
//! fetches what [`Composer::ask`] asks for and hands it to [`Composer::take`].

use std::collections::{HashSet, VecDeque};
use std::fmt::Display;

use super::{Catalogue, CatalogueUrl, Family};

/// How far imports may reach from a catalogue that a person added.
const MAX_DEPTH: usize = 5;
/// Most catalogues that are put together.
const MAX_CATALOGUES: usize = 32;

/// Everything that was put together.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Collection {
    /// All families. Where two catalogues have the same, it is the one of the catalogue that was added, then of the
    /// nearer import, then of the bundled one.
    pub families: Vec<Family>,
    /// What was left out and why, a sentence each.
    pub problems: Vec<String>,
}

/// One catalogue to fetch, and the way that leads to it.
#[derive(Debug)]
struct Wanted {
    url: CatalogueUrl,
    /// The catalogues that import it, the first first.
    chain: Vec<CatalogueUrl>,
}

/// Puts catalogues together, breadth first.
#[derive(Debug)]
pub struct Composer {
    wanted: VecDeque<Wanted>,
    asked: Option<Wanted>,
    seen: HashSet<CatalogueUrl>,
    collection: Collection,
}

impl Composer {
    /// Begins with the catalogues that a person added.
    pub fn new(added: impl IntoIterator<Item = CatalogueUrl>) -> Self {
        let mut composer =
            Self { wanted: VecDeque::new(), asked: None, seen: HashSet::new(), collection: Collection::default() };
        for url in added {
            composer.want(url, Vec::new());
        }
        composer
    }

    /// The next catalogue to fetch, and the one a person added that leads to it: no import may reach further into
    /// private networks than that one. None when there is nothing more to fetch.
    pub fn ask(&mut self) -> Option<(CatalogueUrl, CatalogueUrl)> {
        self.asked = self.wanted.pop_front();
        let asked = self.asked.as_ref()?;
        Some((asked.url.clone(), asked.chain.first().unwrap_or(&asked.url).clone()))
    }

    /// Takes what became of the catalogue that [`ask`](Self::ask) asked for; an error is told as a
    /// sentence.
    pub fn take(&mut self, fetched: Result<Catalogue, impl Display>) {
        let Some(Wanted { url, mut chain }) = self.asked.take() else { return };
        let catalogue = match fetched {
            Ok(catalogue) => catalogue,
            Err(error) => return self.problem(format!("The catalogue {url} is left out. {error}")),
        };
        chain.push(url);
        for import in &catalogue.imports {
            self.import(import, &chain);
        }
        self.add(catalogue.families);
    }

    /// Adds the bundled catalogue and ends.
    pub fn finish(mut self, bundled: Catalogue) -> Collection {
        self.add(bundled.families);
        self.collection
    }

    fn import(&mut self, written: &str, chain: &[CatalogueUrl]) {
        let Some(from) = chain.last() else { return };
        match from.import(written) {
            Ok(url) if chain.contains(&url) => {
                let mut way: Vec<String> = chain.iter().skip_while(|at| **at != url).map(ToString::to_string).collect();
                way.push(url.to_string());
                self.problem(format!("Catalogues import each other in a circle, which is cut: {}.", way.join(" -> ")));
            }
            Ok(url) => self.want(url, chain.to_vec()),
            Err(error) => self.problem(format!("An import of the catalogue {from} is left out. {error}")),
        }
    }

    fn want(&mut self, url: CatalogueUrl, chain: Vec<CatalogueUrl>) {
        if self.seen.contains(&url) {
            return;
        }
        if chain.len() > MAX_DEPTH {
            return self.problem(format!(
                "The catalogue {url} is left out: it is imported over more than {MAX_DEPTH} others."
            ));
        }
        if self.seen.len() >= MAX_CATALOGUES {
            return self
                .problem(format!("The catalogue {url} is left out: there are more than {MAX_CATALOGUES} already."));
        }
        self.seen.insert(url.clone());
        self.wanted.push_back(Wanted { url, chain });
    }

    fn add(&mut self, families: Vec<Family>) {
        for family in families {
            if self.collection.families.iter().all(|known| known.id != family.id) {
                self.collection.families.push(family);
            }
        }
    }

    /// Notes what went wrong with one of them.
    pub(in crate::library) fn problem(&mut self, sentence: String) {
        // Many imports can go wrong, all in the same way.
        if self.collection.problems.len() < MAX_CATALOGUES && !self.collection.problems.contains(&sentence) {
            self.collection.problems.push(sentence);
        }
    }
}
