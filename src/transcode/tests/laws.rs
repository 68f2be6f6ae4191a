//! What holds for every type and value.

use proptest::prelude::*;
use prost::Message as _;
use prost_reflect::{DynamicMessage, ReflectMessage as _};

use super::{generate::Source, oracle, perturb::perturb, shapes, *};
use crate::qi::value::{
    Type, Value,
    codec::{EncodeContext, encode, encode_dynamic},
};

fn encoded(value: &Value, ty: &Type) -> Bytes {
    let mut out = Writer::new();
    encode(value, ty, &mut EncodeContext::default(), &mut out).expect("a value of the type");
    out.finish()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn messages_are_what_prost_reflect_says(choices: Vec<u8>) {
        let mut source = Source(&choices);
        let ty = Type::Tuple(source.tuple(3, false));
        let value = source.value(&ty, 3);
        let qi = encoded(&value, &ty);

        let payload = shapes::Shapes::default().payload(&ty);
        let pool = shapes::pool(payload.message());
        let expected = oracle::message(&pool, payload.message(), &value);
        let descriptor = expected.descriptor();
        let canonical = expected.encode_to_vec();
        let expected = DynamicMessage::decode(descriptor.clone(), &*canonical).unwrap();

        // To protobuf: the same message, with bytes after the value ignored.
        let plan = ResponsePlan::compile(&payload);
        let message = response(&plan, &qi).unwrap();
        prop_assert_eq!(DynamicMessage::decode(descriptor.clone(), &*message).unwrap(), expected);
        let longer: Bytes = [&qi[..], b"more"].concat().into();
        prop_assert_eq!(response(&plan, &longer).unwrap(), message.clone());

        // To qi: from what we write, from what prost-reflect writes, and from what else means
        // the same.
        let plan = RequestPlan::compile(&payload);
        prop_assert_eq!(request(&plan, &message).unwrap(), qi.clone());
        prop_assert_eq!(request(&plan, &canonical).unwrap(), qi.clone());
        let odd = perturb(&descriptor, &canonical, &mut source);
        prop_assert_eq!(request(&plan, &odd).unwrap(), qi);
    }

    #[test]
    fn dynamics_come_back_as_they_were(choices: Vec<u8>) {
        let mut source = Source(&choices);
        let dynamic = source.dynamic(6);
        let mut qi = Writer::new();
        encode_dynamic(&dynamic, &mut EncodeContext::default(), &mut qi).unwrap();
        let qi = qi.finish();
        let value = to_value(&qi).unwrap();
        prop_assert_eq!(&value, &oracle::value_message(&dynamic));
        prop_assert_eq!(to_dynamic(&value).unwrap(), qi);
    }

    #[test]
    fn a_dynamic_of_the_declared_type_is_as_good_as_the_plain_payload(choices: Vec<u8>) {
        let mut source = Source(&choices);
        let ty = Type::Tuple(source.tuple(3, false));
        let value = source.value(&ty, 3);
        let plan = ResponsePlan::compile(&shapes::Shapes::default().payload(&ty));
        let plain = response(&plan, &encoded(&value, &ty)).unwrap();
        let dynamic = crate::qi::value::Dynamic::new(Signature::from(ty), value);
        let mut qi = Writer::new();
        encode_dynamic(&dynamic, &mut EncodeContext::default(), &mut qi).unwrap();
        let qi = qi.finish();
        let unwrapped = respond(|context, out| {
            plan.dynamic_to_protobuf(&qi, Holds::Arguments, context, out)
        });
        prop_assert_eq!(unwrapped.unwrap(), plain);
    }

    #[test]
    fn json_never_changes_what_has_no_json_form(choices: Vec<u8>) {
        let mut source = Source(&choices);
        let dynamic = source.dynamic(4);
        let mut qi = Writer::new();
        encode_dynamic(&dynamic, &mut EncodeContext::default(), &mut qi).unwrap();
        let qi = qi.finish();
        let bytes = respond(|context, out| {
            context.json = true;
            dynamic_to_value(&qi, context, out)
        });
        let value = v1::Value::decode(&*bytes.unwrap()).unwrap();
        if !matches!(value.kind, Some(v1::value::Kind::Json(_))) {
            prop_assert_eq!(value, oracle::value_message(&dynamic));
        }
    }
}
