//! Checks of generated files with compilers that know nothing of this project.

#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

use prost::Message as _;
use prost_reflect::DescriptorPool;
use protox::file::{
    ChainFileResolver, File, FileResolver, GoogleFileResolver, IncludeFileResolver,
};
use qi_grpc_gateway::{
    proto,
    schema::{ProtoFile, ServiceSchema, descriptor::FileDescriptorProto, text},
};

/// The static API and all that it imports, in a pool that checks what is added.
pub(crate) fn static_pool() -> DescriptorPool {
    let mut pool = DescriptorPool::new();
    for file in ProtoFile::split(proto::FILE_DESCRIPTOR_SET).unwrap() {
        pool.decode_file_descriptor_proto(&file.descriptor[..])
            .unwrap();
    }
    pool
}

/// Compiles the text of a schema and compares the outcome with the descriptor, all but its
/// comments' places. Returns the text.
pub(crate) fn round_trip(schema: &ServiceSchema) -> String {
    let text = text::proto_text(&schema.descriptor).unwrap();
    let mut resolver = ChainFileResolver::new();
    resolver.add(One(schema.file_name.clone(), text.clone()));
    resolver.add(IncludeFileResolver::new(
        concat!(env!("CARGO_MANIFEST_DIR"), "/proto").into(),
    ));
    resolver.add(GoogleFileResolver::new());
    let mut compiler = protox::Compiler::with_file_resolver(resolver);
    compiler.include_source_info(true);
    if let Err(error) = compiler.open_file(&schema.file_name) {
        panic!("{error:?}\n{text}");
    }
    let set = compiler.encode_file_descriptor_set();
    let mut files = ProtoFile::split(&set).unwrap();
    let compiled = files.pop().unwrap();
    let expected = FileDescriptorProto::decode(&schema.descriptor[..]).unwrap();
    let actual = FileDescriptorProto::decode(&compiled.descriptor[..]).unwrap();
    assert_eq!(comments(&expected), comments(&actual), "{text}");
    assert_eq!(
        without_comments(expected),
        without_comments(actual),
        "{text}"
    );
    text
}

struct One(String, String);

impl FileResolver for One {
    fn open_file(&self, name: &str) -> Result<File, protox::Error> {
        if name == self.0 {
            File::from_source(name, &self.1)
        } else {
            Err(protox::Error::file_not_found(name))
        }
    }
}

fn comments(file: &FileDescriptorProto) -> Vec<(Vec<i32>, String)> {
    let locations = file.source_code_info.iter().flat_map(|it| &it.location);
    let mut comments: Vec<_> = locations
        .filter_map(|it| Some((it.path.clone(), it.leading_comments.clone()?)))
        .collect();
    comments.sort();
    comments
}

fn without_comments(mut file: FileDescriptorProto) -> FileDescriptorProto {
    file.source_code_info = None;
    file
}
