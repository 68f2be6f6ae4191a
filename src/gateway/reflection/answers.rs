//! What reflection answers, apart from the version of its protocol.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use bytes::Bytes;
use tokio::sync::watch;
use tonic::Code;

use crate::{
    bridge::supervisor::State,
    schema::{FilesError, ProtoFile},
};

/// What a client wants to know.
#[derive(Debug)]
pub(super) enum Question<'a> {
    /// The file of a name.
    File(&'a str),
    /// The file that defines a symbol.
    Symbol(&'a str),
    /// The file that defines the extension of a message with a number.
    Extension(&'a str, i32),
    /// The numbers of all extensions of a message.
    ExtensionsOf(&'a str),
    /// The names of all services.
    Services,
    /// Nothing that this version knows.
    None,
}

/// What it is told.
#[derive(PartialEq, Eq, Debug)]
pub(super) enum Answer {
    File(Bytes),
    Extensions(String, Vec<i32>),
    Services(Vec<String>),
    Error(Code, String),
}

/// The files of the static API and of the live catalogue.
#[derive(Clone, Debug)]
pub(super) struct Answers {
    statics: Arc<Statics>,
    robot: watch::Receiver<State>,
}

/// The files that are always there.
#[derive(Debug, Default)]
struct Statics {
    files: HashMap<String, Bytes>,
    symbols: HashMap<String, Bytes>,
    extensions: BTreeMap<String, BTreeMap<i32, Bytes>>,
    services: BTreeSet<String>,
}

/// The services beside the generated ones.
pub(crate) const STATIC_SERVICES: [&str; 7] = [
    "qi.gateway.v1.DirectoryService",
    "qi.gateway.v1.DynamicService",
    "qi.gateway.v1.HostingService",
    "qi.gateway.v1.ObjectService",
    "grpc.health.v1.Health",
    "grpc.reflection.v1.ServerReflection",
    "grpc.reflection.v1alpha.ServerReflection",
];

impl Statics {
    fn new() -> Result<Self, FilesError> {
        let mut statics = Self::default();
        for set in [
            crate::proto::FILE_DESCRIPTOR_SET,
            tonic_health::pb::FILE_DESCRIPTOR_SET,
            tonic_reflection::pb::v1::FILE_DESCRIPTOR_SET,
            tonic_reflection::pb::v1alpha::FILE_DESCRIPTOR_SET,
            // The details of errors, which tools ask for to show them.
            tonic_types::pb::FILE_DESCRIPTOR_SET,
        ] {
            for file in ProtoFile::split(set)? {
                statics.add(file);
            }
        }
        statics.services = STATIC_SERVICES.map(str::to_owned).into();
        Ok(statics)
    }

    fn add(&mut self, file: ProtoFile) {
        for symbol in file.symbols {
            self.symbols.insert(symbol, file.descriptor.clone());
        }
        for (extended, number) in file.extensions {
            let numbers = self.extensions.entry(extended).or_default();
            numbers.insert(number, file.descriptor.clone());
        }
        self.files.insert(file.name, file.descriptor);
    }
}

impl Answers {
    /// # Errors
    ///
    /// A descriptor set that was compiled into the program does not decode.
    pub(super) fn new(robot: watch::Receiver<State>) -> Result<Self, FilesError> {
        Ok(Self {
            statics: Arc::new(Statics::new()?),
            robot,
        })
    }

    pub(super) fn answer(&self, question: &Question<'_>) -> Answer {
        let statics = &self.statics;
        match question {
            Question::File(name) => {
                let file = statics.files.get(*name).cloned();
                let file = file.or_else(|| self.robot.borrow().catalogue.file(name).cloned());
                found(file, || format!("no file {name}"))
            }
            Question::Symbol(symbol) => {
                let symbol = symbol.trim_start_matches('.');
                let file = statics.symbols.get(symbol).cloned().or_else(|| {
                    let state = self.robot.borrow();
                    state.catalogue.file_containing(symbol).cloned()
                });
                found(file, || format!("no symbol {symbol}"))
            }
            Question::Extension(extended, number) => {
                let numbers = statics.extensions.get(*extended);
                let file = numbers.and_then(|numbers| numbers.get(number)).cloned();
                found(file, || format!("no extension {number} of {extended}"))
            }
            Question::ExtensionsOf(extended) => match statics.extensions.get(*extended) {
                Some(numbers) => {
                    Answer::Extensions((*extended).to_owned(), numbers.keys().copied().collect())
                }
                None if self.is_known(extended) => {
                    Answer::Extensions((*extended).to_owned(), Vec::new())
                }
                None => Answer::Error(Code::NotFound, format!("no message {extended}")),
            },
            Question::Services => Answer::Services(self.services()),
            Question::None => Answer::Error(
                Code::Unimplemented,
                "the request asks nothing that is known".to_owned(),
            ),
        }
    }

    fn is_known(&self, symbol: &str) -> bool {
        self.statics.symbols.contains_key(symbol)
            || self
                .robot
                .borrow()
                .catalogue
                .file_containing(symbol)
                .is_some()
    }

    fn services(&self) -> Vec<String> {
        let state = self.robot.borrow();
        let generated = state.catalogue.services();
        let mut names = self.statics.services.clone();
        names.extend(generated.map(|service| service.schema().full_name.clone()));
        names.into_iter().collect()
    }
}

fn found(file: Option<Bytes>, missing: impl FnOnce() -> String) -> Answer {
    match file {
        Some(file) => Answer::File(file),
        None => Answer::Error(Code::NotFound, missing()),
    }
}

#[cfg(test)]
mod tests {
    use prost::Message as _;

    use super::*;
    use crate::schema::descriptor::{FileDescriptorProto, FileDescriptorSet};

    fn answers() -> Answers {
        let (_, robot) = watch::channel(State::default());
        Answers::new(robot).unwrap()
    }

    #[test]
    fn the_static_api_is_always_there() {
        let answers = answers();
        let by_name = answers.answer(&Question::File("qi/gateway/v1/value.proto"));
        assert!(matches!(by_name, Answer::File(_)));
        let by_symbol = answers.answer(&Question::Symbol("qi.gateway.v1.Value"));
        assert_eq!(by_symbol, by_name);
        let options = answers.answer(&Question::File("qi/gateway/v1/options.proto"));
        let extension = Question::Extension("google.protobuf.MethodOptions", 78559);
        assert_eq!(answers.answer(&extension), options);
        assert_eq!(
            answers.answer(&Question::Services),
            Answer::Services(
                BTreeSet::from(STATIC_SERVICES.map(str::to_owned))
                    .into_iter()
                    .collect()
            )
        );
    }

    /// What is registered with the server and what reflection lists are two lists: here they meet
    /// the third, the descriptors.
    #[test]
    fn every_service_of_the_static_api_is_listed() {
        let set = FileDescriptorSet::decode(crate::proto::FILE_DESCRIPTOR_SET).unwrap();
        let described = set.file.iter().flat_map(|file| {
            let file = FileDescriptorProto::decode(file.clone()).unwrap();
            let names = file.service.clone().into_iter();
            names.map(move |service| format!("{}.{}", file.package(), service.name()))
        });
        let listed = STATIC_SERVICES.into_iter();
        let mut listed: Vec<_> = listed.filter(|it| it.starts_with("qi.")).collect();
        listed.sort_unstable();
        let mut described: Vec<_> = described.collect();
        described.sort_unstable();
        assert_eq!(described, listed);
    }

    #[test]
    fn every_static_service_can_be_described() {
        let answers = answers();
        for service in STATIC_SERVICES {
            let file = answers.answer(&Question::Symbol(service));
            assert!(matches!(file, Answer::File(_)), "{service}");
        }
    }

    #[test]
    fn what_is_not_there_is_an_answer_not_the_end() {
        let answers = answers();
        for question in [
            Question::File("nope.proto"),
            Question::Symbol("qi.nope.v1.Nope"),
            Question::Extension("google.protobuf.MethodOptions", 1),
            Question::ExtensionsOf("nope"),
        ] {
            let answer = answers.answer(&question);
            assert!(matches!(answer, Answer::Error(Code::NotFound, _)));
        }
        let known = Question::ExtensionsOf("qi.gateway.v1.Value");
        let none = Answer::Extensions("qi.gateway.v1.Value".to_owned(), Vec::new());
        assert_eq!(answers.answer(&known), none);
    }
}
