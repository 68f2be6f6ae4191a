//! What transcoding costs: a small call, an image, and values of any type.

#![allow(
    clippy::expect_used,
    reason = "a benchmark that cannot run has nothing to tell"
)]
#![allow(missing_docs, reason = "criterion's macros write no docs")]

use std::{hint::black_box, sync::Arc};

use bytes::Bytes;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use qi_grpc_gateway::{
    qi::{
        value::{ObjectEncoding, ObjectReference},
        wire::{Limits, Writer},
    },
    schema::{FieldShape, MessageShape, Payload, Scalar, Shape},
    transcode::{
        NoObjects, ObjectSink, RequestContext, RequestPlan, ResponseContext, ResponsePlan,
    },
};

/// A robot's camera gives 640 x 480 pixels of three bytes.
const IMAGE_BYTES: usize = 921_600;

struct NoSink;

impl ObjectSink for NoSink {
    fn adopt(&mut self, _: ObjectReference) -> String {
        String::new()
    }
}

fn payload(fields: &[(&str, Shape)]) -> Payload {
    let field = |(number, (signature, shape)): (u32, &(&str, Shape))| FieldShape {
        name: format!("arg{number}"),
        number,
        shape: shape.clone(),
        qi_name: None,
        signature: signature.parse().expect("a signature"),
    };
    Payload::Fields(Arc::new(MessageShape {
        name: "Request".into(),
        full_name: "bench.Request".into(),
        fields: (1..).zip(fields).map(field).collect(),
    }))
}

fn both_ways(criterion: &mut Criterion, name: &str, payload: &Payload, qi: &[u8]) {
    let qi = Bytes::copy_from_slice(qi);
    let responses = ResponsePlan::compile(payload);
    let requests = RequestPlan::compile(payload);
    let mut message = Vec::new();
    let mut sink = NoSink;
    let mut context = ResponseContext::new(&mut sink, ObjectEncoding::default());
    responses
        .to_protobuf(&qi, &mut context, &mut message)
        .expect("what was declared");

    let mut group = criterion.benchmark_group(name);
    group.throughput(Throughput::Bytes(qi.len() as u64));
    group.bench_function("to protobuf", |bencher| {
        bencher.iter(|| {
            let mut out = Vec::with_capacity(qi.len() + 64);
            responses
                .to_protobuf(black_box(&qi), &mut context, &mut out)
                .expect("what was declared");
            out
        });
    });
    group.bench_function("to qi", |bencher| {
        bencher.iter(|| {
            let mut context = RequestContext {
                objects: &mut NoObjects,
                limits: Limits::default(),
            };
            let mut out = Writer::with_capacity(message.len() + 64);
            requests
                .to_qi(black_box(&message), &mut context, &mut out)
                .expect("our own message");
            out
        });
    });
    group.finish();
}

fn transcode(criterion: &mut Criterion) {
    let mut call = Writer::new();
    call.sized(b"HeadYaw").expect("short");
    call.u32(6);
    for angle in 0_u8..6 {
        call.f32(f32::from(angle));
    }
    call.f32(0.5);
    let floats = Shape::Repeated(Box::new(Shape::Scalar(Scalar::Float)));
    let shape = payload(&[
        ("s", Shape::Scalar(Scalar::String)),
        ("[f]", floats),
        ("f", Shape::Scalar(Scalar::Float)),
    ]);
    both_ways(criterion, "call (s[f]f)", &shape, call.as_slice());

    let mut image = Writer::new();
    image.sized(&vec![7; IMAGE_BYTES]).expect("short");
    let shape = payload(&[("r", Shape::Scalar(Scalar::Raw))]);
    both_ways(criterion, "image r", &shape, image.as_slice());

    let mut values = Writer::new();
    values.sized(b"[m]").expect("short");
    values.u32(100);
    for number in 0..100 {
        values.sized(b"i").expect("short");
        values.i32(number);
    }
    let shape = payload(&[("m", Shape::Value)]);
    both_ways(criterion, "value [m] of 100", &shape, values.as_slice());
}

criterion_group!(benches, transcode);
criterion_main!(benches);
