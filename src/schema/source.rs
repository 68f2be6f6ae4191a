//! Comments, and where elements stand.

use std::collections::BTreeMap;

use super::descriptor::{DescriptorProto, FileDescriptorProto, Location, SourceCodeInfo};

/// The comments of a file in the making, by the path of the element.
#[derive(Debug, Default)]
pub(super) struct Comments(BTreeMap<Vec<i32>, String>);

impl Comments {
    pub(super) fn service(&mut self, text: Option<String>) {
        self.put([SERVICE, 0], text);
    }

    pub(super) fn rpc(&mut self, rpc: usize, text: Option<String>) {
        self.put([SERVICE, 0, METHOD, index(rpc)], text);
    }

    pub(super) fn message(&mut self, message: usize, text: Option<String>) {
        self.put([MESSAGE, index(message)], text);
    }

    pub(super) fn field(&mut self, message: usize, field: usize, text: Option<String>) {
        self.put([MESSAGE, index(message), FIELD, index(field)], text);
    }

    fn put<const N: usize>(&mut self, path: [i32; N], text: Option<String>) {
        if let Some(text) = text {
            self.0.insert(path.into(), text);
        }
    }

    /// A location for every element, with its comment. Printers order elements by their lines, so
    /// each gets the next one, services first.
    pub(super) fn source_info(self, file: &FileDescriptorProto) -> SourceCodeInfo {
        let mut writer = Locations {
            comments: self.0,
            path: Vec::new(),
            locations: Vec::new(),
        };
        writer.at(PACKAGE, None, |_| {});
        for (at, service) in file.service.iter().enumerate() {
            writer.at(SERVICE, Some(at), |writer| {
                for rpc in 0..service.method.len() {
                    writer.at(METHOD, Some(rpc), |_| {});
                }
            });
        }
        writer.messages(MESSAGE, &file.message_type);
        SourceCodeInfo {
            location: writer.locations,
        }
    }
}

struct Locations {
    comments: BTreeMap<Vec<i32>, String>,
    path: Vec<i32>,
    locations: Vec<Location>,
}

impl Locations {
    fn at(&mut self, number: i32, at: Option<usize>, inside: impl FnOnce(&mut Self)) {
        let length = self.path.len();
        self.path.push(number);
        self.path.extend(at.map(index));
        self.locations.push(Location {
            path: self.path.clone(),
            span: vec![index(self.locations.len()), 0, 0],
            leading_comments: self.comments.remove(&self.path),
        });
        inside(self);
        self.path.truncate(length);
    }

    fn messages(&mut self, number: i32, messages: &[DescriptorProto]) {
        for (at, message) in messages.iter().enumerate() {
            // protoc has none for the entries of maps either: nobody wrote them.
            if message.options.as_ref().is_some_and(|it| it.map_entry()) {
                continue;
            }
            self.at(number, Some(at), |writer| {
                for field in 0..message.field.len() {
                    writer.at(FIELD, Some(field), |_| {});
                }
                writer.messages(NESTED, &message.nested_type);
            });
        }
    }
}

/// Counts of elements are bounded by the size of a message, far below 2^31.
fn index(at: usize) -> i32 {
    i32::try_from(at).unwrap_or(i32::MAX)
}

/// The fields of descriptor.proto that paths are made of.
const PACKAGE: i32 = 2;
const MESSAGE: i32 = 4;
const SERVICE: i32 = 6;
/// Of a message.
const FIELD: i32 = 2;
const NESTED: i32 = 3;
/// Of a service.
const METHOD: i32 = 2;
