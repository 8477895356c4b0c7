//! What can be asked of the actor, and what carries it out.

use std::sync::Arc;

use bytes::Bytes;

use super::{Actor, Admitted, DocumentCommand, RemovalBegun, Reply, answer};
use crate::api::{DecisionInfo, InviteInfo, InviteOptions, MemberInfo, NetworkInfo, Removal, SettingsPatch};
use crate::mesh::JoinProgress;
use crate::net::join::Target;
use crate::net::sync::{CardPush, Push, Stock};
use crate::proto::ids::{DeviceId, InviteId, NetworkId, RecordId};
use crate::proto::knock::{Admission, Board, Bundle, Decide, PendingKnock, Verdict};
use crate::proto::name::{DeviceName, NetworkName};
use crate::proto::reconcile::RecordSet;
use crate::proto::record::{Admit, NetworkKind, Record, Role, Via};
use crate::proto::spread;

/// What can be asked of the actor.
pub(crate) enum Command {
    Network(NetworkCommand),
    Member(MemberCommand),
    Knock(KnockCommand),
    Document(DocumentCommand),
    /// A member has confirmed removals.
    Acknowledged {
        network: NetworkId,
        by: DeviceId,
        records: Vec<RecordId>,
    },
    /// A member sent records.
    PeerRecords {
        from: DeviceId,
        network: NetworkId,
        push: Push,
        reply: Reply<()>,
    },
    /// A member asks for records.
    PeerFetch {
        stock: Stock,
        network: NetworkId,
        ids: Vec<RecordId>,
        reply: Reply<Vec<Vec<u8>>>,
    },
    /// A member reconciles.
    PeerReconcile {
        stock: Stock,
        network: NetworkId,
        message: Bytes,
        reply: Reply<Bytes>,
    },
    /// A member sent its card.
    PeerCard {
        from: DeviceId,
        network: NetworkId,
        push: CardPush,
        reply: Reply<()>,
    },
    /// A task reconciles with a member: the set as it is.
    RecordSet {
        stock: Stock,
        network: NetworkId,
        reply: Reply<Arc<RecordSet>>,
    },
    /// A push or a comparison of records is over.
    Spread {
        stock: Stock,
        network: NetworkId,
        event: spread::Event,
    },
    /// Which of these a reconciliation should fetch.
    Wanted {
        stock: Stock,
        network: NetworkId,
        ids: Vec<RecordId>,
        reply: Reply<Vec<RecordId>>,
    },
}

/// About networks.
pub(crate) enum NetworkCommand {
    CreateNetwork {
        name: NetworkName,
        kind: NetworkKind,
        reply: Reply<NetworkInfo>,
    },
    UseNetwork {
        network: NetworkId,
        reply: Reply<NetworkInfo>,
    },
    LeaveNetwork {
        reply: Reply<()>,
    },
    ForgetNetwork {
        network: NetworkId,
        reply: Reply<()>,
    },
    RenameNetwork {
        network: NetworkId,
        name: NetworkName,
        reply: Reply<NetworkInfo>,
    },
    SetNetworkKind {
        network: NetworkId,
        kind: NetworkKind,
        reply: Reply<NetworkInfo>,
    },
    SetNetworkSettings {
        network: NetworkId,
        patch: Box<SettingsPatch>,
        reply: Reply<NetworkInfo>,
    },
    Decisions {
        network: NetworkId,
        reply: Reply<Vec<DecisionInfo>>,
    },
    /// Knock at a network.
    Join {
        target: Box<Target>,
        reply: Reply<JoinProgress>,
    },
    /// A join task is through: keep the network and make it the active one.
    Adopt {
        admission: Box<Admission>,
        reply: Reply<NetworkInfo>,
    },
}

impl From<NetworkCommand> for Command {
    fn from(command: NetworkCommand) -> Self {
        Self::Network(command)
    }
}

/// About members, invites and this device among them.
pub(crate) enum MemberCommand {
    CreateInvite {
        options: InviteOptions,
        reply: Reply<InviteInfo>,
    },
    Invites {
        reply: Reply<Vec<InviteInfo>>,
    },
    RevokeInvite {
        invite: InviteId,
        reply: Reply<()>,
    },
    RemoveDevice {
        device: DeviceId,
        reply: Reply<RemovalBegun>,
    },
    /// How far a removal is.
    RemovalOf {
        network: NetworkId,
        record: RecordId,
        reply: Reply<Removal>,
    },
    SetRole {
        device: DeviceId,
        role: Role,
        reply: Reply<MemberInfo>,
    },
    RenameDevice {
        name: DeviceName,
        reply: Reply<()>,
    },
    PublishCard {
        card: serde_json::Value,
        reply: Reply<()>,
    },
    /// Whether any place of this device is known.
    Places {
        device: DeviceId,
        reply: Reply<bool>,
    },
}

impl From<MemberCommand> for Command {
    fn from(command: MemberCommand) -> Self {
        Self::Member(command)
    }
}

/// What follows from knocks.
pub(crate) enum KnockCommand {
    /// The knock actor has a decision: write it.
    Admit { knock: Box<PendingKnock>, role: Role, via: Via, reply: Reply<Admitted> },
    /// Another member decided about a knock here, and signed this record: keep it.
    AdmitSigned { knock: Box<PendingKnock>, record: Box<Record>, reply: Reply<Admitted> },
    /// A person here approves a knock at another member: sign, and tell nobody yet.
    SignApproval { network: NetworkId, admit: Box<Admit>, reply: Reply<Record> },
    /// That member took the record.
    KeepApproval { record: Box<Record>, reply: Reply<MemberInfo> },
    /// A member tells what waits at it.
    PeerBoard { from: DeviceId, network: NetworkId, board: Board, reply: Reply<()> },
    /// A member has decided about a knock here.
    PeerDecide { by: DeviceId, network: NetworkId, decide: Decide, reply: Reply<Verdict> },
    /// A former member asks by which records it was removed.
    RemovalsOf { device: DeviceId, reply: Reply<Vec<Vec<u8>>> },
    /// A member that lost its records knocks.
    BundleFor { device: DeviceId, reply: Reply<Bundle> },
}

impl From<KnockCommand> for Command {
    fn from(command: KnockCommand) -> Self {
        Self::Knock(command)
    }
}

impl Actor {
    /// Carries a command out.
    pub(super) async fn handle(&mut self, command: Command) {
        match command {
            Command::Network(command) => self.handle_network(command).await,
            Command::Member(command) => self.handle_member(command).await,
            Command::Knock(command) => self.handle_knock(command).await,
            Command::Acknowledged { network, by, records } => self.acknowledged(network, by, &records),
            Command::PeerRecords { from, network, push, reply } => {
                self.overhear(network, &push.peers);
                let done = self.peer_records(from, network, push).await;
                // The sender takes the answer for a confirmation of the removals in it.
                self.answer_when_cut(reply, done);
            }
            Command::Document(command) => self.handle_document(command),
            Command::PeerFetch { stock, network, ids, reply } => answer(reply, self.peer_fetch(stock, network, &ids)),
            Command::PeerReconcile { stock, network, message, reply } => {
                answer(reply, self.peer_reconcile(stock, network, &message));
            }
            Command::PeerCard { from, network, push, reply } => {
                let done = self.peer_card(from, network, push);
                self.publish_then(reply, done);
            }
            Command::RecordSet { stock, network, reply } => answer(reply, self.record_set(stock, network).cloned()),
            Command::Spread { stock, network, event } if self.ledger_of(network).is_ok() => match stock {
                Stock::Records => self.spread(event),
                Stock::Documents => self.spread_documents(event),
            },
            Command::Spread { .. } => {}
            Command::Wanted { stock, network, ids, reply } => answer(reply, self.wanted(stock, network, ids)),
        }
    }

    async fn handle_network(&mut self, command: NetworkCommand) {
        match command {
            NetworkCommand::CreateNetwork { name, kind, reply } => {
                let done = self.create_network(name, kind).await;
                self.publish_then(reply, done);
            }
            NetworkCommand::UseNetwork { network, reply } => {
                let done = self.use_network(network).await;
                self.publish_then(reply, done);
            }
            NetworkCommand::LeaveNetwork { reply } => {
                let done = self.leave_network();
                self.publish_then(reply, done);
            }
            NetworkCommand::ForgetNetwork { network, reply } => {
                let done = self.forget_network(network);
                self.publish_snapshot();
                match done {
                    // The state has changed; only the word to the others takes time.
                    Ok(word) => drop(self.tasks.spawn(async move {
                        word.await;
                        answer(reply, Ok(()));
                    })),
                    Err(error) => answer(reply, Err(error)),
                }
            }
            NetworkCommand::RenameNetwork { network, name, reply } => {
                let done = self.rename_network(network, name).await;
                self.publish_then(reply, done);
            }
            NetworkCommand::SetNetworkKind { network, kind, reply } => {
                let done = self.set_network_kind(network, kind).await;
                self.publish_then(reply, done);
            }
            NetworkCommand::SetNetworkSettings { network, patch, reply } => {
                let done = self.set_network_settings(network, *patch).await;
                self.publish_then(reply, done);
            }
            NetworkCommand::Decisions { network, reply } => answer(reply, self.decisions(network)),
            NetworkCommand::Join { target, reply } => {
                let done = self.join(*target).await;
                self.publish_then(reply, done);
            }
            NetworkCommand::Adopt { admission, reply } => {
                let done = self.adopt(*admission).await;
                self.publish_then(reply, done);
            }
        }
    }

    async fn handle_member(&mut self, command: MemberCommand) {
        match command {
            MemberCommand::CreateInvite { options, reply } => {
                let done = self.create_invite(options).await;
                self.publish_then(reply, done);
            }
            MemberCommand::Invites { reply } => answer(reply, self.invites()),
            MemberCommand::RevokeInvite { invite, reply } => {
                let done = self.revoke_invite(invite).await;
                self.publish_then(reply, done);
            }
            MemberCommand::RemoveDevice { device, reply } => {
                let done = self.remove_device(device).await;
                self.answer_when_cut(reply, done);
            }
            MemberCommand::RemovalOf { network, record, reply } => answer(reply, self.removal(network, record)),
            MemberCommand::SetRole { device, role, reply } => {
                let done = self.set_role(device, role).await;
                self.publish_then(reply, done);
            }
            MemberCommand::RenameDevice { name, reply } => {
                let done = self.rename_device(name).await;
                self.publish_then(reply, done);
            }
            MemberCommand::PublishCard { card, reply } => {
                let done = self.publish_card(card);
                self.publish_then(reply, done);
            }
            MemberCommand::Places { device, reply } => answer(reply, Ok(self.knows_places(device))),
        }
    }

    async fn handle_knock(&mut self, command: KnockCommand) {
        match command {
            KnockCommand::Admit { knock, role, via, reply } => {
                let done = self.admit(*knock, role, via).await;
                self.publish_then(reply, done);
            }
            KnockCommand::AdmitSigned { knock, record, reply } => {
                let done = self.admit_signed(*knock, *record).await;
                self.publish_then(reply, done);
            }
            KnockCommand::SignApproval { network, admit, reply } => answer(reply, self.sign_approval(network, *admit)),
            KnockCommand::KeepApproval { record, reply } => {
                let done = self.keep_approval(*record).await;
                self.publish_then(reply, done);
            }
            KnockCommand::PeerBoard { from, network, board, reply } => match self.ledger_of(network) {
                Ok(_) => self.knocks.board(from, board, reply),
                Err(error) => answer(reply, Err(error)),
            },
            KnockCommand::PeerDecide { by, network, decide, reply } => match self.ledger_of(network) {
                Ok(_) => self.knocks.decide_for(by, decide, reply),
                Err(error) => answer(reply, Err(error)),
            },
            KnockCommand::RemovalsOf { device, reply } => answer(reply, self.removals_of(device)),
            KnockCommand::BundleFor { device, reply } => answer(reply, self.bundle(device)),
        }
    }
}
