//! The server's side of authentication (protocol text, section 9).

use std::{fmt, sync::Arc};

use bytes::Bytes;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::timeout,
};

use super::{HostLimits, error::AcceptError};
use crate::qi::{
    session::{
        AuthMap, Capabilities, Framed, RemoteCapabilities, UNHANDLED_CALL,
        auth_map::{NEW_TOKEN, STATE_CONTINUE, STATE_DONE, TOKEN, USER},
        error_payload,
    },
    wire::{Address, Kind, Limits, Message, ServiceId},
};

/// Decides who may connect.
///
/// With an authenticator, peers that do not authenticate are refused; without one, everyone may
/// connect, as with libqi.
pub trait Authenticator: Send + Sync {
    /// Judges what a peer says about itself. Must not block.
    fn authenticate(&self, presented: &Presented) -> Verdict;
}

/// What a peer says about itself; either may be missing.
#[derive(Clone, PartialEq, Eq)]
pub struct Presented {
    /// Its name.
    pub user: Option<String>,
    /// Its secret.
    pub token: Option<String>,
}

impl fmt::Debug for Presented {
    /// Keeps the secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Presented")
            .field("user", &self.user)
            .finish_non_exhaustive()
    }
}

/// What becomes of a peer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// It is let in.
    Accept,
    /// It is told why not, and the connection is closed: a libqi client that was only told would
    /// try again and again.
    Refuse {
        /// For the peer.
        reason: String,
    },
    /// It has to authenticate once more, with this secret from now on.
    NewToken {
        /// The secret.
        token: String,
    },
}

/// Lets a peer in, or not. Gives what both sides can do; the stream then goes on with what
/// followed.
///
/// # Errors
///
/// [`AcceptError`]; the stream is to be closed then.
pub(super) async fn accept<IO>(
    framed: &mut Framed<IO>,
    limits: &HostLimits,
    authenticator: Option<&Arc<dyn Authenticator>>,
) -> Result<Capabilities, AcceptError>
where
    IO: AsyncRead + AsyncWrite + Unpin,
{
    let mut entrance = Entrance {
        remote: RemoteCapabilities::default(),
        wire: limits.connection.wire,
        attempts_left: limits.authentication_attempts,
        told: false,
        authenticator,
    };
    let accepted = async {
        loop {
            let message = framed.receive().await?;
            match entrance.receive(&message)? {
                Step::Ignore => {}
                Step::Answer(answer) => framed.send(&answer).await?,
                Step::Accept(answer) => {
                    framed.send(&answer).await?;
                    return Ok(entrance.shared());
                }
                Step::TellAndAccept(payload) => {
                    let id = framed.next_id();
                    let address = Address::default();
                    let told = Message::new(Kind::Capability, id, address, payload);
                    framed.send(&told).await?;
                    return Ok(entrance.shared());
                }
                Step::Refuse(answer) => {
                    framed.send(&answer).await?;
                    return Err(AcceptError::Refused);
                }
            }
        }
    };
    timeout(limits.authentication_time, accepted)
        .await
        .map_err(|_| AcceptError::TimedOut)?
}

/// Where a peer stands that is not let in yet. No IO.
struct Entrance<'a> {
    remote: RemoteCapabilities,
    wire: Limits,
    attempts_left: u32,
    /// It knows our capabilities already; they are told once.
    told: bool,
    authenticator: Option<&'a Arc<dyn Authenticator>>,
}

/// What follows from a message.
#[derive(Debug)]
enum Step {
    Ignore,
    Answer(Message),
    /// The last answer.
    Accept(Message),
    /// The capability message to send, with an id of ours.
    TellAndAccept(Bytes),
    /// The last answer, an error.
    Refuse(Message),
}

impl Entrance<'_> {
    fn receive(&mut self, message: &Message) -> Result<Step, AcceptError> {
        if message.address.service != ServiceId::SERVER {
            return Ok(match message.kind {
                Kind::Call => {
                    Step::Answer(message.answer(Kind::Error, error_payload(UNHANDLED_CALL)))
                }
                _ => Step::Ignore,
            });
        }
        match message.kind {
            Kind::Capability => {
                let map = AuthMap::decode(&message.payload, &self.wire)?;
                self.remote.learn(&map);
                Ok(Step::Ignore)
            }
            Kind::Call if message.address == Address::AUTHENTICATE => self.authenticate(message),
            Kind::Unknown(_) => Ok(Step::Ignore),
            _ if self.authenticator.is_some() => Ok(Step::Refuse(unexpected(message))),
            _ => Ok(Step::TellAndAccept(
                AuthMap::of(Capabilities::OURS).encode()?,
            )),
        }
    }

    fn authenticate(&mut self, call: &Message) -> Result<Step, AcceptError> {
        let map = AuthMap::decode(&call.payload, &self.wire)?;
        self.remote.learn(&map);
        let verdict = match self.authenticator {
            None => Verdict::Accept,
            Some(authenticator) => authenticator.authenticate(&Presented {
                user: map.text(USER),
                token: map.text(TOKEN),
            }),
        };
        self.attempts_left = self.attempts_left.saturating_sub(1);
        match verdict {
            Verdict::Accept => {
                let map = self.answer(STATE_DONE);
                Ok(Step::Accept(call.answer(Kind::Reply, map.encode()?)))
            }
            Verdict::NewToken { token } if self.attempts_left > 0 => {
                let mut map = self.answer(STATE_CONTINUE);
                map.insert_text(NEW_TOKEN, &token);
                Ok(Step::Answer(call.answer(Kind::Reply, map.encode()?)))
            }
            Verdict::NewToken { .. } => Ok(refused(call, "too many attempts")),
            Verdict::Refuse { reason } => Ok(refused(call, &reason)),
        }
    }

    fn answer(&mut self, state: u32) -> AuthMap {
        let told = std::mem::replace(&mut self.told, true);
        let mut map = match told {
            true => AuthMap::new(),
            false => AuthMap::of(Capabilities::OURS),
        };
        map.insert_state(state);
        map
    }

    const fn shared(&self) -> Capabilities {
        Capabilities::OURS.shared(self.remote.capabilities())
    }
}

/// libqi's text (section 9).
fn refused(call: &Message, reason: &str) -> Step {
    let text = format!("Authentication failed: {reason}");
    Step::Refuse(call.answer(Kind::Error, error_payload(&text)))
}

/// libqi's text (section 9).
fn unexpected(message: &Message) -> Message {
    let Address {
        service, action, ..
    } = message.address;
    let kind = message.kind.to_u8();
    let text = format!(
        "Expected authentication (service #0, type #1, action #8), received service #{service}, \
         type #{kind}, action #{action}"
    );
    message.answer(Kind::Error, error_payload(&text))
}

#[cfg(test)]
mod tests;
