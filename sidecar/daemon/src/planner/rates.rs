//! What was learned of how fast devices answer: a [`Rate`] for each device and model, fed by every answer that passes
//! (`meter`) and kept in the database. Numbers only, never a word of an answer.
//!
//! Each part of a rate is an exponentially weighted [`Average`]. The first answers count alike, so that one odd beginning
//! does not stay; from the fourth on each new one has [`ALPHA`]. With 0.3 the last six answers make up nine tenths: a
//! device that became busy, or hot, is noticed within a few answers, and a single hiccup moves little.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use myownmesh_mesh::DeviceId;
use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::predict::OVERHEAD_MS;
use crate::store::{Store, StoreError};
use crate::text::now_ms;

/// How much a new answer counts.
const ALPHA: f64 = 0.3;
/// Most devices and models that are kept; those that were asked last.
const MAX_KEPT: usize = 1000;
/// What may wait to be written. More is left out: the next answer writes the same row.
const INBOX: usize = 256;
/// What is learned within this time is written together.
const GATHER: Duration = Duration::from_secs(1);
/// Fewest tokens of a question that say something about the rate of reading.
const MIN_PROMPT: u32 = 8;
/// The same where the engine does not measure it itself.
const MIN_PROMPT_UNMEASURED: u32 = 64;
/// Fewest tokens of an answer that say something about the rate of writing.
const MIN_ANSWER: u32 = 4;
/// What reading a token takes of writing one, at most: many are read with one pass over the weights (llama.cpp's tables,
/// discussion 4167, have 8 to 13 times the rate).
const READING_OF_WRITING: f64 = 0.25;
/// Longer than anything takes, in milliseconds: an hour. More is a clock that jumped.
const MAX_MS: f64 = 3_600_000.0;

/// An exponentially weighted average.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Average {
    value: f64,
    samples: u32,
}

impl Average {
    /// The average; none before the first sample.
    pub(crate) fn value(&self) -> Option<f64> {
        (self.samples > 0).then_some(self.value)
    }

    fn add(&mut self, sample: f64) {
        if !(0.0..=MAX_MS).contains(&sample) {
            return;
        }
        self.samples = self.samples.saturating_add(1);
        let weight = (1.0 / f64::from(self.samples)).max(ALPHA);
        self.value += (sample - self.value) * weight;
    }
}

/// A ratio of two such averages, so that what is large counts more: a question of ten tokens says little of how fast a
/// thousand are read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Ratio {
    whole: Average,
    parts: Average,
}

impl Ratio {
    /// The ratio; none before the first sample.
    pub(crate) fn value(&self) -> Option<f64> {
        Some(self.whole.value()? / self.parts.value()?)
    }

    /// A sample: so much for so many parts.
    fn add(&mut self, whole: f64, parts: f64) {
        if (0.0..=MAX_MS).contains(&whole) && (1.0..=MAX_MS).contains(&parts) {
            self.whole.add(whole);
            self.parts.add(parts);
        }
    }
}

/// How fast a device answers with a model.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Rate {
    /// Milliseconds to read a token of the question.
    pub(crate) prefill: Ratio,
    /// Milliseconds to write a token of the answer.
    pub(crate) decode: Ratio,
    /// Milliseconds to load the model.
    pub(crate) load: Average,
    /// Milliseconds to the first word that none of the others explains.
    pub(crate) overhead: Average,
    /// Tokens of a question over what its bytes let expect.
    pub(crate) prompt_scale: Ratio,
    /// Tokens of an answer that ended by itself.
    pub(crate) answer: Average,
    answers: u32,
}

/// What an engine measured itself (llama-server's `timings`).
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
pub(crate) struct Timings {
    /// Tokens of the question that it read anew.
    pub(crate) prompt_n: u32,
    /// Milliseconds for them.
    pub(crate) prompt_ms: f64,
    /// Tokens that it wrote.
    pub(crate) predicted_n: u32,
    /// Milliseconds for them.
    pub(crate) predicted_ms: f64,
}

/// One answer, in numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Sample {
    /// Round-trip time to the device when it was asked, in milliseconds.
    pub(crate) rtt_ms: f64,
    /// Whether the model was loaded.
    pub(crate) loaded: bool,
    /// From asking to the first word, waiting for others left out; none where the answer came whole.
    pub(crate) first_ms: Option<f64>,
    /// From the first word to the last.
    pub(crate) rest_ms: f64,
    /// Tokens of the question by its bytes.
    pub(crate) expected_prompt: f64,
    /// Tokens of the question as counted.
    pub(crate) prompt: Option<u32>,
    /// Those of them that the engine still knew.
    pub(crate) cached: u32,
    /// Tokens of the answer.
    pub(crate) answer: u32,
    /// Whether it ended by itself.
    pub(crate) complete: bool,
    /// What the engine measured.
    pub(crate) timings: Option<Timings>,
}

impl Rate {
    /// How many answers it was learned from.
    pub(crate) fn answers(&self) -> u32 {
        self.answers
    }

    /// Takes an answer in.
    pub(crate) fn learn(&mut self, sample: &Sample) {
        self.answers = self.answers.saturating_add(1);
        if let Some(prompt) = sample.prompt.filter(|prompt| *prompt > 0 && sample.expected_prompt > 0.0) {
            self.prompt_scale.add(f64::from(prompt), sample.expected_prompt);
        }
        if sample.complete && sample.answer > 0 {
            self.answer.add(f64::from(sample.answer));
        }
        match sample.timings {
            Some(timings) if timings.predicted_n >= MIN_ANSWER => {
                self.decode.add(timings.predicted_ms, f64::from(timings.predicted_n));
            }
            None if sample.answer >= MIN_ANSWER && sample.first_ms.is_some() => {
                self.decode.add(sample.rest_ms, f64::from(sample.answer - 1));
            }
            _ => {}
        }
        self.learn_first(sample);
    }

    /// Divides the time to the first word among what it was spent on.
    fn learn_first(&mut self, sample: &Sample) {
        if let Some(timings) = sample.timings.filter(|timings| timings.prompt_n >= MIN_PROMPT) {
            self.prefill.add(timings.prompt_ms, f64::from(timings.prompt_n));
        }
        let Some(first_ms) = sample.first_ms else { return };
        let unexplained = (first_ms - sample.rtt_ms).max(0.0);
        let fresh = sample.prompt.unwrap_or(0).saturating_sub(sample.cached);
        let overhead = self.overhead.value().unwrap_or(OVERHEAD_MS);
        let reading = match sample.timings {
            // By the rate and not as measured, so that what is predicted, all together, is what was seen.
            Some(timings) => self.prefill.value().map_or(timings.prompt_ms, |rate| rate * f64::from(timings.prompt_n)),
            None if sample.loaded && fresh >= MIN_PROMPT_UNMEASURED => {
                // Most of the time was reading; the rest is known by other answers, or small.
                self.prefill.add((unexplained - overhead).max(0.0), f64::from(fresh));
                return;
            }
            None => self.reading(unexplained, fresh) * f64::from(fresh),
        };
        let rest = (unexplained - reading).max(0.0);
        if sample.loaded {
            self.overhead.add(rest);
        } else {
            self.load.add((rest - overhead).max(0.0));
        }
    }
}

impl Rate {
    /// Milliseconds to read a token. Where nothing better is known yet: as writing lets expect, and at most half of what a
    /// short question took.
    fn reading(&mut self, unexplained: f64, fresh: u32) -> f64 {
        if self.prefill.value().is_none() && fresh > 0 {
            let by_writing = self.decode.value().map_or(f64::MAX, |writing| writing * READING_OF_WRITING);
            self.prefill.add((by_writing * f64::from(fresh)).min(unexplained / 2.0), f64::from(fresh));
        }
        self.prefill.value().unwrap_or(0.0)
    }
}

/// A device and a model on it.
pub(crate) type Key = (DeviceId, String);

type Table = HashMap<Key, (Rate, i64)>;

/// A row of the table, as it is written.
type Row = (Key, Rate, i64);

/// The handle; clones share it.
#[derive(Clone)]
pub(crate) struct Rates {
    table: Arc<watch::Sender<Table>>,
    inbox: mpsc::Sender<Key>,
    tasks: TaskTracker,
}

impl Rates {
    /// Reads what was learned before. `stop` ends it after what was learned by then is written.
    pub(crate) async fn start(store: Store, stop: CancellationToken) -> Result<Self, StoreError> {
        let table = Arc::new(watch::Sender::new(store.call(|connection| rows::read(connection)).await?));
        let (inbox, keys) = mpsc::channel(INBOX);
        let tasks = TaskTracker::new();
        tasks.spawn(Keeper { store, table: Arc::clone(&table), keys }.run(stop));
        Ok(Self { table, inbox, tasks })
    }

    /// Takes an answer in. Never waits.
    pub(crate) fn learn(&self, key: Key, sample: &Sample) {
        self.table.send_modify(|table| {
            let (rate, at) = table.entry(key.clone()).or_default();
            rate.learn(sample);
            *at = now_ms();
            if table.len() > MAX_KEPT {
                let oldest = table.iter().min_by_key(|(_, (_, at))| *at).map(|(key, _)| key.clone());
                oldest.map(|oldest| table.remove(&oldest));
            }
        });
        if self.inbox.try_send(key).is_err() {
            tracing::debug!("a rate is written with the next answer");
        }
    }

    /// What is known of these models of a device.
    pub(crate) fn of<'a>(&self, device: DeviceId, models: impl Iterator<Item = &'a str>) -> HashMap<String, Rate> {
        let table = self.table.borrow();
        if table.is_empty() {
            return HashMap::new();
        }
        models.filter_map(|model| Some((model.to_owned(), table.get(&(device, model.to_owned()))?.0))).collect()
    }

    /// Waits until everything is written; call it after the stop.
    pub(crate) async fn ended(&self) {
        self.tasks.close();
        self.tasks.wait().await;
    }
}

/// Writes what was learned.
struct Keeper {
    store: Store,
    table: Arc<watch::Sender<Table>>,
    keys: mpsc::Receiver<Key>,
}

impl Keeper {
    async fn run(mut self, stop: CancellationToken) {
        while let Some(Some(key)) = stop.run_until_cancelled(self.keys.recv()).await {
            let mut keys = HashSet::from([key]);
            let gathered = async {
                while let Some(key) = self.keys.recv().await {
                    keys.insert(key);
                }
            };
            // What is learned is used at once; only writing it down can wait. However the wait ends, what came is written.
            let _ = timeout(GATHER, stop.run_until_cancelled(gathered)).await;
            self.write(keys).await;
        }
        self.keys.close();
        let mut keys = HashSet::new();
        while let Some(key) = self.keys.recv().await {
            keys.insert(key);
        }
        self.write(keys).await;
    }

    async fn write(&self, keys: HashSet<Key>) {
        let rows: Vec<Row> = {
            let table = self.table.borrow();
            keys.into_iter().filter_map(|key| table.get(&key).map(|(rate, at)| (key.clone(), *rate, *at))).collect()
        };
        if rows.is_empty() {
            return;
        }
        if let Err(error) = self.store.call(move |connection| rows::write(connection, &rows)).await {
            tracing::warn!(%error, "how fast a device answered could not be kept");
        }
    }
}

/// The SQL.
mod rows {
    use rusqlite::Connection;

    use super::{MAX_KEPT, Rate, Row, Table};
    use crate::store::StoreError;

    /// All rows; what cannot be read is left out, it is learned anew.
    pub(super) fn read(connection: &Connection) -> Result<Table, StoreError> {
        let mut statement = connection.prepare("SELECT device, model, rate, at FROM rates")?;
        let rows = statement
            .query_map([], |row| Ok((row.get::<_, String>(0)?, row.get(1)?, row.get::<_, String>(2)?, row.get(3)?)))?;
        let rows = rows.collect::<Result<Vec<(String, String, String, i64)>, _>>()?;
        Ok(rows
            .into_iter()
            .filter_map(|(device, model, rate, at)| {
                let rate: Rate = serde_json::from_str(&rate).ok()?;
                Some(((device.parse().ok()?, model), (rate, at)))
            })
            .collect())
    }

    /// Writes rows, and lets go of those that are too many.
    pub(super) fn write(connection: &mut Connection, rows: &[Row]) -> Result<(), StoreError> {
        let transaction = connection.transaction()?;
        for ((device, model), rate, at) in rows {
            // Plain numbers: they always serialise.
            let rate = serde_json::to_string(rate).unwrap_or_default();
            let sql = "INSERT INTO rates (device, model, rate, at) VALUES (?1, ?2, ?3, ?4)
                       ON CONFLICT (device, model) DO UPDATE SET rate = excluded.rate, at = excluded.at";
            transaction.execute(sql, rusqlite::params![device.to_string(), model, rate, at])?;
        }
        let sql = "DELETE FROM rates WHERE rowid IN (SELECT rowid FROM rates ORDER BY at DESC LIMIT -1 OFFSET ?1)";
        transaction.execute(sql, [i64::try_from(MAX_KEPT).unwrap_or(i64::MAX)])?;
        Ok(transaction.commit()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(value: Option<f64>, expected: f64) -> bool {
        value.is_some_and(|value| (value - expected).abs() < 0.01)
    }

    #[test]
    fn an_average_begins_even_and_then_follows() {
        let mut average = Average::default();
        assert_eq!(average.value(), None);
        for sample in [10.0, 20.0, 30.0] {
            average.add(sample);
        }
        assert!(near(average.value(), 20.0), "{average:?}");
        average.add(120.0);
        assert!(near(average.value(), 50.0), "{average:?}");
        for odd in [f64::NAN, f64::INFINITY, -1.0, 1e12] {
            average.add(odd);
        }
        assert!(near(average.value(), 50.0), "{average:?}");
    }

    #[test]
    fn the_first_word_is_divided_among_its_causes() {
        let timings = Timings { prompt_n: 100, prompt_ms: 200.0, predicted_n: 50, predicted_ms: 500.0 };
        let sample = Sample {
            rtt_ms: 5.0,
            loaded: true,
            first_ms: Some(235.0),
            rest_ms: 490.0,
            expected_prompt: 80.0,
            prompt: Some(100),
            answer: 50,
            complete: true,
            timings: Some(timings),
            ..Sample::default()
        };
        let mut rate = Rate::default();
        rate.learn(&sample);
        assert!(near(rate.prefill.value(), 2.0) && near(rate.decode.value(), 10.0), "{rate:?}");
        assert!(near(rate.overhead.value(), 30.0) && near(rate.prompt_scale.value(), 1.25), "{rate:?}");
        assert!(near(rate.answer.value(), 50.0) && rate.load.value().is_none(), "{rate:?}");
        rate.learn(&Sample { loaded: false, first_ms: Some(2235.0), ..sample });
        assert!(near(rate.load.value(), 2000.0) && near(rate.overhead.value(), 30.0), "{rate:?}");

        let mut unmeasured = Rate::default();
        unmeasured.learn(&Sample { timings: None, ..sample });
        assert!(near(unmeasured.prefill.value(), 2.2) && near(unmeasured.decode.value(), 10.0), "{unmeasured:?}");
        assert_eq!(unmeasured.overhead.value(), None, "not counted twice");
        let mut short = Rate::default();
        short.learn(&Sample { timings: None, prompt: Some(5), complete: false, ..sample });
        assert!(near(short.overhead.value(), 217.5) && near(short.prefill.value(), 2.5), "{short:?}");
        assert_eq!(short.answer.value(), None, "a cut answer has no length");
    }

    #[tokio::test]
    async fn what_was_learned_is_kept_and_bounded() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("device.sqlite");
        let (store, _) = Store::open(&path).expect("opened");
        let stop = CancellationToken::new();
        let rates = Rates::start(store.clone(), stop.clone()).await.expect("started");
        let device = DeviceId::of_secret(&[7; 32]);
        let sample = Sample { loaded: true, first_ms: Some(42.0), answer: 9, complete: true, ..Sample::default() };
        for n in 0..MAX_KEPT + 5 {
            rates.learn((device, format!("model-{n}")), &sample);
            if n % 100 == 0 {
                tokio::task::yield_now().await;
            }
        }
        rates.learn((device, "last".to_owned()), &sample);
        assert!(rates.table.borrow().len() <= MAX_KEPT);
        let known = rates.of(device, ["last", "other"].into_iter());
        assert_eq!((known.len(), known["last"].answers()), (1, 1));
        stop.cancel();
        rates.ended().await;
        drop(store);
        let (store, _) = Store::open(&path).expect("opened");
        let again = Rates::start(store.clone(), CancellationToken::new()).await.expect("started");
        assert!(again.table.borrow().len() <= MAX_KEPT);
        assert!(!again.table.borrow().is_empty());
        let write = |key: &'static str, text: &'static str| {
            store.call(move |connection| {
                let sql = "INSERT INTO rates (device, model, rate, at) VALUES (?1, 'x', ?2, 1)";
                Ok(connection.execute(sql, [key, text])?)
            })
        };
        write("nobody", "{}").await.expect("written");
        Rates::start(store, CancellationToken::new()).await.expect("what cannot be read is no obstacle");
    }
}
