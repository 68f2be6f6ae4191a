//! What sets two versions of an API apart, and whether clients of the old one go on with the new one.
//!
//! | what happens | clients |
//! | --- | --- |
//! | a service, rpc or message comes | go on |
//! | a service, rpc, message or field goes | break |
//! | a field comes, in a response | go on |
//! | a field comes, in a request | break: they leave the robot's new argument at its default; unless it is `optional` |
//! | a field has another name or type | break |
//! | an rpc has other messages, or streams and did not | break |
//! | the same rpc is another member at the robot, or has another signature | go on, as far as the fields are the same |
//! | the same field has another qi signature | go on, though fewer values may fit |
//! | the same gRPC service is another service at the robot | break |
//!
//! Fields are the same if their numbers are. Comments are not compared.

use std::{collections::BTreeMap, fmt};

use prost::DecodeError;

use self::api::{Api, Field, Message, Rpc};
use super::ServiceSchema;

mod api;

/// The services in which two versions differ, by the name of their gRPC service.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Diff {
    /// The services; none is without a change.
    pub services: Vec<ServiceDiff>,
}

/// What changed in a service.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ServiceDiff {
    /// The full name of the gRPC service, `qi.foo.v1.Foo`.
    pub service: String,
    /// The name on the robot's bus; the new one, if there are two.
    pub qi_name: String,
    /// What changed.
    pub changes: Vec<Change>,
}

/// Something that changed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Change {
    /// What it is.
    pub element: Element,
    /// Its name within the package, as in `SayRequest.text`.
    pub name: String,
    /// Where it comes from at the robot, as in `method say(s) -> v`; empty for messages of structs.
    pub origin: String,
    /// What happened to it.
    pub what: What,
    /// Whether clients of the old version break.
    pub breaking: bool,
}

/// The kinds of elements of an API.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Element {
    /// A gRPC service.
    Service,
    /// An rpc of it.
    Rpc,
    /// A message.
    Message,
    /// A field of a message.
    Field,
}

/// What happened to an element.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum What {
    /// Only the new version has it.
    Added,
    /// Only the old version has it.
    Removed,
    /// Both versions have it, but not the same.
    Changed {
        /// In what it changed.
        aspect: Aspect,
        /// What it was.
        old: String,
        /// What it is.
        new: String,
    },
}

/// In what an element changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Aspect {
    /// Its name.
    Name,
    /// Its type; that of an rpc is what it takes and gives.
    Type,
    /// Where it comes from at the robot.
    Origin,
}

impl Diff {
    /// Compares two versions of an API.
    ///
    /// # Errors
    ///
    /// A descriptor does not decode; those of [`ServiceSchema::new`] do.
    pub fn between(old: &[ServiceSchema], new: &[ServiceSchema]) -> Result<Self, DecodeError> {
        let mut services = Vec::new();
        for (service, versions) in pairs(&by_name(old), &by_name(new)) {
            let (qi_name, changes) = match versions {
                Versions::Old(schema) => (schema, vec![whole(schema, What::Removed)]),
                Versions::New(schema) => (schema, vec![whole(schema, What::Added)]),
                Versions::Both(old, new) => (new, compare(old, new)?),
            };
            if !changes.is_empty() {
                services.push(ServiceDiff {
                    service: (*service).to_owned(),
                    qi_name: qi_name.qi_name.clone(),
                    changes,
                });
            }
        }
        Ok(Self { services })
    }

    /// Whether clients of the old version break.
    #[must_use]
    pub fn is_breaking(&self) -> bool {
        let mut changes = self.services.iter().flat_map(|service| &service.changes);
        changes.any(|change| change.breaking)
    }
}

fn by_name(schemas: &[ServiceSchema]) -> BTreeMap<&str, &ServiceSchema> {
    let named = schemas.iter().map(|it| (it.full_name.as_str(), it));
    named.collect()
}

/// A change of a service as a whole.
fn whole(schema: &ServiceSchema, what: What) -> Change {
    Change {
        element: Element::Service,
        name: local_name(schema).to_owned(),
        origin: format!("service {}", schema.qi_name),
        breaking: what != What::Added,
        what,
    }
}

fn local_name(schema: &ServiceSchema) -> &str {
    let name = schema.full_name.strip_prefix(&schema.package);
    name.unwrap_or_default().trim_start_matches('.')
}

fn compare(old: &ServiceSchema, new: &ServiceSchema) -> Result<Vec<Change>, DecodeError> {
    if old.descriptor == new.descriptor {
        return Ok(Vec::new());
    }
    let mut changes = Vec::new();
    if old.qi_name != new.qi_name {
        let what = changed(Aspect::Origin, &old.qi_name, &new.qi_name);
        changes.push(whole(new, what));
    }
    let (old, new) = (Api::new(&old.descriptor)?, Api::new(&new.descriptor)?);
    for (name, versions) in pairs(&old.rpcs, &new.rpcs) {
        rpc(name, versions, &mut changes);
    }
    for (name, versions) in pairs(&old.messages, &new.messages) {
        // The messages of an rpc come and go with it, nested messages with theirs.
        let of_rpc = match versions {
            Versions::Old(it) | Versions::New(it) | Versions::Both(it, _) => it.rpc.as_ref(),
        };
        let stays = |rpc| old.rpcs.contains_key(rpc) && new.rpcs.contains_key(rpc);
        let outer = name.rsplit_once('.').map(|(outer, _)| outer);
        let outer_stays = |it| old.messages.contains_key(it) && new.messages.contains_key(it);
        if of_rpc.is_none_or(stays) && outer.is_none_or(outer_stays) {
            message(name, versions, &mut changes);
        }
    }
    Ok(changes)
}

fn rpc(name: &str, versions: Versions<&Rpc>, changes: &mut Vec<Change>) {
    let change = |rpc: &Rpc, what, breaking| Change {
        element: Element::Rpc,
        name: name.to_owned(),
        origin: rpc.origin.clone(),
        what,
        breaking,
    };
    match versions {
        Versions::Old(rpc) => changes.push(change(rpc, What::Removed, true)),
        Versions::New(rpc) => changes.push(change(rpc, What::Added, false)),
        Versions::Both(old, new) => {
            if old.ty != new.ty {
                changes.push(change(new, changed(Aspect::Type, &old.ty, &new.ty), true));
            }
            if old.origin != new.origin {
                let what = changed(Aspect::Origin, &old.origin, &new.origin);
                changes.push(change(new, what, false));
            }
        }
    }
}

fn message(name: &str, versions: Versions<&Message>, changes: &mut Vec<Change>) {
    let change = |message: &Message, what, breaking| Change {
        element: Element::Message,
        name: name.to_owned(),
        origin: message.origin.clone(),
        what,
        breaking,
    };
    match versions {
        Versions::Old(message) => changes.push(change(message, What::Removed, true)),
        Versions::New(message) => changes.push(change(message, What::Added, false)),
        Versions::Both(old, new) => {
            for (_, versions) in pairs(&old.fields, &new.fields) {
                field(name, new, versions, changes);
            }
        }
    }
}

/// `message` is the new version of the message around it.
fn field(
    message_name: &str,
    message: &Message,
    versions: Versions<&Field>,
    changes: &mut Vec<Change>,
) {
    let change = |field: &Field, what, breaking| Change {
        element: Element::Field,
        name: format!("{message_name}.{}", field.name),
        origin: if message.origin.is_empty() {
            field.origin.clone()
        } else {
            message.origin.clone()
        },
        what,
        breaking,
    };
    match versions {
        Versions::Old(field) => changes.push(change(field, What::Removed, true)),
        Versions::New(field) => {
            let is_argument = message.is_sent && !field.origin.is_empty() && !field.is_optional;
            changes.push(change(field, What::Added, is_argument));
        }
        Versions::Both(old, new) => {
            if old.name != new.name {
                let what = changed(Aspect::Name, &old.name, &new.name);
                changes.push(change(new, what, true));
            }
            if old.ty != new.ty {
                let what = changed(Aspect::Type, &old.ty, &new.ty);
                changes.push(change(new, what, true));
            } else if old.origin != new.origin {
                let what = changed(Aspect::Origin, &old.origin, &new.origin);
                changes.push(change(new, what, false));
            }
        }
    }
}

fn changed(aspect: Aspect, old: &str, new: &str) -> What {
    What::Changed {
        aspect,
        old: old.to_owned(),
        new: new.to_owned(),
    }
}

/// Which versions have something.
#[derive(Clone, Copy)]
enum Versions<T> {
    Old(T),
    New(T),
    Both(T, T),
}

/// Everything of two versions, in the order of the keys.
fn pairs<'a, K: Ord, T>(
    old: &'a BTreeMap<K, T>,
    new: &'a BTreeMap<K, T>,
) -> BTreeMap<&'a K, Versions<&'a T>> {
    let mut pairs: BTreeMap<_, _> = old.iter().map(|(k, it)| (k, Versions::Old(it))).collect();
    for (key, new) in new {
        let versions = old
            .get(key)
            .map_or(Versions::New(new), |old| Versions::Both(old, new));
        pairs.insert(key, versions);
    }
    pairs
}

impl fmt::Display for Diff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for service in &self.services {
            writeln!(f, "{} (qi service {:?})", service.service, service.qi_name)?;
            for change in &service.changes {
                writeln!(f, "  {change}")?;
            }
        }
        Ok(())
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = match self.what {
            What::Added => '+',
            What::Removed => '-',
            What::Changed { .. } => '~',
        };
        write!(f, "{sign} {} {}", self.element, self.name)?;
        if let What::Changed { aspect, old, new } = &self.what {
            write!(f, ", {aspect}: {} => {}", Line(old), Line(new))?;
        }
        let told = matches!(
            self.what,
            What::Changed {
                aspect: Aspect::Origin,
                ..
            }
        );
        if !told && !self.origin.is_empty() {
            write!(f, " (qi: {})", Line(&self.origin))?;
        }
        if self.breaking {
            f.write_str(" [breaks clients]")?;
        }
        Ok(())
    }
}

/// A robot's text on one line, without what moves a cursor.
struct Line<'a>(&'a str);

impl fmt::Display for Line<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.0.chars() {
            if c.is_control() {
                write!(f, "{}", c.escape_default())?;
            } else {
                write!(f, "{c}")?;
            }
        }
        Ok(())
    }
}

impl fmt::Display for Element {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Service => "service",
            Self::Rpc => "rpc",
            Self::Message => "message",
            Self::Field => "field",
        })
    }
}

impl fmt::Display for Aspect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Name => "name",
            Self::Type => "type",
            Self::Origin => "qi",
        })
    }
}

#[cfg(test)]
mod tests;
