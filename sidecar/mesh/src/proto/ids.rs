//! Identifiers, each its own type so that none can stand in for another.
//!
//! People and JSON see lower-case hex; the wire sees the bare bytes.

use std::{fmt, str::FromStr};

use data_encoding::{HEXLOWER, HEXLOWER_PERMISSIVE};
use iroh::{EndpointId, PublicKey};
use serde::{Deserialize, Serialize, de, ser};

/// Text that is not the identifier it was taken for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("this is not a {what} ({expected} hexadecimal characters are expected)")]
pub struct IdError {
    what: &'static str,
    expected: usize,
}

/// One install of the app: its ed25519 public key, which is also its iroh `EndpointId`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeviceId(EndpointId);

impl DeviceId {
    /// The device whose key these bytes are, if they are a key.
    pub fn from_bytes(bytes: &[u8; 32]) -> Result<Self, IdError> {
        PublicKey::from_bytes(bytes).map(Self).map_err(|_| Self::ERROR)
    }

    /// The device whose secret key this is.
    pub fn of_secret(secret: &[u8; 32]) -> Self {
        Self(iroh::SecretKey::from_bytes(secret).public())
    }

    /// The key's bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        self.0.as_bytes()
    }

    /// The same device as iroh names it.
    pub fn endpoint_id(&self) -> EndpointId {
        self.0
    }

    /// The first ten hex characters: enough to tell devices apart in a log line.
    pub fn short(&self) -> String {
        HEXLOWER.encode(&self.as_bytes()[..5])
    }

    const ERROR: IdError = IdError { what: "device id", expected: 64 };
}

impl From<EndpointId> for DeviceId {
    fn from(id: EndpointId) -> Self {
        Self(id)
    }
}

impl From<DeviceId> for EndpointId {
    fn from(id: DeviceId) -> Self {
        id.0
    }
}

impl fmt::Display for DeviceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&HEXLOWER.encode(self.as_bytes()))
    }
}

impl fmt::Debug for DeviceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DeviceId({})", self.short())
    }
}

impl FromStr for DeviceId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let bytes = parse_hex(text).ok_or(Self::ERROR)?;
        Self::from_bytes(&bytes)
    }
}

impl Serialize for DeviceId {
    fn serialize<S: ser::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serialize_bytes(self.as_bytes(), serializer)
    }
}

impl<'de> Deserialize<'de> for DeviceId {
    fn deserialize<D: de::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let bytes = deserialize_bytes(deserializer, &Self::ERROR)?;
        Self::from_bytes(&bytes).map_err(de::Error::custom)
    }
}

/// Defines an opaque identifier of `$len` bytes.
macro_rules! opaque_id {
    ($(#[$doc:meta])* $name:ident, $len:literal, $what:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; $len]);

        impl $name {
            const ERROR: IdError = IdError { what: $what, expected: $len * 2 };

            /// The identifier with these bytes.
            pub const fn from_bytes(bytes: [u8; $len]) -> Self {
                Self(bytes)
            }

            /// Its bytes.
            pub const fn as_bytes(&self) -> &[u8; $len] {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&HEXLOWER.encode(&self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), HEXLOWER.encode(&self.0[..5]))
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                parse_hex(text).map(Self).ok_or(Self::ERROR)
            }
        }

        impl Serialize for $name {
            fn serialize<S: ser::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serialize_bytes(&self.0, serializer)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: de::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserialize_bytes(deserializer, &Self::ERROR).map(Self)
            }
        }
    };
}

opaque_id!(
    /// A network: the id of its genesis record, so networks of equal name never collide.
    NetworkId, 32, "network id"
);
opaque_id!(
    /// A record: the BLAKE3 hash of what its author signed.
    RecordId, 32, "record id"
);
opaque_id!(
    /// A knock: derived from both devices and both nonces, so every member names it alike.
    KnockId, 8, "knock id"
);
opaque_id!(
    /// An invite: for a pre-approved one the hash of its public key, else random.
    InviteId, 8, "invite id"
);

fn parse_hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    if text.len() != N * 2 {
        return None;
    }
    HEXLOWER_PERMISSIVE.decode(text.as_bytes()).ok()?.try_into().ok()
}

fn serialize_bytes<S: ser::Serializer, const N: usize>(bytes: &[u8; N], serializer: S) -> Result<S::Ok, S::Error> {
    use ser::SerializeTuple;
    if serializer.is_human_readable() {
        return serializer.serialize_str(&HEXLOWER.encode(bytes));
    }
    let mut tuple = serializer.serialize_tuple(N)?;
    for byte in bytes {
        tuple.serialize_element(byte)?;
    }
    tuple.end()
}

fn deserialize_bytes<'de, D: de::Deserializer<'de>, const N: usize>(
    deserializer: D,
    error: &IdError,
) -> Result<[u8; N], D::Error> {
    if deserializer.is_human_readable() {
        let text = String::deserialize(deserializer)?;
        return parse_hex(&text).ok_or_else(|| de::Error::custom(error));
    }
    deserializer.deserialize_tuple(N, ByteArray)
}

/// Reads exactly `N` bytes; serde's own arrays stop at 32.
struct ByteArray<const N: usize>;

impl<'de, const N: usize> de::Visitor<'de> for ByteArray<N> {
    type Value = [u8; N];

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{N} bytes")
    }

    fn visit_seq<A: de::SeqAccess<'de>>(self, mut seq: A) -> Result<[u8; N], A::Error> {
        let mut bytes = [0; N];
        for (at, byte) in bytes.iter_mut().enumerate() {
            *byte = seq.next_element()?.ok_or_else(|| de::Error::invalid_length(at, &self))?;
        }
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use iroh::SecretKey;

    use super::*;

    #[test]
    fn ids_read_back_from_their_text_in_either_case() {
        let device = DeviceId::from(SecretKey::from_bytes(&[7; 32]).public());
        assert_eq!(device.to_string().parse(), Ok(device));
        assert_eq!(device.to_string().to_uppercase().parse(), Ok(device));
        let knock = KnockId::from_bytes([0xab; 8]);
        assert_eq!(knock.to_string(), "abababababababab");
        assert_eq!("ABABABABABABABAB".parse(), Ok(knock));
    }

    #[test]
    fn text_that_is_no_id_is_refused_with_what_was_expected() {
        for text in ["", "zz", "abab", &"g".repeat(64), &"a".repeat(65), "é"] {
            let error = text.parse::<DeviceId>().expect_err("not an id");
            assert_eq!(error.to_string(), "this is not a device id (64 hexadecimal characters are expected)");
            assert!(text.parse::<NetworkId>().is_err());
        }
        // 64 hex characters that are not a point on the curve.
        let no_point = (0..=255u8).map(|n| HEXLOWER.encode(&[n; 32])).find(|hex| hex.parse::<DeviceId>().is_err());
        assert!(no_point.is_some(), "about half of all encodings are not a key");
    }

    #[test]
    fn json_holds_hex_and_the_wire_holds_bytes() {
        let id = InviteId::from_bytes([1; 8]);
        assert_eq!(serde_json::to_string(&id).expect("json"), "\"0101010101010101\"");
        assert_eq!(postcard::to_stdvec(&id).expect("postcard"), [1; 8]);
        assert_eq!(postcard::from_bytes::<InviteId>(&[1; 8]).expect("postcard"), id);
        assert!(postcard::from_bytes::<InviteId>(&[1; 7]).is_err());
        assert!(serde_json::from_str::<InviteId>("\"01\"").is_err());
    }
}
