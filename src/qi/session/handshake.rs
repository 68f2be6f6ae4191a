//! The client's side of authentication (protocol text, sections 9 and 20).

use std::{fmt, io, time::Duration};

use bytes::Bytes;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::timeout,
};

use super::{
    AuthMap, Capabilities, CloseReason, RemoteCapabilities,
    auth_map::{ERROR_REASON, NEW_TOKEN, STATE_CONTINUE, STATE_DONE, STATE_ERROR, TOKEN, USER},
    call::error_text,
    event::{UNHANDLED_CALL, error_payload},
    framed::Framed,
};
use crate::qi::{
    value::codec::{DecodeError, EncodeError},
    wire::{Address, Kind, Limits, Message},
};

/// Who we are, for robots that ask.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// The user's name.
    pub user: String,
    /// The secret.
    pub token: String,
}

impl fmt::Debug for Credentials {
    /// Keeps the secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials")
            .field("user", &self.user)
            .finish_non_exhaustive()
    }
}

/// How to open a connection.
#[derive(Clone, Debug)]
pub struct HandshakeOptions {
    /// What we can do. Default [`Capabilities::OURS`].
    pub capabilities: Capabilities,
    /// Who we are. Default nobody.
    pub credentials: Option<Credentials>,
    /// How long the peer may take for all of it. Default 10 s: a robot answers within
    /// milliseconds, but may be starting.
    pub timeout: Duration,
    /// What is accepted from the peer.
    pub limits: Limits,
}

impl Default for HandshakeOptions {
    fn default() -> Self {
        Self {
            capabilities: Capabilities::OURS,
            credentials: None,
            timeout: Duration::from_secs(10),
            limits: Limits::default(),
        }
    }
}

/// What a handshake found out.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Authenticated {
    /// What both sides can do.
    pub shared: Capabilities,
    /// The secret that the peer wants from now on instead of that of the credentials.
    pub new_token: Option<String>,
}

/// Why a connection was not opened.
#[derive(Clone, Debug, thiserror::Error)]
pub enum HandshakeError {
    /// The peer does not want us; wrong credentials, mostly.
    #[error("refused: {text}")]
    Refused {
        /// The peer's text.
        text: String,
    },
    /// The peer wants us to authenticate again and again.
    #[error("not accepted after {attempts} attempts")]
    TooManyAttempts {
        /// How often we tried.
        attempts: u32,
    },
    /// The peer's answer does not say where authentication stands.
    #[error("the answer to authenticate has no valid state: {state:?}")]
    BadState {
        /// What stands in its place.
        state: Option<i64>,
    },
    /// The peer's answer is no map.
    #[error("the answer to authenticate cannot be read: {0}")]
    Malformed(#[from] DecodeError),
    /// The credentials do not fit into a message.
    #[error("the credentials cannot be sent: {0}")]
    Credentials(#[from] EncodeError),
    /// The connection ended.
    #[error(transparent)]
    Closed(#[from] CloseReason),
    /// The peer did not answer in time.
    #[error("no answer to authenticate within {0:?}")]
    TimedOut(Duration),
}

impl From<io::Error> for HandshakeError {
    fn from(error: io::Error) -> Self {
        Self::Closed(error.into())
    }
}

/// How often we authenticate at most: the token protocol of NAOqi takes two, and a libqi client
/// would go on endlessly (section 9).
const MAX_ATTEMPTS: u32 = 5;

/// What the error of a peer from before authentication begins with (section 20).
const UNKNOWN_SERVICE: &str = "can't find service";

/// How long such a peer may take to tell its capabilities: it does so as soon as it reads, so this
/// is for a slow network.
const CAPABILITIES_GRACE: Duration = Duration::from_secs(2);

/// Authenticates as the side that opened the connection.
///
/// # Errors
///
/// [`HandshakeError`]; the stream is to be closed then.
///
/// # Cancel safety
///
/// Not safe: the stream is of no more use.
pub async fn authenticate<IO>(
    framed: &mut Framed<IO>,
    options: &HandshakeOptions,
) -> Result<Authenticated, HandshakeError>
where
    IO: AsyncRead + AsyncWrite + Unpin,
{
    let handshake = Handshake {
        framed,
        options,
        remote: RemoteCapabilities::default(),
        told_capabilities: false,
    };
    timeout(options.timeout, handshake.run())
        .await
        .map_err(|_| HandshakeError::TimedOut(options.timeout))?
}

struct Handshake<'a, IO> {
    framed: &'a mut Framed<IO>,
    options: &'a HandshakeOptions,
    remote: RemoteCapabilities,
    /// The peer told its capabilities by itself, as those do that know no authentication.
    told_capabilities: bool,
}

impl<IO: AsyncRead + AsyncWrite + Unpin> Handshake<'_, IO> {
    async fn run(mut self) -> Result<Authenticated, HandshakeError> {
        let mut credentials = self.options.credentials.clone();
        let mut new_token = None;
        let mut map = AuthMap::of(self.options.capabilities);
        for _ in 0..MAX_ATTEMPTS {
            if let Some(credentials) = &credentials {
                map.insert_text(USER, &credentials.user);
                map.insert_text(TOKEN, &credentials.token);
            }
            let answer = self.ask(map).await?;
            if answer.kind != Kind::Reply {
                self.refused(&answer).await?;
                return Ok(self.authenticated(new_token));
            }
            let answer = AuthMap::decode(&answer.payload, &self.options.limits)?;
            self.remote.learn(&answer);
            match answer.state().map(u32::try_from) {
                Some(Ok(STATE_DONE)) => return Ok(self.authenticated(new_token)),
                Some(Ok(STATE_CONTINUE)) => {}
                Some(Ok(STATE_ERROR)) => {
                    let text = answer.text(ERROR_REASON).unwrap_or_default();
                    return Err(HandshakeError::Refused { text });
                }
                _ => {
                    let state = answer.state();
                    return Err(HandshakeError::BadState { state });
                }
            }
            if let (Some(token), Some(credentials)) = (answer.text(NEW_TOKEN), &mut credentials) {
                credentials.token.clone_from(&token);
                new_token = Some(token);
            }
            // Capabilities are told once (section 9).
            map = AuthMap::new();
        }
        let attempts = MAX_ATTEMPTS;
        Err(HandshakeError::TooManyAttempts { attempts })
    }

    /// Calls authenticate and waits for its answer.
    async fn ask(&mut self, map: AuthMap) -> Result<Message, HandshakeError> {
        let id = self.framed.next_id();
        let call = Message::new(Kind::Call, id, Address::AUTHENTICATE, map.encode()?);
        self.framed.send(&call).await?;
        loop {
            let message = self.framed.receive().await?;
            let is_answer = matches!(message.kind, Kind::Reply | Kind::Error | Kind::Canceled);
            if is_answer && message.id == id {
                return Ok(message);
            }
            self.aside(&message).await?;
        }
    }

    /// A peer from before authentication answers it with an error, tells its capabilities by
    /// itself, and wants to be told ours (section 20). Any other means what it says.
    async fn refused(&mut self, answer: &Message) -> Result<(), HandshakeError> {
        let text = error_text(&answer.payload);
        if !self.told_capabilities && text.starts_with(UNKNOWN_SERVICE) {
            // The capabilities may come after the error. A peer that closes instead means it.
            let _ = timeout(CAPABILITIES_GRACE, self.until_told()).await;
        }
        if !self.told_capabilities {
            return Err(HandshakeError::Refused { text });
        }
        let id = self.framed.next_id();
        let payload: Bytes = AuthMap::of(self.options.capabilities).encode()?;
        let message = Message::new(Kind::Capability, id, Address::default(), payload);
        Ok(self.framed.send(&message).await?)
    }

    async fn until_told(&mut self) -> Result<(), HandshakeError> {
        while !self.told_capabilities {
            let message = self.framed.receive().await?;
            self.aside(&message).await?;
        }
        Ok(())
    }

    /// Takes a message that is not the answer we wait for.
    async fn aside(&mut self, message: &Message) -> Result<(), HandshakeError> {
        match message.kind {
            Kind::Capability => {
                let map = AuthMap::decode(&message.payload, &self.options.limits)?;
                self.remote.learn(&map);
                self.told_capabilities = true;
            }
            Kind::Call => {
                let answer = message.answer(Kind::Error, error_payload(UNHANDLED_CALL));
                self.framed.send(&answer).await?;
            }
            _ => {}
        }
        Ok(())
    }

    fn authenticated(&self, new_token: Option<String>) -> Authenticated {
        Authenticated {
            shared: self.options.capabilities.shared(self.remote.capabilities()),
            new_token,
        }
    }
}

#[cfg(test)]
mod tests;
