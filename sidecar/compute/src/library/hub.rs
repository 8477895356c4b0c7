//! A hub: a server with the addresses and headers of the Hugging Face Hub, which mirrors and others speak as well.
//!
//! A file is at `{base}/{owner}/{name}/resolve/{revision}/{path}`. The hub answers with a redirect to where the file is
//! stored, and tells in headers of its own what it is: `X-Linked-Size`, `X-Linked-Etag` (the SHA-256 of what is stored
//! with LFS), `X-Repo-Commit`. Source: the `huggingface_hub` library, `file_download.py`.

use std::fmt;

use reqwest::header::{
    CONTENT_LENGTH, CONTENT_RANGE, ETAG, HeaderMap, HeaderName, HeaderValue, IF_RANGE, LAST_MODIFIED, RANGE,
};
use reqwest::{Method, Response, StatusCode, Url};
use serde::{Deserialize, Serialize};

use super::names::{RepoName, RepoPath, Revision, Sha256};
use super::web::{Body, HubError, Patience, Web, check, host};
use crate::Secret;
use crate::url::{Refusal, base};

const LINKED_SIZE: HeaderName = HeaderName::from_static("x-linked-size");
const LINKED_ETAG: HeaderName = HeaderName::from_static("x-linked-etag");
const REPO_COMMIT: HeaderName = HeaderName::from_static("x-repo-commit");

/// The address of a hub, parsed once: http or https, no user name, password, query or fragment.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct HubUrl(Url);

impl HubUrl {
    /// The hub that is used when nobody names another.
    pub const DEFAULT: &str = "https://huggingface.co";

    /// Parses what a person wrote.
    ///
    /// # Errors
    /// [`HubError::Address`], with the reason.
    pub fn parse(given: &str) -> Result<Self, HubError> {
        let refused = |Refusal { given, reason }| HubError::Address { given, reason };
        let mut url = base(given).map_err(refused)?;
        let path = url.path().trim_end_matches('/').to_owned();
        url.set_path(&path);
        Ok(Self(url))
    }

    fn file(&self, file: &HubFile, revision: &str) -> Url {
        let mut url = self.0.clone();
        // Fails for addresses that cannot be a base, which http and https always are.
        if let Ok(mut segments) = url.path_segments_mut() {
            let repo = file.repo.as_str().split('/');
            // Each is escaped, so that a name such as `%2e%2e` stays one.
            segments.pop_if_empty().extend(repo.chain(["resolve", revision]).chain(file.path.as_str().split('/')));
        }
        url
    }
}

impl fmt::Display for HubUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_str().trim_end_matches('/'))
    }
}

impl TryFrom<String> for HubUrl {
    type Error = HubError;

    fn try_from(text: String) -> Result<Self, HubError> {
        Self::parse(&text)
    }
}

impl From<HubUrl> for String {
    fn from(url: HubUrl) -> Self {
        url.to_string()
    }
}

/// A file on a hub, and what is known of it beforehand.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HubFile {
    /// Its repository.
    pub repo: RepoName,
    /// The revision it is taken from.
    #[serde(default)]
    pub revision: Revision,
    /// Its place in the repository.
    pub path: RepoPath,
    /// The hash it must have, when somebody vouches for it; else the hub's own word counts.
    #[serde(default)]
    pub sha256: Option<Sha256>,
}

/// What a hub says of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Told {
    /// Its size, in bytes.
    pub(super) size: Option<u64>,
    /// Its hash.
    pub(super) sha256: Option<Sha256>,
    /// Where it is fetched from: the revision that was meant, as a commit when the hub tells it, so that a change in
    /// the repository cannot mix two files.
    pub(super) url: Url,
}

/// Bytes of a file on their way.
pub(super) struct Opened {
    /// Whether they are the range that was asked for, and not the whole file.
    pub(super) ranged: bool,
    /// What names this state of the file in further requests.
    pub(super) validator: Option<String>,
    /// The bytes.
    pub(super) body: Body,
}

/// A hub to ask.
#[derive(Debug, Clone)]
pub(super) struct Hub {
    url: HubUrl,
    web: Web,
}

impl Hub {
    pub(super) fn new(url: HubUrl, key: Option<Secret>, patience: Patience) -> Self {
        let web = Web::new(url.0.clone(), key, patience);
        Self { url, web }
    }

    /// Its address.
    pub(super) fn url(&self) -> &HubUrl {
        &self.url
    }

    /// Its host, as people know it.
    pub(super) fn host(&self) -> String {
        host(&self.url.0)
    }

    /// Asks what a file is, without fetching it.
    pub(super) async fn ask(&self, file: &HubFile) -> Result<Told, HubError> {
        let url = self.url.file(file, file.revision.as_str());
        let mut linked = Linked::default();
        // The way to where the file is stored need not be gone once the hub has told everything.
        let goes_on = |response: &Response| {
            linked.read(response.headers());
            linked.size.is_none() || linked.sha256.is_none()
        };
        let mut response = self.web.ask(Method::HEAD, &url, &HeaderMap::new(), goes_on).await?;
        if matches!(response.status(), StatusCode::METHOD_NOT_ALLOWED | StatusCode::NOT_IMPLEMENTED) {
            let mut first = HeaderMap::new();
            first.insert(RANGE, HeaderValue::from_static("bytes=0-0"));
            let goes_on = |response: &Response| {
                linked.read(response.headers());
                linked.size.is_none() || linked.sha256.is_none()
            };
            response = self.web.ask(Method::GET, &url, &first, goes_on).await?;
        }
        check(&response, &format!("{} in {}", file.path, file.repo))?;
        linked.read(response.headers());
        let headers = response.headers();
        let size = linked.size.or_else(|| match response.status() {
            StatusCode::PARTIAL_CONTENT => content_range(headers).and_then(|(_, size)| size),
            status if status.is_success() => number(headers, &CONTENT_LENGTH),
            _ => None,
        });
        let sha256 = linked.sha256.or_else(|| hash(headers, &ETAG));
        let commit = linked.commit.and_then(|commit| Revision::parse(&commit).ok());
        let url = self.url.file(file, commit.as_ref().unwrap_or(&file.revision).as_str());
        Ok(Told { size, sha256, url })
    }

    /// Opens `from..to` of the file at `url`, or all of it when `from` is 0 and the hub knows no ranges. With a
    /// validator the range is only given while the file is the same.
    pub(super) async fn open(
        &self,
        url: &Url,
        from: u64,
        to: u64,
        size: u64,
        validator: Option<&str>,
    ) -> Result<Opened, HubError> {
        let mut headers = HeaderMap::new();
        if let Ok(range) = HeaderValue::from_str(&format!("bytes={from}-{}", to - 1)) {
            headers.insert(RANGE, range);
        }
        if let Some(value) = validator.and_then(|validator| HeaderValue::from_str(validator).ok()) {
            headers.insert(IF_RANGE, value);
        }
        let response = self.web.ask(Method::GET, url, &headers, |_| true).await?;
        let what = url.path_segments().and_then(|mut parts| parts.next_back()).unwrap_or("file").to_owned();
        check(&response, &what)?;
        let nonsense = |what: &str| HubError::Nonsense { host: host(response.url()), what: what.to_owned() };
        let ranged = response.status() == StatusCode::PARTIAL_CONTENT;
        if ranged {
            let (begin, told) =
                content_range(response.headers()).ok_or_else(|| nonsense("it sends a part and does not say which"))?;
            if begin != from || told.is_some_and(|told| told != size) {
                return Err(nonsense("it sends another part than the one asked for"));
            }
        } else if response.status() != StatusCode::OK {
            return Err(nonsense("it sends neither the file nor a part of it"));
        } else if number(response.headers(), &CONTENT_LENGTH).is_some_and(|length| length != size) {
            return Err(nonsense("it announces another size than before"));
        }
        Ok(Opened { ranged, validator: strong(response.headers()), body: self.web.body(response) })
    }
}

/// What a hub tells in headers of its own, collected along the redirects.
#[derive(Debug, Default)]
struct Linked {
    size: Option<u64>,
    sha256: Option<Sha256>,
    commit: Option<String>,
}

impl Linked {
    fn read(&mut self, headers: &HeaderMap) {
        self.size = self.size.or_else(|| number(headers, &LINKED_SIZE));
        self.sha256 = self.sha256.take().or_else(|| hash(headers, &LINKED_ETAG));
        let commit = || Some(headers.get(REPO_COMMIT)?.to_str().ok()?.to_owned());
        self.commit = self.commit.take().or_else(commit);
    }
}

fn number(headers: &HeaderMap, name: &HeaderName) -> Option<u64> {
    headers.get(name)?.to_str().ok()?.trim().parse().ok()
}

/// An entity tag that is a SHA-256.
fn hash(headers: &HeaderMap, name: &HeaderName) -> Option<Sha256> {
    let text = headers.get(name)?.to_str().ok()?.trim();
    Sha256::parse(text.strip_prefix("W/").unwrap_or(text).trim_matches('"')).ok()
}

/// What `If-Range` may name: a strong entity tag, else the date of the last change (RFC 9110, 13.1.5).
fn strong(headers: &HeaderMap) -> Option<String> {
    let text = |name: &HeaderName| headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let tag = text(&ETAG).filter(|tag| tag.starts_with('"') && tag.len() <= 200);
    tag.or_else(|| text(&LAST_MODIFIED).filter(|date| date.len() <= 40))
}

/// First byte and size from `bytes 0-99/1000`; the size may be unknown.
fn content_range(headers: &HeaderMap) -> Option<(u64, Option<u64>)> {
    let text = headers.get(CONTENT_RANGE)?.to_str().ok()?;
    let (range, size) = text.trim().strip_prefix("bytes")?.trim_start().split_once('/')?;
    let (begin, _) = range.split_once('-')?;
    Some((begin.trim().parse().ok()?, size.trim().parse().ok()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hub_is_a_base_address() {
        assert_eq!(HubUrl::parse(HubUrl::DEFAULT).expect("the usual one").to_string(), HubUrl::DEFAULT);
        let mirror = HubUrl::parse(" https://mirror.example.org/hf/ ").expect("with a path");
        let file = HubFile {
            repo: RepoName::parse("us/tiny").expect("a repository"),
            revision: Revision::default(),
            path: RepoPath::parse("q8 0/tiny#1%.gguf").expect("a path"),
            sha256: None,
        };
        assert_eq!(
            mirror.file(&file, "main").as_str(),
            "https://mirror.example.org/hf/us/tiny/resolve/main/q8%200/tiny%231%25.gguf"
        );
        for odd in ["", "ftp://a", "https://", "https://a/?token=x", "https://me:hunter2@a"] {
            let error = HubUrl::parse(odd).expect_err(odd).to_string();
            assert!(error.contains("address of a hub") && !error.contains("hunter2"), "{error}");
        }
    }

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value))).collect()
    }

    #[test]
    fn a_name_cannot_climb() {
        let hub = HubUrl::parse("https://hub.example.org").expect("an address");
        let path = RepoPath::parse("%2e%2e/%2e%2e/x.gguf").expect("odd, and a path");
        let file = HubFile {
            repo: RepoName::parse("us/tiny").expect("one"),
            revision: Revision::default(),
            path,
            sha256: None,
        };
        let url = hub.file(&file, "main");
        assert_eq!(url.path(), "/us/tiny/resolve/main/%252e%252e/%252e%252e/x.gguf");
    }

    #[test]
    fn headers_are_read_with_care() {
        let digest = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        let quoted = "\"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\"";
        assert_eq!(hash(&headers(&[("etag", quoted)]), &ETAG).expect("a hash").as_str(), digest);
        assert_eq!(hash(&headers(&[("etag", "\"5d41402abc4b2a76b9719d911017c592\"")]), &ETAG), None);
        assert_eq!(
            strong(&headers(&[("etag", "W/\"a\""), ("last-modified", "Mon, 01 Jan 2024 00:00:00 GMT")])).as_deref(),
            Some("Mon, 01 Jan 2024 00:00:00 GMT")
        );
        assert_eq!(strong(&headers(&[("etag", "\"a\"")])).as_deref(), Some("\"a\""));
        let range = |text| content_range(&headers(&[("content-range", text)]));
        assert_eq!(range("bytes 5-9/10"), Some((5, Some(10))));
        assert_eq!(range("bytes 5-9/*"), Some((5, None)));
        for odd in ["", "bytes", "bytes */10", "bytes -5/10", "5-9/10", "bytes 99999999999999999999-1/2"] {
            assert_eq!(range(odd), None, "{odd}");
        }
        assert_eq!(number(&headers(&[("content-length", "-1")]), &CONTENT_LENGTH), None);
    }
}
