//! Reads catalogues from their addresses, each as often as it asks for.

use reqwest::header::{ETAG, HeaderMap, HeaderValue, IF_NONE_MATCH};
use reqwest::{Method, StatusCode};

use super::catalogue::{
    Catalogue, CatalogueError, CatalogueFolder, CatalogueUrl, Collection, Composer, MAX_DOCUMENT, Stored,
};
use super::web::{HubError, Patience, Web, check};

/// Longest entity tag that is kept, in bytes.
const MAX_TAG: usize = 200;

/// Why an address gave no catalogue.
#[derive(Debug, thiserror::Error)]
enum ReadError {
    #[error(transparent)]
    Web(#[from] HubError),
    #[error(transparent)]
    Catalogue(#[from] CatalogueError),
}

/// Puts together the bundled catalogue, those at the `added` addresses, and what they import. Those kept in `folder` are
/// used while they live, and beyond that when their address cannot be reached. `now` in milliseconds since the Unix
/// epoch; with `anew` all are read again, however long they live. Nothing fails as a whole: see [`Collection::problems`].
pub async fn collect(added: &[CatalogueUrl], folder: &CatalogueFolder, now: i64, anew: bool) -> Collection {
    let mut composer = Composer::new(added.iter().cloned());
    // One way per catalogue that a person added: it decides where its imports may be.
    let mut ways: Vec<(CatalogueUrl, Web)> = Vec::new();
    while let Some((url, root)) = composer.ask() {
        let kept = kept(folder, &url, now).await;
        if let Some(Stored { catalogue, due: false, .. }) = kept.as_ref().filter(|_| !anew) {
            composer.take(Ok::<_, ReadError>(catalogue.clone()));
            continue;
        }
        let known = ways.iter().find(|(from, _)| *from == root).map(|(_, web)| web.clone());
        let web = known.unwrap_or_else(|| {
            let web = Web::new(root.as_url().clone(), None, Patience::default());
            ways.push((root, web.clone()));
            web
        });
        match (fetch(&web, folder, &url, kept.as_ref(), now).await, kept) {
            (Err(error), Some(stored)) => {
                composer
                    .problem(format!("The catalogue {url} could not be read again, so an older copy is used. {error}"));
                composer.take(Ok::<_, ReadError>(stored.catalogue));
            }
            (fetched, _) => composer.take(fetched),
        }
    }
    composer.finish(Catalogue::bundled())
}

async fn kept(folder: &CatalogueFolder, url: &CatalogueUrl, now: i64) -> Option<Stored> {
    let (folder, url) = (folder.clone(), url.clone());
    tokio::task::spawn_blocking(move || folder.get(&url, now)).await.ok().flatten()
}

async fn fetch(
    web: &Web,
    folder: &CatalogueFolder,
    url: &CatalogueUrl,
    kept: Option<&Stored>,
    now: i64,
) -> Result<Catalogue, ReadError> {
    let mut headers = HeaderMap::new();
    let tag = kept.and_then(|kept| HeaderValue::from_str(kept.tag.as_deref()?).ok());
    if let Some(tag) = tag {
        headers.insert(IF_NONE_MATCH, tag);
    }
    let answer = web.ask(Method::GET, url.as_url(), &headers, |_| true).await?;
    if let (StatusCode::NOT_MODIFIED, Some(kept)) = (answer.status(), kept) {
        let (folder, url) = (folder.clone(), url.clone());
        let renewed = tokio::task::spawn_blocking(move || folder.renew(&url, now)).await;
        if let Ok(Err(error)) = renewed {
            tracing::warn!(%error, "a catalogue is asked for again sooner than need be");
        }
        return Ok(kept.catalogue.clone());
    }
    check(&answer, "such catalogue")?;
    let tag = answer.headers().get(ETAG).and_then(|tag| tag.to_str().ok()).map(str::to_owned);
    let tag = tag.filter(|tag| tag.len() <= MAX_TAG);
    let text = web.body(answer).text(MAX_DOCUMENT).await?;
    let (kept, at) = (folder.clone(), url.clone());
    let put = tokio::task::spawn_blocking(move || match kept.put(&at, &text, tag.as_deref(), now) {
        // What cannot be kept can be used all the same.
        Err(error @ CatalogueError::Folder { .. }) => {
            tracing::warn!(%error, "a catalogue is not kept");
            Catalogue::parse(&text)
        }
        put => put,
    });
    put.await.unwrap_or_else(|error| Err(CatalogueError::Malformed(error.to_string()))).map_err(ReadError::from)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use axum::Router;
    use axum::http::Uri;
    use axum::response::{IntoResponse as _, Redirect, Response};
    use reqwest::StatusCode;
    use serde_json::json;
    use tokio::net::TcpListener;

    use super::*;

    const HOUR: i64 = 3_600_000;

    fn document(family: &str, imports: &[&str]) -> String {
        json!({
            "format": 1, "name": family, "ttl_hours": 24, "imports": imports,
            "families": [{ "id": family, "name": family, "publisher": "us", "licence": "MIT", "models": [] }]
        })
        .to_string()
    }

    /// A server of catalogues on loopback; gives its base address and how often it was asked.
    async fn serve(answer: fn(&str) -> Response) -> (String, Arc<AtomicUsize>, tokio::task::JoinHandle<()>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let base = format!("http://{}", listener.local_addr().expect("bound"));
        let asked = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&asked);
        let router = Router::new().fallback(move |uri: Uri| async move {
            count.fetch_add(1, Ordering::SeqCst);
            answer(uri.path())
        });
        let serving = tokio::spawn(async move {
            axum::serve(listener, router).await.expect("it serves");
        });
        (base, asked, serving)
    }

    fn own(collection: &Collection) -> Vec<&str> {
        let bundled = Catalogue::bundled();
        let ids = collection.families.iter().map(|family| family.id.as_str());
        ids.filter(|id| bundled.families.iter().all(|family| family.id.as_str() != *id)).collect()
    }

    #[tokio::test]
    async fn catalogues_are_read_composed_and_kept_for_their_time() {
        let (base, asked, serving) = serve(|path| match path {
            "/1.json" => document("one", &["2.json", "1.json", "missing.json"]).into_response(),
            "/2.json" => document("two", &["1.json"]).into_response(),
            _ => StatusCode::NOT_FOUND.into_response(),
        })
        .await;
        let folder = tempfile::tempdir().expect("a folder");
        let kept = CatalogueFolder::new(folder.path());
        let added = [CatalogueUrl::parse(&format!("{base}/1.json")).expect("an address")];
        let first = collect(&added, &kept, 0, false).await;
        assert_eq!((own(&first), asked.load(Ordering::SeqCst)), (vec!["one", "two"], 3));
        assert_eq!(first.problems.len(), 3, "two circles and a missing one: {:?}", first.problems);
        assert!(first.problems.iter().any(|problem| problem.contains("has no such catalogue")), "{:?}", first.problems);

        let second = collect(&added, &kept, 23 * HOUR, false).await;
        assert_eq!(own(&second), ["one", "two"]);
        assert_eq!(asked.load(Ordering::SeqCst), 4, "only the missing one is asked for again");
        collect(&added, &kept, 25 * HOUR, false).await;
        assert_eq!(asked.load(Ordering::SeqCst), 7);

        serving.abort();
        assert!(serving.await.expect_err("stopped").is_cancelled());
        let offline = collect(&added, &kept, 80 * HOUR, false).await;
        assert_eq!(own(&offline), ["one", "two"], "old is better than none");
        assert!(
            offline.problems.iter().any(|problem| problem.contains("an older copy is used")),
            "{:?}",
            offline.problems
        );
    }

    #[tokio::test]
    async fn what_is_no_catalogue_is_told_and_the_bundled_one_stays() {
        let (base, ..) = serve(|path| match path {
            "/page.json" => "<!doctype html>".into_response(),
            "/huge.json" => vec![b' '; MAX_DOCUMENT + 1].into_response(),
            "/inside.json" => Redirect::temporary("http://192.168.77.77/x.json").into_response(),
            "/file.json" => document("file", &["file:///etc/passwd", "http://169.254.169.254/"]).into_response(),
            _ => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        })
        .await;
        let folder = tempfile::tempdir().expect("a folder");
        let kept = CatalogueFolder::new(folder.path());
        for (name, problem) in [
            ("page", "not a model catalogue"),
            ("huge", "sends more than"),
            ("inside", "not a public address"),
            ("file", "only http and https"),
            ("trouble", "has trouble (status 500)"),
        ] {
            let url = CatalogueUrl::parse(&format!("{base}/{name}.json")).expect("an address");
            let whole = collect(&[url], &kept, 0, false).await;
            assert!(whole.problems.iter().any(|told| told.contains(problem)), "{name}: {:?}", whole.problems);
            assert!(whole.families.len() >= Catalogue::bundled().families.len(), "{name}");
        }
    }

    #[tokio::test]
    async fn what_did_not_change_is_not_sent_again() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}/1.json", listener.local_addr().expect("bound"));
        let sent = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&sent);
        let router = Router::new().fallback(move |headers: axum::http::HeaderMap| async move {
            if headers.get(IF_NONE_MATCH).is_some_and(|tag| tag == "\"v1\"") {
                return StatusCode::NOT_MODIFIED.into_response();
            }
            count.fetch_add(1, Ordering::SeqCst);
            ([(ETAG, "\"v1\"")], document("one", &[])).into_response()
        });
        tokio::spawn(async move { axum::serve(listener, router).await });
        let folder = tempfile::tempdir().expect("a folder");
        let kept = CatalogueFolder::new(folder.path());
        let added = [CatalogueUrl::parse(&url).expect("an address")];
        for (now, anew) in [(0, false), (25 * HOUR, false), (26 * HOUR, true)] {
            let whole = collect(&added, &kept, now, anew).await;
            assert_eq!((own(&whole), &*whole.problems), (vec!["one"], &[][..]), "{now}");
            let stored = kept.get(&added[0], now).expect("kept");
            assert_eq!((stored.due, stored.fetched_at), (false, now));
        }
        assert_eq!(sent.load(Ordering::SeqCst), 1);
    }
}
