//! The code: six characters that two people compare to know that nobody sits between their devices.
//!
//! Both devices derive it from the network, both device keys as each side sees them, and one nonce from each side:
//!
//! 1. the guest sends a **commitment** to its nonce,
//! 2. the host answers with its own nonce,
//! 3. the guest **reveals** its nonce, and the host checks it against the commitment.
//!
//! A man in the middle speaks to the guest as a host and to the host as a guest, so the keys in the two derivations
//! differ and the codes are two independent-looking 30-bit values. He could make them equal only by choosing a nonce
//! after learning everything else. Towards the host he is committed before he sees the host's nonce; towards the guest
//! he must send his nonce before the guest reveals. In both sessions the honest nonce comes last, and it is random, so
//! each attempt succeeds with probability 2^-30 (about one in 1.07 thousand million) whatever he computes. Attempts
//! cost a knock that a person sees, three per device key, with a cooling-off after that.
//!
//! A **member that passes a knock on** is not bound like that: it tells other members both nonces of a knock at itself
//! when all is known, so it could search for a pair that gives the code on an innocent guest's screen to a device of its
//! own. The code is therefore the end of a chain of [`STRETCH`] hashes: nothing to compute once, and 2^30 times too much
//! to compute within the minutes that a knock waits.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize, de};

use super::ids::{DeviceId, KnockId, NetworkId};

/// Digits and capitals without I, L, O and U: nothing in it is mistaken for anything else, or spells a curse.
const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
/// Characters of a code, five bits each.
const LENGTH: usize = 6;

/// Length of the chain of hashes: 10 to 40 ms for a device, and with 2^30 tries some 2^47 hashes for a search: 100 days
/// of a fast core, or 90 graphics cards for the five minutes that a knock waits (at 5 thousand million hashes a second).
const STRETCH: u32 = 1 << 17;

const CODE_CONTEXT: &str = "myownmesh knock code v1";
const KNOCK_CONTEXT: &str = "myownmesh knock id v1";
const COMMITMENT_CONTEXT: &str = "myownmesh knock commitment v1";

/// A side's random contribution. Fresh for every knock.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Nonce(pub [u8; 32]);

impl fmt::Debug for Nonce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Nonce(..)")
    }
}

/// What the guest sends before it knows the host's nonce: it fixes the guest's nonce without telling it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Commitment([u8; 32]);

impl Commitment {
    /// Commits `guest` to `nonce` for one knock at `network`.
    pub fn to(network: NetworkId, guest: DeviceId, nonce: &Nonce) -> Self {
        let mut hasher = blake3::Hasher::new_derive_key(COMMITMENT_CONTEXT);
        hasher.update(network.as_bytes()).update(guest.as_bytes()).update(&nonce.0);
        Self(*hasher.finalize().as_bytes())
    }
}

/// Everything that a knock's code and id are derived from.
#[derive(Debug, Clone, Copy)]
pub struct Transcript {
    /// The network that is asked for.
    pub network: NetworkId,
    /// The device that is asked.
    pub host: DeviceId,
    /// The device that asks.
    pub guest: DeviceId,
    /// The host's contribution.
    pub host_nonce: Nonce,
    /// The guest's contribution.
    pub guest_nonce: Nonce,
}

impl Transcript {
    /// The code that both screens show. Takes 10 to 40 ms of work, by intent.
    pub fn code(&self) -> Code {
        let hash = (0..STRETCH).fold(self.derive(CODE_CONTEXT), |hash, _| *blake3::hash(&hash).as_bytes());
        let bits = u32::from_be_bytes([hash[0], hash[1], hash[2], hash[3]]) >> 2;
        let mut chars = [0; LENGTH];
        for (at, slot) in chars.iter_mut().enumerate() {
            let index = (bits >> (5 * (LENGTH - 1 - at))) & 31;
            *slot = ALPHABET[index as usize];
        }
        Code(chars)
    }

    /// The knock's id, the same on both devices.
    pub fn knock_id(&self) -> KnockId {
        let hash = self.derive(KNOCK_CONTEXT);
        let mut id = [0; 8];
        id.copy_from_slice(&hash[..8]);
        KnockId::from_bytes(id)
    }

    fn derive(&self, context: &str) -> [u8; 32] {
        let mut hasher = blake3::Hasher::new_derive_key(context);
        hasher
            .update(self.network.as_bytes())
            .update(self.host.as_bytes())
            .update(self.guest.as_bytes())
            .update(&self.host_nonce.0)
            .update(&self.guest_nonce.0);
        *hasher.finalize().as_bytes()
    }
}

/// Text that is no code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a code has six letters and digits, such as K7M 2XQ")]
pub struct CodeError;

/// A code. Shows as `K7M 2XQ`; reads in any case, with or without spaces and dashes, and takes O for 0, I and L for 1.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Code([u8; LENGTH]);

impl Code {
    /// The six characters without the gap.
    pub fn compact(&self) -> String {
        self.0.iter().map(|byte| char::from(*byte)).collect()
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.compact();
        let (left, right) = text.split_at(LENGTH / 2);
        write!(f, "{left} {right}")
    }
}

impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Code({self})")
    }
}

impl FromStr for Code {
    type Err = CodeError;

    fn from_str(text: &str) -> Result<Self, CodeError> {
        let mut chars = [0; LENGTH];
        let mut read = text.chars().filter(|c| !c.is_whitespace() && *c != '-');
        for slot in &mut chars {
            let c = read.next().ok_or(CodeError)?.to_ascii_uppercase();
            let meant = match c {
                'O' => '0',
                'I' | 'L' => '1',
                other => other,
            };
            *slot = u8::try_from(meant).ok().filter(|byte| ALPHABET.contains(byte)).ok_or(CodeError)?;
        }
        if read.next().is_some() { Err(CodeError) } else { Ok(Self(chars)) }
    }
}

impl Serialize for Code {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Code {
    fn deserialize<D: de::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use iroh::SecretKey;
    use proptest::prelude::*;

    use super::*;

    fn device(n: u8) -> DeviceId {
        SecretKey::from_bytes(&[n; 32]).public().into()
    }

    fn transcript(host_nonce: u8, guest_nonce: u8) -> Transcript {
        Transcript {
            network: NetworkId::from_bytes([9; 32]),
            host: device(1),
            guest: device(2),
            host_nonce: Nonce([host_nonce; 32]),
            guest_nonce: Nonce([guest_nonce; 32]),
        }
    }

    #[test]
    fn both_sides_derive_the_same_golden_code() {
        let code = transcript(3, 4).code();
        assert_eq!(code, transcript(3, 4).code());
        assert_eq!(code.to_string(), "QSD 6B4");
        assert_eq!(transcript(3, 4).knock_id().to_string(), "0265bbaaf8543f97");
    }

    #[test]
    fn every_input_changes_the_code() {
        let base = transcript(3, 4);
        let others = [
            Transcript { network: NetworkId::from_bytes([8; 32]), ..base },
            Transcript { host: device(5), ..base },
            Transcript { guest: device(5), ..base },
            Transcript { host: base.guest, guest: base.host, ..base },
            transcript(4, 4),
            transcript(3, 3),
        ];
        for other in others {
            assert_ne!(base.code(), other.code());
            assert_ne!(base.knock_id(), other.knock_id());
        }
    }

    #[test]
    fn a_commitment_binds_nonce_device_and_network() {
        let network = NetworkId::from_bytes([9; 32]);
        let commitment = Commitment::to(network, device(1), &Nonce([1; 32]));
        assert_eq!(commitment, Commitment::to(network, device(1), &Nonce([1; 32])));
        assert_ne!(commitment, Commitment::to(network, device(1), &Nonce([2; 32])));
        assert_ne!(commitment, Commitment::to(network, device(2), &Nonce([1; 32])));
        assert_ne!(commitment, Commitment::to(NetworkId::from_bytes([8; 32]), device(1), &Nonce([1; 32])));
    }

    #[test]
    fn a_relaying_man_in_the_middle_gets_two_codes() {
        // He reuses the nonces on both sides; his key alone makes the codes differ.
        let (host, guest, middle) = (device(1), device(2), device(3));
        let differing = (0..16u8)
            .filter(|n| {
                let seen_by_host = Transcript { host, guest: middle, ..transcript(*n, 4) };
                let seen_by_guest = Transcript { host: middle, guest, ..transcript(*n, 4) };
                seen_by_host.code() != seen_by_guest.code()
            })
            .count();
        assert_eq!(differing, 16);
    }

    #[test]
    fn people_may_type_it_as_they_like() {
        let code: Code = "K7M 2XQ".parse().expect("a code");
        for text in ["k7m2xq", " K7M-2XQ ", "k 7 m 2 x q"] {
            assert_eq!(text.parse(), Ok(code), "{text}");
        }
        assert_eq!("O1LI00".parse::<Code>().map(|c| c.to_string()), Ok("011 100".to_owned()));
        for text in ["", "K7M2X", "K7M2XQ7", "K7M2XU", "K7M2X!", "K7M2XÉ"] {
            assert_eq!(text.parse::<Code>(), Err(CodeError), "{text}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn a_code_reads_back_from_its_text(a: u8, b: u8) {
            let code = transcript(a, b).code();
            prop_assert_eq!(code.to_string().parse(), Ok(code));
            prop_assert_eq!(code.compact().to_lowercase().parse(), Ok(code));
        }

        #[test]
        fn reading_never_panics(text in ".{0,12}") {
            let _ = text.parse::<Code>();
        }
    }
}
