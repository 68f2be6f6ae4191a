//! Who a host is, as the directory tells it to others (protocol text, section 14).

use std::{collections::BTreeMap, env, fs, io::Write as _, path::PathBuf, process};

use bytes::Bytes;
use parking_lot::Mutex;

use crate::qi::{session::ServiceInfo, value::ObjectUid, wire::ServiceId};

/// What is the same for all services of a host.
#[derive(Debug)]
pub(super) struct Identity {
    /// Clients take loopback endpoints only from services of their own machine (section 15).
    machine_id: String,
    process_id: u32,
    session_id: String,
    endpoints: Mutex<Endpoints>,
}

/// The addresses under which others come to each door.
#[derive(Debug, Default)]
struct Endpoints {
    last: u64,
    doors: BTreeMap<DoorId, Vec<String>>,
}

/// Tells the doors of one host apart. Later ones have higher numbers.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct DoorId(u64);

impl Identity {
    pub(super) fn new() -> Self {
        Self {
            machine_id: machine_id(),
            process_id: process::id(),
            session_id: random_uuid(),
            endpoints: Mutex::default(),
        }
    }

    /// Those of all doors, each once.
    pub(super) fn endpoints(&self) -> Vec<String> {
        let endpoints = self.endpoints.lock();
        let mut urls = Vec::new();
        for url in endpoints.doors.values().flatten() {
            if !urls.contains(url) {
                urls.push(url.clone());
            }
        }
        urls
    }

    /// Adds a door, and the addresses under which others come there.
    pub(super) fn add_door(&self, urls: Vec<String>) -> DoorId {
        let mut endpoints = self.endpoints.lock();
        endpoints.last += 1;
        let id = DoorId(endpoints.last);
        endpoints.doors.insert(id, urls);
        id
    }

    /// Replaces the addresses of a door.
    pub(super) fn set_endpoints(&self, door: DoorId, urls: Vec<String>) {
        self.endpoints.lock().doors.insert(door, urls);
    }

    pub(super) fn forget_endpoints(&self, door: DoorId) {
        self.endpoints.lock().doors.remove(&door);
    }

    /// What the directory is told about a service; the number is the directory's to give.
    pub(super) fn describe(&self, name: &str, uid: ObjectUid) -> ServiceInfo {
        ServiceInfo {
            name: name.to_owned(),
            service_id: ServiceId::default(),
            machine_id: self.machine_id.clone(),
            process_id: self.process_id,
            endpoints: self.endpoints(),
            session_id: self.session_id.clone(),
            object_uid: Some(Bytes::copy_from_slice(&uid.0)),
        }
    }
}

/// The id that libqi has for this machine, from the same file; like libqi it makes one up and keeps
/// it there when there is none yet (qi::os::getMachineId).
fn machine_id() -> String {
    let path = config_directory().map(|path| path.join("qimessaging").join("machine_id"));
    let Some(path) = path else {
        return random_uuid();
    };
    let known = || {
        let text = fs::read_to_string(&path).ok()?;
        let text = text.trim();
        is_uuid(text).then(|| text.to_owned())
    };
    known().unwrap_or_else(|| {
        let id = random_uuid();
        let kept = path
            .parent()
            .map_or(Ok(()), fs::create_dir_all)
            .and_then(|()| fs::File::create_new(&path))
            .and_then(|mut file| file.write_all(id.as_bytes()));
        match kept {
            Ok(()) => id,
            // Another process was faster, or the file cannot be written.
            Err(error) => {
                tracing::debug!(%error, "the id of this machine is not kept");
                known().unwrap_or(id)
            }
        }
    })
}

/// The directory for configuration files, by the rules of XDG.
fn config_directory() -> Option<PathBuf> {
    let named = env::var_os("XDG_CONFIG_HOME").map(PathBuf::from);
    let named = named.filter(|path| path.is_absolute());
    named.or_else(|| Some(PathBuf::from(env::var_os("HOME")?).join(".config")))
}

fn is_uuid(text: &str) -> bool {
    text.len() == 36
        && text.bytes().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
}

/// A UUID of version 4.
fn random_uuid() -> String {
    let random: u128 = rand::random();
    let id = random & !(0xf << 76 | 0b11 << 62) | 0x4 << 76 | 0b10 << 62;
    let hex = format!("{id:032x}");
    let mut text = String::with_capacity(36);
    for (at, digit) in hex.chars().enumerate() {
        if matches!(at, 8 | 12 | 16 | 20) {
            text.push('-');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn made_up_ids_are_uuids_of_version_4() {
        for _ in 0..100 {
            let id = random_uuid();
            assert!(is_uuid(&id), "{id}");
            assert_eq!(id.as_bytes()[14], b'4', "{id}");
            assert!(b"89ab".contains(&id.as_bytes()[19]), "{id}");
        }
        assert_ne!(random_uuid(), random_uuid());
        assert!(!is_uuid("not a uuid, but of its length: 36 bytes"));
        assert!(!is_uuid(&"a".repeat(36)));
    }
}
