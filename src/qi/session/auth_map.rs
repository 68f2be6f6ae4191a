//! The map that both sides exchange when a connection opens (protocol text, section 9).

use bytes::Bytes;

use super::Capabilities;
use crate::qi::{
    value::{
        Dynamic, Signature, Type, Value,
        codec::{DecodeContext, DecodeError, EncodeContext, EncodeError, decode, encode},
    },
    wire::{Limits, Writer},
};

/// Capabilities, and what belongs to authentication, by name: `{sm}`.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct AuthMap {
    entries: Vec<(String, Value)>,
}

/// Where authentication stands; of any integer type on the wire.
pub const STATE: &str = "__qi_auth_state";

/// Why authentication failed, as a text.
pub const ERROR_REASON: &str = "__qi_auth_err_reason";

/// The client's name.
pub const USER: &str = "auth_user";

/// The client's secret.
pub const TOKEN: &str = "auth_token";

/// The secret that a client has to use from now on.
pub const NEW_TOKEN: &str = "auth_newToken";

/// [`STATE`]: refused.
pub const STATE_ERROR: u32 = 1;
/// [`STATE`]: the client is to authenticate once more.
pub const STATE_CONTINUE: u32 = 2;
/// [`STATE`]: the connection is open.
pub const STATE_DONE: u32 = 3;

impl AuthMap {
    /// An empty map.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            entries: Vec::new(),
        }
    }

    /// The map that tells `capabilities`.
    #[must_use]
    pub fn of(capabilities: Capabilities) -> Self {
        let mut map = Self::new();
        for (name, value) in capabilities.entries() {
            map.insert(name, Type::Bool, Value::Bool(value));
        }
        map
    }

    /// Adds a text.
    pub fn insert_text(&mut self, name: &str, text: &str) {
        self.insert(name, Type::String, Value::text(text));
    }

    /// Adds the state of authentication, in libqi 4's type.
    pub fn insert_state(&mut self, state: u32) {
        self.insert(STATE, Type::UInt32, Value::UInt32(state));
    }

    fn insert(&mut self, name: &str, ty: Type, value: Value) {
        let dynamic = Dynamic::new(Signature::from(ty), value);
        let entry = (name.to_owned(), Value::Dynamic(Box::new(dynamic)));
        self.entries.push(entry);
    }

    /// The value of a name, out of the dynamics around it.
    #[must_use]
    pub fn value(&self, name: &str) -> Option<&Value> {
        let (_, value) = self.entries.iter().find(|(known, _)| known == name)?;
        Some(value.unwrapped())
    }

    /// The text of a name.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<String> {
        self.value(name)?.to_text()
    }

    /// The state of authentication.
    #[must_use]
    pub fn state(&self) -> Option<i64> {
        self.value(STATE)?.to_i64()
    }

    /// Names and values that are true or false, or numbers that say so.
    pub fn flags(&self) -> impl Iterator<Item = (&str, bool)> {
        self.entries.iter().filter_map(|(name, value)| {
            let flag = match value.unwrapped() {
                Value::Bool(flag) => *flag,
                other => other.to_i64()? != 0,
            };
            Some((&**name, flag))
        })
    }

    /// Reads a map.
    ///
    /// # Errors
    ///
    /// [`DecodeError`].
    pub fn decode(payload: &Bytes, limits: &Limits) -> Result<Self, DecodeError> {
        let context = DecodeContext {
            limits: *limits,
            ..DecodeContext::default()
        };
        let value = decode(&auth_map_type(), payload, context)?;
        let Value::Map(entries) = value else {
            return Ok(Self::new());
        };
        let text = |(name, value): (Value, Value)| Some((name.to_text()?, value));
        let entries = entries.into_iter().filter_map(text).collect();
        Ok(Self { entries })
    }

    /// The encoded map, sorted by name as libqi sends it.
    ///
    /// # Errors
    ///
    /// [`EncodeError`], for texts that no message can hold.
    pub fn encode(mut self) -> Result<Bytes, EncodeError> {
        self.entries.sort_by(|(a, _), (b, _)| a.cmp(b));
        let entries = self.entries.into_iter();
        let entries = entries.map(|(name, value)| (Value::text(&name), value));
        let value = Value::Map(entries.collect());
        let mut writer = Writer::new();
        encode(
            &value,
            &auth_map_type(),
            &mut EncodeContext::default(),
            &mut writer,
        )?;
        Ok(writer.finish())
    }
}

/// What a peer told about its capabilities, in several maps: of each capability the first value
/// counts (section 9).
#[derive(Clone, Debug, Default)]
pub struct RemoteCapabilities {
    known: Vec<String>,
    capabilities: Capabilities,
}

impl RemoteCapabilities {
    /// Takes what a map adds.
    pub fn learn(&mut self, map: &AuthMap) {
        for (name, flag) in map.flags() {
            let ours = Capabilities::default().entries();
            let is_capability = ours.iter().any(|(known, _)| *known == name);
            if is_capability && !self.known.iter().any(|known| known == name) {
                self.known.push(name.to_owned());
                self.capabilities.set(name.as_bytes(), flag);
            }
        }
    }

    /// What the peer can do; what it did not tell, it cannot.
    #[must_use]
    pub const fn capabilities(&self) -> Capabilities {
        self.capabilities
    }
}

fn auth_map_type() -> Type {
    Type::map(Type::String, Type::Dynamic)
}
