//! Meta objects (section 11) and object references (section 8), typed.

use std::{collections::BTreeMap, sync::Arc};

use bytes::Bytes;

use super::{
    DecodeContext, DecodeError, Decoder, EncodeContext, EncodeError,
    cache::{NOT_CACHED, Sent},
};
use crate::qi::{
    value::{
        MetaMethod, MetaMethodParameter, MetaObject, MetaProperty, MetaSignal, ObjectReference,
        ObjectUid, Signature, SignatureError,
    },
    wire::{ActionId, Limits, ObjectId, ServiceId, TooLong, Writer},
};

/// The signature of a meta object.
pub const META_OBJECT_SIGNATURE: &str = "({I(Issss[(ss)<MetaMethodParameter,name,description>]s)\
    <MetaMethod,uid,returnSignature,name,parametersSignature,description,parameters,\
    returnDescription>}{I(Iss)<MetaSignal,uid,name,signature>}\
    {I(Iss)<MetaProperty,uid,name,signature>}s)\
    <MetaObject,methods,signals,properties,description>";

/// A meta object as it came, and what had to be left out of it.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct DecodedMetaObject {
    /// The meta object. Of two members with one number the later stands; text that is not UTF-8
    /// holds U+FFFD.
    pub meta: MetaObject,
    /// The members whose signatures are none.
    pub refused: Vec<RefusedMember>,
}

/// A member that was left out, since its signature is none.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{kind} {name} ({uid}): {source}")]
pub struct RefusedMember {
    /// What it is.
    pub kind: MemberKind,
    /// Its number.
    pub uid: ActionId,
    /// Its name.
    pub name: String,
    /// What is wrong with its signature.
    pub source: SignatureError,
}

/// What a member of an object is.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum MemberKind {
    /// A method.
    Method,
    /// A signal.
    Signal,
    /// A property.
    Property,
}

impl std::fmt::Display for MemberKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Method => "method",
            Self::Signal => "signal",
            Self::Property => "property",
        })
    }
}

/// Decodes a payload that is one meta object: the answer of `metaObject`.
///
/// # Errors
///
/// [`DecodeError`]; also for bytes that are left over. A member whose signature does not parse
/// is left out and reported, no error.
pub fn decode_meta_object(
    payload: &Bytes,
    limits: &Limits,
) -> Result<DecodedMetaObject, DecodeError> {
    let context = DecodeContext {
        limits: *limits,
        ..DecodeContext::default()
    };
    let mut decoder = Decoder::new(payload, context);
    let decoded = decoder.meta_object()?;
    decoder.finish()?;
    Ok(decoded)
}

/// The fewest bytes of an entry of the methods: key, uid, four texts, a list, a text.
const METHOD_BYTES: usize = 32;

/// The fewest bytes of an entry of the signals or properties: key, uid, two texts.
const SIGNAL_BYTES: usize = 16;

/// The fewest bytes of a parameter: two texts.
const PARAMETER_BYTES: usize = 8;

impl Decoder<'_> {
    /// Reads a meta object.
    ///
    /// # Errors
    ///
    /// [`DecodeError`]. A member whose signature does not parse is no error.
    pub fn meta_object(&mut self) -> Result<DecodedMetaObject, DecodeError> {
        let mut refused = Vec::new();
        let methods = self.methods(&mut refused)?;
        let signal = |uid, name, signature| MetaSignal {
            uid,
            name,
            signature,
        };
        let signals = self.signals(MemberKind::Signal, signal, &mut refused)?;
        let property = |uid, name, signature| MetaProperty {
            uid,
            name,
            signature,
        };
        let properties = self.signals(MemberKind::Property, property, &mut refused)?;
        let description = self.text()?;
        let meta = MetaObject {
            methods,
            signals,
            properties,
            description,
        };
        Ok(DecodedMetaObject { meta, refused })
    }

    fn methods(
        &mut self,
        refused: &mut Vec<RefusedMember>,
    ) -> Result<BTreeMap<ActionId, MetaMethod>, DecodeError> {
        let mut methods = BTreeMap::new();
        for _ in 0..self.reader.count(METHOD_BYTES, "the methods")? {
            let key = ActionId(self.reader.u32()?);
            let uid = ActionId(self.reader.u32()?);
            let returned = self.member_signature()?;
            let name = self.text()?;
            let parameters_signature = self.member_signature()?;
            let description = self.text()?;
            let parameters = self.parameters()?;
            let return_description = self.text()?;
            match returned.and_then(|returned| Ok((returned, parameters_signature?))) {
                Ok((return_signature, parameters_signature)) => {
                    let method = MetaMethod {
                        uid,
                        return_signature,
                        name,
                        parameters_signature,
                        description,
                        parameters,
                        return_description,
                    };
                    methods.insert(key, method);
                }
                Err(source) => refused.push(RefusedMember {
                    kind: MemberKind::Method,
                    uid,
                    name,
                    source,
                }),
            }
        }
        Ok(methods)
    }

    fn parameters(&mut self) -> Result<Vec<MetaMethodParameter>, DecodeError> {
        let count = self.reader.count(PARAMETER_BYTES, "the parameters")?;
        (0..count)
            .map(|_| {
                self.charge(1)?;
                Ok(MetaMethodParameter {
                    name: self.text()?,
                    description: self.text()?,
                })
            })
            .collect()
    }

    /// Signals and properties look alike.
    fn signals<T>(
        &mut self,
        kind: MemberKind,
        member: impl Fn(ActionId, String, Signature) -> T,
        refused: &mut Vec<RefusedMember>,
    ) -> Result<BTreeMap<ActionId, T>, DecodeError> {
        let mut members = BTreeMap::new();
        for _ in 0..self.reader.count(SIGNAL_BYTES, "the signals")? {
            let key = ActionId(self.reader.u32()?);
            let uid = ActionId(self.reader.u32()?);
            let name = self.text()?;
            match self.member_signature()? {
                Ok(signature) => {
                    members.insert(key, member(uid, name, signature));
                }
                Err(source) => refused.push(RefusedMember {
                    kind,
                    uid,
                    name,
                    source,
                }),
            }
        }
        Ok(members)
    }

    fn text(&mut self) -> Result<String, DecodeError> {
        let bytes = self.reader.sized("a text of a meta object")?;
        Ok(String::from_utf8_lossy(bytes).into_owned())
    }

    /// The outer error ends the decoding, the inner one the member.
    fn member_signature(&mut self) -> Result<Result<Signature, SignatureError>, DecodeError> {
        let bytes = self.reader.sized("a signature of a meta object")?;
        let parsed = Signature::parse_bytes(bytes, &self.context.limits);
        let length = parsed.as_ref().map_or(0, |parsed| parsed.as_str().len());
        self.charge(u32::try_from(length).unwrap_or(u32::MAX).saturating_add(1))?;
        Ok(parsed)
    }

    /// Reads an object reference, as the context says they are encoded.
    ///
    /// # Errors
    ///
    /// [`DecodeError`].
    pub fn object(&mut self) -> Result<ObjectReference, DecodeError> {
        let meta = if self.context.encoding.meta_object_cache {
            self.cached_meta_object()?
        } else {
            Arc::new(self.meta_object()?.meta)
        };
        let service = ServiceId(self.reader.u32()?);
        let object = ObjectId(self.reader.u32()?);
        let mut uid = None;
        if self.context.encoding.object_uid {
            let mut bytes = [0; 20];
            let taken = self.reader.take(bytes.len(), "the identity of an object")?;
            bytes.copy_from_slice(taken);
            uid = Some(ObjectUid(bytes));
        }
        Ok(ObjectReference {
            meta,
            service,
            object,
            uid,
        })
    }

    fn cached_meta_object(&mut self) -> Result<Arc<MetaObject>, DecodeError> {
        let has_meta_object = self.bool()?;
        let start = self.reader.offset();
        if !has_meta_object {
            let id = self.reader.u32()?;
            let known = self.context.cache.as_ref().and_then(|cache| cache.find(id));
            return known
                .map(Arc::clone)
                .ok_or(DecodeError::UnknownMetaObject { id, offset: start });
        }
        let meta = Arc::new(self.meta_object()?.meta);
        let bytes = self.reader.offset() - start;
        let id = self.reader.u32()?;
        if let Some(cache) = &mut self.context.cache {
            cache.insert(id, Arc::clone(&meta), bytes);
        }
        Ok(meta)
    }
}

/// Appends a meta object.
///
/// # Errors
///
/// [`TooLong`].
pub fn encode_meta_object(meta: &MetaObject, writer: &mut Writer) -> Result<(), TooLong> {
    writer.size(meta.methods.len())?;
    for (key, method) in &meta.methods {
        writer.u32(key.0);
        writer.u32(method.uid.0);
        writer.sized(method.return_signature.as_str().as_bytes())?;
        writer.sized(method.name.as_bytes())?;
        writer.sized(method.parameters_signature.as_str().as_bytes())?;
        writer.sized(method.description.as_bytes())?;
        writer.size(method.parameters.len())?;
        for parameter in &method.parameters {
            writer.sized(parameter.name.as_bytes())?;
            writer.sized(parameter.description.as_bytes())?;
        }
        writer.sized(method.return_description.as_bytes())?;
    }
    writer.size(meta.signals.len())?;
    for (key, signal) in &meta.signals {
        write_signal(*key, signal.uid, &signal.name, &signal.signature, writer)?;
    }
    writer.size(meta.properties.len())?;
    for (key, property) in &meta.properties {
        write_signal(
            *key,
            property.uid,
            &property.name,
            &property.signature,
            writer,
        )?;
    }
    writer.sized(meta.description.as_bytes())
}

/// Signals and properties look alike.
fn write_signal(
    key: ActionId,
    uid: ActionId,
    name: &str,
    signature: &Signature,
    writer: &mut Writer,
) -> Result<(), TooLong> {
    writer.u32(key.0);
    writer.u32(uid.0);
    writer.sized(name.as_bytes())?;
    writer.sized(signature.as_str().as_bytes())
}

/// Appends an object reference, as the context says they are encoded. A null object without an
/// identity gets one of zeros.
///
/// # Errors
///
/// [`EncodeError::MissingUid`], [`EncodeError::TooLong`].
pub fn encode_object(
    reference: &ObjectReference,
    context: &mut EncodeContext<'_>,
    writer: &mut Writer,
) -> Result<(), EncodeError> {
    let uid = match reference.uid {
        _ if !context.encoding.object_uid => None,
        None if reference.is_null() => Some(ObjectUid([0; 20])),
        None => return Err(EncodeError::MissingUid),
        some => some,
    };
    if context.encoding.meta_object_cache {
        let sent = match &mut context.cache {
            Some(cache) => cache.send(&reference.meta),
            None => Sent::Now(NOT_CACHED),
        };
        match sent {
            Sent::Before(id) => {
                writer.u8(0);
                writer.u32(id);
            }
            Sent::Now(id) => {
                writer.u8(1);
                encode_meta_object(&reference.meta, writer)?;
                writer.u32(id);
            }
        }
    } else {
        encode_meta_object(&reference.meta, writer)?;
    }
    writer.u32(reference.service.0);
    writer.u32(reference.object.0);
    if let Some(uid) = uid {
        writer.raw(&uid.0);
    }
    Ok(())
}
