//! What clients know of a service, taken from the descriptor of its file.

use std::collections::{BTreeMap, BTreeSet};

use prost::{DecodeError, Message as _};

use crate::schema::{
    MethodKind,
    descriptor::{
        DescriptorProto, FieldDescriptorProto, FieldLabel, FieldType, FileDescriptorProto,
        MethodDescriptorProto, MethodOrigin,
    },
};

/// The elements of a file by their names within its package.
pub(super) struct Api {
    pub(super) rpcs: BTreeMap<String, Rpc>,
    pub(super) messages: BTreeMap<String, Message>,
}

pub(super) struct Rpc {
    /// The member at the robot.
    pub(super) origin: String,
    /// What it takes and gives.
    pub(super) ty: String,
}

pub(super) struct Message {
    /// The rpc whose request or response it is, or is a part of.
    pub(super) rpc: Option<String>,
    /// The member behind that rpc; empty if there is none.
    pub(super) origin: String,
    /// Whether clients send it.
    pub(super) is_sent: bool,
    /// The fields by number.
    pub(super) fields: BTreeMap<i32, Field>,
}

pub(super) struct Field {
    pub(super) name: String,
    pub(super) ty: String,
    pub(super) is_optional: bool,
    /// The name and the signature at the robot; empty for what the gateway adds.
    pub(super) origin: String,
    /// The messages of the file that its type names.
    refers_to: Vec<String>,
}

impl Api {
    pub(super) fn new(descriptor: &[u8]) -> Result<Self, DecodeError> {
        let file = FileDescriptorProto::decode(descriptor)?;
        let names = Names {
            prefix: format!(".{}.", file.package()),
        };
        let mut messages = BTreeMap::new();
        for message in &file.message_type {
            names.message(message.name(), message, &mut messages);
        }
        let mut api = Self {
            rpcs: BTreeMap::new(),
            messages,
        };
        for method in file.service.iter().flat_map(|service| &service.method) {
            api.rpc(&names, method);
        }
        Ok(api)
    }

    fn rpc(&mut self, names: &Names, method: &MethodDescriptorProto) {
        let origin = method.options.as_ref().and_then(|it| it.method.as_ref());
        let origin = origin.map(member).unwrap_or_default();
        let [request, response] =
            [method.input_type(), method.output_type()].map(|it| names.of(it));
        let stream = if method.server_streaming() {
            "stream "
        } else {
            ""
        };
        for name in [request, response] {
            self.belongs(name, method.name(), &origin);
        }
        self.sent(request);
        let rpc = Rpc {
            origin,
            ty: format!("({request}) returns ({stream}{response})"),
        };
        self.rpcs.insert(method.name().to_owned(), rpc);
    }

    /// Notes that a message, with those inside of it, is that of an rpc.
    fn belongs(&mut self, name: &str, rpc: &str, origin: &str) {
        let inside = format!("{name}.");
        // No character of a name sorts before the dot: what is inside follows at once.
        let from = self.messages.range_mut(name.to_owned()..);
        for (_, message) in from.take_while(|(it, _)| *it == name || it.starts_with(&inside)) {
            message.rpc = Some(rpc.to_owned());
            origin.clone_into(&mut message.origin);
        }
    }

    /// Notes that clients send a message, and with it those that its fields hold.
    fn sent(&mut self, name: &str) {
        let mut seen = BTreeSet::new();
        let mut names = vec![name.to_owned()];
        while let Some(name) = names.pop() {
            if let Some(message) = self.messages.get_mut(&name)
                && !message.is_sent
                && seen.insert(name)
            {
                message.is_sent = true;
                let fields = message.fields.values();
                names.extend(fields.flat_map(|field| field.refers_to.iter().cloned()));
            }
        }
    }
}

/// The member behind an rpc, in the words of the comments of generated files.
fn member(origin: &MethodOrigin) -> String {
    let MethodOrigin {
        kind,
        name,
        signature,
        return_signature,
    } = origin;
    let kinds = [
        (MethodKind::GetProperty, "read property"),
        (MethodKind::SetProperty, "write property"),
        (MethodKind::WatchProperty, "watch property"),
        (MethodKind::Subscribe, "signal"),
    ];
    let kind = kinds.iter().find(|(it, _)| *it as i32 == *kind);
    match kind {
        Some((_, words)) => format!("{words} {name} {signature}"),
        None => format!("method {name}{signature} -> {return_signature}"),
    }
}

/// Names within a package.
struct Names {
    /// What names of the package begin with, `.qi.foo.v1.`.
    prefix: String,
}

impl Names {
    /// The name within the package, or in full without the dot in front.
    fn of<'n>(&self, type_name: &'n str) -> &'n str {
        type_name
            .strip_prefix(&self.prefix)
            .unwrap_or_else(|| type_name.trim_start_matches('.'))
    }

    fn message(
        &self,
        name: &str,
        message: &DescriptorProto,
        messages: &mut BTreeMap<String, Message>,
    ) {
        let fields = message.field.iter();
        let fields = fields.map(|field| (field.number(), self.field(message, field)));
        let read = Message {
            rpc: None,
            origin: String::new(),
            is_sent: false,
            fields: fields.collect(),
        };
        messages.insert(name.to_owned(), read);
        for nested in &message.nested_type {
            if !is_map_entry(nested) {
                self.message(&format!("{name}.{}", nested.name()), nested, messages);
            }
        }
    }

    fn field(&self, message: &DescriptorProto, field: &FieldDescriptorProto) -> Field {
        let mut refers_to = Vec::new();
        let entry = field.type_name().rsplit('.').next().and_then(|name| {
            let mut nested = message.nested_type.iter();
            nested.find(|it| is_map_entry(it) && it.name() == name)
        });
        let ty = match entry.map(|entry| entry.field.as_slice()) {
            Some([key, value]) => {
                let key = self.ty(key, &mut refers_to);
                format!("map<{key}, {}>", self.ty(value, &mut refers_to))
            }
            _ => {
                let label = match field.label() {
                    FieldLabel::Repeated => "repeated ",
                    _ if field.proto3_optional() => "optional ",
                    _ => "",
                };
                format!("{label}{}", self.ty(field, &mut refers_to))
            }
        };
        let origin = field.options.as_ref().and_then(|it| it.field.as_ref());
        let origin = origin.map(|it| format!("{} {}", it.name, it.signature));
        Field {
            name: field.name().to_owned(),
            ty,
            is_optional: field.proto3_optional(),
            origin: origin.unwrap_or_default().trim_start().to_owned(),
            refers_to,
        }
    }

    fn ty(&self, field: &FieldDescriptorProto, refers_to: &mut Vec<String>) -> String {
        match field.r#type() {
            FieldType::Message | FieldType::Enum | FieldType::Group => {
                let name = self.of(field.type_name());
                refers_to.push(name.to_owned());
                name.to_owned()
            }
            scalar => format!("{scalar:?}").to_ascii_lowercase(),
        }
    }
}

fn is_map_entry(message: &DescriptorProto) -> bool {
    message.options.as_ref().is_some_and(|it| it.map_entry())
}
