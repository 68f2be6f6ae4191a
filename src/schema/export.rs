//! Schemas as files for compilers and code generators.

use std::collections::BTreeMap;

use bytes::Bytes;
use prost::{DecodeError, Message as _};

use super::{FilesError, ProtoFile, ServiceSchema, descriptor::FileDescriptorSet, text};
use crate::proto;

/// The texts of the generated files and of the static API that they import, by their paths.
///
/// # Errors
///
/// A descriptor does not decode; those of [`ServiceSchema::new`] do.
pub fn proto_files(schemas: &[ServiceSchema]) -> Result<BTreeMap<String, String>, DecodeError> {
    let mut files = BTreeMap::new();
    for (path, text) in proto::SOURCES {
        files.insert(path.to_owned(), text.to_owned());
    }
    for schema in schemas {
        let text = text::proto_text(&schema.descriptor)?;
        files.insert(schema.file_name.clone(), text);
    }
    Ok(files)
}

/// An encoded `FileDescriptorSet` of the generated files and of all that they import, each file
/// after those that it needs.
///
/// # Errors
///
/// The static API does not come apart; it does.
pub fn descriptor_set(schemas: &[ServiceSchema]) -> Result<Bytes, FilesError> {
    let imported = ProtoFile::split(proto::FILE_DESCRIPTOR_SET)?;
    let imported = imported.into_iter().map(|file| file.descriptor);
    let generated = schemas.iter().map(|schema| schema.descriptor.clone());
    let set = FileDescriptorSet {
        file: imported.chain(generated).collect(),
    };
    Ok(set.encode_to_vec().into())
}

/// The configuration with which buf lints, builds and generates in the folder of the files.
pub const BUF_YAML: &str = "\
# Written by qi-grpc-gateway, once: it is yours to change.
version: v2
lint:
  use:
    - STANDARD
  except:
    # Services have the names that the robot gives them: ALTextToSpeech, no ALTextToSpeechService.
    - SERVICE_SUFFIX
breaking:
  use:
    - FILE
";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_whole_static_api_is_there_as_text() {
        let files = ProtoFile::split(proto::FILE_DESCRIPTOR_SET).unwrap();
        let names = files.iter().map(|file| file.name.as_str());
        let mut names: Vec<_> = names.filter(|it| it.starts_with("qi/")).collect();
        names.sort_unstable();
        assert_eq!(names, proto::SOURCES.map(|(path, _)| path));
    }
}
