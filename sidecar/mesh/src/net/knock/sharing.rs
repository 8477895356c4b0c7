//! Knocks between members: what waits here is told to every linked member that may admit, what waits there is shown
//! here, and a decision goes to the member that is knocked at. Drives [`crate::proto::knock::share`].

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{mpsc, watch};
use tokio_util::task::AbortOnDropHandle;

use super::{Actor, Decided, Event, Knocks, ask};
use crate::actor::{Command, KnockCommand, Reply};
use crate::api::{KnockInfo, KnockOutcome, MemberInfo, MeshEvent};
use crate::clock::now_ms;
use crate::error::MeshError;
use crate::net::link::Link;
use crate::net::refusals::Attempt;
use crate::net::sync::{self, DECIDE, KNOCKS, pack, unpack};
use crate::proto::fold::Membership;
use crate::proto::ids::{DeviceId, KnockId};
use crate::proto::knock::{
    Board, BoardEnd, BoardError, Decide, DecideError, Decision, HostEffect, Outcome, PassedEffect, PassedKnock, Verdict,
};
use crate::proto::name::DeviceName;
use crate::proto::record::{Admit, Via};

/// Pauses before a board that was not taken is sent again: the member may not have heard yet that it may admit.
const RETRIES: [Duration; 3] = [Duration::from_millis(200), Duration::from_secs(1), Duration::from_secs(4)];

/// Whoever waits for a decision to be carried out.
pub(super) enum Waiter {
    /// The person at this device.
    Here(Decided),
    /// Another member.
    There(Reply<Verdict>),
}

impl Waiter {
    /// Tells how it went; whoever decided may have gone away.
    pub(super) fn answer(self, outcome: Result<Option<MemberInfo>, MeshError>) {
        match self {
            Self::Here(reply) => drop(reply.send(outcome)),
            Self::There(reply) => {
                let verdict = if outcome.is_ok() { Verdict::Done } else { Verdict::Failed };
                drop(reply.send(Ok(verdict)));
            }
        }
    }
}

impl Knocks {
    /// A linked member tells what waits at it. Never waits: whoever floods this device is told to come back.
    pub(crate) fn board(&self, from: DeviceId, board: Board, reply: Reply<()>) {
        if let Err(error) = self.inbox.try_send(Event::Board(from, board, reply))
            && let Event::Board(_, _, reply) = error.into_inner()
        {
            let _ = reply.send(Err(MeshError::Stopped));
        }
    }

    /// A linked member has decided about a knock here. As [`Knocks::board`], it never waits.
    pub(crate) fn decide_for(&self, by: DeviceId, decide: Decide, reply: Reply<Verdict>) {
        if let Err(error) = self.inbox.try_send(Event::DecideFor(by, decide, reply))
            && let Event::DecideFor(_, _, reply) = error.into_inner()
        {
            let _ = reply.send(Err(MeshError::Stopped));
        }
    }
}

impl Actor {
    /// Tells newly linked members what waits here, and ends what waited at members that are gone.
    pub(super) fn follow_links(&mut self) {
        let table = self.setup.table.borrow_and_update().clone();
        let membership = self.roster.membership.clone();
        let here = |link: &&Arc<Link>| membership.as_ref().is_some_and(|it| it.network == link.network);
        let links: Vec<&Arc<Link>> = table.values().filter_map(|view| view.link.as_ref()).filter(here).collect();
        let linked: BTreeSet<DeviceId> = links.iter().map(|link| link.device).collect();
        let effects = self.passed.links(&linked);
        self.carry_out_passed(effects);

        let asked = |device| membership.as_ref().is_some_and(|membership| membership.may_admit(device));
        let links: Vec<&Arc<Link>> = links.into_iter().filter(|link| asked(link.device)).collect();
        self.sharing.retain(|device, (id, _)| links.iter().any(|link| link.device == *device && link.id() == *id));
        let mut news = false;
        for link in links {
            if !self.sharing.contains_key(&link.device) {
                let task = AbortOnDropHandle::new(tokio::spawn(share(link.clone(), self.boards.subscribe())));
                self.sharing.insert(link.device, (link.id(), task));
                news = true;
            }
        }
        self.host.passes_on(!self.sharing.is_empty());
        if news && !self.host.shown().is_empty() {
            // How long the knocks still wait has changed since the board was written.
            self.refresh_board();
        }
    }

    /// Writes the board anew, for every member that is told.
    pub(super) fn refresh_board(&mut self) {
        self.board_seq += 1;
        self.boards.send_replace(Arc::new(self.host.board(self.board_seq, now_ms())));
    }

    /// Takes the board of a member in.
    pub(super) fn board(&mut self, from: DeviceId, board: Board, reply: Reply<()>) {
        let outcome = match self.roster.membership.clone() {
            None => Err(MeshError::NoNetwork),
            Some(membership) => {
                let here = self.host.shown().iter().map(|knock| knock.device).collect();
                let taken = self.passed.board(from, board, &here, now_ms(), &membership);
                taken.map(|effects| self.carry_out_passed(effects)).map_err(|error| match error {
                    BoardError::TooLong => MeshError::Protocol(error.to_string()),
                    BoardError::NotMine => MeshError::NotAllowed(error.to_string()),
                })
            }
        };
        let _ = reply.send(outcome);
        // The link may have been seen before this first board, and not change again until it is lost.
        let table = self.setup.table.borrow().clone();
        let linked = table.iter().filter(|(_, view)| view.link.is_some()).map(|(device, _)| *device).collect();
        let effects = self.passed.links(&linked);
        self.carry_out_passed(effects);
    }

    /// Ends all that was shown of other members' knocks.
    pub(super) fn end_passed(&mut self) {
        let effects = self.passed.stop();
        self.carry_out_passed(effects);
    }

    pub(super) fn carry_out_passed(&mut self, effects: Vec<PassedEffect>) {
        if effects.is_empty() {
            return;
        }
        self.publish();
        for effect in effects {
            let event = match effect {
                PassedEffect::Arrived(knock) => MeshEvent::KnockArrived(self.passed_info(&knock)),
                PassedEffect::Ended { knock, outcome, by } => MeshEvent::KnockEnded {
                    id: knock.id,
                    device_name: knock.name,
                    outcome: match outcome {
                        Outcome::Approved => KnockOutcome::Approved,
                        Outcome::Denied => KnockOutcome::Denied,
                        Outcome::Withdrawn => KnockOutcome::Withdrawn,
                        Outcome::Expired => KnockOutcome::Expired,
                    },
                    decided_by: by.and_then(|by| self.member_name(by)),
                },
                PassedEffect::TooMany(host) => {
                    self.setup.refusals.tell(host, Attempt::KnockFlood);
                    continue;
                }
            };
            // Nobody listening is fine.
            let _ = self.setup.events.send(event);
        }
    }

    /// A knock at another member as it is shown.
    pub(super) fn passed_info(&self, knock: &PassedKnock) -> KnockInfo {
        KnockInfo {
            id: knock.id,
            network: knock.network,
            device_id: knock.device,
            device_name: knock.name.clone(),
            resembles: knock.resembles.clone(),
            os: knock.os.clone(),
            code: knock.code,
            at: knock.at,
            expires_at: knock.expires_at,
            via: self.member_name(knock.host),
        }
    }

    /// The name of a member, this device included.
    pub(super) fn member_name(&self, device: DeviceId) -> Option<DeviceName> {
        self.roster.membership.as_ref()?.members.get(&device).map(|member| member.name.clone())
    }

    /// Carries out what another member decided about a knock here.
    pub(super) fn decide_for(&mut self, by: DeviceId, decide: Decide, reply: Reply<Verdict>) {
        let Some(membership) = self.roster.membership.clone() else {
            let _ = reply.send(Err(MeshError::NoNetwork));
            return;
        };
        let (Decide::Approve { id, .. } | Decide::Deny { id, .. }) = &decide;
        let id = *id;
        match self.host.decide_for(by, decide, &membership) {
            Ok(effects) => {
                if effects.iter().any(|effect| matches!(effect, HostEffect::Admit { .. })) {
                    self.deciding.insert(id, Waiter::There(reply));
                } else {
                    let _ = reply.send(Ok(Verdict::Done));
                }
                self.carry_out(effects);
            }
            Err(error) => {
                if error == DecideError::MayNotGrant {
                    self.setup.refusals.tell(by, Attempt::NoAuthority);
                }
                let _ = reply.send(Ok(verdict(error)));
            }
        }
    }

    /// Sends a decision of the person here to the member that is knocked at.
    pub(super) fn decide_elsewhere(
        &mut self,
        id: KnockId,
        decision: Decision,
        membership: &Arc<Membership>,
        reply: Decided,
    ) {
        let knock = match self.decidable(id, &decision, membership) {
            Ok(knock) => knock,
            Err(error) => return drop(reply.send(Err(error))),
        };
        let link = self.setup.table.borrow().get(&knock.host).and_then(|view| view.link.clone());
        let Some(link) = link else {
            let _ = reply.send(Err(MeshError::UnknownKnock));
            return;
        };
        self.answering.insert(id);
        let (mesh, membership) = (self.setup.mesh.clone(), membership.clone());
        self.elsewhere.spawn(async move {
            // Whoever decided may have gone away.
            let _ = reply.send(answer_elsewhere(&knock, decision, &link, &mesh, &membership).await);
            id
        });
    }

    /// The knock at another member that `decision` is about, if it can be sent there.
    fn decidable(&self, id: KnockId, decision: &Decision, membership: &Membership) -> Result<PassedKnock, MeshError> {
        let Some(knock) = self.passed.get(id) else {
            return Err(match self.passed.ended(id) {
                Some(BoardEnd { outcome: outcome @ (Outcome::Approved | Outcome::Denied), by: Some(by), .. }) => {
                    let approved = *outcome == Outcome::Approved;
                    refusal(DecideError::Decided { by: *by, approved }, membership)
                }
                _ => MeshError::UnknownKnock,
            });
        };
        if self.answering.contains(&id) {
            return Err(DecideError::Deciding.into());
        }
        match decision {
            Decision::Approve { code: Some(code), .. } if *code != knock.code => Err(DecideError::CodesDiffer.into()),
            Decision::Approve { role, .. } if !membership.may_grant(self.setup.me, *role) => {
                Err(DecideError::MayNotGrant.into())
            }
            _ => Ok(knock.clone()),
        }
    }
}

/// Why a decision is not carried out, with the name of whoever was first.
pub(super) fn refusal(error: DecideError, membership: &Membership) -> MeshError {
    let DecideError::Decided { by, approved } = error else { return error.into() };
    let name = membership.members.get(&by).map_or_else(|| by.short(), |member| member.name.to_string());
    let did = if approved { "approved" } else { "denied" };
    MeshError::Conflict(format!("{name} already {did} it. There is nothing left to answer."))
}

fn verdict(error: DecideError) -> Verdict {
    match error {
        DecideError::Gone => Verdict::Gone,
        DecideError::Deciding => Verdict::Failed,
        DecideError::CodesDiffer | DecideError::MayNotGrant => Verdict::MayNot,
        DecideError::Decided { by, approved } => Verdict::Decided { by: Some(by), approved },
    }
}

/// Signs what is to be signed, asks the member that is knocked at, and keeps the admission when it was taken.
async fn answer_elsewhere(
    knock: &PassedKnock,
    decision: Decision,
    link: &Arc<Link>,
    mesh: &mpsc::Sender<Command>,
    membership: &Membership,
) -> Result<Option<MemberInfo>, MeshError> {
    let host = membership.members.get(&knock.host);
    let host = host.map_or_else(|| knock.host.short(), |member| member.name.to_string());
    let (decide, record) = match decision {
        Decision::Approve { role, .. } => {
            let (device, name, os) = (knock.device, knock.name.clone(), knock.os.clone());
            let admit = Box::new(Admit { device, name, os, role, via: Via::Knock });
            let record = ask(mesh, |reply| KnockCommand::SignApproval { network: knock.network, admit, reply }).await?;
            (Decide::Approve { id: knock.id, record: record.as_bytes().to_vec() }, Some(Box::new(record)))
        }
        Decision::Deny { kind, reason } => (Decide::Deny { id: knock.id, kind, reason }, None),
    };
    let answer: Bytes = sync::post(link, DECIDE, pack(&decide)).await.map_err(|error| {
        tracing::info!(%error, "a decision did not reach the member that is knocked at");
        MeshError::Unreachable(format!(
            "The knock lies at {host}, which did not answer. Look whether it still waits, then try again."
        ))
    })?;
    let verdict = unpack::<Verdict>(&answer).ok_or_else(|| MeshError::Protocol("no verdict on a knock".to_owned()))?;
    match (verdict, record) {
        (Verdict::Done, Some(record)) => {
            ask(mesh, |reply| KnockCommand::KeepApproval { record, reply }).await.map(Some)
        }
        (Verdict::Done, None) => Ok(None),
        (Verdict::Decided { by: Some(by), approved }, _) => {
            Err(refusal(DecideError::Decided { by, approved }, membership))
        }
        (Verdict::Decided { by: None, .. } | Verdict::Gone, _) => Err(MeshError::UnknownKnock),
        (Verdict::MayNot, _) => Err(MeshError::NotAllowed(format!(
            "The knock lies at {host}, and by what {host} knows this device may not answer it like that. Ask an owner of the network."
        ))),
        (Verdict::Failed, _) => Err(MeshError::Conflict(format!(
            "{host} could not carry that out now. Look whether the knock still waits, then try again."
        ))),
    }
}

/// Tells one linked member what waits here, and again whenever that changes.
async fn share(link: Arc<Link>, mut boards: watch::Receiver<Arc<Board>>) {
    let mut told = false;
    loop {
        let board = boards.borrow_and_update().clone();
        if told || !board.waiting.is_empty() {
            told = true;
            let body = pack(&*board);
            for pause in RETRIES {
                match sync::post(&link, KNOCKS, body.clone()).await {
                    Ok(_) => break,
                    Err(error) => tracing::debug!(device = %link.device.short(), %error, "a knock was not passed on"),
                }
                // A newer board is as good as this one.
                if matches!(tokio::time::timeout(pause, boards.changed()).await, Ok(Ok(()))) {
                    boards.mark_changed();
                    break;
                }
            }
        }
        if boards.changed().await.is_err() {
            return;
        }
    }
}
