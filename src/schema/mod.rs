//! What a robot says about itself as protobuf descriptors.

pub mod shape;

pub use shape::{FieldShape, MessageShape, Payload, Scalar, Shape};
