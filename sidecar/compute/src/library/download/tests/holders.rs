//! Files from somebody else who has them, honest or not.

use std::ops::Range;
use std::sync::Mutex;

use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::future::BoxFuture;
use futures_util::stream;

use super::*;

/// What a holder does.
#[derive(Debug, Clone)]
struct Habits {
    /// What it has.
    bytes: Vec<u8>,
    /// The hash it claims.
    claims: Sha256,
    /// The name it claims.
    called: FileName,
    /// How many bytes it sends in all, before it breaks off.
    sends: usize,
    /// Whether it sends on beyond what was asked for.
    endless: bool,
    /// Whether it says that it may not.
    refuses: bool,
}

impl Habits {
    fn honest(bytes: &[u8]) -> Self {
        Self {
            bytes: bytes.to_vec(),
            claims: hash(bytes),
            called: FileName::parse("chain.gguf").expect("a name"),
            sends: usize::MAX,
            endless: false,
            refuses: false,
        }
    }
}

#[derive(Debug)]
struct Friend {
    habits: Habits,
    /// What it was asked for; a test's ledger, behind a lock because a holder is shared.
    asked: Mutex<Vec<Range<u64>>>,
}

impl Friend {
    fn with(habits: Habits) -> Arc<Self> {
        Arc::new(Self { habits, asked: Mutex::default() })
    }

    fn asked(&self) -> Vec<Range<u64>> {
        self.asked.lock().expect("no panic").clone()
    }
}

impl Holder for Friend {
    fn name(&self) -> &'static str {
        "Attic"
    }

    fn files(&self) -> BoxFuture<'_, Result<Vec<Offered>, HolderError>> {
        let Habits { bytes, claims, called, refuses, .. } = self.habits.clone();
        Box::pin(async move {
            if refuses {
                return Err(HolderError::Refused("Attic turned that off.".to_owned()));
            }
            Ok(vec![Offered { name: called, size_bytes: bytes.len() as u64, sha256: claims }])
        })
    }

    fn open<'a>(&'a self, file: &'a FileName, from: u64, to: u64) -> BoxFuture<'a, Result<HeldBytes, HolderError>> {
        assert_eq!(*file, self.habits.called);
        let before: u64 = self.asked().iter().map(|range| range.end - range.start).sum();
        self.asked.lock().expect("no panic").push(from..to);
        let at = |at: u64| usize::try_from(at).expect("small");
        let mut bytes = self.habits.bytes[at(from)..at(to)].to_vec();
        if self.habits.endless {
            bytes.extend([0; 100_000]);
        }
        let left = self.habits.sends.saturating_sub(at(before));
        let breaks = left < bytes.len();
        bytes.truncate(left);
        let mut pieces: Vec<Result<Bytes, String>> =
            bytes.chunks(1000).map(|piece| Ok(Bytes::copy_from_slice(piece))).collect();
        if breaks {
            pieces.push(Err("it was switched off".to_owned()));
        }
        Box::pin(async move { Ok(stream::iter(pieces).boxed()) })
    }
}

/// Downloads from this friend, and then from the hub if that may be asked.
async fn got(place: &Place, friend: &Arc<Friend>, hub: bool) -> Progress {
    let holder: Arc<dyn Holder> = friend.clone();
    idle(&place.downloads.start_from(vec![file("chain.gguf")], vec![holder], hub).expect("a file")).await
}

/// A place whose hub cannot be reached.
async fn without_hub() -> Place {
    let nobody = HubUrl::parse("http://127.0.0.1:1").expect("an address");
    Place::with(Manners::good(MODEL), |config| config.hub = nobody).await
}

fn finished(progress: Progress) -> Finished {
    match progress.state {
        DownloadState::Done(mut finished) => finished.remove(0),
        other => panic!("{other:?}"),
    }
}

fn failed(progress: Progress) -> DownloadError {
    match progress.state {
        DownloadState::Failed(error) => error,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn somebody_else_s_file_is_taken_when_the_hub_vouches_for_it() {
    let place = Place::new(Manners::good(MODEL)).await;
    let friend = Friend::with(Habits::honest(MODEL));
    let progress = got(&place, &friend, true).await;
    assert_eq!(progress.source.as_deref(), Some("Attic"));
    let finished = finished(progress);
    assert!(finished.vouched && finished.sha256 == hash(MODEL));
    assert!(place.read("chain.gguf") == MODEL && place.files() == ["chain.gguf"]);
    let sent: u64 = friend.asked().iter().map(|range| range.end - range.start).sum();
    assert_eq!(sent, MODEL.len() as u64, "all of it came from there, once");
}

#[tokio::test]
async fn where_nobody_vouches_that_is_told() {
    let place = without_hub().await;
    let finished = finished(got(&place, &Friend::with(Habits::honest(MODEL)), false).await);
    assert!(!finished.vouched, "{finished:?}");
    // What it sends must still be what it says, and a model.
    let place = without_hub().await;
    let lies = Habits { claims: hash(b"another"), ..Habits::honest(MODEL) };
    assert!(matches!(failed(got(&place, &Friend::with(lies), false).await), DownloadError::WrongHash { .. }));
    let noise = failed(got(&place, &Friend::with(Habits::honest(&noise(50_000))), false).await);
    assert!(matches!(noise, DownloadError::NotAModel { .. }), "{noise:?}");
    assert_eq!(place.files(), Vec::<String>::new());
}

#[tokio::test]
async fn who_breaks_off_is_followed_by_the_hub_which_goes_on_from_there() {
    let place = Place::new(Manners::good(MODEL)).await;
    let friend = Friend::with(Habits { sends: MODEL.len() / 2, ..Habits::honest(MODEL) });
    let progress = got(&place, &friend, true).await;
    assert_eq!(progress.source, None, "the rest came from the hub");
    assert!(finished(progress).vouched && place.read("chain.gguf") == MODEL);
    let from_hub: u64 =
        place.double.take_asked().iter().filter_map(|asked| asked.range).map(|(first, last)| last + 1 - first).sum();
    assert!(from_hub < MODEL.len() as u64 * 3 / 4, "what had arrived is not fetched again: {from_hub}");
    // Without the hub it stands still, and what has arrived stays. One range at a time: the one that breaks off is the last.
    let place = Place::with(Manners::good(MODEL), |config| config.connections = 1).await;
    let friend = Friend::with(Habits { sends: MODEL.len() / 2, ..Habits::honest(MODEL) });
    let progress = got(&place, &friend, false).await;
    assert!(progress.bytes > 0, "{progress:?}");
    let error = failed(progress).to_string();
    assert!(error.contains("Attic") && error.contains("switched off"), "{error}");
}

#[tokio::test]
async fn who_sends_something_else_is_followed_by_the_hub() {
    let mut changed = MODEL.to_vec();
    changed[70_000] ^= 1;
    for (what, habits) in [
        ("other bytes", Habits { bytes: changed.clone(), ..Habits::honest(MODEL) }),
        ("another hash", Habits::honest(&changed)),
        ("another size", Habits { bytes: MODEL[..90_000].to_vec(), ..Habits::honest(MODEL) }),
        ("no end", Habits { endless: true, ..Habits::honest(MODEL) }),
        ("nothing", Habits { sends: 0, ..Habits::honest(MODEL) }),
        ("a refusal", Habits { refuses: true, ..Habits::honest(MODEL) }),
        ("another file", Habits { called: FileName::parse("other.gguf").expect("one"), ..Habits::honest(MODEL) }),
        ("half of another", Habits { bytes: changed, sends: 80_000, ..Habits::honest(MODEL) }),
    ] {
        let place = Place::new(Manners::good(MODEL)).await;
        let progress = got(&place, &Friend::with(habits), true).await;
        assert_eq!(progress.source, None, "{what}");
        assert!(finished(progress).vouched && place.read("chain.gguf") == MODEL, "{what}");
        assert_eq!(place.files(), ["chain.gguf"], "{what}");
    }
}

#[tokio::test]
async fn what_the_catalogue_names_counts_before_what_anybody_says() {
    let place = Place::new(Manners::good(MODEL)).await;
    let mut file = file("chain.gguf");
    file.sha256 = Some(hash(b"what the catalogue means"));
    let holder: Arc<dyn Holder> = Friend::with(Habits::honest(MODEL));
    let download = place.downloads.start_from(vec![file], vec![holder], false).expect("a file");
    let error = failed(idle(&download).await);
    assert!(matches!(&error, DownloadError::OtherHash { host, .. } if host == "Attic"), "{error:?}");
    assert_eq!(place.files(), Vec::<String>::new());
    assert!(matches!(place.downloads.start_from(vec![], vec![], true), Err(DownloadError::Nothing)));
}
