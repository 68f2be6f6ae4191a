//! Every rpc of a real robot: what the plans make of its messages and payloads, held against
//! prost-reflect and the codec of values. The data is not part of this repository, see
//! `support::nao`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a failure here is a failed test"
)]

#[path = "../src/transcode/tests/generate.rs"]
#[allow(dead_code, reason = "the types of a robot are given")]
mod generate;
#[path = "../src/transcode/tests/oracle.rs"]
mod oracle;
#[path = "../src/transcode/tests/perturb.rs"]
mod perturb;
mod support;

use std::{collections::BTreeSet, sync::Arc};

use bytes::Bytes;
use generate::Source;
use oracle::object_id;
use perturb::perturb;
use prost::Message as _;
use prost_reflect::{
    DescriptorPool, DynamicMessage, Kind, MessageDescriptor, ReflectMessage as _,
    Value as Reflected,
};
// The included files find `proto`, `qi` and `schema` here as they do in the library.
use qi_grpc_gateway::{
    proto,
    qi::{
        self,
        value::{
            Dynamic, ObjectEncoding, ObjectReference, Signature, Type, Value,
            codec::{DecodeContext, EncodeContext, decode, encode, encode_dynamic},
        },
        wire::{Limits, ObjectId, ServiceId, Writer},
    },
    schema::{self, MethodKind, MethodSchema, Payload, Request, SchemaOptions},
    transcode::{
        Holds, ObjectName, ObjectSink, ObjectSource, RequestContext, RequestPlan, ResponseContext,
        ResponsePlan, UnknownObject,
    },
};
use rand::{RngCore as _, SeedableRng as _, rngs::StdRng};
use support::nao::snapshot;

/// How many values each rpc is tried with, in each direction.
const CASES: usize = 10;

/// How many choices a value is made from; what comes after them is as small as can be.
const CHOICES: usize = 1200;

/// How many rpcs of the robot take or give what it cannot describe itself, `X`.
const UNKNOWN: usize = 14;

/// Canonical, otherwise, and with fields missing.
const FORMS_OF_REQUESTS: usize = 3;

/// Plain, and in a dynamic.
const FORMS_OF_RESPONSES: usize = 2;

#[test]
fn every_rpc_of_the_robot_is_what_prost_reflect_says() {
    let options = SchemaOptions {
        expose_private: true,
    };
    let schemas = snapshot().schemas(&options);
    assert_eq!(schemas.len(), 114);
    let mut pool = DescriptorPool::decode(proto::FILE_DESCRIPTOR_SET).unwrap();
    for schema in &schemas {
        pool.decode_file_descriptor_proto(&schema.descriptor[..])
            .unwrap();
    }
    let mut random = StdRng::seed_from_u64(6);
    let mut covered = BTreeSet::new();
    let mut tally = Tally::default();
    for method in schemas.iter().flat_map(|schema| &schema.methods) {
        let rpc = Rpc::new(&pool, method);
        for case in 0..CASES {
            let mut choices = [0; CHOICES];
            random.fill_bytes(&mut choices);
            let (requests, responses) = choices.split_at(CHOICES / 2);
            let name = format!("{}, case {case}", method.path);
            rpc.request(&name, &mut Source(requests), &mut tally);
            rpc.response(&name, &mut Source(responses), &mut tally);
        }
        assert!(covered.insert(method.path.clone()), "{}", method.path);
    }

    let services = pool
        .services()
        .filter(|it| it.package_name() != "qi.gateway.v1");
    let methods = services.flat_map(|service| {
        let name = service.full_name().to_owned();
        let methods = service.methods().collect::<Vec<_>>().into_iter();
        methods.map(move |method| format!("/{name}/{}", method.name()))
    });
    let all: BTreeSet<String> = methods.collect();
    assert_eq!(covered, all);
    assert_eq!(tally.refused, UNKNOWN * CASES);
    let tried = tally.requests / FORMS_OF_REQUESTS + tally.responses / FORMS_OF_RESPONSES;
    assert_eq!(tried + tally.refused + tally.streams, 2 * all.len() * CASES);
    println!("{} rpcs: {tally:?}", all.len());
}

/// How much was tried.
#[derive(Default, Debug)]
struct Tally {
    /// Messages that became payloads.
    requests: usize,
    /// Payloads that became messages.
    responses: usize,
    /// What has a type that the robot itself cannot describe, `X`, and so neither comes nor goes.
    refused: usize,
    /// Requests of streams, of which nothing goes to the robot.
    streams: usize,
}

struct Rpc<'a> {
    pool: &'a DescriptorPool,
    method: &'a MethodSchema,
    /// None for a stream.
    request: Option<(RequestPlan, &'a Payload)>,
    response: ResponsePlan,
}

impl<'a> Rpc<'a> {
    fn new(pool: &'a DescriptorPool, method: &'a MethodSchema) -> Self {
        Self {
            pool,
            method,
            request: match &method.request {
                Request::Payload(payload) => Some((RequestPlan::compile(payload), payload)),
                Request::Options(_) => None,
            },
            response: ResponsePlan::compile(&method.response),
        }
    }

    /// The tuple that a request stands for.
    fn taken(&self) -> Type {
        match self.method.kind {
            MethodKind::SetProperty => tuple_of(&self.method.signature),
            MethodKind::Call => self.method.signature.ty().clone(),
            _ => Type::tuple(Vec::new()),
        }
    }

    /// The tuple that a response stands for.
    fn given(&self) -> Type {
        match (self.method.kind, &self.method.return_signature) {
            (MethodKind::Call, Some(returned)) => tuple_of(returned),
            (MethodKind::GetProperty | MethodKind::WatchProperty, _) => {
                tuple_of(&self.method.signature)
            }
            (MethodKind::Subscribe, _) => self.method.signature.ty().clone(),
            _ => Type::tuple(Vec::new()),
        }
    }

    /// A message that prost-reflect wrote, as clients may write it too, becomes what it says.
    fn request(&self, case: &str, source: &mut Source<'_>, tally: &mut Tally) {
        let Some((plan, payload)) = &self.request else {
            tally.streams += 1;
            return;
        };
        let ty = self.taken();
        if has_unknown(&ty) {
            assert!(self.send(plan, &[]).is_none(), "{case}");
            tally.refused += 1;
            return;
        }
        let value = source.value(&ty, VALUE_DEPTH);
        let shape = payload.message();
        let message = oracle::message(self.pool, shape, &value);
        let descriptor = message.descriptor();
        let canonical = message.encode_to_vec();
        let odd = perturb(&descriptor, &canonical, source);
        for bytes in [&canonical, &odd] {
            let qi = self.send(plan, bytes).expect(case);
            assert_eq!(self.sent(&ty, &qi), value, "{case}");
        }
        assert_eq!(
            known(&descriptor, &odd),
            known(&descriptor, &canonical),
            "{case}"
        );

        // With fields missing it is what prost-reflect says with their defaults in their places.
        let mut sparse = message;
        each_message(&mut sparse, &mut |message| thin(message, source));
        let bytes = perturb(&descriptor, &sparse.encode_to_vec(), source);
        let qi = self.send(plan, &bytes).expect(case);
        let sent = oracle::message(self.pool, shape, &self.sent(&ty, &qi));
        each_message(&mut sparse, &mut complete);
        let [sent, sparse] = [sent, sparse].map(|it| known(&descriptor, &it.encode_to_vec()));
        assert_eq!(sent, sparse, "{case}");
        tally.requests += FORMS_OF_REQUESTS;
    }

    /// The payload of a request; none if it is refused.
    fn send(&self, plan: &RequestPlan, message: &[u8]) -> Option<Bytes> {
        let mut objects = Shelf;
        let mut context = RequestContext {
            objects: &mut objects,
            limits: Limits::default(),
        };
        let mut out = Writer::new();
        let written = if self.method.kind == MethodKind::SetProperty {
            plan.to_dynamic(message, &mut context, &mut out)
        } else {
            plan.to_qi(message, &mut context, &mut out)
        };
        written.ok().map(|()| out.finish())
    }

    /// What the robot reads in a payload, as a tuple of that type.
    fn sent(&self, ty: &Type, qi: &Bytes) -> Value {
        let read = |ty| decode(ty, qi, DecodeContext::default()).unwrap();
        if self.method.kind != MethodKind::SetProperty || is_dynamic(ty) {
            return read(ty);
        }
        let Value::Dynamic(dynamic) = read(&Type::Dynamic) else {
            unreachable!("a dynamic was read");
        };
        assert_eq!(dynamic.signature.as_ref(), Some(&self.method.signature));
        match dynamic.value {
            Value::Void => Value::Tuple(Vec::new()),
            value => Value::Tuple(vec![value]),
        }
    }

    /// What the robot sends becomes a message in which prost-reflect reads the same.
    fn response(&self, case: &str, source: &mut Source<'_>, tally: &mut Tally) {
        let ty = self.given();
        if has_unknown(&ty) {
            // Not empty, should it be a list.
            let payload = [&[1, 0, 0, 0][..], &[0; 64]].concat().into();
            let mut out = Vec::new();
            let read = self
                .response
                .to_protobuf(&payload, &mut receiving(&mut Shelf), &mut out);
            assert!(read.is_err(), "{case}");
            tally.refused += 1;
            return;
        }
        let value = source.value(&ty, VALUE_DEPTH);
        let expected = oracle::message(self.pool, self.method.response.message(), &value);
        let descriptor = expected.descriptor();
        let expected = known(&descriptor, &expected.encode_to_vec());

        let holds = match self.method.kind {
            MethodKind::Subscribe => Holds::Arguments,
            _ => Holds::Value,
        };
        let wrapped = wrapped(&ty, &value, holds);
        let mut messages = [Vec::new(), Vec::new()];
        let [first, second] = &mut messages;
        self.response
            .dynamic_to_protobuf(&wrapped, holds, &mut receiving(&mut Shelf), first)
            .expect(case);
        self.response
            .to_protobuf(&encoded(&ty, &value), &mut receiving(&mut Shelf), second)
            .expect(case);
        for message in messages {
            let message = DynamicMessage::decode(descriptor.clone(), &*message).unwrap();
            assert_eq!(message, expected, "{case}");
        }
        tally.responses += FORMS_OF_RESPONSES;
    }
}

/// How deep values of any type nest.
const VALUE_DEPTH: usize = 3;

/// The tuple of one value, of none for `v`.
fn tuple_of(signature: &Signature) -> Type {
    Type::tuple(match signature.ty() {
        Type::Void | Type::None => Vec::new(),
        ty => vec![ty.clone()],
    })
}

/// Whether a tuple holds one value of any type.
fn is_dynamic(tuple: &Type) -> bool {
    matches!(tuple, Type::Tuple(tuple) if tuple.elements == [Type::Dynamic])
}

fn has_unknown(ty: &Type) -> bool {
    match ty {
        Type::Unknown => true,
        Type::List(inner) | Type::Optional(inner) | Type::VarArgs(inner) | Type::KwArgs(inner) => {
            has_unknown(inner)
        }
        Type::Map(entry) => has_unknown(&entry.0) || has_unknown(&entry.1),
        Type::Tuple(tuple) => tuple.elements.iter().any(has_unknown),
        _ => false,
    }
}

fn encoded(ty: &Type, value: &Value) -> Bytes {
    let mut out = Writer::new();
    encode(value, ty, &mut EncodeContext::default(), &mut out).unwrap();
    out.finish()
}

/// The values of a tuple in one dynamic.
fn wrapped(ty: &Type, value: &Value, holds: Holds) -> Bytes {
    if holds == Holds::Value && is_dynamic(ty) {
        return encoded(ty, value);
    }
    let (Type::Tuple(tuple), Value::Tuple(members)) = (ty, value) else {
        unreachable!("of rpcs: {ty}");
    };
    let (ty, value) = match (holds, tuple.elements.as_slice(), members.as_slice()) {
        (Holds::Arguments, ..) => (ty.clone(), value.clone()),
        (Holds::Value, [ty], [value]) => (ty.clone(), value.clone()),
        (Holds::Value, ..) => (Type::Void, Value::Void),
    };
    let dynamic = Dynamic::new(Signature::from(ty), value);
    let mut out = Writer::new();
    encode_dynamic(&dynamic, &mut EncodeContext::default(), &mut out).unwrap();
    out.finish()
}

/// Knows each object by its id.
struct Shelf;

impl ObjectSink for Shelf {
    fn adopt(&mut self, object: ObjectReference) -> String {
        object_id(&object)
    }
}

impl ObjectSource for Shelf {
    fn write(&mut self, name: ObjectName<'_>, out: &mut Writer) -> Result<(), UnknownObject> {
        let id = match name {
            ObjectName::Null => "",
            ObjectName::Id(id) => id,
            ObjectName::Service(_) => return Err(UnknownObject),
        };
        let (service, object) = id.split_once('.').unwrap_or(("0", "0"));
        let object = ObjectReference {
            meta: Arc::default(),
            service: ServiceId(service.parse().unwrap()),
            object: ObjectId(object.parse().unwrap()),
            uid: None,
        };
        encode(
            &Value::Object(Box::new(object)),
            &Type::Object,
            &mut EncodeContext::default(),
            out,
        )
        .unwrap();
        Ok(())
    }
}

fn receiving(shelf: &mut Shelf) -> ResponseContext<'_> {
    ResponseContext::new(shelf, ObjectEncoding::default())
}

/// The message without the fields that its type does not have.
fn known(descriptor: &MessageDescriptor, bytes: &[u8]) -> DynamicMessage {
    let mut message = DynamicMessage::decode(descriptor.clone(), bytes).unwrap();
    each_message(&mut message, &mut |message| {
        message.take_unknown_fields().for_each(drop);
    });
    // What was taken leaves a mark that makes messages differ.
    DynamicMessage::decode(descriptor.clone(), &*message.encode_to_vec()).unwrap()
}

/// Does something to a message, then to those inside of it.
fn each_message(message: &mut DynamicMessage, act: &mut dyn FnMut(&mut DynamicMessage)) {
    act(message);
    for (_, value) in message.fields_mut() {
        match value {
            Reflected::Message(message) => each_message(message, act),
            Reflected::List(items) => {
                let messages = items.iter_mut().filter_map(Reflected::as_message_mut);
                messages.for_each(|message| each_message(message, act));
            }
            Reflected::Map(entries) => {
                let messages = entries.values_mut().filter_map(Reflected::as_message_mut);
                messages.for_each(|message| each_message(message, act));
            }
            _ => {}
        }
    }
}

/// Takes fields away, but not from a `Value`, which would be another one.
fn thin(message: &mut DynamicMessage, source: &mut Source<'_>) {
    if is_static(message) {
        return;
    }
    let set: Vec<_> = message.fields().map(|(field, _)| field).collect();
    for field in set {
        if source.chance(3) {
            message.clear_field(&field);
        }
    }
}

/// Puts in the messages whose absence has the same meaning.
fn complete(message: &mut DynamicMessage) {
    let descriptor = message.descriptor();
    if descriptor.full_name() == "qi.gateway.v1.Value" && message.fields().next().is_none() {
        let void = descriptor.get_field_by_name("void_value").unwrap();
        message.set_field(&void, Reflected::default_value_for_field(&void));
    }
    if is_static(message) {
        return;
    }
    for field in descriptor.fields() {
        let is_message = matches!(field.kind(), Kind::Message(_)) && !field.is_list();
        let is_optional = field.field_descriptor_proto().proto3_optional();
        if is_message && !field.is_map() && !is_optional && !message.has_field(&field) {
            message.set_field(&field, Reflected::default_value_for_field(&field));
        }
    }
}

fn is_static(message: &DynamicMessage) -> bool {
    !message.descriptor().full_name().starts_with("qi.")
        || message.descriptor().package_name() == "qi.gateway.v1"
}
