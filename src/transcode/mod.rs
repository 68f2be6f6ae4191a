//! Protobuf bytes to qi bytes and back, by compiled plans, without a tree of values between.
//!
//! ```text
//!  Payload (schema) --compile--> RequestPlan    protobuf message --to_qi-------> qi arguments
//!                   --compile--> ResponsePlan   qi result, event --to_protobuf-> protobuf message
//! ```
//!
//! | module | what |
//! | --- | --- |
//! | `plan` | the compiled form of a message, common to both directions |
//! | `request` | protobuf to qi |
//! | `response` | qi to protobuf |
//! | `error` | what can be wrong, and in which field |
//! | `object` | where objects in messages come from and go to |
//! | `wire` | the wire format of protobuf |
//!
//! # The mapping
//!
//! | qi | protobuf | notes |
//! | --- | --- | --- |
//! | `b` | `bool` | |
//! | `c` `w` `i` | `int32` | to qi: out of range is [`RequestError::Argument`] |
//! | `C` `W` `I` | `uint32` | the same |
//! | `l` `L` | `int64` `uint64` | |
//! | `f` `d` | `float` `double` | bit for bit, NaN and infinities included |
//! | `s` | `string` | to protobuf: what is not UTF-8 becomes U+FFFD and is counted |
//! | `r` | `bytes` | |
//! | `m` | `qi.gateway.v1.Value` | below |
//! | `X` | `qi.gateway.v1.Value` | has no encoding: an error in both directions |
//! | `o` | `qi.gateway.v1.ObjectRef` | an empty or missing id is the null object, unless a hosted service is named |
//! | `[T]` `#T` | `repeated T` | `T` a wrapper message where protobuf cannot nest |
//! | `{KV}` `~T` | `map<K,V>`, or repeated entry messages | to qi: sorted by key, the last of equal keys wins |
//! | `(T...)` | message, one field a member | a missing member is its default |
//! | `+T` | a field with presence | missing is empty |
//! | `v` | nothing; inside of other types an empty message | |
//! | bare `m` for all arguments | `repeated Value args` | one dynamic that holds a tuple |
//!
//! ## `Value`
//!
//! A dynamic becomes a `Value` with the arm of its kind. Its signature is left out where the arm
//! tells it: `v b l L f d s r [m] {mm} (m...) o +m`. Members of a container whose signature tells
//! their type carry none. A text that is not UTF-8 is a `raw_value` of type `s`. A dynamic that
//! holds a dynamic adds an `m` in front of the signature. Annotations are kept as they came.
//!
//! So qi to `Value` to qi is the identity, byte for byte, with two exceptions: the empty dynamic
//! (signature "", which must never be sent to libqi: section 7 of the protocol text) becomes void
//! and goes back as `v`, and values that nest deeper than [`MESSAGE_DEPTH`] protobuf messages
//! are refused on the way back.
//!
//! On input a `Value` need not be exact. Where a type is told, by a signature or by the container
//! around, integers convert among each other if they fit, numbers to `f` and `d` unless a finite one
//! became infinite, texts to `r`, and what is not optional to an optional that is present. Nothing else is converted: what does
//! not fit is an error that says where, what was given and what is taken. A `Value` without an
//! arm is void.
//!
//! ## `json`
//!
//! | JSON | qi, where no type is told | where one is |
//! | --- | --- | --- |
//! | `null` | `v` | `v`, an empty optional |
//! | `true` | `b` | `b` |
//! | number | `l` if it is whole and fits, else `d` | any number that it fits |
//! | string | `s` | `s` |
//! | array | `[m]` | list, tuple of as many members |
//! | object | `{sm}` | map from `s` (or `m`), struct by the names of its members |
//!
//! To JSON a value goes on request, as a whole or not at all: raw bytes, objects, texts that are
//! not UTF-8, floats that are not finite, integers beyond 2^53 and maps with keys other than texts
//! have no JSON form, and a value that holds one of them comes with the exact arms.

mod error;
mod object;
mod plan;
mod request;
mod response;
mod wire;

pub use error::{FieldPath, Given, RequestError, ResponseError, Taken};
pub use object::{NoObjects, ObjectName, ObjectSink, ObjectSource, UnknownObject};
pub use request::{
    RequestContext, RequestPlan, value_to_declared, value_to_dynamic, value_to_typed,
    values_to_arguments,
};
pub use response::{
    Holds, ResponseContext, ResponsePlan, arguments_to_values, dynamic_arguments_to_values,
    dynamic_to_value, typed_to_value,
};
pub use wire::Malformed;

/// How deep protobuf messages may nest in a request: the limit of every common protobuf runtime.
pub const MESSAGE_DEPTH: u32 = 100;

#[cfg(test)]
mod tests;
