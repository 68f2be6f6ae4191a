//! What all services of a robot say about themselves, asked once.

use std::{collections::BTreeSet, time::Duration};

use futures_util::{StreamExt as _, stream};
use tokio::time::timeout;

use crate::{
    qi::{
        session::{
            CallError, ConnectError, DialOptions, Endpoint, ReachError, RemoteObject, ServiceInfo,
            Session,
        },
        value::{MetaObject, codec::RefusedMember},
        wire::ObjectId,
    },
    schema::snapshot::Snapshot,
};

/// What to ask, and how long to wait.
#[derive(Clone, Debug)]
pub struct IntrospectOptions {
    /// What the session with the robot is made with.
    pub session: DialOptions,
    /// The names of the services to ask. Default all.
    pub services: Option<BTreeSet<String>>,
    /// How long the list of the services may take, and what each of them answers. Default 20 s: more
    /// than it takes to reach a service, and a robot at its limits answers within seconds.
    pub answer_timeout: Duration,
}

impl Default for IntrospectOptions {
    fn default() -> Self {
        Self {
            session: DialOptions::default(),
            services: None,
            answer_timeout: Duration::from_secs(20),
        }
    }
}

/// What a robot said.
#[derive(Clone, Debug)]
pub struct Introspection {
    /// The services that answered.
    pub snapshot: Snapshot,
    /// The services that did not, by name.
    pub unreachable: Vec<(String, UnreachableError)>,
    /// The members that were left out, since their signatures are none, each with its service.
    pub refused: Vec<(String, RefusedMember)>,
}

/// Why a robot cannot be asked.
#[derive(Debug, thiserror::Error)]
pub enum IntrospectError {
    /// There is no session.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The services cannot be listed.
    #[error("the services cannot be listed: {0}")]
    List(#[from] CallError),
    /// The list of the services takes too long.
    #[error("the services were not listed within {limit:?}")]
    ListTimedOut {
        /// [`IntrospectOptions::answer_timeout`].
        limit: Duration,
    },
    /// Services that were asked for are not on the bus.
    #[error("no such service: {}", names.join(", "))]
    NoSuchService {
        /// Their names.
        names: Vec<String>,
    },
}

/// Why a service did not say what it is.
#[derive(Clone, Debug, thiserror::Error)]
pub enum UnreachableError {
    /// No connection reaches it.
    #[error(transparent)]
    Reach(#[from] ReachError),
    /// It cannot be asked, or gave no good answer.
    #[error(transparent)]
    Call(#[from] CallError),
    /// It does not answer.
    #[error("no answer within {limit:?}")]
    TimedOut {
        /// [`IntrospectOptions::answer_timeout`].
        limit: Duration,
    },
}

/// How many services are asked at a time: a NAO has 114, most in one process that answers one
/// after the other.
const AT_A_TIME: usize = 16;

/// Asks the services of a robot what they are.
///
/// # Errors
///
/// [`IntrospectError`]. Services that do not answer are no error, they are named in the result.
///
/// # Cancel safety
///
/// Safe: the session ends.
pub async fn introspect(
    url: &Endpoint,
    options: IntrospectOptions,
) -> Result<Introspection, IntrospectError> {
    let limit = options.answer_timeout;
    let session = Session::connect(url, options.session).await?;
    let listed = timeout(limit, session.services())
        .await
        .map_err(|_| IntrospectError::ListTimedOut { limit })??;
    let bus: BTreeSet<String> = listed.iter().map(|info| info.name.clone()).collect();
    let wanted = options.services.unwrap_or_else(|| bus.clone());
    let names: Vec<String> = wanted.difference(&bus).cloned().collect();
    if !names.is_empty() {
        return Err(IntrospectError::NoSuchService { names });
    }
    let asked = listed.iter().filter(|info| wanted.contains(&info.name));
    let answers = asked.map(|info| async {
        let answer = timeout(limit, ask(&session, info)).await;
        let answer = answer.unwrap_or(Err(UnreachableError::TimedOut { limit }));
        (info.name.clone(), answer)
    });
    // The closures over borrowed services must not live on in the stream, or the compiler cannot tell
    // that this function may run in a task.
    let answers: Vec<_> = answers.collect();
    let answers: Vec<_> = stream::iter(answers)
        .buffer_unordered(AT_A_TIME)
        .collect()
        .await;
    session.close();

    let mut services = Vec::new();
    let mut unreachable = Vec::new();
    let mut refused = Vec::new();
    for (name, answer) in answers {
        match answer {
            Ok((meta, left_out)) => {
                refused.extend(left_out.into_iter().map(|member| (name.clone(), member)));
                services.push((name, meta));
            }
            Err(error) => unreachable.push((name, error)),
        }
    }
    unreachable.sort_by(|(one, _), (other, _)| one.cmp(other));
    refused.sort_by(|(one, _), (other, _)| one.cmp(other));
    Ok(Introspection {
        snapshot: Snapshot::new(services, bus.iter().map(String::as_str)),
        unreachable,
        refused,
    })
}

async fn ask(
    session: &Session,
    info: &ServiceInfo,
) -> Result<(MetaObject, Vec<RefusedMember>), UnreachableError> {
    let connection = session.reach(info).await?;
    let fetched = RemoteObject::fetch(&connection, info.service_id, ObjectId::MAIN).await?;
    let (object, refused) = fetched;
    Ok((MetaObject::clone(object.meta()), refused))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_robot_that_is_not_there_is_an_error_in_a_task_too() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);
        let url: Endpoint = format!("tcp://{address}").parse().unwrap();
        let asking = async move { introspect(&url, IntrospectOptions::default()).await };
        let asked = tokio::spawn(asking).await.unwrap();
        assert!(matches!(asked, Err(IntrospectError::Connect(_))));
    }
}
