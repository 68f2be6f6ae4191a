//! The host as its clients see it, byte by byte.

mod calls;
mod doors;
mod factory;
mod forwarded;
mod given;
mod lifetimes;
mod manage;
mod panics;
mod recorded;
mod registrations;
mod rich;
mod scripted;
mod turns;

use std::time::Duration;

use super::{Host, HostOptions, HostedObject};
use crate::qi::wire::ServiceId;

/// A host on the loopback interface that serves `object` as service 2, on no bus.
async fn host_with(object: &HostedObject, options: HostOptions) -> Host {
    let host = Host::listen("tcp://127.0.0.1:0", options).await.unwrap();
    host.table.insert(ServiceId(2), object).unwrap();
    host
}

/// Waits until something is so.
async fn until(condition: impl Fn() -> bool) {
    let poll = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), poll)
        .await
        .unwrap();
}
