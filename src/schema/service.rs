//! The pass that puts a file together, and its result.

use std::{collections::BTreeSet, sync::Arc};

use bytes::Bytes;
use prost::Message as _;

use super::{
    Finding, MessageShape, Payload, ProtoFile, SchemaOptions,
    claims::{self, Rpc},
    comments::comment,
    descriptor::{
        DescriptorProto, FileDescriptorProto, MethodDescriptorProto, MethodOptions, MethodOrigin,
        ServiceDescriptorProto, ServiceOptions, ServiceOrigin,
    },
    emit, members,
    members::{Member, Meta},
    names,
    source::Comments,
    symbols,
    types::{Field, Types},
};
use crate::qi::{
    value::{MetaObject, Signature, Type},
    wire::ActionId,
};

/// What a service is in protobuf.
#[derive(Clone, PartialEq, Debug)]
pub struct ServiceSchema {
    /// The name on the robot's bus.
    pub qi_name: String,
    /// The package, `qi.foo.v1`.
    pub package: String,
    /// The full name of the gRPC service, `qi.foo.v1.Foo`.
    pub full_name: String,
    /// The path of the file, `qi/foo/v1/foo.proto`.
    pub file_name: String,
    /// The encoded `FileDescriptorProto`, with custom options and comments.
    pub descriptor: Bytes,
    /// The files it imports, all of the static API.
    pub dependencies: Vec<String>,
    /// The full name of everything that the file defines.
    pub symbols: Vec<String>,
    /// The methods of the gRPC service, in the order of the file.
    pub methods: Vec<MethodSchema>,
    /// What could not be taken over as it is.
    pub findings: Vec<Finding>,
}

/// What a method of a gRPC service does.
#[derive(Clone, PartialEq, Debug)]
pub struct MethodSchema {
    /// Its name, `Bang`.
    pub rpc: String,
    /// Where requests go, `/qi.foo.v1.Foo/Bang`.
    pub path: String,
    /// What it does.
    pub kind: MethodKind,
    /// The number of the qi method, signal or property.
    pub uid: ActionId,
    /// The name of the qi method, signal or property.
    pub qi_name: String,
    /// The signature of the parameters, the signal or the property.
    pub signature: Signature,
    /// The signature of what a call returns; none but for [`MethodKind::Call`].
    pub return_signature: Option<Signature>,
    /// The request.
    pub request: Request,
    /// The response. Streamed ones also have `qi.gateway.v1.EventInfo info = 1000`, which is no
    /// part of the payload.
    pub response: Payload,
}

/// What a method of a gRPC service does. The numbers are those of `qi.gateway.v1.MethodKind`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[repr(i32)]
pub enum MethodKind {
    /// Calls a method of the service.
    Call = 1,
    /// Streams the events of a signal.
    Subscribe = 2,
    /// Reads a property.
    GetProperty = 3,
    /// Writes a property.
    SetProperty = 4,
    /// Streams the value of a property, the current one first.
    WatchProperty = 5,
}

/// What a request message holds.
#[derive(Clone, PartialEq, Debug)]
pub enum Request {
    /// Arguments of a call, the value of a property to write, or nothing.
    Payload(Payload),
    /// `qi.gateway.v1.SubscribeOptions options = 1`, which is no part of the shape.
    Options(Arc<MessageShape>),
}

impl Request {
    /// The message.
    #[must_use]
    pub const fn message(&self) -> &Arc<MessageShape> {
        match self {
            Self::Payload(payload) => payload.message(),
            Self::Options(message) => message,
        }
    }
}

impl MethodKind {
    /// Whether the responses are a stream.
    #[must_use]
    pub const fn is_stream(self) -> bool {
        matches!(self, Self::Subscribe | Self::WatchProperty)
    }
}

impl ServiceSchema {
    /// Makes the schema of a service. The result depends on nothing but the arguments; for
    /// `package` see [`packages`](super::packages).
    #[must_use]
    pub fn new(service: &str, package: &str, object: &MetaObject, options: &SchemaOptions) -> Self {
        let name = names::service(service);
        let full_name = format!("{package}.{name}");
        let mut findings = Vec::new();

        let members = members::members(service, object, options, &mut findings);
        let claims = claims::claim(&name, &members, &mut findings);
        let mut builder = Builder {
            full_name: &full_name,
            types: Types::new(package, &claims),
            methods: Vec::new(),
            messages: Vec::new(),
            rpcs: Vec::new(),
            comments: Comments::default(),
        };
        for (member, rpcs) in members.iter().zip(&claims.rpcs) {
            for rpc in rpcs {
                builder.rpc(member, rpc);
            }
        }

        let methods = std::mem::take(&mut builder.methods);
        let file = builder.file(service, &name, package, &object.description);
        Self {
            qi_name: service.to_owned(),
            package: package.to_owned(),
            full_name,
            file_name: file.name().to_owned(),
            descriptor: file.encode_to_vec().into(),
            dependencies: file.dependency.clone(),
            symbols: symbols::symbols(&file),
            methods,
            findings,
        }
    }
}

impl From<&ServiceSchema> for ProtoFile {
    fn from(schema: &ServiceSchema) -> Self {
        Self {
            name: schema.file_name.clone(),
            descriptor: schema.descriptor.clone(),
            symbols: schema.symbols.clone(),
            dependencies: schema.dependencies.clone(),
            extensions: Vec::new(),
        }
    }
}

/// A file in the making.
struct Builder<'a> {
    full_name: &'a str,
    types: Types<'a>,
    methods: Vec<MethodSchema>,
    messages: Vec<DescriptorProto>,
    rpcs: Vec<MethodDescriptorProto>,
    comments: Comments,
}

impl<'a> Builder<'a> {
    fn rpc(&mut self, member: &Member<'a>, rpc: &Rpc) {
        let request = self.request(member, rpc);
        let response = self.response(member, rpc);
        self.comments
            .rpc(self.rpcs.len(), rpc_comment(member, rpc.kind));
        self.rpcs.push(method_descriptor(
            member,
            rpc,
            request.message(),
            response.message(),
        ));
        self.methods.push(MethodSchema {
            rpc: rpc.name.clone(),
            path: format!("/{}/{}", self.full_name, rpc.name),
            kind: rpc.kind,
            uid: member.uid,
            qi_name: member.name().to_owned(),
            signature: member.signature().clone(),
            return_signature: member.return_signature().cloned(),
            request,
            response,
        });
    }

    fn request(&mut self, member: &Member<'a>, rpc: &Rpc) -> Request {
        let name = format!("{}Request", rpc.name);
        let payload = match rpc.kind {
            MethodKind::Call => self.arguments(&name, member),
            MethodKind::SetProperty => self.value(&name, member.signature()),
            MethodKind::GetProperty => self.empty(&name),
            MethodKind::Subscribe | MethodKind::WatchProperty => {
                let shape = self.types.message(&name, []);
                let mut message = emit::message(&shape);
                let options = emit::static_field("options", 1, emit::OPTIONS);
                message.field.push(options);
                self.comment_field(0, "How the events are delivered.");
                self.messages.push(message);
                return Request::Options(shape);
            }
        };
        self.messages.push(emit::message(payload.message()));
        Request::Payload(payload)
    }

    fn response(&mut self, member: &Member<'a>, rpc: &Rpc) -> Payload {
        let name = format!("{}Response", rpc.name);
        let payload = match (rpc.kind, member.return_signature()) {
            (MethodKind::Call, Some(returned)) => self.value(&name, returned),
            (MethodKind::GetProperty | MethodKind::WatchProperty, _) => {
                self.value(&name, member.signature())
            }
            (MethodKind::Subscribe, _) => self.arguments(&name, member),
            (MethodKind::SetProperty | MethodKind::Call, _) => self.empty(&name),
        };
        if let (Meta::Method(method), [_]) = (member.meta, payload.message().fields.as_slice()) {
            self.comment_field(0, &method.return_description);
        }
        let mut message = emit::message(payload.message());
        if rpc.kind.is_stream() {
            let info = emit::static_field("info", 1000, emit::INFO);
            self.comment_field(message.field.len(), "What was missed, and when it came.");
            message.field.push(info);
        }
        self.messages.push(message);
        payload
    }

    /// The message of what a method takes or a signal sends.
    fn arguments(&mut self, name: &str, member: &Member<'a>) -> Payload {
        let Type::Tuple(tuple) = member.signature().ty() else {
            return Payload::AnyArguments(self.types.any_arguments(name));
        };
        let given = match member.meta {
            Meta::Method(method) => method.parameters.as_slice(),
            Meta::Property(_) | Meta::Signal(_) => &[],
        };
        let qi_name = |at: usize| {
            let name = given.get(at).map(|parameter| parameter.name.as_str());
            name.filter(|name| !name.is_empty())
        };
        let names = match (member.meta, tuple.elements.len()) {
            (Meta::Signal(_), 1) => vec!["value".to_owned()],
            (_, arity) => names::fields((0..arity).map(qi_name), "arg"),
        };
        for (at, parameter) in given.iter().enumerate().take(tuple.elements.len()) {
            self.comment_field(at, &parameter.description);
        }
        let fields = tuple.elements.iter().zip(names).enumerate();
        let fields = fields.map(|(at, (ty, name))| Field {
            name,
            qi_name: qi_name(at),
            ty,
        });
        Payload::Fields(self.types.message(name, fields))
    }

    /// The message of one value; of none for `v`.
    fn value(&mut self, name: &str, signature: &'a Signature) -> Payload {
        let ty = signature.ty();
        let field = (!matches!(ty, Type::Void | Type::None)).then(|| Field {
            name: "value".to_owned(),
            qi_name: None,
            ty,
        });
        Payload::Fields(self.types.message(name, field))
    }

    fn empty(&mut self, name: &str) -> Payload {
        Payload::Fields(self.types.message(name, []))
    }

    /// Comments on a field of the message that comes next.
    fn comment_field(&mut self, field: usize, text: &str) {
        self.comments
            .field(self.messages.len(), field, comment([text]));
    }

    fn file(
        mut self,
        service: &str,
        name: &str,
        package: &str,
        description: &str,
    ) -> FileDescriptorProto {
        for (shape, signature) in &self.types.structs {
            let origin = comment([format!("qi: {signature}").as_str()]);
            self.comments.message(self.messages.len(), origin);
            self.messages.push(emit::message(shape));
        }
        let origin = format!("qi: service {service}");
        self.comments
            .service(comment([description, origin.as_str()]));
        let word = package.trim_start_matches("qi.").trim_end_matches(".v1");
        let mut file = FileDescriptorProto {
            name: Some(format!("{}/{word}.proto", package.replace('.', "/"))),
            package: Some(package.to_owned()),
            dependency: imports(&self.messages),
            message_type: self.messages,
            service: vec![ServiceDescriptorProto {
                name: Some(name.to_owned()),
                method: self.rpcs,
                options: Some(ServiceOptions {
                    service: Some(ServiceOrigin {
                        name: service.to_owned(),
                    }),
                }),
            }],
            syntax: Some("proto3".to_owned()),
            ..FileDescriptorProto::default()
        };
        file.source_code_info = Some(self.comments.source_info(&file));
        file
    }
}

fn method_descriptor(
    member: &Member<'_>,
    rpc: &Rpc,
    request: &MessageShape,
    response: &MessageShape,
) -> MethodDescriptorProto {
    let return_signature = member.return_signature().map(ToString::to_string);
    MethodDescriptorProto {
        name: Some(rpc.name.clone()),
        input_type: Some(format!(".{}", request.full_name)),
        output_type: Some(format!(".{}", response.full_name)),
        options: Some(MethodOptions {
            method: Some(MethodOrigin {
                kind: rpc.kind as i32,
                name: member.name().to_owned(),
                signature: member.signature().to_string(),
                return_signature: return_signature.unwrap_or_default(),
            }),
        }),
        server_streaming: rpc.kind.is_stream().then_some(true),
    }
}

/// What the robot says of a member, then its declaration in qi.
fn rpc_comment(member: &Member<'_>, kind: MethodKind) -> Option<String> {
    let name = member.name();
    let signature = member.signature();
    // One line, whatever the name holds.
    let name: String = name.chars().filter(|c| !c.is_control()).collect();
    let (description, what, declaration) = match member.meta {
        Meta::Method(method) => {
            let returned = &method.return_signature;
            let declaration = match signature.ty() {
                Type::Tuple(_) => format!("{name}{signature} -> {returned}"),
                _ => format!("{name}({signature}...) -> {returned}"),
            };
            (method.description.as_str(), "", declaration)
        }
        Meta::Signal(_) if matches!(signature.ty(), Type::Tuple(_)) => {
            ("", "signal ", format!("{name}{signature}"))
        }
        Meta::Signal(_) => ("", "signal ", format!("{name}({signature}...)")),
        Meta::Property(_) => {
            let what = match kind {
                MethodKind::SetProperty => "write property ",
                MethodKind::WatchProperty => "watch property ",
                _ => "read property ",
            };
            ("", what, format!("{name} {signature}"))
        }
    };
    comment([description, format!("qi: {what}{declaration}").as_str()])
}

/// The files that messages refer to, sorted. The one of the custom options always is.
fn imports(messages: &[DescriptorProto]) -> Vec<String> {
    let mut files = BTreeSet::from(["qi/gateway/v1/options.proto"]);
    let mut messages: Vec<&DescriptorProto> = messages.iter().collect();
    while let Some(message) = messages.pop() {
        for field in &message.field {
            match field.type_name().trim_start_matches('.') {
                emit::VALUE | emit::OBJECT => files.insert("qi/gateway/v1/value.proto"),
                emit::OPTIONS | emit::INFO => files.insert("qi/gateway/v1/event.proto"),
                _ => false,
            };
        }
        messages.extend(&message.nested_type);
    }
    files.into_iter().map(Into::into).collect()
}
