//! The text of a file as a snapshot. Whoever wrote the file is not trusted.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::{FORMAT_VERSION, Snapshot, SnapshotError, SnapshotLimits};
use crate::qi::{
    value::{MetaMethod, MetaMethodParameter, MetaObject, MetaProperty, MetaSignal, Signature},
    wire::{ActionId, Limits},
};

pub(super) fn parse(text: &[u8], limits: &SnapshotLimits) -> Result<Snapshot, SnapshotError> {
    if text.len() > limits.bytes {
        return Err(SnapshotError::TooLarge {
            bytes: text.len(),
            limit: limits.bytes,
        });
    }
    let json: Value = serde_json::from_slice(text)?;
    let mut reader = Reader {
        limits: &limits.signatures,
        left: limits.signatures.values,
    };
    let root = Place::root(&json)?;
    let version = match root.object.get("formatVersion") {
        None => FORMAT_VERSION,
        Some(version) => version
            .as_u64()
            .ok_or_else(|| root.unexpected("formatVersion", "a version"))?,
    };
    if version > FORMAT_VERSION {
        return Err(SnapshotError::Version { found: version });
    }
    let listed = root
        .object
        .get("services")
        .and_then(Value::as_array)
        .ok_or_else(|| root.unexpected("services", "a list"))?;
    if listed.len() > limits.services {
        return Err(SnapshotError::TooManyServices {
            limit: limits.services,
        });
    }
    let mut services = BTreeMap::new();
    for service in root.objects("services")? {
        let name = service.text("name")?.to_owned();
        let meta = reader.service(&service)?;
        if services.insert(name, meta).is_some() {
            return Err(service.duplicate());
        }
    }
    let mut snapshot = Snapshot {
        services,
        neighbours: BTreeSet::new(),
    };
    snapshot.note_neighbours(root.texts("neighbours")?);
    Ok(snapshot)
}

struct Reader<'l> {
    limits: &'l Limits,
    /// How many bytes of signatures may still come.
    left: u32,
}

impl Reader<'_> {
    fn service(&mut self, service: &Place<'_>) -> Result<MetaObject, SnapshotError> {
        Ok(MetaObject {
            methods: members(service, "methods", |uid, place| self.method(uid, place))?,
            signals: members(service, "signals", |uid, place| {
                Ok(MetaSignal {
                    uid,
                    name: place.text("name")?.to_owned(),
                    signature: self.signature(place, "signature")?,
                })
            })?,
            properties: members(service, "properties", |uid, place| {
                Ok(MetaProperty {
                    uid,
                    name: place.text("name")?.to_owned(),
                    signature: self.signature(place, "signature")?,
                })
            })?,
            description: service.text_if_any("description")?,
        })
    }

    fn method(&mut self, uid: ActionId, place: &Place<'_>) -> Result<MetaMethod, SnapshotError> {
        let parameters = place.objects("parameters")?;
        let parameters = parameters.map(|parameter| {
            Ok(MetaMethodParameter {
                name: parameter.text_if_any("name")?,
                description: parameter.text_if_any("description")?,
            })
        });
        Ok(MetaMethod {
            uid,
            return_signature: self.signature(place, "returnSignature")?,
            name: place.text("name")?.to_owned(),
            parameters_signature: self.signature(place, "parametersSignature")?,
            description: place.text_if_any("description")?,
            parameters: parameters.collect::<Result<_, SnapshotError>>()?,
            return_description: place.text_if_any("returnDescription")?,
        })
    }

    fn signature(&mut self, place: &Place<'_>, key: &str) -> Result<Signature, SnapshotError> {
        let text = place.text(key)?;
        let length = u32::try_from(text.len()).unwrap_or(u32::MAX);
        self.left = self
            .left
            .checked_sub(length)
            .ok_or(SnapshotError::TooManyTypes {
                limit: self.limits.values,
            })?;
        Signature::parse(text, self.limits).map_err(|source| SnapshotError::Signature {
            place: place.of(key),
            source,
        })
    }
}

fn members<T>(
    service: &Place<'_>,
    key: &'static str,
    mut read: impl FnMut(ActionId, &Place<'_>) -> Result<T, SnapshotError>,
) -> Result<BTreeMap<ActionId, T>, SnapshotError> {
    let mut members = BTreeMap::new();
    for member in service.objects(key)? {
        let uid = member.uid()?;
        let read = read(uid, &member)?;
        if members.insert(uid, read).is_some() {
            return Err(member.duplicate());
        }
    }
    Ok(members)
}

/// An object of the file, and where it is.
struct Place<'j> {
    path: String,
    object: &'j Map<String, Value>,
}

impl<'j> Place<'j> {
    fn root(json: &'j Value) -> Result<Self, SnapshotError> {
        let object = json.as_object().ok_or_else(|| SnapshotError::Unexpected {
            place: "the file".to_owned(),
            expected: "an object",
        })?;
        Ok(Self {
            path: String::new(),
            object,
        })
    }

    /// The objects of a list; none if it is missing.
    fn objects(
        &self,
        key: &'static str,
    ) -> Result<impl Iterator<Item = Place<'j>> + use<'j>, SnapshotError> {
        let mut objects = Vec::new();
        for (at, item) in self.items(key)?.iter().enumerate() {
            let path = format!("{}[{at}]", self.of(key));
            let Some(object) = item.as_object() else {
                return Err(SnapshotError::Unexpected {
                    place: path,
                    expected: "an object",
                });
            };
            objects.push(Place { path, object });
        }
        Ok(objects.into_iter())
    }

    /// The texts of a list; none if it is missing.
    fn texts(&self, key: &'static str) -> Result<Vec<&'j str>, SnapshotError> {
        let texts = self.items(key)?.iter().map(Value::as_str);
        let texts: Option<Vec<_>> = texts.collect();
        texts.ok_or_else(|| self.unexpected(key, "texts"))
    }

    fn items(&self, key: &'static str) -> Result<&'j [Value], SnapshotError> {
        match self.object.get(key) {
            None => Ok(&[]),
            Some(Value::Array(items)) => Ok(items),
            Some(_) => Err(self.unexpected(key, "a list")),
        }
    }

    fn uid(&self) -> Result<ActionId, SnapshotError> {
        let uid = self.object.get("uid").and_then(Value::as_u64);
        uid.and_then(|uid| u32::try_from(uid).ok())
            .map(ActionId)
            .ok_or_else(|| self.unexpected("uid", "a number below 2^32"))
    }

    fn text(&self, key: &str) -> Result<&'j str, SnapshotError> {
        let text = self.object.get(key).and_then(Value::as_str);
        text.ok_or_else(|| self.unexpected(key, "a text"))
    }

    fn text_if_any(&self, key: &str) -> Result<String, SnapshotError> {
        if self.object.contains_key(key) {
            self.text(key).map(ToOwned::to_owned)
        } else {
            Ok(String::new())
        }
    }

    fn of(&self, key: &str) -> String {
        if self.path.is_empty() {
            key.to_owned()
        } else {
            format!("{}.{key}", self.path)
        }
    }

    fn unexpected(&self, key: &str, expected: &'static str) -> SnapshotError {
        SnapshotError::Unexpected {
            place: self.of(key),
            expected,
        }
    }

    fn duplicate(&self) -> SnapshotError {
        SnapshotError::Duplicate {
            place: self.path.clone(),
        }
    }
}
