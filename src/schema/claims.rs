//! The pass that gives names to rpcs and structs.
//!
//! Members choose one after the other, so what a member is called depends on those before it only.
//! Rpcs and structs never want the same name: messages of rpcs, and they alone, end in `Request`
//! or `Response`.

use std::collections::{BTreeSet, HashMap};

use super::{
    Finding, MethodKind, Problem,
    members::{Member, Meta, parts},
    names::{self, Scope},
};
use crate::qi::value::{TupleType, Type};

/// The names of everything at the top level of a file.
#[derive(Debug)]
pub(super) struct Claims<'a> {
    /// The rpcs of each member, in the order of the members.
    pub(super) rpcs: Vec<Vec<Rpc>>,
    /// The messages of the structs.
    pub(super) structs: HashMap<&'a TupleType, String>,
}

/// An rpc to be.
#[derive(Debug)]
pub(super) struct Rpc {
    pub(super) kind: MethodKind,
    pub(super) name: String,
}

/// Gives names to the rpcs and structs of `members`.
pub(super) fn claim<'a>(
    service: &str,
    members: &[Member<'a>],
    findings: &mut Vec<Finding>,
) -> Claims<'a> {
    let mut claimer = Claimer {
        service,
        rpcs: Scope::default(),
        tried: HashMap::new(),
        structs_taken: Scope::default(),
        methods: BTreeSet::new(),
        structs: HashMap::new(),
        findings,
    };
    // The service itself, and what generators for Go and Rust put beside it.
    for suffix in ["", "Client", "Server"] {
        claimer.structs_taken.claim(&format!("{service}{suffix}"));
    }
    let rpcs = members
        .iter()
        .map(|member| {
            let rpcs = claimer.member(member);
            for ty in member.types() {
                claimer.structs_of(ty, member);
            }
            rpcs
        })
        .collect();
    Claims {
        rpcs,
        structs: claimer.structs,
    }
}

struct Claimer<'a, 'f> {
    service: &'f str,
    rpcs: Scope,
    /// How many names were tried for rpcs that wanted the same name with the same identity. All of
    /// them are taken, so that the next one begins after them.
    tried: HashMap<(String, [&'a str; 2]), u32>,
    structs_taken: Scope,
    /// The names of the methods so far, to know an overload.
    methods: BTreeSet<&'a str>,
    structs: HashMap<&'a TupleType, String>,
    findings: &'f mut Vec<Finding>,
}

impl<'a> Claimer<'a, '_> {
    fn member(&mut self, member: &Member<'a>) -> Vec<Rpc> {
        let stem = names::upper_camel_or_hash(member.name());
        let wanted = match member.meta {
            Meta::Method(method) => {
                let name = if self.methods.insert(&method.name) {
                    stem
                } else {
                    let words = parameter_words(method.parameters_signature.ty());
                    names::shorten(format!("{stem}{words}"))
                };
                vec![(MethodKind::Call, name)]
            }
            Meta::Property(_) => vec![
                (MethodKind::GetProperty, format!("Get{stem}Property")),
                (MethodKind::SetProperty, format!("Set{stem}Property")),
                (MethodKind::WatchProperty, format!("Watch{stem}Property")),
            ],
            Meta::Signal(_) => vec![(MethodKind::Subscribe, format!("Subscribe{stem}"))],
        };
        wanted
            .into_iter()
            .map(|(kind, wanted)| Rpc {
                kind,
                name: self.rpc(member, wanted),
            })
            .collect()
    }

    fn rpc(&mut self, member: &Member<'a>, wanted: String) -> String {
        let identity = [member.name(), member.signature().as_str()];
        let tried = self.tried.entry((wanted.clone(), identity)).or_default();
        let rpc = names::candidates(&names::rpc(&wanted), "X", &identity, *tried)
            .inspect(|_| *tried += 1)
            .find(|name| !hides_service(name, self.service) && self.rpcs.claim(name))
            .unwrap_or_default();
        if rpc != wanted {
            self.findings.push(member.finding(Problem::RpcRenamed {
                wanted,
                rpc: rpc.clone(),
            }));
        }
        rpc
    }

    /// Gives a message to each struct in a type, one to all that are equal.
    fn structs_of(&mut self, ty: &'a Type, member: &Member<'a>) {
        if let Type::Tuple(tuple) = ty
            && let Some(name) = struct_name(tuple)
            && !self.structs.contains_key(tuple)
        {
            let wanted = names::upper_camel_or_hash(name);
            let signature = ty.to_string();
            let message = names::candidates(&wanted, "X", &[&signature], 0)
                .find(|name| !is_rpc_message(name) && self.structs_taken.claim(name))
                .unwrap_or_default();
            if message != wanted {
                self.findings.push(member.finding(Problem::StructRenamed {
                    signature,
                    wanted,
                    message: message.clone(),
                }));
            }
            self.structs.insert(tuple, message);
        }
        for part in parts(ty) {
            self.structs_of(part, member);
        }
    }
}

/// Whether a name is of the kind that is kept for the messages of rpcs.
fn is_rpc_message(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    name.ends_with("request") || name.ends_with("response")
}

/// Whether a message of an rpc would have the name of the service.
fn hides_service(rpc: &str, service: &str) -> bool {
    ["Request", "Response"].iter().any(|suffix| {
        let stem = service.len().checked_sub(suffix.len());
        let parts = stem.and_then(|stem| service.split_at_checked(stem));
        parts.is_some_and(|(stem, end)| {
            stem.eq_ignore_ascii_case(rpc) && end.eq_ignore_ascii_case(suffix)
        })
    })
}

/// The name of a struct; none for a tuple.
pub(super) fn struct_name(tuple: &TupleType) -> Option<&str> {
    let annotation = tuple.annotation.as_ref()?;
    (!annotation.name.is_empty()).then_some(annotation.name.as_str())
}

/// What tells an overload from the others.
fn parameter_words(parameters: &Type) -> String {
    match parameters {
        Type::Tuple(tuple) if tuple.elements.is_empty() => "Empty".to_owned(),
        Type::Tuple(tuple) => tuple.elements.iter().map(word).collect(),
        _ => "AnyArguments".to_owned(),
    }
}

fn word(ty: &Type) -> String {
    let plain = match ty {
        Type::Void | Type::None => "Void",
        Type::Unknown => "Unknown",
        Type::Bool => "Bool",
        Type::Int8 | Type::Int16 | Type::Int32 => "Int32",
        Type::UInt8 | Type::UInt16 | Type::UInt32 => "Uint32",
        Type::Int64 => "Int64",
        Type::UInt64 => "Uint64",
        Type::Float => "Float",
        Type::Double => "Double",
        Type::String => "String",
        Type::Raw => "Bytes",
        Type::Dynamic => "Value",
        Type::Object => "Object",
        Type::List(element) | Type::VarArgs(element) => return format!("{}List", word(element)),
        Type::Map(entry) => return format!("{}{}Map", word(&entry.0), word(&entry.1)),
        Type::KwArgs(value) => return format!("String{}Map", word(value)),
        Type::Optional(value) => return format!("Optional{}", word(value)),
        Type::Tuple(tuple) => {
            return struct_name(tuple)
                .and_then(names::upper_camel)
                .unwrap_or_else(|| {
                    let words: String = tuple.elements.iter().map(word).collect();
                    format!("{words}Tuple")
                });
        }
    };
    plain.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        qi::{
            value::{MetaMethod, MetaObject},
            wire::ActionId,
        },
        schema::{SchemaOptions, ServiceSchema, package},
    };

    /// The schema of a service whose methods have these names and nothing else.
    fn schema<'n>(service: &str, methods: impl IntoIterator<Item = &'n str>) -> ServiceSchema {
        let methods = (100..).map(ActionId).zip(methods);
        let methods = methods.map(|(uid, name)| {
            let method = MetaMethod {
                uid,
                return_signature: Type::Void.into(),
                name: name.to_owned(),
                parameters_signature: Type::tuple(Vec::new()).into(),
                description: String::new(),
                parameters: Vec::new(),
                return_description: String::new(),
            };
            (uid, method)
        });
        let meta = MetaObject {
            methods: methods.collect(),
            ..MetaObject::default()
        };
        let options = SchemaOptions::default();
        ServiceSchema::new(service, &package(service), &meta, &options)
    }

    #[test]
    fn methods_that_nothing_tells_apart_cost_no_more_than_others() {
        // Each went through the names of all before it: a few megabytes of one method kept the
        // gateway busy for hours.
        let count = 100_000;
        let schema = schema("foo", std::iter::repeat_n("bar", count));
        let distinct: BTreeSet<_> = schema.methods.iter().map(|it| &it.rpc).collect();
        assert_eq!(distinct.len(), count);
    }

    #[test]
    fn no_message_has_the_name_of_the_service() {
        // A service `SayRequest` with a method `say` had two elements of one name, which no
        // compiler takes.
        for (service, method) in [("SayRequest", "say"), ("Sayresponse", "say")] {
            let schema = schema(service, [method, "bar"]);
            let mut names: Vec<_> = schema.symbols.iter().map(|it| it.to_lowercase()).collect();
            let count = names.len();
            names.sort_unstable();
            names.dedup();
            assert_eq!(names.len(), count, "{:?}", schema.symbols);
            let rpcs: Vec<_> = schema.methods.iter().map(|it| it.rpc.as_str()).collect();
            assert!(matches!(rpcs[..], [renamed, "Bar"] if renamed.starts_with("SayX")));
        }
    }
}
