//! Services that stay on the bus, over all sessions with it.
//!
//! ```text
//!              a session                     the directory agrees
//!   Waiting ──────────────▶ registerService ──────────────────────▶ Registered
//!      ▲                      │ refused  ▲                               │
//!      │                      ▼          │ pause, if it was              │
//!      │                     Refused ────┘ registered before,            │
//!      │                                   else the end                  │
//!      └─────────────────────────────────────────────────────────────────┘
//!                     the session is lost, or there is another
//! ```

use std::time::Duration;

use tokio::{sync::watch, task::JoinHandle, time::sleep};
use tokio_util::sync::CancellationToken;

use super::{
    Host, HostedObject, LeaveError, RegisterError, Registration,
    registration::{LEAVE_TIME, Registrar},
};
use crate::qi::{
    session::{Backoff, CallError, ConnectionId, Session},
    wire::ServiceId,
};

/// A service that is kept on the bus. It leaves the bus when this is dropped, or with
/// [`Self::leave`].
#[derive(Debug)]
#[must_use = "dropping it takes the service from the bus"]
pub struct Publication {
    state: watch::Receiver<PublicationState>,
    end: CancellationToken,
    /// Ends with `end`, at the latest with the host.
    task: JoinHandle<Result<(), LeaveError>>,
}

/// Where a [`Publication`] stands.
#[derive(Clone, Debug, Default)]
pub enum PublicationState {
    /// There is no session, or the directory has not answered yet; or the service has left.
    #[default]
    Waiting,
    /// The service can be used.
    Registered {
        /// The number that the directory gave it, another one each time.
        id: ServiceId,
    },
    /// The directory refuses it. If it was registered before, or may have been, it is tried again
    /// and again: what has the name may be what the directory has not noticed the end of. Otherwise
    /// this is the end.
    Refused {
        /// Why.
        error: RegisterError,
    },
}

/// Pauses between attempts while the directory refuses: short at first, since a directory notices
/// the end of a connection within milliseconds; then rarely, since a host that vanished from the
/// network is missed after a minute at the earliest (section 1).
const PAUSES: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));

/// How often a number may be taken in our own host before that is an error. After a reconnection
/// another service may be given a number that this host still holds for one that is just about to
/// notice that its session is lost.
const NUMBER_TAKEN_ATTEMPTS: u32 = 5;

impl Host {
    /// Keeps an object on the bus as the service `name`, over whatever session `sessions` holds:
    /// it is registered with each new one, until the publication is dropped.
    ///
    /// The sessions should have been connected with [`Self::dispatch`], as for
    /// [`Self::register`]. Must be called within a tokio runtime.
    pub fn publish(
        &self,
        sessions: watch::Receiver<Option<Session>>,
        name: &str,
        object: &HostedObject,
    ) -> Publication {
        let (state, receiver) = watch::channel(PublicationState::Waiting);
        let end = self.end.child_token();
        let publisher = Publisher {
            registrar: self.registrar(),
            sessions,
            name: name.to_owned(),
            object: object.clone(),
            state,
            end: end.clone(),
        };
        Publication {
            state: receiver,
            end,
            task: tokio::spawn(publisher.run()),
        }
    }
}

impl Publication {
    /// Waits until the service can be used, and gives its number.
    ///
    /// # Errors
    ///
    /// [`RegisterError`], when the directory refuses it, at the first attempt already;
    /// [`RegisterError::Over`] when there can be no attempt any more.
    ///
    /// # Cancel safety
    ///
    /// Safe.
    pub async fn registered(&self) -> Result<ServiceId, RegisterError> {
        let mut state = self.state.clone();
        let decided = |state: &PublicationState| !matches!(state, PublicationState::Waiting);
        match state.wait_for(decided).await.as_deref() {
            Ok(PublicationState::Registered { id }) => Ok(*id),
            Ok(PublicationState::Refused { error }) => Err(error.clone()),
            Ok(PublicationState::Waiting) | Err(_) => Err(RegisterError::Over),
        }
    }

    /// Where it stands, now and from now on.
    #[must_use]
    pub fn state(&self) -> watch::Receiver<PublicationState> {
        self.state.clone()
    }

    /// Takes the service from the bus and waits until the directory says so, for at most 5 s; as
    /// long again if it is just being registered. Calls that still run fail.
    ///
    /// # Errors
    ///
    /// [`LeaveError`]. The service does not answer any more in any case.
    ///
    /// # Cancel safety
    ///
    /// The service leaves the bus all the same.
    pub async fn leave(mut self) -> Result<(), LeaveError> {
        self.end.cancel();
        // It fails only at the end of the runtime, and then nobody needs to be told.
        (&mut self.task).await.unwrap_or(Ok(()))
    }
}

impl Drop for Publication {
    fn drop(&mut self) {
        self.end.cancel();
    }
}

/// The task behind a [`Publication`].
struct Publisher {
    registrar: Registrar,
    sessions: watch::Receiver<Option<Session>>,
    name: String,
    object: HostedObject,
    state: watch::Sender<PublicationState>,
    end: CancellationToken,
}

impl Publisher {
    async fn run(mut self) -> Result<(), LeaveError> {
        let mut attempts = Attempts::default();
        while let Some(session) = self.session().await {
            // Not to be interrupted while there is hope: the name would stay taken by what is half
            // registered, until the session ends.
            let registrar = &self.registrar;
            let registered = tokio::select! {
                biased;
                registered = registrar.register(&session, &self.name, &self.object) => registered,
                () = self.overdue() => return Err(LeaveError::TimedOut),
            };
            match registered {
                Ok(registration) => {
                    attempts = Attempts::after_success();
                    let connection = session.connection().id();
                    drop(session);
                    let stayed = self.stay(&registration, connection).await;
                    self.state.send_replace(PublicationState::Waiting);
                    if stayed == Stay::Ended {
                        return registration.leave().await;
                    }
                }
                Err(error) => {
                    drop(session);
                    match attempts.judge(&error) {
                        Judgement::Final => {
                            self.state.send_replace(PublicationState::Refused { error });
                            break;
                        }
                        Judgement::Refused => {
                            attempts.report(&self.name, &error);
                            self.state.send_replace(PublicationState::Refused { error });
                        }
                        Judgement::Passing => {
                            self.state.send_replace(PublicationState::Waiting);
                        }
                    }
                    self.pause(&mut attempts.pauses).await;
                }
            }
        }
        Ok(())
    }

    /// Ready when a directory that is still asked at the end had its time.
    async fn overdue(&self) {
        self.end.cancelled().await;
        sleep(LEAVE_TIME).await;
    }

    /// The session that there is, or the next one; none at the end.
    async fn session(&mut self) -> Option<Session> {
        let is_open =
            |session: &Option<Session>| session.as_ref().is_some_and(|known| !known.is_closed());
        tokio::select! {
            biased;
            () = self.end.cancelled() => None,
            session = self.sessions.wait_for(is_open) => session.ok()?.clone(),
        }
    }

    /// Waits until the service is to leave the session in which it is registered.
    async fn stay(&mut self, registration: &Registration, connection: ConnectionId) -> Stay {
        let id = registration.service_id();
        tracing::debug!(service = self.name, %id, "registered");
        self.state.send_replace(PublicationState::Registered { id });
        let is_another = |session: &Option<Session>| {
            let known = session.as_ref();
            known.is_some_and(|known| known.connection().id() != connection)
        };
        let replaced = async { self.sessions.wait_for(is_another).await.map(drop) };
        tokio::select! {
            biased;
            () = self.end.cancelled() => Stay::Ended,
            _ = registration.lost() => Stay::Lost,
            Ok(()) = replaced => Stay::Lost,
        }
    }

    async fn pause(&mut self, pauses: &mut Backoff) {
        tokio::select! {
            () = self.end.cancelled() => {}
            Ok(()) = self.sessions.changed() => {}
            () = pauses.pause() => {}
        }
    }
}

/// Why a service does not stay registered in a session.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Stay {
    /// It is to leave the bus.
    Ended,
    /// The session is lost, or there is another one.
    Lost,
}

/// The attempts since the service was registered for the last time.
struct Attempts {
    /// What has the name may be ourselves, of a session that is over.
    may_be_ours: bool,
    number_taken: u32,
    reported: Option<String>,
    pauses: Backoff,
}

/// What follows from an attempt that failed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Judgement {
    /// No other attempt will do better.
    Final,
    /// The directory refuses; it may think better of it later.
    Refused,
    /// It says nothing about the next attempt.
    Passing,
}

impl Default for Attempts {
    fn default() -> Self {
        Self {
            may_be_ours: false,
            number_taken: 0,
            reported: None,
            pauses: Backoff::new(PAUSES),
        }
    }
}

impl Attempts {
    fn after_success() -> Self {
        Self {
            may_be_ours: true,
            ..Self::default()
        }
    }

    fn judge(&mut self, error: &RegisterError) -> Judgement {
        match error {
            RegisterError::Directory(CallError::NotSent(_)) => return Judgement::Passing,
            RegisterError::Directory(CallError::Lost(_)) => {
                self.may_be_ours = true;
                return Judgement::Passing;
            }
            RegisterError::NumberTaken { .. } if self.number_taken < NUMBER_TAKEN_ATTEMPTS => {
                self.number_taken += 1;
                return Judgement::Passing;
            }
            _ => {}
        }
        match self.may_be_ours {
            true => Judgement::Refused,
            false => Judgement::Final,
        }
    }

    /// Once a reason: another process may keep the name for days.
    fn report(&mut self, name: &str, error: &RegisterError) {
        let text = error.to_string();
        if self.reported.as_ref() != Some(&text) {
            tracing::warn!(service = name, %error, "not registered again, trying on");
            self.reported = Some(text);
        }
    }
}

#[cfg(test)]
mod tests;
