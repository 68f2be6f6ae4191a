//! Bytes that nobody means well with.

use proptest::prelude::*;

use super::{generate::Source, shapes, *};
use crate::qi::value::{
    Type,
    codec::{EncodeContext, encode},
};

/// Runs every direction over the bytes; what comes out is of no interest.
fn run_all(ty: &Type, bytes: &Bytes) {
    let payload = shapes::Shapes::default().payload(ty);
    let requests = RequestPlan::compile(&payload);
    let responses = ResponsePlan::compile(&payload);
    if let Ok(qi) = request(&requests, bytes) {
        // What we send we can also read.
        response(&responses, &qi).expect("our own payload");
    }
    if let Ok(message) = response(&responses, bytes) {
        let _ = request(&requests, &message);
    }
    for holds in [Holds::Value, Holds::Arguments] {
        let _ = respond(|context, out| responses.dynamic_to_protobuf(bytes, holds, context, out));
    }
    let _ = respond(|context, out| {
        context.json = true;
        dynamic_to_value(bytes, context, out)
    });
    if let Ok(value) = to_value(bytes) {
        let _ = to_dynamic(&value);
    }
    let mut context = RequestContext {
        objects: &mut NoObjects,
        limits: Limits::default(),
    };
    let mut typed = Writer::new();
    if value_to_typed(bytes, ty, &mut context, &mut typed).is_ok() {
        let signature = Signature::from(ty.clone());
        let typed = typed.finish();
        respond(|context, out| typed_to_value(&typed, &signature, context, out))
            .expect("our own value");
    }
    if let Ok(dynamic) = bytes_to_dynamic(bytes) {
        to_value(&dynamic).expect("our own dynamic");
    }
}

fn mutate(bytes: &mut [u8], mutations: &[(u16, u8)]) {
    for &(at, byte) in mutations {
        let len = bytes.len().max(1);
        if let Some(place) = bytes.get_mut(usize::from(at) % len) {
            *place = byte;
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn random_bytes_do_no_harm(choices: Vec<u8>, bytes: Vec<u8>) {
        run_all(&Type::Tuple(Source(&choices).tuple(3, false)), &bytes.clone().into());
        run_all(&Type::Dynamic, &bytes.into());
    }

    #[test]
    fn bytes_that_were_right_once_do_no_harm(
        choices: Vec<u8>,
        mutations in proptest::collection::vec(any::<(u16, u8)>(), 1..4),
    ) {
        let mut source = Source(&choices);
        let ty = Type::Tuple(source.tuple(3, false));
        let value = source.value(&ty, 3);
        let mut qi = Writer::new();
        encode(&value, &ty, &mut EncodeContext::default(), &mut qi).unwrap();
        let qi = qi.finish();
        let plan = ResponsePlan::compile(&shapes::Shapes::default().payload(&ty));
        let mut message = response(&plan, &qi).unwrap();
        let signature = Signature::from(ty.clone());
        let tuple = respond(|context, out| typed_to_value(&qi, &signature, context, out));
        let mut tuple = tuple.unwrap();
        mutate(&mut tuple, &mutations);
        run_all(&ty, &tuple.into());
        let mut qi = qi.to_vec();
        mutate(&mut qi, &mutations);
        mutate(&mut message, &mutations);
        run_all(&ty, &qi.into());
        run_all(&ty, &message.into());
    }
}
