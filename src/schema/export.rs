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
    for (path, text) in proto::STATIC_FILES {
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
    use crate::{
        qi::value::MetaObject,
        schema::{SchemaOptions, snapshot::Snapshot},
    };

    #[test]
    fn no_name_leads_out_of_the_folder() {
        let names = [
            "../../up",
            "/root",
            "..",
            "",
            "a/../../b",
            "C:\\x",
            "\u{0}",
            "gateway",
        ];
        let services = names.map(|name| (name.to_owned(), MetaObject::default()));
        let schemas = Snapshot::new(services, []).schemas(&SchemaOptions::default());
        let files = proto_files(&schemas).unwrap();
        assert_eq!(files.len(), names.len() + proto::STATIC_FILES.len());
        for path in files.keys() {
            let parts: Vec<_> = path.split('/').collect();
            let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
            assert!(matches!(parts[..], ["qi", _, "v1", _]), "{path}");
            assert!(
                parts[1].chars().all(plain) && !parts[1].is_empty(),
                "{path}"
            );
            let name = parts[3].strip_suffix(".proto").unwrap();
            assert!(name.chars().all(plain) && !name.is_empty(), "{path}");
        }
    }

    #[test]
    fn the_whole_static_api_is_there_as_text() {
        let files = ProtoFile::split(proto::FILE_DESCRIPTOR_SET).unwrap();
        let names = files.iter().map(|file| file.name.as_str());
        let mut names: Vec<_> = names.filter(|it| it.starts_with("qi/")).collect();
        names.sort_unstable();
        assert_eq!(names, proto::STATIC_FILES.map(|(path, _)| path));
    }
}
