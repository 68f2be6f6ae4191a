//! Services that clients host through the gateway.

use std::{collections::HashMap, sync::Arc, time::Duration};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, watch},
    time::timeout,
};

use super::{
    HostingConfig,
    declaration::{CallLimits, Declaration, Declared},
    desk::{CallId, Told},
    error::HostingError,
    names::{LEAVING_PATIENCE, Name, Names},
    offers::Offer,
    switchboard::{Called, Outcome, Switchboard},
    values::Values,
};
use crate::{
    bridge::{objects::ObjectTable, service::ValueFormat, supervisor::State},
    qi::{
        host::{Doors, PropertyHandle, Publication, PublicationState, RegisterError, SignalHandle},
        session::Session,
        value::{Signature, Value},
        wire::{Limits, ServiceId},
    },
    schema,
};

/// Hosts services on the robot's bus. Cloning is cheap.
#[derive(Clone, Debug)]
pub struct Hosting(Arc<Settings>);

#[derive(Debug)]
struct Settings {
    doors: Arc<Doors>,
    sessions: watch::Receiver<Option<Session>>,
    robot: watch::Receiver<State>,
    limits: Limits,
    objects: Arc<ObjectTable>,
    calls: CallLimits,
    services: usize,
    places: Arc<Semaphore>,
    names: Arc<Names>,
}

/// A service on the bus, or on its way there. It leaves the bus when this is dropped, and its calls
/// fail. The directory is told meanwhile; who hosts under the name next waits for it.
#[derive(Debug)]
pub struct HostedService {
    /// First: what waits for answers must not wait for the directory.
    _end: End,
    voice: Voice,
    _offer: Offer,
    /// Keeps the service on the bus.
    _publication: Publication,
    state: watch::Receiver<PublicationState>,
    _taken: Arc<Taken>,
}

/// What a service takes until its host is gone, and the directory knows.
#[derive(Debug)]
struct Taken {
    _place: OwnedSemaphorePermit,
    _name: Name,
}

/// Fails the calls of a service when it is dropped.
#[derive(Debug)]
struct End(Arc<Switchboard>);

/// What the host of a service can say. Cloning is cheap; does not keep the service on the bus.
#[derive(Clone, Debug)]
pub struct Voice(Arc<Speaking>);

#[derive(Debug)]
struct Speaking {
    board: Arc<Switchboard>,
    methods: Vec<Arc<Called>>,
    signals: HashMap<String, (SignalHandle, Signature)>,
    properties: HashMap<String, (PropertyHandle, Signature)>,
    property_names: Vec<(String, Signature)>,
}

/// What the host of a service is told, in the names that it declared.
#[derive(Clone, PartialEq, Debug)]
pub enum Notice {
    /// The service is on the bus.
    Registered {
        /// The number that it got.
        id: ServiceId,
    },
    /// A method is called.
    Call {
        /// The call.
        id: CallId,
        /// The name of the method.
        method: String,
        /// The signature of its parameters.
        parameters_signature: String,
        /// The arguments: elements of the field `args` of a `HostResponse.Call`.
        args: Vec<u8>,
    },
    /// Nobody waits for a call any more.
    Cancel {
        /// The call.
        id: CallId,
    },
    /// Someone else has set a property.
    Property {
        /// Its name.
        name: String,
        /// The content of a `Value`.
        value: Vec<u8>,
    },
}

impl Hosting {
    pub(crate) fn new(
        config: &HostingConfig,
        doors: Arc<Doors>,
        sessions: watch::Receiver<Option<Session>>,
        robot: watch::Receiver<State>,
        objects: Arc<ObjectTable>,
        limits: Limits,
    ) -> Self {
        let services = config.max_services.min(Semaphore::MAX_PERMITS);
        let largest = config.host.limits.calls_per_service;
        Self(Arc::new(Settings {
            doors,
            sessions,
            robot,
            limits,
            objects,
            calls: CallLimits {
                default: config.max_calls.min(largest),
                largest,
            },
            services,
            places: Arc::new(Semaphore::new(services)),
            names: Arc::default(),
        }))
    }

    /// Hosts a service: it is registered as soon as the robot is there, and whenever it comes back.
    /// Its host gets values in that form.
    ///
    /// # Errors
    ///
    /// [`HostingError`]. What the directory says comes with [`HostedService::notice`].
    ///
    /// # Cancel safety
    ///
    /// Safe: the service is not hosted.
    pub async fn host(
        &self,
        declaration: &Declaration,
        format: ValueFormat,
    ) -> Result<HostedService, HostingError> {
        let settings = &*self.0;
        settings.check_name(&declaration.name)?;
        let values = Values {
            limits: settings.limits,
            format,
            objects: Arc::clone(&settings.objects),
        };
        let timeout = declaration.timeout()?;
        let board = Arc::new(Switchboard::new(&declaration.name, values, timeout));
        let declared = declaration.build(&board, settings.calls)?;
        let place = settings.place().await?;
        settings.doors.open().await?;
        let taken = Arc::new(Taken {
            _place: place,
            _name: settings.names.take(&declaration.name).await,
        });
        let Declared {
            object,
            methods,
            signals,
            properties,
            property_names,
        } = declared;
        let sessions = settings.sessions.clone();
        let host = settings.doors.host();
        let publication = host.publish(sessions, &declaration.name, &object);
        let mut state = publication.state();
        // Ends with the publication.
        tokio::spawn(keep_until_left(state.clone(), Arc::clone(&taken)));
        state.mark_changed();
        Ok(HostedService {
            _end: End(Arc::clone(&board)),
            voice: Voice(Arc::new(Speaking {
                board,
                methods,
                signals,
                properties,
                property_names,
            })),
            _offer: settings.objects.offers().add(&declaration.name, &object),
            _publication: publication,
            state,
            _taken: taken,
        })
    }
}

impl Settings {
    /// Of two services of one package the name that sorts first has it: a client that hosts `AL-Motion` is not
    /// to take the place of the robot's `ALMotion` in the API.
    fn check_name(&self, name: &str) -> Result<(), HostingError> {
        let package = schema::package(name);
        let catalogue = Arc::clone(&self.robot.borrow().catalogue);
        let mut present = catalogue.services().filter(|it| it.is_available());
        let displaced =
            present.find(|it| name < it.name() && schema::package(it.name()) == package);
        match displaced {
            Some(other) => Err(HostingError::PackageTaken {
                name: name.to_owned(),
                other: other.name().to_owned(),
                package,
            }),
            None => Ok(()),
        }
    }

    /// A place for one more service; that of one which is just leaving will do.
    async fn place(&self) -> Result<OwnedSemaphorePermit, HostingError> {
        let place = Arc::clone(&self.places).acquire_owned();
        match timeout(LEAVING_PATIENCE, place).await {
            Ok(Ok(place)) => Ok(place),
            Ok(Err(_)) | Err(_) => Err(HostingError::TooManyServices {
                limit: self.services,
            }),
        }
    }
}

/// Keeps what a service takes until it has left the bus, at the latest with the session: a
/// directory that is silent shall not collect services without end.
async fn keep_until_left(mut state: watch::Receiver<PublicationState>, taken: Arc<Taken>) {
    while state.changed().await.is_ok() {}
    drop(taken);
}

impl HostedService {
    /// What the host can say.
    #[must_use]
    pub fn voice(&self) -> Voice {
        self.voice.clone()
    }

    /// How long an answer may take.
    #[must_use]
    pub fn answer_timeout(&self) -> Duration {
        self.voice.board().answer_timeout()
    }

    /// What the host is to be told next. Calls wait until they are asked for here; their number is
    /// limited.
    ///
    /// # Errors
    ///
    /// [`HostingError`]: the service is not on the bus, and will not be.
    ///
    /// # Cancel safety
    ///
    /// Safe: nothing is lost.
    pub async fn notice(&mut self) -> Result<Notice, HostingError> {
        loop {
            let told = tokio::select! {
                biased;
                changed = self.state.changed() => {
                    match (changed, &*self.state.borrow_and_update()) {
                        (Ok(()), PublicationState::Registered { id }) => {
                            self.voice.board().registered(*id);
                        }
                        // Tried again, or else the state does not change any more.
                        (Ok(()), PublicationState::Waiting | PublicationState::Refused { .. }) => {}
                        (Err(_), PublicationState::Refused { error }) => {
                            return Err(error.clone().into());
                        }
                        (Err(_), _) => return Err(RegisterError::Over.into()),
                    }
                    continue;
                }
                told = self.voice.board().told() => told,
            };
            if let Some(notice) = self.voice.notice(told) {
                return Ok(notice);
            }
        }
    }
}

impl Drop for End {
    fn drop(&mut self) {
        self.0.close();
    }
}

impl Voice {
    fn board(&self) -> &Switchboard {
        &self.0.board
    }

    /// Answers a call. Ignored if it was answered, or nobody waits for it any more.
    pub fn answer(&self, id: CallId, outcome: Outcome) {
        self.board().answer(id, outcome);
    }

    /// Has the service take no more calls, which fail from now on, and waits until those that it
    /// has taken are over.
    ///
    /// # Cancel safety
    ///
    /// Safe: no more calls are taken.
    pub async fn retire(&self) {
        self.board().retire().await;
    }

    /// Emits a signal; each argument is the bytes of a `Value`.
    ///
    /// # Errors
    ///
    /// [`HostingError::UnknownMember`], [`HostingError::Value`], [`HostingError::Undecodable`],
    /// [`HostingError::TooManyObjects`], [`HostingError::NotSendable`]: nothing is emitted.
    pub fn emit(&self, signal: &str, args: &[Vec<u8>]) -> Result<(), HostingError> {
        let known = self.0.signals.get(signal);
        let (handle, signature) = known.ok_or_else(|| HostingError::UnknownMember {
            field: "emit.signal",
            name: signal.to_owned(),
        })?;
        let values = self.board().values();
        let arguments = values
            .arguments(args, signature.ty())
            .map_err(|error| error.at("emit"))?;
        handle
            .emit(arguments)
            .map_err(|source| HostingError::NotSendable {
                field: "emit.args".to_owned(),
                source,
            })
    }

    /// Sets a property, and tells all who watch it; the value is the bytes of a `Value`.
    ///
    /// # Errors
    ///
    /// As [`Self::emit`].
    pub fn set_property(&self, name: &str, value: &[u8]) -> Result<(), HostingError> {
        let known = self.0.properties.get(name);
        let (handle, signature) = known.ok_or_else(|| HostingError::UnknownMember {
            field: "property.name",
            name: name.to_owned(),
        })?;
        let value: Value = self
            .board()
            .values()
            .of_type(value, signature.ty())
            .map_err(|error| error.at("property.value"))?;
        handle
            .set(value)
            .map_err(|source| HostingError::NotSendable {
                field: "property.value".to_owned(),
                source,
            })
    }

    /// In the names of the host; none for what cannot be told.
    fn notice(&self, told: Told) -> Option<Notice> {
        Some(match told {
            Told::Registered { id } => Notice::Registered { id },
            Told::Cancel { id } => Notice::Cancel { id },
            Told::Call { id, method, args } => {
                let method = self.0.methods.get(method.0)?;
                Notice::Call {
                    id,
                    method: method.name.clone(),
                    parameters_signature: method.parameters.to_string(),
                    args,
                }
            }
            Told::Property { property, value } => {
                let (name, signature) = self.0.property_names.get(property.0)?;
                match self.board().values().tell(value, signature) {
                    Ok(value) => Notice::Property {
                        name: name.clone(),
                        value,
                    },
                    Err(error) => {
                        tracing::warn!(property = name, %error, "a value is not told to the host");
                        return None;
                    }
                }
            }
        })
    }
}
