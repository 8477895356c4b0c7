//! Who gets memory: models that are wanted are loaded in turn; those that nobody has asked for longest make room.

use std::time::Instant;

use sysinfo::{MemoryRefreshKind, RefreshKind, System};

use super::supervisor::{Next, Phase};
use super::{Builtin, Model};
use crate::Hardware;
use crate::library::Room;

/// What a model is told that has to wait.
const WAITS: &str = "It waits for memory: another model is answering and is taken out of memory after that.";

/// How much memory models may take.
pub(super) struct Memory {
    /// What the device can give; unknown until its drivers have told.
    room: Option<Room>,
    limit: Option<u64>,
    system: System,
}

impl Memory {
    pub(super) fn new(limit: Option<u64>) -> Self {
        let system =
            System::new_with_specifics(RefreshKind::nothing().with_memory(MemoryRefreshKind::nothing().with_ram()));
        Self { room: None, limit, system }
    }

    pub(super) fn made_of(&mut self, hardware: &Hardware) {
        // A system that does not tell its memory says nothing about room either.
        self.room = (hardware.memory_bytes > 0).then(|| Room::of(hardware));
    }

    /// What is left for one more model beside those that take `taken`.
    fn left(&mut self, taken: u64) -> u64 {
        let limited = self.limit.map_or(u64::MAX, |limit| limit.saturating_sub(taken));
        let Some(room) = &self.room else { return limited };
        self.system.refresh_memory_specifics(MemoryRefreshKind::nothing().with_ram());
        let free = self.system.cgroup_limits().map_or(u64::MAX, |limits| limits.free_memory);
        room.left(taken, self.system.available_memory().min(free)).min(limited)
    }
}

/// Whether a model takes memory, or will by itself.
fn takes(model: &Model) -> bool {
    let phase = model.supervisor.phase();
    matches!(phase, Phase::Loading | Phase::Ready | Phase::Pausing(_) | Phase::Ending { .. })
}

impl Builtin {
    /// Loads the models that wait, the first first, as long as there is room or room can be made.
    pub(super) fn admit(&mut self, now: Instant) {
        while let Some(id) = self.queue.front().cloned() {
            let waiting = self.models.get(&id).filter(|model| model.supervisor.phase() == Phase::Waiting);
            let Some(need) = waiting.map(Model::needs) else {
                self.queue.pop_front();
                continue;
            };
            // Those who asked may have given up meanwhile.
            if self.models.get_mut(&id).is_some_and(|model| !model.is_wanted()) {
                self.end(&id);
                continue;
            }
            if !self.has_room(need) && self.must_wait() {
                if let Some(model) = self.models.get_mut(&id) {
                    model.reason = Some(WAITS.to_owned());
                }
                return;
            }
            self.queue.pop_front();
            let Some(model) = self.models.get_mut(&id) else { continue };
            model.reason = None;
            if model.supervisor.want() == Next::Start {
                self.start(&id, now);
            }
        }
    }

    /// Whether there is room now. Where there is not, models that nobody asks are told to end until there will be.
    fn has_room(&mut self, need: u64) -> bool {
        let taken = self.models.values().filter(|model| takes(model)).map(Model::needs).fold(0, u64::saturating_add);
        let left = self.memory.left(taken);
        if left >= need {
            return true;
        }
        let going = self.models.values().filter(|model| matches!(model.supervisor.phase(), Phase::Ending { .. }));
        let mut coming = going.map(Model::needs).fold(left, u64::saturating_add);
        while coming < need
            && let Some((id, _)) = self.idle_longest()
        {
            tracing::info!(model = id, "it makes room for another");
            coming = coming.saturating_add(self.models.get(&id).map_or(0, Model::needs));
            self.end(&id);
        }
        false
    }

    /// Whether there will be room by itself. If not, loading is tried: what a model needs is an estimate, and weights are
    /// mapped, not copied, wherever a processor reads them.
    fn must_wait(&self) -> bool {
        self.models.iter().any(|(id, model)| match model.supervisor.phase() {
            Phase::Ending { .. } => true,
            Phase::Loading | Phase::Ready | Phase::Pausing(_) => !self.pinned.contains(id),
            Phase::Stopped | Phase::Waiting | Phase::Failed => false,
        })
    }

    /// The model in memory that nobody has asked for longest, and since when; none that is pinned or answering.
    pub(super) fn idle_longest(&self) -> Option<(String, Instant)> {
        let idle = self.models.iter().filter(|(id, model)| model.is_idle() && !self.pinned.contains(*id));
        idle.min_by_key(|(_, model)| model.used).map(|(id, model)| (id.clone(), model.used))
    }

    /// Takes a model out of memory.
    pub(super) fn end(&mut self, id: &str) {
        if let Some(model) = self.models.get_mut(id)
            && model.supervisor.stop()
        {
            model.end_when_free();
        }
    }
}
