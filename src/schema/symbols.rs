//! What the elements of a file are called in full.

use super::descriptor::{
    DescriptorProto, EnumDescriptorProto, FieldDescriptorProto, FileDescriptorProto,
};

/// Every full name that a file defines: services and their rpcs, messages and their fields and
/// oneofs, enums and their values, extensions.
pub(super) fn symbols(file: &FileDescriptorProto) -> Vec<String> {
    let package = file.package();
    let mut symbols = Vec::new();
    for service in &file.service {
        let full_name = join(package, service.name());
        for method in &service.method {
            symbols.push(join(&full_name, method.name()));
        }
        symbols.push(full_name);
    }
    for message in &file.message_type {
        message_symbols(package, message, &mut symbols);
    }
    enum_symbols(package, &file.enum_type, &mut symbols);
    for extension in &file.extension {
        symbols.push(join(package, extension.name()));
    }
    symbols
}

/// The messages that a file extends, without a leading dot, with the numbers of the extensions.
pub(super) fn extensions(file: &FileDescriptorProto) -> Vec<(String, i32)> {
    let mut extensions: Vec<(String, i32)> = file.extension.iter().map(extension).collect();
    let mut messages: Vec<&DescriptorProto> = file.message_type.iter().collect();
    while let Some(message) = messages.pop() {
        extensions.extend(message.extension.iter().map(extension));
        messages.extend(&message.nested_type);
    }
    extensions
}

fn extension(field: &FieldDescriptorProto) -> (String, i32) {
    let extendee = field.extendee().trim_start_matches('.');
    (extendee.to_owned(), field.number())
}

fn message_symbols(parent: &str, message: &DescriptorProto, symbols: &mut Vec<String>) {
    let full_name = join(parent, message.name());
    let fields = message.field.iter().chain(&message.extension);
    symbols.extend(fields.map(|field| join(&full_name, field.name())));
    let oneofs = message.oneof_decl.iter();
    symbols.extend(oneofs.map(|oneof| join(&full_name, oneof.name())));
    for nested in &message.nested_type {
        message_symbols(&full_name, nested, symbols);
    }
    enum_symbols(&full_name, &message.enum_type, symbols);
    symbols.push(full_name);
}

/// The values of an enum are named beside it, not inside.
fn enum_symbols(parent: &str, enums: &[EnumDescriptorProto], symbols: &mut Vec<String>) {
    for declared in enums {
        symbols.push(join(parent, declared.name()));
        let values = declared.value.iter();
        symbols.extend(values.map(|value| join(parent, value.name())));
    }
}

fn join(parent: &str, name: &str) -> String {
    if parent.is_empty() {
        name.to_owned()
    } else {
        format!("{parent}.{name}")
    }
}
