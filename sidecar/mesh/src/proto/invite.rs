//! The invite: a link that finds a network, and may also admit.
//!
//! `myownllm://join/` and the base64url of a version byte, a postcard [`Payload`] and the inviter's signature over both.
//! A link can name, beside its maker, a few other members to knock at (format 2); without them it is of format 1, which
//! every version reads.
//!
//! The signature does not say whom to trust (anybody can sign their own invite); it makes every damaged or altered link
//! fail here instead of half-working later.
//!
//! A **pre-approved** invite carries a 16-byte secret. From it an ed25519 key is derived whose public half stands in the
//! network's [`InviteGrant`](super::record::InviteGrant). A newcomer proves to hold the secret by signing its own device
//! id with that key: members can check the proof, and learn nothing that would let them admit anybody else.

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
    str::FromStr,
};

use data_encoding::BASE64URL_NOPAD;
use iroh::{SecretKey, Signature};
use serde::{Deserialize, Serialize};

use super::{
    Millis,
    ids::{DeviceId, InviteId, NetworkId},
    knock::PeerAddress,
    name::NetworkName,
};

/// What every invite link begins with.
pub const INVITE_PREFIX: &str = "myownllm://join/";
/// Most addresses a link carries: more would not fit a QR code that a phone reads from across a table.
pub const MAX_ADDRESSES: usize = 6;
/// Most relays a link carries.
pub const MAX_RELAYS: usize = 2;
/// Longest relay URL, in bytes.
pub const MAX_RELAY_BYTES: usize = 128;
/// Most other members a link names, and addresses of each.
pub const MAX_OTHERS: usize = 2;
/// See [`MAX_OTHERS`].
pub const MAX_OTHER_ADDRESSES: usize = 3;
/// Longest text that is looked at.
const MAX_LINK_CHARS: usize = 2048;

/// A [`Payload`].
const VERSION: u8 = 1;
/// A [`Payload`] and [`Payload::others`].
const VERSION_WITH_OTHERS: u8 = 2;
const SIGN_CONTEXT: &[u8] = b"myownmesh invite v1\0";
const PROOF_CONTEXT: &[u8] = b"myownmesh invite proof v1\0";
const KEY_CONTEXT: &str = "myownmesh invite key v1";
const ID_CONTEXT: &str = "myownmesh invite id v1";

/// Why a text is not an invite that can be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InviteError {
    /// No link at all.
    #[error("this is not an invite: an invite is a link that begins with {INVITE_PREFIX}")]
    NotAnInvite,
    /// A link, but not one of ours.
    #[error("this link belongs to something else ({scheme}): an invite begins with {INVITE_PREFIX}")]
    Foreign {
        /// What it begins with.
        scheme: String,
    },
    /// Ours, but incomplete or altered.
    #[error("this invite is damaged or incomplete: copy the whole link again, or ask for a new one")]
    Damaged,
    /// Made by a later version.
    #[error("this invite was made by a newer version of the app (format {0}): update this device first")]
    NewerVersion(u8),
    /// Out of date.
    #[error("this invite has expired: ask for a new one")]
    Expired,
    /// It cannot be made: a field is over its bounds.
    #[error("the invite cannot be made: {0}")]
    OutOfBounds(&'static str),
}

/// The public half of a pre-approved invite.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct InviteKey(DeviceId);

impl InviteKey {
    /// The id of the invite with this key.
    pub fn id(&self) -> InviteId {
        let hash = blake3::derive_key(ID_CONTEXT, self.0.as_bytes());
        let mut id = [0; 8];
        id.copy_from_slice(&hash[..8]);
        InviteId::from_bytes(id)
    }

    /// Whether `proof` shows that `guest` holds the secret of this invite to `network`.
    pub fn verify(&self, network: NetworkId, guest: DeviceId, proof: &Signature) -> bool {
        self.0.endpoint_id().verify(&proof_message(network, guest), proof).is_ok()
    }
}

/// The secret half: it stands only in the link, and in the store of the device that made it.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct InviteSecret([u8; 16]);

impl InviteSecret {
    /// The secret with these random bytes.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// Its public half.
    pub fn key(&self) -> InviteKey {
        InviteKey(self.signing_key().public().into())
    }

    /// The id of its invite.
    pub fn id(&self) -> InviteId {
        self.key().id()
    }

    /// Proves that `guest` holds this secret. Worthless to any other device and any other network.
    pub fn prove(&self, network: NetworkId, guest: DeviceId) -> Signature {
        self.signing_key().sign(&proof_message(network, guest))
    }

    fn signing_key(&self) -> SecretKey {
        SecretKey::from_bytes(&blake3::derive_key(KEY_CONTEXT, &self.0))
    }
}

impl fmt::Debug for InviteSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("InviteSecret(..)")
    }
}

fn proof_message(network: NetworkId, guest: DeviceId) -> Vec<u8> {
    [PROOF_CONTEXT, network.as_bytes(), guest.as_bytes()].concat()
}

/// What an invite says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Payload {
    /// The network it leads to.
    pub network: NetworkId,
    /// That network's name when the invite was made.
    pub name: NetworkName,
    /// The device that made it, to knock at.
    pub inviter: DeviceId,
    /// Where that device was reachable; at most [`MAX_ADDRESSES`].
    pub addresses: Vec<SocketAddr>,
    /// Relays of the network; at most [`MAX_RELAYS`].
    pub relays: Vec<String>,
    /// When it stops working.
    pub expires_at: Millis,
    /// Its id, to revoke it by.
    pub id: InviteId,
    /// For a pre-approved invite, what proves the right to enter.
    pub secret: Option<InviteSecret>,
    /// Other members to knock at when the maker is away; at most [`MAX_OTHERS`] with [`MAX_OTHER_ADDRESSES`] each.
    #[serde(skip)]
    pub others: Vec<PeerAddress>,
}

/// A checked invite. Prints as its link; `Debug` hides the secret.
#[derive(Clone, PartialEq, Eq)]
pub struct Invite {
    payload: Payload,
    link: String,
}

impl Invite {
    /// Signs an invite. Addresses, relays and other members over the limit are left out, the last first.
    pub fn sign(inviter: &SecretKey, mut payload: Payload) -> Result<Self, InviteError> {
        payload.addresses.truncate(MAX_ADDRESSES);
        payload.relays.truncate(MAX_RELAYS);
        payload.others.truncate(MAX_OTHERS);
        payload.others.iter_mut().for_each(|other| other.addresses.truncate(MAX_OTHER_ADDRESSES));
        payload.check().map_err(InviteError::OutOfBounds)?;
        if DeviceId::from(inviter.public()) != payload.inviter {
            return Err(InviteError::OutOfBounds("it names another device as its maker"));
        }
        let encoded = if payload.others.is_empty() {
            postcard::to_extend(&payload, vec![VERSION])
        } else {
            postcard::to_extend(&(&payload, &payload.others), vec![VERSION_WITH_OTHERS])
        };
        let mut bytes = encoded.map_err(|_| InviteError::Damaged)?;
        let signature = inviter.sign(&signed_message(&bytes));
        bytes.extend_from_slice(&signature.to_bytes());
        let link = format!("{INVITE_PREFIX}{}", BASE64URL_NOPAD.encode(&bytes));
        Ok(Self { payload, link })
    }

    /// What it says.
    pub fn payload(&self) -> &Payload {
        &self.payload
    }

    /// The link. Whoever has the link of a pre-approved invite can enter: show it, never log it.
    pub fn link(&self) -> &str {
        &self.link
    }

    /// Whether it also admits.
    pub fn is_approved(&self) -> bool {
        self.payload.secret.is_some()
    }

    /// Fails when it is out of date.
    pub fn check_current(&self, now: Millis) -> Result<(), InviteError> {
        if now >= self.payload.expires_at { Err(InviteError::Expired) } else { Ok(()) }
    }

    fn decode(bytes: &[u8]) -> Result<Payload, InviteError> {
        let with_others = match bytes.first() {
            Some(&VERSION) => false,
            Some(&VERSION_WITH_OTHERS) => true,
            Some(&newer) if newer > VERSION_WITH_OTHERS => return Err(InviteError::NewerVersion(newer)),
            _ => return Err(InviteError::Damaged),
        };
        let (signed, signature) = bytes.split_last_chunk::<{ Signature::LENGTH }>().ok_or(InviteError::Damaged)?;
        let body = signed.get(1..).ok_or(InviteError::Damaged)?;
        let (mut payload, mut rest) = postcard::take_from_bytes::<Payload>(body).map_err(|_| InviteError::Damaged)?;
        if with_others {
            (payload.others, rest) = postcard::take_from_bytes(rest).map_err(|_| InviteError::Damaged)?;
        }
        let key = payload.inviter.endpoint_id();
        let genuine = key.verify(&signed_message(signed), &Signature::from_bytes(signature)).is_ok();
        // An empty list would be a second form of one invite.
        let one_form = with_others != payload.others.is_empty();
        if !rest.is_empty() || !genuine || !one_form || payload.check().is_err() {
            return Err(InviteError::Damaged);
        }
        Ok(payload)
    }
}

impl Payload {
    fn check(&self) -> Result<(), &'static str> {
        let ensure = |fine: bool, what| if fine { Ok(()) } else { Err(what) };
        ensure(self.addresses.len() <= MAX_ADDRESSES, "too many addresses")?;
        ensure(self.addresses.iter().all(is_usable), "an address that nobody can reach")?;
        ensure(self.relays.len() <= MAX_RELAYS, "too many relays")?;
        let relay_is_fine = |url: &String| url.len() <= MAX_RELAY_BYTES && url.parse::<iroh::RelayUrl>().is_ok();
        ensure(self.relays.iter().all(relay_is_fine), "a relay whose address is not a URL")?;
        ensure(self.others.len() <= MAX_OTHERS, "too many other members")?;
        for other in &self.others {
            ensure(other.addresses.len() <= MAX_OTHER_ADDRESSES, "too many addresses of another member")?;
            ensure(other.addresses.iter().all(is_usable), "an address that nobody can reach")?;
            ensure(other.relay.iter().all(relay_is_fine), "a relay whose address is not a URL")?;
        }
        ensure(self.expires_at > 0, "no time of expiry")?;
        ensure(self.secret.is_none_or(|secret| secret.id() == self.id), "an id that is not its secret's")
    }
}

/// An address somebody can connect to. Loopback is one: two devices on one machine are how this is tried out.
fn is_usable(address: &SocketAddr) -> bool {
    let ip: IpAddr = address.ip();
    address.port() != 0 && !ip.is_unspecified() && !ip.is_multicast()
}

fn signed_message(signed: &[u8]) -> Vec<u8> {
    [SIGN_CONTEXT, signed].concat()
}

impl FromStr for Invite {
    type Err = InviteError;

    fn from_str(text: &str) -> Result<Self, InviteError> {
        // Mail programs break long links: white space within is dropped.
        if text.len() > 2 * MAX_LINK_CHARS {
            return Err(InviteError::NotAnInvite);
        }
        let text: String = text.chars().filter(|c| !c.is_whitespace()).collect();
        let code = match strip_prefix_ignoring_case(&text, INVITE_PREFIX) {
            Some(code) => code.trim_end_matches('/'),
            None => return Err(no_invite(&text)),
        };
        if code.len() > MAX_LINK_CHARS {
            return Err(InviteError::Damaged);
        }
        let bytes = BASE64URL_NOPAD.decode(code.as_bytes()).map_err(|_| InviteError::Damaged)?;
        let payload = Self::decode(&bytes)?;
        Ok(Self { payload, link: format!("{INVITE_PREFIX}{code}") })
    }
}

fn strip_prefix_ignoring_case<'a>(text: &'a str, prefix: &str) -> Option<&'a str> {
    let head = text.get(..prefix.len())?;
    head.eq_ignore_ascii_case(prefix).then(|| &text[prefix.len()..])
}

/// Tells another program's link from text that is no link.
fn no_invite(text: &str) -> InviteError {
    let Some((scheme, rest)) = text.split_once("://") else { return InviteError::NotAnInvite };
    let is_scheme = (1..=20).contains(&scheme.len())
        && scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c));
    if !is_scheme {
        return InviteError::NotAnInvite;
    }
    let ours = strip_prefix_ignoring_case(INVITE_PREFIX, text).is_some();
    if ours {
        return InviteError::Damaged;
    }
    let place = if scheme.eq_ignore_ascii_case("myownllm") {
        let word: String = rest.chars().take_while(char::is_ascii_alphanumeric).take(20).collect();
        format!("{scheme}://{word}")
    } else {
        format!("{scheme}://")
    };
    InviteError::Foreign { scheme: place }
}

impl fmt::Display for Invite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.link)
    }
}

impl fmt::Debug for Invite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Invite").field(&self.payload).finish()
    }
}

#[cfg(test)]
mod tests;
