mod double;
mod holders;

use std::path::Path;
use std::process::{Command as Process, Stdio};

use tempfile::TempDir;

use self::double::{Double, Manners, file, hash};
use super::super::web::HubError;
use super::*;

/// Longest time anything here may take.
const LIMIT: Duration = Duration::from_secs(30);
/// A sound model of about 100 kB: 26 chunks.
const MODEL: &[u8] = include_bytes!("../../../fixtures/chain.gguf");
const CHUNK: u64 = 4_096;

fn tuning() -> Tuning {
    Tuning {
        // Longer than any test: some let answers wait.
        patience: Patience { head: 2 * LIMIT, piece: 2 * LIMIT },
        chunk: CHUNK,
        pause: Duration::from_millis(1),
        failures: 3,
        save: Duration::from_millis(20),
        failures_before_next: 1,
        vouch: LIMIT,
    }
}

fn config(folder: &Path, double: &Double) -> DownloadConfig {
    DownloadConfig { keep_free_bytes: 0, ..DownloadConfig::new(folder, double.url.clone()) }
}

/// A hub and a folder.
struct Place {
    folder: TempDir,
    double: Double,
    downloads: Downloads,
}

impl Place {
    async fn new(manners: Manners) -> Self {
        Self::with(manners, |_| {}).await
    }

    async fn with(manners: Manners, change: impl FnOnce(&mut DownloadConfig)) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let double = Double::start(manners).await;
        let mut config = config(folder.path(), &double);
        change(&mut config);
        Self { downloads: Downloads::tuned(config, tuning()), folder, double }
    }

    fn start(&self, path: &str) -> Download {
        self.downloads.start(vec![file(path)]).expect("a file")
    }

    /// Downloads until it is over, failed or paused.
    async fn get(&self, path: &str) -> DownloadState {
        idle(&self.start(path)).await.state
    }

    async fn error(&self, path: &str) -> DownloadError {
        match self.get(path).await {
            DownloadState::Failed(error) => error,
            other => panic!("{other:?}"),
        }
    }

    fn files(&self) -> Vec<String> {
        let entries = self.folder.path().read_dir().expect("a folder");
        let mut names: Vec<String> =
            entries.map(|entry| entry.expect("an entry").file_name().into_string().expect("text")).collect();
        names.sort();
        names
    }

    fn read(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.folder.path().join(name)).expect("it is here")
    }
}

async fn soon<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(LIMIT, work).await.expect("within the limit")
}

async fn idle(download: &Download) -> Progress {
    soon(download.idle()).await
}

/// Waits for what `wanted` looks for.
async fn seen(download: &Download, wanted: impl FnMut(&Progress) -> bool) -> Progress {
    soon(download.watch().wait_for(wanted)).await.expect("the task lives").clone()
}

fn noise(length: usize) -> Vec<u8> {
    (0..length).map(|at| u8::try_from((at * 131 + at / 251) % 256).expect("a byte")).collect()
}

#[tokio::test]
async fn a_model_arrives_in_parts_and_is_verified() {
    let place =
        Place::with(Manners::good(MODEL), |config| config.key = Some(Secret::parse("hf_key").expect("a key"))).await;
    let download = place.start("q8/chain.gguf");
    let mut watch = download.watch();
    let (mut before, mut states) = (0, vec![]);
    while soon(watch.changed()).await.is_ok() {
        let now = watch.borrow_and_update().clone();
        assert!(now.bytes >= before && now.total.is_none_or(|total| now.bytes <= total), "{now:?}");
        before = now.bytes;
        if states.last() != Some(&now.state) {
            states.push(now.state);
        }
    }
    let path = place.folder.path().join("chain.gguf");
    let finished = Finished { path, sha256: hash(MODEL), size_bytes: MODEL.len() as u64, vouched: true };
    assert_eq!(states.last(), Some(&DownloadState::Done(vec![finished])));
    assert!(states.contains(&DownloadState::Downloading), "{states:?}");
    assert_eq!(before, MODEL.len() as u64);
    assert!(place.read("chain.gguf") == MODEL && place.files() == ["chain.gguf"]);

    let asked = place.double.take_asked();
    assert!(asked.len() > 4, "{asked:?}");
    let mut bytes = 0;
    for request in &asked {
        let (from, to) = request.range.expect("each asks for a part");
        assert!(from % CHUNK == 0, "{request:?}");
        assert!(!request.key, "the key is the hub's and not its store's");
        assert_eq!(request.if_range.as_deref(), (bytes > 0).then_some("\"v1\""), "{asked:?}");
        bytes += to - from + 1;
    }
    assert_eq!(bytes, MODEL.len() as u64, "nothing is fetched twice");
}

#[tokio::test]
async fn several_files_belong_together() {
    let place = Place::new(Manners::good(MODEL)).await;
    let files = vec![file("a-00001-of-00002.gguf"), file("a-00002-of-00002.gguf")];
    let progress = idle(&place.downloads.start(files).expect("two")).await;
    assert!(matches!(&progress.state, DownloadState::Done(finished) if finished.len() == 2), "{progress:?}");
    assert_eq!((progress.bytes, progress.total), (2 * MODEL.len() as u64, Some(2 * MODEL.len() as u64)));
    assert_eq!(place.files(), ["a-00001-of-00002.gguf", "a-00002-of-00002.gguf"]);
    let twins = place.downloads.start(vec![file("x/a.gguf"), file("y/a.gguf")]).expect_err("one name");
    assert!(matches!(twins, DownloadError::SameName { .. }), "{twins}");
    assert!(matches!(place.downloads.start(vec![]), Err(DownloadError::Nothing)));
    assert!(matches!(place.downloads.start(vec![file("a.gguf.part")]), Err(DownloadError::OddName { .. })));
}

#[tokio::test]
async fn what_is_here_already_is_not_fetched_again() {
    let place = Place::new(Manners::good(MODEL)).await;
    std::fs::write(place.folder.path().join("chain.gguf"), MODEL).expect("written");
    assert!(matches!(place.get("chain.gguf").await, DownloadState::Done(_)));
    assert!(place.double.take_asked().is_empty());
    for other in [&MODEL[..10], &noise(MODEL.len())] {
        std::fs::write(place.folder.path().join("chain.gguf"), other).expect("written");
        let error = place.error("chain.gguf").await;
        assert!(matches!(error, DownloadError::InTheWay { .. }), "{error}");
        assert_eq!(place.read("chain.gguf"), other, "it is somebody's");
    }
}

#[tokio::test]
async fn a_pause_keeps_what_has_arrived_and_asks_for_nothing_more() {
    let place = Place::new(Manners { holds: Some(6_000), ..Manners::good(MODEL) }).await;
    let download = place.start("chain.gguf");
    soon(place.double.waiting(4)).await;
    seen(&download, |progress| progress.bytes >= 4 * CHUNK).await;
    download.pause().await;
    let paused = idle(&download).await;
    assert!(paused.state == DownloadState::Paused && paused.rate == 0 && paused.bytes >= 4 * CHUNK, "{paused:?}");
    let before: Vec<_> = place.double.take_asked().iter().filter_map(|request| request.range).collect();
    assert_eq!(place.files(), ["chain.gguf.part", "chain.gguf.part.json", "chain.gguf.part.lock"]);
    place.double.open_gate();
    download.resume().await;
    seen(&download, |progress| progress.state.is_over()).await;
    assert!(place.read("chain.gguf") == MODEL);
    let after = place.double.take_asked();
    assert!(after.iter().all(|request| request.if_range.as_deref() == Some("\"v1\"")), "{after:?}");
    for (from, _) in before {
        // The first chunk of each earlier request had arrived.
        assert!(
            after.iter().all(|request| !request.range.is_some_and(|(first, last)| first <= from && from <= last)),
            "{from}"
        );
    }
}

#[tokio::test]
async fn cancelling_leaves_nothing() {
    let place = Place::new(Manners { holds: Some(100), ..Manners::good(MODEL) }).await;
    let download = place.start("chain.gguf");
    soon(place.double.waiting(1)).await;
    download.cancel().await;
    assert_eq!(idle(&download).await.state, DownloadState::Cancelled);
    assert!(place.files().is_empty(), "{:?}", place.files());
    // Nobody listens any more, and nobody waits for an answer either.
    soon(download.resume()).await;

    let download = place.start("chain.gguf");
    soon(place.double.waiting(2)).await;
    download.pause().await;
    idle(&download).await;
    download.cancel().await;
    seen(&download, |progress| progress.state == DownloadState::Cancelled).await;
    assert!(place.files().is_empty(), "{:?}", place.files());
}

#[tokio::test]
async fn a_shutdown_writes_down_what_is_here_and_the_next_process_goes_on() {
    let place = Place::new(Manners { holds: Some(6_000), ..Manners::good(MODEL) }).await;
    let download = place.start("q8/chain.gguf");
    soon(place.double.waiting(4)).await;
    seen(&download, |progress| progress.bytes >= 4 * CHUNK).await;
    assert!(place.downloads.unfinished().is_empty(), "it runs");
    soon(place.downloads.shutdown()).await;
    assert_eq!(download.progress().state, DownloadState::Paused);

    place.double.open_gate();
    let next = Downloads::tuned(config(place.folder.path(), &place.double), tuning());
    let left = next.unfinished();
    assert_eq!(left.len(), 1);
    assert!(left[0].file == file("q8/chain.gguf") && left[0].bytes >= 4 * CHUNK, "{left:?}");
    assert_eq!(left[0].size_bytes, MODEL.len() as u64);
    let download = next.start(vec![left[0].file.clone()]).expect("one");
    assert!(matches!(idle(&download).await.state, DownloadState::Done(_)));
    assert!(place.read("chain.gguf") == MODEL && next.unfinished().is_empty());
}

/// Set in the process that is killed: the hub, and the folder.
const ROLE: &str = "MYOWNMESH_TEST_DOWNLOAD";

#[tokio::test]
async fn a_killed_process_costs_what_was_not_written_down() {
    if let Ok(role) = std::env::var(ROLE) {
        let (hub, folder) = role.split_once(' ').expect("a hub and a folder");
        let config = DownloadConfig::new(folder, HubUrl::parse(hub).expect("an address"));
        let download =
            Downloads::tuned(DownloadConfig { keep_free_bytes: 0, ..config }, tuning()).start(vec![file("chain.gguf")]);
        idle(&download.expect("one")).await;
        panic!("it was to be killed before");
    }
    let place = Place::new(Manners { holds: Some(6_000), ..Manners::good(MODEL) }).await;
    let mut child = Process::new(std::env::current_exe().expect("this program"))
        .args(["--exact", "library::download::tests::a_killed_process_costs_what_was_not_written_down"])
        .env(ROLE, format!("{} {}", place.double.url, place.folder.path().display()))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("it starts");
    soon(place.double.waiting(4)).await;
    let notes = place.folder.path().join("chain.gguf.part.json");
    soon(async {
        // Four chunks have arrived; the other process writes that down a moment later.
        let mut look = tokio::time::interval(Duration::from_millis(5));
        while part_count(&notes) < 4 {
            look.tick().await;
        }
    })
    .await;
    child.kill().expect("killed");
    child.wait().expect("gone");
    let before: Vec<_> = place.double.take_asked().iter().filter_map(|request| request.range).collect();
    assert_eq!(before.len(), 4, "{before:?}");

    place.double.open_gate();
    assert!(place.downloads.unfinished()[0].bytes >= 4 * CHUNK);
    assert!(matches!(place.get("chain.gguf").await, DownloadState::Done(_)));
    assert!(place.read("chain.gguf") == MODEL);
    let after = place.double.take_asked();
    assert!(after.iter().all(|request| request.if_range.as_deref() == Some("\"v1\"")), "{after:?}");
    let fetched: u64 = after.iter().filter_map(|request| request.range).map(|(from, to)| to - from + 1).sum();
    assert!(fetched <= MODEL.len() as u64 - 4 * CHUNK, "{after:?}");
}

/// Chunks that the notes of a part file say are there.
fn part_count(notes: &Path) -> u64 {
    let text = std::fs::read(notes).unwrap_or_default();
    let notes: serde_json::Value = serde_json::from_slice(&text).unwrap_or_default();
    let ranges = notes["done"].as_array().cloned().unwrap_or_default();
    ranges.iter().map(|range| range[1].as_u64().unwrap_or(0) - range[0].as_u64().unwrap_or(0)).sum()
}

#[tokio::test]
async fn what_changed_meanwhile_is_fetched_from_the_beginning() {
    let place = Place::new(Manners { holds: Some(6_000), ..Manners::good(&noise(90_000)) }).await;
    let download = place.start("chain.gguf");
    soon(place.double.waiting(4)).await;
    seen(&download, |progress| progress.bytes >= 4 * CHUNK).await;
    download.pause().await;
    idle(&download).await;
    place.double.change(|manners| *manners = Manners { tag: "\"v2\"", ..Manners::good(MODEL) });
    place.double.take_asked();
    download.resume().await;
    seen(&download, |progress| progress.state.is_over()).await;
    assert!(place.read("chain.gguf") == MODEL);
    assert_eq!(place.double.take_asked()[0].if_range, None, "another file has another tag");
}

#[tokio::test]
async fn a_store_that_only_changes_its_tag_costs_nothing() {
    let place = Place::new(Manners { holds: Some(6_000), ..Manners::good(MODEL) }).await;
    let download = place.start("chain.gguf");
    soon(place.double.waiting(4)).await;
    seen(&download, |progress| progress.bytes >= 4 * CHUNK).await;
    download.pause().await;
    let kept = idle(&download).await.bytes;
    place.double.change(|manners| *manners = Manners { tag: "\"moved\"", ..Manners::good(MODEL) });
    place.double.take_asked();
    download.resume().await;
    seen(&download, |progress| progress.state.is_over()).await;
    assert!(place.read("chain.gguf") == MODEL && kept > 0);
    let asked = place.double.take_asked();
    assert_eq!((asked[0].if_range.as_deref(), asked[1].if_range.as_deref()), (Some("\"v1\""), None), "{asked:?}");
    assert!(asked[1].range.is_some_and(|(from, _)| from > 0), "{asked:?}");
}

#[tokio::test]
async fn a_hub_without_ranges_is_read_through() {
    let place = Place::new(Manners { ranges: false, ..Manners::good(MODEL) }).await;
    assert!(matches!(place.get("chain.gguf").await, DownloadState::Done(_)));
    assert!(place.read("chain.gguf") == MODEL);
    assert_eq!(place.double.take_asked().len(), 1);

    // The same when it stops giving them in the middle of a file.
    place.double.change(|manners| *manners = Manners { holds: Some(6_000), ..Manners::good(MODEL) });
    let download = place.start("again.gguf");
    soon(place.double.waiting(4)).await;
    seen(&download, |progress| progress.bytes >= 4 * CHUNK).await;
    download.pause().await;
    idle(&download).await;
    place.double.change(|manners| *manners = Manners { ranges: false, ..Manners::good(MODEL) });
    download.resume().await;
    seen(&download, |progress| progress.state.is_over()).await;
    assert!(place.read("again.gguf") == MODEL);
}

#[tokio::test]
async fn a_hub_that_answers_no_head_is_asked_for_a_byte() {
    let place = Place::new(Manners { head: false, ..Manners::good(MODEL) }).await;
    assert!(matches!(place.get("chain.gguf").await, DownloadState::Done(_)));
}

#[tokio::test]
async fn broken_connections_and_trouble_are_tried_again() {
    let place =
        Place::new(Manners { breaks: (5_000, 6), statuses: [503, 429, 500].into(), ..Manners::good(MODEL) }).await;
    // A connection that breaks takes with it what was on its way, so some of these bring nothing.
    let patient = Tuning { failures: 10, ..tuning() };
    let downloads = Downloads::tuned(config(place.folder.path(), &place.double), patient);
    let progress = idle(&downloads.start(vec![file("chain.gguf")]).expect("one")).await;
    assert!(matches!(progress.state, DownloadState::Done(_)), "{progress:?}");
    assert!(place.read("chain.gguf") == MODEL);

    // Nothing arrives at all: it is given up, and goes on when a person says so.
    place.double.change(|manners| manners.breaks = (10, usize::MAX));
    let download = place.start("again.gguf");
    let failed = idle(&download).await;
    assert!(
        matches!(&failed.state, DownloadState::Failed(DownloadError::Hub(HubError::BrokeOff { .. }))),
        "{failed:?}"
    );
    place.double.change(|manners| manners.breaks = (0, 0));
    download.resume().await;
    seen(&download, |progress| progress.state.is_over()).await;
    assert!(place.read("again.gguf") == MODEL);
}

#[tokio::test]
async fn what_does_not_help_to_repeat_is_not_repeated() {
    for (status, sentence) in [(404, "has no chain.gguf"), (403, "only to those it knows"), (410, "has no chain.gguf")]
    {
        let place = Place::new(Manners { statuses: vec![status; 99].into(), ..Manners::good(MODEL) }).await;
        let error = place.error("chain.gguf").await;
        assert!(error.to_string().contains(sentence), "{status}: {error}");
        assert_eq!(place.double.take_asked().len(), 1, "{status}");
    }
    let place = Place::new(Manners::good(MODEL)).await;
    let elsewhere = HubFile { repo: super::super::RepoName::parse("us/none").expect("a name"), ..file("chain.gguf") };
    let error = idle(&place.downloads.start(vec![elsewhere]).expect("one")).await;
    assert!(
        matches!(&error.state, DownloadState::Failed(error) if error.to_string().contains("has no chain.gguf in us/none")),
        "{error:?}"
    );
}

#[tokio::test]
async fn other_bytes_are_thrown_away() {
    let mut other = MODEL.to_vec();
    other[60_000] ^= 1;
    let place = Place::new(Manners { sends: Some(other), ..Manners::good(MODEL) }).await;
    let error = place.error("chain.gguf").await;
    assert!(matches!(error, DownloadError::WrongHash { .. }), "{error}");
    assert!(place.files().is_empty(), "{:?}", place.files());
    // The catalogue's word is stronger than the hub's.
    place.double.change(|manners| manners.sends = None);
    let vouched = HubFile { sha256: Some(hash(b"another")), ..file("chain.gguf") };
    let progress = idle(&place.downloads.start(vec![vouched]).expect("one")).await;
    assert!(matches!(progress.state, DownloadState::Failed(DownloadError::OtherHash { .. })), "{progress:?}");
    assert!(place.files().is_empty(), "{:?}", place.files());
}

#[tokio::test]
async fn damage_from_an_earlier_process_is_repaired() {
    let place = Place::new(Manners { holds: Some(6_000), ..Manners::good(MODEL) }).await;
    let download = place.start("chain.gguf");
    soon(place.double.waiting(4)).await;
    seen(&download, |progress| progress.bytes >= 4 * CHUNK).await;
    soon(place.downloads.shutdown()).await;
    // What was written down is not what is on the disk.
    let part = place.folder.path().join("chain.gguf.part");
    std::fs::write(&part, vec![0; MODEL.len()]).expect("written");
    place.double.open_gate();
    let next = Downloads::tuned(config(place.folder.path(), &place.double), tuning());
    let progress = idle(&next.start(vec![file("chain.gguf")]).expect("one")).await;
    assert!(matches!(progress.state, DownloadState::Done(_)), "{progress:?}");
    assert!(place.read("chain.gguf") == MODEL);
}

#[tokio::test]
async fn what_is_as_announced_but_no_model_never_gets_its_name() {
    for surprise in [&b"PK\x03\x04 a zip of surprises"[..], b"<!doctype html>", &MODEL[..50_000]] {
        let place = Place::new(Manners::good(surprise)).await;
        let error = place.error("chain.gguf").await;
        assert!(matches!(error, DownloadError::NotAModel { .. }), "{error}");
        assert!(place.files().is_empty(), "{:?}", place.files());
        assert!(matches!(place.get("notes.txt").await, DownloadState::Done(_)), "it claims to be no model");
    }
}

#[tokio::test]
async fn an_endless_answer_is_cut_at_the_announced_size() {
    let place = Place::new(Manners { endless: true, ..Manners::good(MODEL) }).await;
    let error = place.error("chain.gguf").await;
    assert!(error.to_string().contains("sends more than it announced"), "{error}");
    let part = place.folder.path().join("chain.gguf.part").metadata().expect("a part file");
    assert_eq!(part.len(), MODEL.len() as u64);
    // And without ranges.
    place.double.change(|manners| manners.ranges = false);
    let error = place.error("again.gguf").await;
    assert!(error.to_string().contains("sends more than it announced"), "{error}");
}

#[tokio::test]
async fn a_hub_that_lies_about_parts_is_not_believed() {
    let place = Place::new(Manners { shifts: true, ..Manners::good(MODEL) }).await;
    let error = place.error("chain.gguf").await;
    assert!(error.to_string().contains("another part than the one asked for"), "{error}");
    place.double.change(|manners| *manners = Manners { size: Some(50_000), ..Manners::good(MODEL) });
    let error = place.error("chain.gguf").await;
    assert!(error.to_string().contains("another part than the one asked for"), "{error}");
}

#[tokio::test]
async fn what_cannot_be_verified_or_measured_is_not_fetched() {
    let place = Place::new(Manners { tells_hash: false, ..Manners::good(MODEL) }).await;
    let error = place.error("chain.gguf").await;
    assert!(matches!(error, DownloadError::NoHash { .. }), "{error}");
    let vouched = HubFile { sha256: Some(hash(MODEL)), ..file("chain.gguf") };
    let progress = idle(&place.downloads.start(vec![vouched]).expect("one")).await;
    assert!(matches!(progress.state, DownloadState::Done(_)), "the catalogue vouches for it: {progress:?}");
    for size in [0, u64::MAX] {
        place.double.change(|manners| *manners = Manners { size: Some(size), ..Manners::good(MODEL) });
        let error = place.error("again.gguf").await;
        assert!(matches!(error, DownloadError::NoSize { .. } | DownloadError::TooLarge { .. }), "{size}: {error}");
    }
    assert_eq!(place.files(), ["chain.gguf"]);
}

#[tokio::test]
async fn a_full_disk_is_known_before() {
    let huge = Manners { size: Some(1 << 60), ..Manners::good(MODEL) };
    let place = Place::with(huge, |config| config.max_file_bytes = u64::MAX).await;
    let error = place.error("chain.bin").await;
    assert!(matches!(error, DownloadError::NoRoom { .. } | DownloadError::Disk { .. }), "{error}");
    assert!(place.double.take_asked().is_empty());
    let place = Place::with(Manners::good(MODEL), |config| config.keep_free_bytes = u64::MAX / 2).await;
    let error = place.error("chain.gguf").await;
    assert!(matches!(error, DownloadError::NoRoom { .. }), "{error}");
    assert!(error.to_string().contains("Delete something there, then go on."), "{error}");
}

#[tokio::test]
async fn a_folder_that_cannot_be_written_is_told() {
    let place = Place::new(Manners::good(MODEL)).await;
    let file_in_the_way = place.folder.path().join("folder");
    std::fs::write(&file_in_the_way, "a file").expect("written");
    let config = DownloadConfig { folder: file_in_the_way, ..config(place.folder.path(), &place.double) };
    let progress = idle(&Downloads::tuned(config, tuning()).start(vec![file("chain.gguf")]).expect("one")).await;
    assert!(matches!(progress.state, DownloadState::Failed(DownloadError::Disk { .. })), "{progress:?}");
}

#[tokio::test]
async fn a_store_inside_a_private_network_is_not_gone_to() {
    for leads in ["http://192.168.77.77/x", "http://169.254.169.254/latest/meta-data", "http://[fd00::1]/x"] {
        let place = Place::new(Manners { leads: Some(leads.to_owned()), ..Manners::good(MODEL) }).await;
        let error = place.error("chain.gguf").await;
        assert!(matches!(error, DownloadError::Hub(HubError::Elsewhere { .. })), "{leads}: {error}");
    }
}

#[tokio::test]
async fn one_file_is_written_by_one_download() {
    let place = Place::new(Manners { holds: Some(100), ..Manners::good(MODEL) }).await;
    let first = place.start("chain.gguf");
    soon(place.double.waiting(1)).await;
    let error = place.error("other/chain.gguf").await;
    assert!(matches!(error, DownloadError::Running { .. }), "{error}");
    place.double.open_gate();
    assert!(matches!(idle(&first).await.state, DownloadState::Done(_)));
}

#[tokio::test]
async fn downloads_wait_for_their_turn() {
    let place = Place::with(Manners { holds: Some(100), ..Manners::good(MODEL) }, |config| config.at_once = 1).await;
    let first = place.start("a.gguf");
    soon(place.double.waiting(1)).await;
    let second = place.start("b.gguf");
    seen(&second, |progress| progress.state == DownloadState::Queued).await;
    second.pause().await;
    assert_eq!(idle(&second).await.state, DownloadState::Paused, "one that waits can be paused");
    second.resume().await;
    seen(&second, |progress| progress.state == DownloadState::Queued).await;
    first.cancel().await;
    place.double.open_gate();
    seen(&second, |progress| progress.state.is_over()).await;
    assert_eq!(place.files(), ["b.gguf"]);
}
