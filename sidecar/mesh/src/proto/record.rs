//! The signed record: the one thing that is replicated.
//!
//! A record is an immutable statement by one device about one network. A [`Record`] value has always been checked:
//! it is within its bounds, canonically encoded, and its signature holds. Whether it *counts* is for
//! [`fold`](super::fold) to say.
//!
//! The bytes: a postcard [`Envelope`], then the author's 64-byte ed25519 signature over [`SIGN_CONTEXT`] and those
//! bytes. The id is the BLAKE3 hash (derived key [`ID_CONTEXT`]) of the envelope without the signature, so one statement
//! has one id however often it is signed. The envelope holds the body as a kind number and a byte string: a kind that
//! this version does not know is [`Body::Unknown`]; it is stored, relayed and counted in its author's sequence like any
//! other, and says nothing here. A body never changes its layout; a new layout is a new kind.

use std::sync::Arc;

use iroh::{SecretKey, Signature};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::{
    Millis,
    document::{Entry, MAX_DOCUMENT_RECORD_BYTES},
    hlc::Hlc,
    ids::{DeviceId, InviteId, NetworkId, RecordId},
    invite::InviteKey,
    name::{DeviceName, NetworkName, is_clean_text},
    settings::NetworkSettings,
};

/// Most bytes a record may have, signature included. One that carries a document may have
/// [`MAX_DOCUMENT_RECORD_BYTES`].
pub const MAX_RECORD_BYTES: usize = 16 * 1024;
/// Most devices a pre-approved invite may admit.
pub const MAX_INVITE_USES: u32 = 100;
/// Longest operating system text, in characters.
pub const MAX_OS_CHARS: usize = 64;
/// The envelope's version.
const VERSION: u8 = 1;
const SIGNATURE_BYTES: usize = Signature::LENGTH;
/// Separates a record's signature from every other use of the device key.
const SIGN_CONTEXT: &[u8] = b"myownmesh record signature v1\0";
/// Separates a record's id from every other hash.
const ID_CONTEXT: &str = "myownmesh record id v1";

/// Why bytes are no record, or a record cannot be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// More than [`MAX_RECORD_BYTES`].
    #[error("the record is larger than {MAX_RECORD_BYTES} bytes")]
    TooLarge,
    /// Not the encoding of a record, or not the canonical one.
    #[error("the record is damaged: {0}")]
    Malformed(&'static str),
    /// Made by a later version of the app.
    #[error("the record was made by a newer version of the app (format {0}): update this device")]
    NewerVersion(u8),
    /// A field is outside its bounds.
    #[error("the record is not valid: {0}")]
    OutOfBounds(&'static str),
    /// The signature is not the author's.
    #[error("the record's signature does not match its author")]
    BadSignature,
    /// It belongs to another network.
    #[error("the record belongs to another network")]
    OtherNetwork,
}

/// What a device may do in a network. Orders by power.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Uses what the network shares; in an open network it also admits.
    Member,
    /// Also admits and removes members.
    Manager,
    /// May do everything, roles and kind included.
    Owner,
}

/// Who may admit devices.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NetworkKind {
    /// Every member.
    #[default]
    Open,
    /// Owners and managers.
    Closed,
}

/// How a device came to be admitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Via {
    /// A person compared the code and approved.
    Knock,
    /// A pre-approved invite. `proof` is the newcomer's: made with the invite's secret over its own device id, so that
    /// the admitting member learns nothing it could admit others with, and nobody can claim a use that never happened.
    Invite {
        /// The invite.
        id: InviteId,
        /// Signature by the invite's key, see [`InviteSecret::prove`](super::invite::InviteSecret::prove).
        proof: Signature,
    },
}

/// Founds a network. Always the founder's first record; the network's id is this record's id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Genesis {
    /// The network's name.
    pub name: NetworkName,
    /// Who may admit.
    pub kind: NetworkKind,
    /// What the founder is called.
    pub founder_name: DeviceName,
    /// The founder's operating system.
    pub founder_os: String,
    /// Keeps two networks of the same founder, name and millisecond apart.
    pub nonce: [u8; 16],
}

/// Makes a device a member.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Admit {
    /// The newcomer.
    pub device: DeviceId,
    /// Its name, as approved.
    pub name: DeviceName,
    /// Its operating system.
    pub os: String,
    /// Its role.
    pub role: Role,
    /// By whose leave.
    pub via: Via,
}

/// Ends a membership.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Remove {
    /// Who is removed.
    pub device: DeviceId,
    /// The last of its records that still counts: whatever it signs with a higher number, or back-dates, does not.
    pub last_seq: u64,
}

/// Gives a member another role.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetRole {
    /// Whose role.
    pub device: DeviceId,
    /// The new role.
    pub role: Role,
    /// When the role is lowered: the last of its records that is judged by the old one.
    pub last_seq: u64,
}

/// Renames the network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rename {
    /// The new name.
    pub name: NetworkName,
}

/// What a member says about itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceInfo {
    /// What it calls itself now.
    pub name: DeviceName,
    /// Its operating system.
    pub os: String,
}

/// A pre-approved invite: whoever proves to hold its secret is admitted without a person being asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InviteGrant {
    /// The invite's public key; its id is derived from it.
    pub key: InviteKey,
    /// The role it gives.
    pub role: Role,
    /// How many devices it admits, 1 to [`MAX_INVITE_USES`].
    pub uses: u32,
    /// When it ends.
    pub expires_at: Millis,
}

/// Ends a pre-approved invite early.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RevokeInvite {
    /// Which.
    pub id: InviteId,
}

/// Changes who may admit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    /// The new kind.
    pub kind: NetworkKind,
    /// When the network is closed: of each plain member the last record that is judged by the open rule, ascending by
    /// device. One that is not listed has none.
    pub honours: Vec<(DeviceId, u64)>,
}

/// What a record says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Body {
    /// Founds the network (kind 1).
    Genesis(Genesis),
    /// Admits a device (kind 2).
    Admit(Admit),
    /// Removes a device (kind 3).
    Remove(Remove),
    /// Sets a role (kind 4).
    Role(SetRole),
    /// Renames the network (kind 5).
    Rename(Rename),
    /// Describes its author (kind 6).
    DeviceInfo(DeviceInfo),
    /// Its author leaves (kind 7).
    Leave,
    /// Makes a pre-approved invite (kind 8).
    Invite(InviteGrant),
    /// Revokes one (kind 9).
    RevokeInvite(RevokeInvite),
    /// Sets who may admit (kind 10).
    Policy(Policy),
    /// Sets how devices find and reach each other (kind 11).
    Settings(NetworkSettings),
    /// Sets the value of a document (kind 12). Documents are a set of their own and no part of a membership.
    Document(Entry),
    /// Something that a later version knows.
    Unknown {
        /// Its kind number, above [`Body::LAST_KNOWN`].
        kind: u16,
        /// Its content.
        payload: Vec<u8>,
    },
}

impl Body {
    /// The highest kind number this version knows.
    pub const LAST_KNOWN: u16 = 12;

    /// Its kind number on the wire.
    pub fn kind(&self) -> u16 {
        match self {
            Self::Genesis(_) => 1,
            Self::Admit(_) => 2,
            Self::Remove(_) => 3,
            Self::Role(_) => 4,
            Self::Rename(_) => 5,
            Self::DeviceInfo(_) => 6,
            Self::Leave => 7,
            Self::Invite(_) => 8,
            Self::RevokeInvite(_) => 9,
            Self::Policy(_) => 10,
            Self::Settings(_) => 11,
            Self::Document(_) => 12,
            Self::Unknown { kind, .. } => *kind,
        }
    }

    /// Most bytes that a record of this body may have, signature included.
    fn most_bytes(&self) -> usize {
        if matches!(self, Self::Document(_)) { MAX_DOCUMENT_RECORD_BYTES } else { MAX_RECORD_BYTES }
    }

    /// Whether it may take power from a device: what must not wait.
    pub fn takes_power(&self) -> bool {
        matches!(self, Self::Remove(_) | Self::Role(_) | Self::Leave | Self::RevokeInvite(_) | Self::Policy(_))
    }

    fn encode(&self) -> Vec<u8> {
        match self {
            Self::Genesis(body) => encode(body),
            Self::Admit(body) => encode(body),
            Self::Remove(body) => encode(body),
            Self::Role(body) => encode(body),
            Self::Rename(body) => encode(body),
            Self::DeviceInfo(body) => encode(body),
            Self::Leave => Vec::new(),
            Self::Invite(body) => encode(body),
            Self::RevokeInvite(body) => encode(body),
            Self::Policy(body) => encode(body),
            Self::Settings(body) => encode(body),
            Self::Document(body) => encode(body),
            Self::Unknown { payload, .. } => payload.clone(),
        }
    }

    fn decode(kind: u16, payload: &[u8]) -> Result<Self, RecordError> {
        let body = match kind {
            0 => return Err(RecordError::Malformed("kind 0 does not exist")),
            1 => Self::Genesis(decode_exact(payload)?),
            2 => Self::Admit(decode_exact(payload)?),
            3 => Self::Remove(decode_exact(payload)?),
            4 => Self::Role(decode_exact(payload)?),
            5 => Self::Rename(decode_exact(payload)?),
            6 => Self::DeviceInfo(decode_exact(payload)?),
            7 if payload.is_empty() => Self::Leave,
            7 => return Err(RecordError::Malformed("it is longer than it says")),
            8 => Self::Invite(decode_exact(payload)?),
            9 => Self::RevokeInvite(decode_exact(payload)?),
            10 => Self::Policy(decode_exact(payload)?),
            11 => Self::Settings(decode_exact(payload)?),
            12 => Self::Document(decode_exact(payload)?),
            kind => Self::Unknown { kind, payload: payload.to_vec() },
        };
        body.check()?;
        Ok(body)
    }

    /// Bounds that hold whoever the author is.
    fn check(&self) -> Result<(), RecordError> {
        let os_is_fine = |os: &str| os.chars().count() <= MAX_OS_CHARS && is_clean_text(os);
        let ensure = |fine: bool, what| if fine { Ok(()) } else { Err(RecordError::OutOfBounds(what)) };
        match self {
            Self::Genesis(Genesis { founder_os: os, .. })
            | Self::Admit(Admit { os, .. })
            | Self::DeviceInfo(DeviceInfo { os, .. }) => ensure(os_is_fine(os), "the operating system's name"),
            Self::Invite(grant) => {
                ensure((1..=MAX_INVITE_USES).contains(&grant.uses), "the number of uses")?;
                ensure(grant.expires_at > 0, "the time of expiry")
            }
            Self::Policy(policy) => {
                let ascending = policy.honours.is_sorted_by(|(a, _), (b, _)| a < b);
                let needed = policy.kind == NetworkKind::Closed || policy.honours.is_empty();
                ensure(ascending && needed, "the list of honoured records")
            }
            Self::Settings(settings) => ensure(settings.check().is_ok(), "the network's settings"),
            Self::Document(entry) => ensure(entry.check().is_ok(), "the size of the document"),
            Self::Unknown { kind, .. } => ensure(*kind > Self::LAST_KNOWN, "the kind"),
            Self::Remove(_) | Self::Role(_) | Self::Rename(_) | Self::Leave | Self::RevokeInvite(_) => Ok(()),
        }
    }
}

/// What an author signs.
#[derive(Serialize, Deserialize)]
struct Envelope {
    version: u8,
    /// All zero in a genesis record, whose id is only known afterwards.
    network: NetworkId,
    author: DeviceId,
    seq: u64,
    hlc: Hlc,
    kind: u16,
    payload: Vec<u8>,
}

const NO_NETWORK: NetworkId = NetworkId::from_bytes([0; 32]);

/// A signed, checked, immutable statement. Cheap to clone.
#[derive(Clone, PartialEq, Eq)]
pub struct Record(Arc<Inner>);

#[derive(PartialEq, Eq)]
struct Inner {
    id: RecordId,
    network: NetworkId,
    author: DeviceId,
    seq: u64,
    hlc: Hlc,
    body: Body,
    bytes: Vec<u8>,
}

impl Record {
    /// Signs a statement. `seq` counts the author's records in this network from 1 and is never used twice.
    pub fn sign(secret: &SecretKey, network: NetworkId, seq: u64, hlc: Hlc, body: Body) -> Result<Self, RecordError> {
        let genesis = matches!(body, Body::Genesis(_));
        body.check()?;
        if genesis != (network == NO_NETWORK) || seq == 0 || (genesis && seq != 1) {
            return Err(RecordError::OutOfBounds("its place in the network"));
        }
        let author = DeviceId::from(secret.public());
        let envelope =
            Envelope { version: VERSION, network, author, seq, hlc, kind: body.kind(), payload: body.encode() };
        let mut bytes = encode(&envelope);
        if bytes.len() + SIGNATURE_BYTES > body.most_bytes() {
            return Err(RecordError::TooLarge);
        }
        let id = record_id(&bytes);
        let signature = secret.sign(&signed_message(&bytes));
        bytes.extend_from_slice(&signature.to_bytes());
        let network = if genesis { NetworkId::from_bytes(*id.as_bytes()) } else { network };
        Ok(Self(Arc::new(Inner { id, network, author, seq, hlc, body, bytes })))
    }

    /// Founds a network: signs its first record.
    pub fn found(secret: &SecretKey, hlc: Hlc, genesis: Genesis) -> Result<Self, RecordError> {
        Self::sign(secret, NO_NETWORK, 1, hlc, Body::Genesis(genesis))
    }

    /// A record with an empty signature, for tests of what comes after the signature was checked.
    #[cfg(test)]
    pub(super) fn unsigned(author: DeviceId, network: NetworkId, seq: u64, hlc: Hlc, body: Body) -> Self {
        let (kind, payload) = (body.kind(), body.encode());
        let bytes = encode(&Envelope { version: VERSION, network, author, seq, hlc, kind, payload });
        Self(Arc::new(Inner { id: record_id(&bytes), network, author, seq, hlc, body, bytes }))
    }

    /// Reads and checks a record: bounds, canonical form, signature.
    pub fn decode(bytes: &[u8]) -> Result<Self, RecordError> {
        Self::read(bytes, true)
    }

    /// Reads what this device has checked and stored itself: as [`decode_for`](Self::decode_for), but the signature,
    /// which costs more than all the rest, is not looked at again.
    pub(crate) fn decode_stored(network: NetworkId, bytes: &[u8]) -> Result<Self, RecordError> {
        let record = Self::read(bytes, false)?;
        if record.network() == network { Ok(record) } else { Err(RecordError::OtherNetwork) }
    }

    fn read(bytes: &[u8], check_signature: bool) -> Result<Self, RecordError> {
        if bytes.len() > MAX_DOCUMENT_RECORD_BYTES {
            return Err(RecordError::TooLarge);
        }
        let (signed, signature) =
            bytes.split_last_chunk::<SIGNATURE_BYTES>().ok_or(RecordError::Malformed("it is cut short"))?;
        match signed.first() {
            None => return Err(RecordError::Malformed("it is cut short")),
            Some(&VERSION) => {}
            Some(&newer) if newer > VERSION => return Err(RecordError::NewerVersion(newer)),
            Some(_) => return Err(RecordError::Malformed("its format does not exist")),
        }
        let Envelope { network, author, seq, hlc, kind, payload, .. } = decode_exact(signed)?;
        let body = Body::decode(kind, &payload)?;
        if bytes.len() > body.most_bytes() {
            return Err(RecordError::TooLarge);
        }
        let genesis = matches!(body, Body::Genesis(_));
        if genesis != (network == NO_NETWORK) || seq == 0 || (genesis && seq != 1) {
            return Err(RecordError::OutOfBounds("its place in the network"));
        }
        if check_signature {
            let signature = Signature::from_bytes(signature);
            let key = author.endpoint_id();
            key.verify(&signed_message(signed), &signature).map_err(|_| RecordError::BadSignature)?;
        }
        let id = record_id(signed);
        let network = if genesis { NetworkId::from_bytes(*id.as_bytes()) } else { network };
        Ok(Self(Arc::new(Inner { id, network, author, seq, hlc, body, bytes: bytes.to_vec() })))
    }

    /// The id that `bytes` have if they are a record; nothing is checked. Cheap: enough to pass over what is known.
    ///
    /// `None` for what cannot be a record of this version.
    pub fn id_in(bytes: &[u8]) -> Option<RecordId> {
        if bytes.len() > MAX_DOCUMENT_RECORD_BYTES || bytes.first() != Some(&VERSION) {
            return None;
        }
        bytes.split_last_chunk::<SIGNATURE_BYTES>().map(|(signed, _)| record_id(signed))
    }

    /// The author that `bytes` name if they are a record; nothing is checked.
    pub fn author_in(bytes: &[u8]) -> Option<DeviceId> {
        // The version and the network come first.
        let author: &[u8; 32] = bytes.get(1 + 32..1 + 64)?.try_into().ok()?;
        DeviceId::from_bytes(author).ok()
    }

    /// As [`decode`](Self::decode), and refuses a record of another network.
    pub fn decode_for(network: NetworkId, bytes: &[u8]) -> Result<Self, RecordError> {
        let record = Self::decode(bytes)?;
        if record.network() == network { Ok(record) } else { Err(RecordError::OtherNetwork) }
    }

    /// Its identity.
    pub fn id(&self) -> RecordId {
        self.0.id
    }

    /// The network it speaks of; for a genesis record the one it founds.
    pub fn network(&self) -> NetworkId {
        self.0.network
    }

    /// Who signed it.
    pub fn author(&self) -> DeviceId {
        self.0.author
    }

    /// Its number among its author's records in this network, from 1.
    pub fn seq(&self) -> u64 {
        self.0.seq
    }

    /// When it was made, by its author's hybrid logical clock.
    pub fn hlc(&self) -> Hlc {
        self.0.hlc
    }

    /// What it says.
    pub fn body(&self) -> &Body {
        &self.0.body
    }

    /// Its canonical bytes, signature included.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0.bytes
    }
}

impl std::fmt::Debug for Record {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Record")
            .field("id", &self.id())
            .field("author", &self.author())
            .field("seq", &self.seq())
            .field("hlc", &self.hlc())
            .field("body", self.body())
            .finish_non_exhaustive()
    }
}

fn record_id(signed: &[u8]) -> RecordId {
    RecordId::from_bytes(blake3::derive_key(ID_CONTEXT, signed))
}

fn signed_message(signed: &[u8]) -> Vec<u8> {
    [SIGN_CONTEXT, signed].concat()
}

/// Every type encoded here is made of plain values in memory, for which postcard cannot fail.
fn encode<T: Serialize>(value: &T) -> Vec<u8> {
    postcard::to_stdvec(value).expect("plain values always encode")
}

/// Decodes all of `bytes` and accepts only the encoding that [`encode`] would make.
fn decode_exact<T: Serialize + DeserializeOwned>(bytes: &[u8]) -> Result<T, RecordError> {
    let (value, rest) = postcard::take_from_bytes::<T>(bytes)
        .map_err(|_| RecordError::Malformed("it does not decode, or a field in it is not valid"))?;
    if !rest.is_empty() {
        return Err(RecordError::Malformed("it is longer than it says"));
    }
    if encode(&value) != bytes {
        return Err(RecordError::Malformed("it is not in canonical form"));
    }
    Ok(value)
}

#[cfg(test)]
mod tests;
