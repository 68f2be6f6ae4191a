//! The part of `google/protobuf/descriptor.proto` that generated files use, with the custom
//! options of `qi.gateway.v1` as typed fields.
//!
//! prost-types drops options that it does not know, and with them everything that ties a
//! generated element to its origin. These messages keep them. Numbers are those of
//! descriptor.proto; fields that no generated or static file needs are left out.

use prost::Message;

/// The number of the options `(qi.gateway.v1.service)`, `(qi.gateway.v1.method)` and
/// `(qi.gateway.v1.field)`.
pub const OPTION_NUMBER: u32 = 78559;

/// A set of files, each left encoded so that nothing in it is lost.
#[derive(Clone, PartialEq, Message)]
pub struct FileDescriptorSet {
    /// Encoded [`FileDescriptorProto`]s.
    #[prost(bytes = "bytes", repeated, tag = "1")]
    pub file: Vec<bytes::Bytes>,
}

/// A .proto file.
#[derive(Clone, PartialEq, Message)]
pub struct FileDescriptorProto {
    /// The path by which others import it.
    #[prost(string, optional, tag = "1")]
    pub name: Option<String>,
    /// The package.
    #[prost(string, optional, tag = "2")]
    pub package: Option<String>,
    /// The files it imports.
    #[prost(string, repeated, tag = "3")]
    pub dependency: Vec<String>,
    /// Messages at top level.
    #[prost(message, repeated, tag = "4")]
    pub message_type: Vec<DescriptorProto>,
    /// Enums at top level.
    #[prost(message, repeated, tag = "5")]
    pub enum_type: Vec<EnumDescriptorProto>,
    /// Services.
    #[prost(message, repeated, tag = "6")]
    pub service: Vec<ServiceDescriptorProto>,
    /// Extensions at top level.
    #[prost(message, repeated, tag = "7")]
    pub extension: Vec<FieldDescriptorProto>,
    /// Comments.
    #[prost(message, optional, tag = "9")]
    pub source_code_info: Option<SourceCodeInfo>,
    /// `proto3`.
    #[prost(string, optional, tag = "12")]
    pub syntax: Option<String>,
}

/// A message.
#[derive(Clone, PartialEq, Message)]
pub struct DescriptorProto {
    /// The name within its parent.
    #[prost(string, optional, tag = "1")]
    pub name: Option<String>,
    /// The fields.
    #[prost(message, repeated, tag = "2")]
    pub field: Vec<FieldDescriptorProto>,
    /// Messages inside of it.
    #[prost(message, repeated, tag = "3")]
    pub nested_type: Vec<Self>,
    /// Enums inside of it.
    #[prost(message, repeated, tag = "4")]
    pub enum_type: Vec<EnumDescriptorProto>,
    /// Extensions inside of it.
    #[prost(message, repeated, tag = "6")]
    pub extension: Vec<FieldDescriptorProto>,
    /// Options.
    #[prost(message, optional, tag = "7")]
    pub options: Option<MessageOptions>,
    /// Oneofs; generated files have only the synthetic ones of `optional` fields.
    #[prost(message, repeated, tag = "8")]
    pub oneof_decl: Vec<OneofDescriptorProto>,
}

/// A field or an extension.
#[derive(Clone, PartialEq, Message)]
pub struct FieldDescriptorProto {
    /// The name.
    #[prost(string, optional, tag = "1")]
    pub name: Option<String>,
    /// The message that an extension extends.
    #[prost(string, optional, tag = "2")]
    pub extendee: Option<String>,
    /// The number.
    #[prost(int32, optional, tag = "3")]
    pub number: Option<i32>,
    /// Singular or repeated.
    #[prost(enumeration = "FieldLabel", optional, tag = "4")]
    pub label: Option<i32>,
    /// The kind of type.
    #[prost(enumeration = "FieldType", optional, tag = "5")]
    pub r#type: Option<i32>,
    /// The message type, with a leading dot.
    #[prost(string, optional, tag = "6")]
    pub type_name: Option<String>,
    /// Options.
    #[prost(message, optional, tag = "8")]
    pub options: Option<FieldOptions>,
    /// The index of the oneof it belongs to.
    #[prost(int32, optional, tag = "9")]
    pub oneof_index: Option<i32>,
    /// The name in JSON.
    #[prost(string, optional, tag = "10")]
    pub json_name: Option<String>,
    /// Whether it is declared `optional`.
    #[prost(bool, optional, tag = "17")]
    pub proto3_optional: Option<bool>,
}

/// A oneof.
#[derive(Clone, PartialEq, Message)]
pub struct OneofDescriptorProto {
    /// The name.
    #[prost(string, optional, tag = "1")]
    pub name: Option<String>,
}

/// An enum.
#[derive(Clone, PartialEq, Message)]
pub struct EnumDescriptorProto {
    /// The name.
    #[prost(string, optional, tag = "1")]
    pub name: Option<String>,
    /// The values.
    #[prost(message, repeated, tag = "2")]
    pub value: Vec<EnumValueDescriptorProto>,
}

/// A value of an enum.
#[derive(Clone, PartialEq, Message)]
pub struct EnumValueDescriptorProto {
    /// The name.
    #[prost(string, optional, tag = "1")]
    pub name: Option<String>,
    /// The number.
    #[prost(int32, optional, tag = "2")]
    pub number: Option<i32>,
}

/// A service.
#[derive(Clone, PartialEq, Message)]
pub struct ServiceDescriptorProto {
    /// The name.
    #[prost(string, optional, tag = "1")]
    pub name: Option<String>,
    /// The methods.
    #[prost(message, repeated, tag = "2")]
    pub method: Vec<MethodDescriptorProto>,
    /// Options.
    #[prost(message, optional, tag = "3")]
    pub options: Option<ServiceOptions>,
}

/// A method of a service.
#[derive(Clone, PartialEq, Message)]
pub struct MethodDescriptorProto {
    /// The name.
    #[prost(string, optional, tag = "1")]
    pub name: Option<String>,
    /// The request, with a leading dot.
    #[prost(string, optional, tag = "2")]
    pub input_type: Option<String>,
    /// The response, with a leading dot.
    #[prost(string, optional, tag = "3")]
    pub output_type: Option<String>,
    /// Options.
    #[prost(message, optional, tag = "4")]
    pub options: Option<MethodOptions>,
    /// Whether responses are a stream.
    #[prost(bool, optional, tag = "6")]
    pub server_streaming: Option<bool>,
}

/// The options of a message.
#[derive(Clone, PartialEq, Message)]
pub struct MessageOptions {
    /// Whether it is the entry of a map field.
    #[prost(bool, optional, tag = "7")]
    pub map_entry: Option<bool>,
}

/// The options of a field.
#[derive(Clone, PartialEq, Message)]
pub struct FieldOptions {
    /// `(qi.gateway.v1.field)`
    #[prost(message, optional, tag = "78559")]
    pub field: Option<FieldOrigin>,
}

/// The options of a service.
#[derive(Clone, PartialEq, Message)]
pub struct ServiceOptions {
    /// `(qi.gateway.v1.service)`
    #[prost(message, optional, tag = "78559")]
    pub service: Option<ServiceOrigin>,
}

/// The options of a method.
#[derive(Clone, PartialEq, Message)]
pub struct MethodOptions {
    /// `(qi.gateway.v1.method)`
    #[prost(message, optional, tag = "78559")]
    pub method: Option<MethodOrigin>,
}

/// `qi.gateway.v1.ServiceOrigin`
#[derive(Clone, PartialEq, Message)]
pub struct ServiceOrigin {
    /// The name on the robot's bus.
    #[prost(string, tag = "1")]
    pub name: String,
}

/// `qi.gateway.v1.MethodOrigin`
#[derive(Clone, PartialEq, Message)]
pub struct MethodOrigin {
    /// What the method does, a [`MethodKind`](super::MethodKind).
    #[prost(int32, tag = "1")]
    pub kind: i32,
    /// The name of the qi method, signal or property.
    #[prost(string, tag = "2")]
    pub name: String,
    /// The signature of the parameters, the signal or the property.
    #[prost(string, tag = "3")]
    pub signature: String,
    /// The signature of what a call returns.
    #[prost(string, tag = "4")]
    pub return_signature: String,
}

/// `qi.gateway.v1.FieldOrigin`
#[derive(Clone, PartialEq, Message)]
pub struct FieldOrigin {
    /// The name that the robot gives to the parameter or struct member, if any.
    #[prost(string, tag = "1")]
    pub name: String,
    /// The signature.
    #[prost(string, tag = "2")]
    pub signature: String,
}

/// Where elements stand in the source, and their comments.
#[derive(Clone, PartialEq, Message)]
pub struct SourceCodeInfo {
    /// One for each element.
    #[prost(message, repeated, tag = "1")]
    pub location: Vec<Location>,
}

/// Where an element stands in the source, and its comments.
#[derive(Clone, PartialEq, Message)]
pub struct Location {
    /// Field numbers and indices that lead from the file to the element.
    #[prost(int32, repeated, tag = "1")]
    pub path: Vec<i32>,
    /// Line, column, last column, from 0.
    #[prost(int32, repeated, tag = "2")]
    pub span: Vec<i32>,
    /// The comment above the element.
    #[prost(string, optional, tag = "3")]
    pub leading_comments: Option<String>,
}

/// Whether a field is singular.
#[derive(Clone, Copy, PartialEq, Eq, Debug, prost::Enumeration)]
#[repr(i32)]
pub enum FieldLabel {
    /// Singular.
    Optional = 1,
    /// Proto2 only.
    Required = 2,
    /// Repeated.
    Repeated = 3,
}

/// The kind of a field's type.
#[derive(Clone, Copy, PartialEq, Eq, Debug, prost::Enumeration)]
#[repr(i32)]
pub enum FieldType {
    /// `double`
    Double = 1,
    /// `float`
    Float = 2,
    /// `int64`
    Int64 = 3,
    /// `uint64`
    Uint64 = 4,
    /// `int32`
    Int32 = 5,
    /// `fixed64`
    Fixed64 = 6,
    /// `fixed32`
    Fixed32 = 7,
    /// `bool`
    Bool = 8,
    /// `string`
    String = 9,
    /// A group of proto2.
    Group = 10,
    /// A message.
    Message = 11,
    /// `bytes`
    Bytes = 12,
    /// `uint32`
    Uint32 = 13,
    /// An enum.
    Enum = 14,
    /// `sfixed32`
    Sfixed32 = 15,
    /// `sfixed64`
    Sfixed64 = 16,
    /// `sint32`
    Sint32 = 17,
    /// `sint64`
    Sint64 = 18,
}
