//! Every form of signature that occurs, called and followed through the gateway and with libqi.

use std::collections::BTreeMap;

use prost_reflect::MethodDescriptor;
use qi_grpc_gateway::qi::value::{Signature, Type};
use serde_json::{Value, json};

use crate::{
    CALL, GET_PROPERTY, SUBSCRIBE, WATCH_PROPERTY,
    support::{
        forms::{base64, libqi_form, members_to_proto, response_from_proto, sample},
        nao::Nao,
        reflection::{Origin, Reflected},
    },
};

/// Methods that change what they answer, or wait.
const UNREPEATABLE: [(&str, &[&str]); 3] = [
    (
        "ALVideoDevice",
        &["subscribe", "subscribeCamera", "subscribeCameras"],
    ),
    (
        "ALMotion",
        &[
            "moveTo",
            "walkTo",
            "angleInterpolation",
            "angleInterpolationWithSpeed",
        ],
    ),
    ("ALTextToSpeech", &["say"]),
];

/// A method to call, and the generated one for it.
struct Case {
    service: String,
    full_name: String,
    origin: Origin,
    parameters: Vec<Type>,
    returns: Type,
    rpc: MethodDescriptor,
}

impl Case {
    /// A response, in libqi's form.
    fn answer(&self, response: &Value) -> Value {
        response_from_proto(&self.returns, self.rpc.output(), response)
    }

    /// What the robot promises to answer: the first argument of the type returned, or a fixed
    /// value.
    fn promised(&self) -> Value {
        match self.parameters.iter().find(|ty| **ty == self.returns) {
            Some(echoed) => libqi_form(echoed, &sample(echoed)),
            None => fixed(
                &self.returns,
                &format!("{}.{}", self.service, self.origin.name),
            ),
        }
    }
}

fn fixed(ty: &Type, label: &str) -> Value {
    match ty {
        Type::Void => Value::Null,
        Type::Bool => json!(true),
        Type::Float | Type::Double => json!(1.5),
        Type::String | Type::Dynamic => json!(label),
        Type::Raw => json!({"base64": base64(label.as_bytes())}),
        Type::Object => json!({"object": true}),
        Type::List(element) => json!([fixed(element, label), fixed(element, label)]),
        Type::Map(entry) => json!({"map": [[fixed(&entry.0, label), fixed(&entry.1, label)]]}),
        Type::Tuple(tuple) => tuple.elements.iter().map(|ty| fixed(ty, label)).collect(),
        _ => json!(42),
    }
}

/// One method for every form of signature that occurs.
fn cases(reflected: &Reflected) -> Vec<Case> {
    let mut forms = BTreeMap::new();
    for (service, descriptor) in reflected.generated() {
        let mut unrepeatable = UNREPEATABLE.iter().filter(|(name, _)| *name == service);
        let unrepeatable = unrepeatable.next().map_or(&[][..], |(_, methods)| methods);
        for rpc in descriptor.methods() {
            let origin = reflected.origin(&rpc);
            if origin.kind != CALL || unrepeatable.contains(&&*origin.name) {
                continue;
            }
            let form = (origin.signature.clone(), origin.return_signature.clone());
            forms.entry(form).or_insert_with(|| Case {
                service: service.clone(),
                full_name: format!("{}/{}", descriptor.full_name(), rpc.name()),
                parameters: parameters(&origin.signature),
                returns: ty(&origin.return_signature),
                origin,
                rpc,
            });
        }
    }
    forms.into_values().collect()
}

fn ty(signature: &str) -> Type {
    signature.parse::<Signature>().unwrap().ty().clone()
}

fn parameters(signature: &str) -> Vec<Type> {
    match ty(signature) {
        Type::Tuple(tuple) => tuple.elements,
        other => panic!("{other:?}"),
    }
}

/// A signature without names of structs and their members.
fn bare(signature: &str) -> String {
    let mut depth = 0;
    let mut kept = String::new();
    for letter in signature.chars() {
        match letter {
            '<' => depth += 1,
            '>' => depth -= 1,
            _ if depth == 0 => kept.push(letter),
            _ => {}
        }
    }
    kept
}

fn has_unknown(signature: &str) -> bool {
    bare(signature).contains('X')
}

#[tokio::test]
async fn every_form_of_signature_answers_as_to_a_libqi_client() {
    let nao = Nao::start().await;
    let reflected = Reflected::read(nao.gateway.channel().await).await;
    let cases = cases(&reflected);
    let (mut answers, mut errors) = (0, 0);
    let mut differences = Vec::new();
    for case in &cases {
        let values: Vec<_> = case.parameters.iter().map(sample).collect();
        let request = members_to_proto(&case.parameters, &case.rpc.input(), &values);
        let through_grpc = nao.grpc.unary(&case.full_name, request).await;
        let method = format!("{}::{}", case.origin.name, case.origin.signature);
        let through_libqi = nao.libqi.call(&case.service, &method, values.into()).await;
        let what = format!(
            "{}.{method} -> {}",
            case.service, case.origin.return_signature
        );
        if has_unknown(&case.origin.signature) {
            // Such an argument has no encoding, which a client is told before anything is sent.
            if through_grpc.code != "INVALID_ARGUMENT" {
                differences.push(format!("{what}\n  {through_grpc:?}"));
            }
            errors += 1;
            continue;
        }
        let takes_objects = bare(&case.origin.signature).contains('o');
        match through_libqi {
            // libqi's client in Python cannot send the null object.
            Err(_) if takes_objects && through_grpc.code == "OK" => {
                let answer = case.answer(&through_grpc.response);
                if answer != case.promised() {
                    differences.push(format!("{what}\n  {answer}\n  {}", case.promised()));
                }
                answers += 1;
            }
            Ok(value) if through_grpc.code == "OK" => {
                let answer = case.answer(&through_grpc.response);
                if answer != libqi_form(&case.returns, &value) {
                    differences.push(format!("{what}\n  {answer}\n  {value}"));
                }
                answers += 1;
            }
            Err(_) if through_grpc.code == "UNKNOWN" => errors += 1,
            other => differences.push(format!("{what}\n  {through_grpc:?}\n  {other:?}")),
        }
    }
    println!(
        "{} methods: {answers} answers, {errors} errors",
        cases.len()
    );
    assert!(
        differences.is_empty(),
        "{}\n{}",
        differences.len(),
        differences.join("\n")
    );
    assert!(answers > 200, "{answers}");
}

#[tokio::test]
async fn every_signal_and_property_can_be_followed() {
    let nao = Nao::start().await;
    let reflected = Reflected::read(nao.gateway.channel().await).await;
    let (mut signals, mut properties) = (Vec::new(), 0);
    for (service, descriptor) in reflected.generated() {
        for rpc in descriptor.methods() {
            let origin = reflected.origin(&rpc);
            let method = format!("{}/{}", descriptor.full_name(), rpc.name());
            match origin.kind {
                // All stay open to the end.
                SUBSCRIBE => signals.push(nao.grpc.stream(&method, json!({})).await),
                GET_PROPERTY => {
                    let through_libqi = nao.libqi.property(&service, &origin.name).await.unwrap();
                    let got = nao.grpc.unary(&method, json!({})).await.ok();
                    let ty = ty(&origin.signature);
                    let got = response_from_proto(&ty, rpc.output(), &got);
                    assert_eq!(got, libqi_form(&ty, &through_libqi), "{method}");
                    properties += 1;
                }
                WATCH_PROPERTY => {
                    let watch = nao.grpc.stream(&method, json!({})).await;
                    let current = watch.message().await;
                    assert_eq!(current["info"]["sequence"], "1", "{method}");
                    watch.cancel().await;
                }
                _ => {}
            }
        }
    }
    println!("{} signals, {properties} properties", signals.len());
    assert!(signals.len() > 70 && properties > 20);
}
