//! `grpc.health.v1`: the whole server, and each generated service.

use std::collections::HashMap;

use tokio::sync::watch;
use tonic_health::{ServingStatus, server::HealthReporter};

use super::reflection::STATIC_SERVICES;
use crate::bridge::supervisor::State;

/// Tells of each service whether it can be called; the whole server serves while the robot is
/// there. Ends when the robot is given up.
pub(crate) async fn follow(mut robot: watch::Receiver<State>, mut reporter: HealthReporter) {
    let mut told: HashMap<String, bool> = HashMap::new();
    loop {
        let now = statuses(&robot.borrow_and_update());
        for (name, serving) in &now {
            if told.get(name) != Some(serving) {
                reporter.set_service_status(name, status(*serving)).await;
            }
        }
        for name in told.keys().filter(|name| !now.contains_key(*name)) {
            reporter.clear_service_status(name).await;
        }
        told = now;
        if robot.changed().await.is_err() {
            return;
        }
    }
}

/// Nothing is served any more: the server is about to end.
pub(crate) async fn stop(robot: &watch::Receiver<State>, reporter: &HealthReporter) {
    let names = statuses(&robot.borrow());
    for name in names.keys() {
        reporter
            .set_service_status(name, ServingStatus::NotServing)
            .await;
    }
}

fn statuses(state: &State) -> HashMap<String, bool> {
    state
        .catalogue
        .services()
        .map(|service| (service.schema().full_name.clone(), service.is_available()))
        .chain([(String::new(), state.connected)])
        .chain(statics())
        .collect()
}

/// The gateway's own services are there whether the robot is or not.
fn statics() -> impl Iterator<Item = (String, bool)> {
    let own = STATIC_SERVICES
        .iter()
        .filter(|name| name.starts_with("qi."));
    own.map(|name| ((*name).to_owned(), true))
}

const fn status(serving: bool) -> ServingStatus {
    if serving {
        ServingStatus::Serving
    } else {
        ServingStatus::NotServing
    }
}
