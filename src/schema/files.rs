//! Files that are not generated: the static API, what it imports, the standard services.

use bytes::Bytes;
use prost::Message as _;

use super::{
    descriptor::{FileDescriptorProto, FileDescriptorSet},
    symbols,
};

/// A .proto file as reflection serves it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ProtoFile {
    /// The path by which others import it.
    pub name: String,
    /// The encoded `FileDescriptorProto`, as it was in the set: no option of it is lost.
    pub descriptor: Bytes,
    /// The full name of everything that it defines.
    pub symbols: Vec<String>,
    /// The files it imports.
    pub dependencies: Vec<String>,
    /// The full names of the messages that it extends, with the numbers of the extensions.
    pub extensions: Vec<(String, i32)>,
}

impl ProtoFile {
    /// Takes an encoded `FileDescriptorSet` apart.
    ///
    /// # Errors
    ///
    /// [`FilesError`] where the set does not decode.
    pub fn split(set: &[u8]) -> Result<Vec<Self>, FilesError> {
        let set = FileDescriptorSet::decode(set).map_err(FilesError::Set)?;
        let files = set.file.into_iter().enumerate();
        files
            .map(|(index, descriptor)| {
                let file = FileDescriptorProto::decode(descriptor.clone())
                    .map_err(|source| FilesError::File { index, source })?;
                Ok(Self {
                    symbols: symbols::symbols(&file),
                    extensions: symbols::extensions(&file),
                    name: file.name.unwrap_or_default(),
                    dependencies: file.dependency,
                    descriptor,
                })
            })
            .collect()
    }
}

/// Why a descriptor set cannot be taken apart.
#[derive(Debug, thiserror::Error)]
pub enum FilesError {
    /// The set itself does not decode.
    #[error("the descriptor set does not decode")]
    Set(#[source] prost::DecodeError),
    /// A file in it does not decode.
    #[error("file {index} of the descriptor set does not decode")]
    File {
        /// The position of the file, from 0.
        index: usize,
        /// What is wrong with it.
        source: prost::DecodeError,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_static_api_is_taken_apart_without_loss() {
        let set = crate::proto::FILE_DESCRIPTOR_SET;
        let files = ProtoFile::split(set).unwrap();
        let again = FileDescriptorSet {
            file: files.iter().map(|file| file.descriptor.clone()).collect(),
        };
        assert_eq!(again.encode_to_vec(), set);

        let options = files
            .iter()
            .find(|file| file.name == "qi/gateway/v1/options.proto")
            .unwrap();
        let extended = ["Service", "Method", "Field"];
        for message in extended {
            let extension = (format!("google.protobuf.{message}Options"), 78559);
            assert!(options.extensions.contains(&extension));
        }
        assert_eq!(options.dependencies, ["google/protobuf/descriptor.proto"]);
        for symbol in [
            "MethodKind",
            "METHOD_KIND_CALL",
            "service",
            "FieldOrigin.signature",
        ] {
            let symbol = format!("qi.gateway.v1.{symbol}");
            assert!(options.symbols.contains(&symbol), "{symbol}");
        }
    }

    #[test]
    fn what_is_no_descriptor_set_is_refused() {
        assert!(matches!(ProtoFile::split(b"\xff"), Err(FilesError::Set(_))));
        let file = ProtoFile::split(b"\x0a\x01\xff");
        assert!(matches!(file, Err(FilesError::File { index: 0, .. })));
    }
}
